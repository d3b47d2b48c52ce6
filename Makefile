# `make demo` and `make test` need nothing before them but a Python 3.10.
ENVIRONMENT := .venv/.installed
PYTHON := .venv/bin/python
export TF_CPP_MIN_LOG_LEVEL ?= 3
# Files of tests run side by side; each process takes up to 4 GB.
PROCESSES ?= 2
PYTEST := -m pytest -n $(PROCESSES) --dist loadfile

.PHONY: demo test test-keras3 test-tfx121 test-tfx121-short docs pictures prism audit faults lint lock clean

demo: $(ENVIRONMENT)
	.venv/bin/wseg run configs/demo.yaml

test: $(ENVIRONMENT)
	$(PYTHON) $(PYTEST)

# The library again, on Keras 3 and the newest TensorFlow; needs Python 3.11.
# What knows nothing of Keras was tried by `make test`.
test-keras3: .venv-keras3/.installed
	.venv-keras3/bin/python $(PYTEST) tests/wseg_tf wseg_tf \
	    $(addprefix --ignore tests/wseg_tf/,data ground plots)

# The pipeline again, on TFX 1.21 and Keras 3; its wheels want glibc 2.39,
# which locks/newer_glibc.sh fetches for this environment where it is missing.
test-tfx121: .venv-tfx121/.installed
	.venv-tfx121/bin/python $(PYTEST) tests/pipeline pipeline

# A short form: a run to the push, one that is reused and one that is refused,
# the gate's verdicts and what is served, in minutes.
RUNS := a_good_model_is_pushed_and_the_screen_says_so \
    the_evaluator_and_the_evaluate_command_agree_exactly \
    the_pushed_model_needs_tensorflow_alone a_second_run_reuses_every_step \
    a_refused_model_never_reaches_the_serving_folder
test-tfx121-short: .venv-tfx121/.installed
	.venv-tfx121/bin/python $(PYTEST) tests/pipeline/test_cli.py \
	    tests/pipeline/gate tests/pipeline/release/test_serving_check.py \
	    $(addprefix --ignore tests/pipeline/gate/,test_verdicts.py) \
	    $(addprefix tests/pipeline/runners/test_local.py::test_,$(RUNS))

# Beam's portable runner, for tests/pipeline/runners/test_prism.py; needs Go.
prism: .prism/prism

.prism/prism:
	GOBIN=$(CURDIR)/.prism go install \
	    github.com/apache/beam/sdks/v2/go/cmd/prism@v2.77.0

# The docs site, in `site`; a broken link or anchor is an error.
# A star after a figure is its mark, and starts no emphasis.
docs: export NO_MKDOCS_2_WARNING = 1
docs: .venv-docs/.installed
	.venv-docs/bin/mkdocs build --quiet --strict
	! grep -rE --include='*.html' '<td[^>]*>[^<]*[0-9]<(em|strong)>' site

# The pictures of the documents: drawn, and taken from the demo's report; needs
# Chromium.
pictures: demo
	$(PYTHON) docs/images/draw.py
	$(PYTHON) docs/images/photograph.py \
	    $$(.venv/bin/wseg report configs/demo.yaml)

# What the tests try in short, at length: docs/reliability.md says what came.
faults: $(ENVIRONMENT)
	$(PYTHON) -m tests.faults.kills --count 12
	$(PYTHON) -m tests.faults.together --count 3
	$(PYTHON) -m tests.faults.surroundings --count 3
	$(PYTHON) -m tests.faults.damaged --count 30
	$(PYTHON) -m tests.faults.texts --count 10000
	$(PYTHON) -m tests.wseg_tf.data.fuzz --count 10000
	$(PYTHON) -m tests.faults.numbers --count 7000
	$(PYTHON) -m tests.faults.put_back

lint: $(ENVIRONMENT)
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

$(ENVIRONMENT): locks/python310.dev.txt locks/python310.dev.no-deps.txt \
    locks/install.sh setup.cfg pyproject.toml
	@sh locks/install.sh 3.10 locks/python310.dev.txt .venv

.venv-keras3/.installed: locks/keras3.txt locks/install.sh
	@sh locks/install.sh 3.11 locks/keras3.txt .venv-keras3

.venv-tfx121/.installed: locks/python311.dev.txt locks/install.sh \
    locks/newer_glibc.sh setup.cfg pyproject.toml
	@sh locks/install.sh 3.11 locks/python311.dev.txt .venv-tfx121 2.39

LOCKS := $(filter-out locks/overrides.txt,$(wildcard locks/*.txt))
# Known faults of what is locked; docs/security.md judges what it finds.
audit: $(ENVIRONMENT)
	@status=0; for lock in $(LOCKS); do echo "$$lock"; \
	    .venv/bin/uv tool run pip-audit@2.10.1 --require-hashes \
	        --disable-pip --progress-spinner off -r "$$lock" || status=1; \
	done; exit $$status

.venv-docs/.installed: locks/docs.txt locks/install.sh
	@sh locks/install.sh 3.10 locks/docs.txt .venv-docs

# Resolves setup.cfg anew; commit what changes.
lock: $(ENVIRONMENT)
	.venv/bin/uv pip compile setup.cfg --extra kubeflow \
	    --override locks/overrides.txt \
	    --python-version 3.10 --no-header --no-annotate --generate-hashes \
	    --upgrade --quiet --output-file locks/python310.txt
	.venv/bin/uv pip compile setup.cfg --extra kubeflow --extra dev \
	    --override locks/overrides.txt --constraint locks/python310.txt \
	    --python-version 3.10 --no-header --no-annotate --generate-hashes \
	    --upgrade --quiet --output-file locks/python310.dev.txt
	.venv/bin/uv pip compile setup.cfg --extra kubeflow \
	    --override locks/overrides.txt \
	    --python-version 3.11 --python-platform x86_64-manylinux_2_39 \
	    --no-header --no-annotate --generate-hashes \
	    --upgrade --quiet --output-file locks/python311.txt
	.venv/bin/uv pip compile setup.cfg --extra kubeflow --extra dev \
	    --override locks/overrides.txt --constraint locks/python311.txt \
	    --python-version 3.11 --python-platform x86_64-manylinux_2_39 \
	    --no-header --no-annotate --generate-hashes \
	    --upgrade --quiet --output-file locks/python311.dev.txt
	.venv/bin/uv pip compile locks/gpu.in \
	    --python-version 3.10 --no-header --no-annotate --generate-hashes \
	    --upgrade --quiet --output-file locks/gpu.txt
	.venv/bin/uv pip compile locks/keras3.in \
	    --python-version 3.11 --no-header --no-annotate --generate-hashes \
	    --upgrade --quiet --output-file locks/keras3.txt
	.venv/bin/uv pip compile locks/docs.in \
	    --python-version 3.10 --no-header --no-annotate --generate-hashes \
	    --upgrade --quiet --output-file locks/docs.txt

clean:
	rm -rf .venv .venv-* .prism runs site
