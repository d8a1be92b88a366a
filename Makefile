# make demo   sets everything up and classifies real digits with the shipped spiking network
# make test   sets everything up and runs the tests, but for the slow ones
# make test-all   the slow tests as well
# make test-versions   the fast tests with the oldest and newest Brian2 and in between, one environment for each;
#                      ONLY="oldest newest" chooses among them
# make test-genn       the tests of the GeNN device, in an environment of their own; GENN_PATH names the folder of GeNN
# make test-cuda       the tests of the CUDA device, in an environment of their own, with nvcc and a GPU where they are
# make test-portable   a slice of the tests with the fallbacks for other operating systems (docs/systems.md)
# make test-clang      the same slice with clang as the compiler (Debian: apt install clang libomp-dev)
# make test-zoo        trained networks that ship inside other packages are read and run (downloads 90 MB once)
# make fuzz       random cases against independent computations, counted by kind; FUZZ_ARGS="--only graphs --cases 1000"
# make docs   builds the documentation into docs/_build, warnings and broken links are errors; BRAINSNN_GALLERY=0 make docs leaves out what scripts draw
# make lint       ruff: rules and formatting
# make types      mypy over the public names
# make coverage   the tests, and the share of lines of the package that they run
# make release-check   builds sdist and wheel and runs the main job with them in a new environment
# make newcomer   times what somebody new does: install the wheel, first figure, own Keras model, own equation
# make benchmarks   measures everything in docs/benchmarks.md again (more than an hour on a quiet machine)
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
export TF_CPP_MIN_LOG_LEVEL ?= 3
# A separate environment for ANNarchy, torch and spikingjelly
PEERS := .venv-peers
export BRAINSNN_PEER_PYTHON ?= $(PEERS)/bin/python
# What depends on the operating system and the compiler, and a slice of the rest
SYSTEMS := tests/system tests/test_files.py tests/test_leftovers.py tests/builders/test_exactness.py tests/builders/test_run_guard.py \
	tests/builders/devices tests/results/test_streaming.py tests/results/test_full_disk.py tests/sweeps \
	tests/training/test_hostile_model_files.py
BENCHMARKS := projection digits throughput resnet cost first_result large_graphs scaling devices streaming sweep conversion applications

.PHONY: demo test test-all test-versions test-genn test-cuda test-portable test-clang test-zoo fuzz docs lint types coverage release-check newcomer benchmarks peers clean clean-cache

demo: $(VENV)/.installed
	$(RUN) studies/demo.py

# The tests, and the examples of the docstrings (pyproject.toml). Property tests try the same cases each time here; those of
# test-all search on.
test: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(RUN) -m pytest -q -n 2 --dist worksteal $(or $(PYTEST_ARGS),-m "not slow" --hypothesis-profile=ci)

test-all:
	$(MAKE) test PYTEST_ARGS='-m "slow or not slow" --hypothesis-profile=default'

test-versions:
	$(PYTHON) tools/test_versions.py $(addprefix --only ,$(ONLY)) $(PYTEST_ARGS)

test-genn:
	$(PYTHON) tools/test_versions.py --only genn $(PYTEST_ARGS)

test-cuda:
	$(PYTHON) tools/test_versions.py --only cuda $(or $(PYTEST_ARGS),-m "slow or not slow")

test-portable: $(VENV)/.installed
	BRAINSNN_PORTABLE=1 $(RUN) -m pytest -q -n 2 --dist worksteal $(SYSTEMS) $(or $(PYTEST_ARGS),-m "not slow" --hypothesis-profile=ci)

test-clang: $(VENV)/.installed
	@command -v clang++ >/dev/null || { echo "clang++ is missing: apt-get install clang libomp-dev" >&2; exit 1; }
	CC=clang CXX=clang++ $(RUN) -m pytest -q -n 2 --dist worksteal $(SYSTEMS) $(or $(PYTEST_ARGS),-m "not slow" --hypothesis-profile=ci)

# Model files of packages are downloaded and unpacked into .venvs/zoo; nothing of the packages is installed or executed.
test-zoo: $(VENV)/.installed
	$(RUN) benchmarks/zoo.py --fetch
	$(RUN) -m pytest -q tests/test_zoo.py $(PYTEST_ARGS)

fuzz: $(VENV)/.installed
	$(RUN) tools/fuzz.py $(FUZZ_ARGS)

docs: $(VENV)/.installed
	$(RUN) -m pip install --quiet --disable-pip-version-check -e ".[docs]"
	$(RUN) -m sphinx -W --keep-going -b html docs docs/_build
	$(RUN) docs/check_links.py docs/_build

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.installed
	$(RUN) -m mypy

# Compiled programs and the processes of sweeps are not measured.
coverage: $(VENV)/.installed
	$(RUN) -m pytest -q -n 2 --dist worksteal --cov --cov-report=term $(PYTEST_ARGS)

release-check: $(VENV)/.installed
	$(RUN) tools/release_check.py

newcomer: $(VENV)/.installed
	$(RUN) tools/newcomer.py

# One after the other; a benchmark that fails does not keep the others from running, but make fails in the end. Peers that
# cannot be installed get a row that says so.
benchmarks: $(VENV)/.installed
	-$(MAKE) peers
	@failed=; for name in $(BENCHMARKS); do \
		echo "== $$name"; $(RUN) benchmarks/$$name.py $(BENCHMARK_ARGS) || failed="$$failed $$name"; \
	done; [ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

peers: $(PEERS)/.installed

$(PEERS)/.installed: benchmarks/peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers.txt
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps spikingjelly==2.0.0
	touch $@

# Debian splits off the venv module, the headers and the C++ compiler.
$(VENV)/.installed: setup.cfg setup.py pyproject.toml
	@sh tools/check_system.sh $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(RUN) -m pip install --quiet --disable-pip-version-check -e ".[training,studies,test,lint,release]"
	touch $@

# Compiled networks, kept by content in the user's cache directory.
clean-cache: $(VENV)/.installed
	$(RUN) -m brainsnn cache clear

clean:
	rm -rf $(VENV) $(PEERS) .venvs build dist *.egg-info results
