# `make demo` and `make test` need nothing before them but a Python 3.10.
ENVIRONMENT := .venv/.installed
PYTHON := .venv/bin/python
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test lint lock clean

demo: $(ENVIRONMENT)
	.venv/bin/wseg run configs/demo.yaml

test: $(ENVIRONMENT)
	$(PYTHON) -m pytest

lint: $(ENVIRONMENT)
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

$(ENVIRONMENT): locks/python310.txt locks/install.sh setup.cfg pyproject.toml
	@sh locks/install.sh 3.10 locks/python310.txt .venv

# Resolves setup.cfg anew; commit what changes.
lock: $(ENVIRONMENT)
	.venv/bin/uv pip compile setup.cfg --extra kubeflow --extra dev \
	    --python-version 3.10 --no-header --no-annotate --generate-hashes \
	    --upgrade --quiet --output-file locks/python310.txt

clean:
	rm -rf .venv .venv-* runs
