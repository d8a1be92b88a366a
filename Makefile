# make demo   sets everything up and classifies real digits with the shipped spiking network
# make test   sets everything up and runs the tests
# make test-versions   the fast tests with the oldest and newest Brian2 and in between, one environment for each
# make test-genn       the tests of the GeNN device, in an environment of their own; GENN_PATH names the folder of GeNN
# make test-cuda       the tests of the CUDA device, in an environment of their own, with nvcc and a GPU where they are
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: demo test test-versions test-genn test-cuda lint clean clean-cache

demo: $(VENV)/.installed
	$(RUN) studies/demo.py

test: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(RUN) -m pytest -q -n 2 --dist worksteal $(PYTEST_ARGS)

test-versions:
	$(PYTHON) tools/test_versions.py $(PYTEST_ARGS)

test-genn:
	$(PYTHON) tools/test_versions.py --only genn $(PYTEST_ARGS)

test-cuda:
	$(PYTHON) tools/test_versions.py --only cuda $(or $(PYTEST_ARGS),-m "slow or not slow")

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check .

# Debian splits off the venv module, the headers and the C++ compiler.
$(VENV)/.installed: setup.cfg pyproject.toml
	@sh tools/check_system.sh $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(RUN) -m pip install --quiet --disable-pip-version-check -e ".[training,studies,test,lint]"
	touch $@

# Compiled networks, kept by content in the user's cache directory.
clean-cache: $(VENV)/.installed
	$(RUN) -c "from brainsnn.builders.build_cache import clear_cache; print(clear_cache(), 'bytes freed')"

clean:
	rm -rf $(VENV) .venvs build dist *.egg-info results
