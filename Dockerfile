# The image of every step on a cluster: the locked environment and this
# project, so that components and metrics import wherever a step runs.
#
#   docker build -t REGISTRY/wseg:VERSION .
#   docker build --build-arg DEVICE=gpu -t REGISTRY/wseg:VERSION-gpu .
#   docker build --build-arg LOCK=python311 -t REGISTRY/wseg:VERSION-tfx121 .
#
# It holds no credentials: a cluster gives them to steps (docs/scale-out.md).

ARG LOCK=python310
FROM python:3.10-slim-bookworm AS python310
FROM python:3.11-slim-trixie AS python311
FROM apache/beam_python3.10_sdk:2.59.0 AS beam-python310
FROM apache/beam_python3.11_sdk:2.77.0 AS beam-python311
FROM beam-$LOCK AS beam

FROM $LOCK AS build
ARG LOCK
ARG DEVICE=cpu
WORKDIR /build
# One package comes as its source, in C++.
RUN apt-get update && apt-get install -y --no-install-recommends g++
RUN python -m venv /opt/wseg \
    && /opt/wseg/bin/pip install --no-cache-dir uv==0.13.9
# Whoever runs a step can write no bytecode there.
ENV VIRTUAL_ENV=/opt/wseg UV_COMPILE_BYTECODE=1
COPY locks locks
RUN case "$LOCK-$DEVICE" in \
        python31?-cpu) cuda= ;; \
        python310-gpu) cuda="-r locks/gpu.txt" ;; \
        *) echo "DEVICE is cpu or gpu, gpu with LOCK=python310;" \
            "not $DEVICE with $LOCK" >&2; exit 1 ;; \
    esac \
    && /opt/wseg/bin/uv pip install --no-cache --require-hashes --no-deps \
        -r "locks/$LOCK.txt" $cuda
COPY LICENSE README.md pyproject.toml setup.cfg ./
COPY wseg_tf wseg_tf
COPY pipeline pipeline
RUN /opt/wseg/bin/uv pip install --no-cache --no-deps --no-build-isolation .

FROM $LOCK AS steps
RUN useradd --uid 10001 --create-home wseg
COPY --from=build /opt/wseg /opt/wseg
ENV PATH=/opt/wseg/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    MPLCONFIGDIR=/tmp/matplotlib \
    TF_CPP_MIN_LOG_LEVEL=2 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
# By number, so that a cluster can see that it is not root.
USER 10001
WORKDIR /home/wseg
CMD ["wseg", "--help"]

# Workers of Dataflow, and of Beam's other engines, start with its own program:
#   docker build --target worker -t REGISTRY/wseg-worker:VERSION .
FROM steps AS worker
COPY --from=beam /opt/apache/beam /opt/apache/beam
ENTRYPOINT ["/opt/apache/beam/boot"]

# What is built by default.
FROM steps
