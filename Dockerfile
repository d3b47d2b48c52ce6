# The image of every step on a cluster: the locked environment and this
# project, so that components and metrics import wherever a step runs.
#
#   docker build -t REGISTRY/wseg:VERSION .
#   docker build --build-arg DEVICE=gpu -t REGISTRY/wseg:VERSION-gpu .
#
# It holds no credentials: a cluster gives them to steps (docs/scale-out.md).

FROM python:3.10-slim-bookworm AS build
ARG DEVICE=cpu
WORKDIR /build
RUN python -m venv /opt/wseg \
    && /opt/wseg/bin/pip install --no-cache-dir uv==0.13.9
ENV VIRTUAL_ENV=/opt/wseg
COPY locks locks
RUN case "$DEVICE" in \
        cpu) cuda= ;; \
        gpu) cuda="-r locks/gpu.txt" ;; \
        *) echo "DEVICE is cpu or gpu, not $DEVICE" >&2; exit 1 ;; \
    esac \
    && /opt/wseg/bin/uv pip install --no-cache --require-hashes --no-deps \
        -r locks/python310.txt $cuda
COPY LICENSE README.md pyproject.toml setup.cfg ./
COPY wseg_tf wseg_tf
COPY pipeline pipeline
RUN /opt/wseg/bin/uv pip install --no-cache --no-deps --no-build-isolation .

FROM python:3.10-slim-bookworm AS steps
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
COPY --from=apache/beam_python3.10_sdk:2.59.0 /opt/apache/beam /opt/apache/beam
ENTRYPOINT ["/opt/apache/beam/boot"]

# What is built by default.
FROM steps
