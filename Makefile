# Everything that people and CI do here, by name.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LAB := tests/laboratory

.PHONY: help demo test test-unit test-kernel test-guest system reliability bench bench-kernel startup lint format clean \
	recordings corpus fuzz truth truth-compare investigations experiments matrix

help:
	@echo "make demo       a laboratory with packet loss, and the recipe that finds whose packets are lost"
	@echo "make test       lint, types and every test that this machine can run"
	@echo "make test-unit  the tests that need no root, in seconds"
	@echo "make lint       ruff and mypy        make format  let ruff mend what it can"

$(VENV)/bin/python:
	@$(LAB)/make-venv "$(PYTHON)" $(VENV)

$(VENV)/ready: pyproject.toml | $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(VENV)/package: pyproject.toml | $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

demo: $(VENV)/package
	@$(LAB)/install-system demo || true
	@$(LAB)/with-tracefs $(BIN)/python -m tests.laboratory.demo

# pip beside apt, the output of each in one piece; all else one after the other: tests of time and of the kernel want the
# machine for themselves, load makes bpftrace lose output.
test:
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target $(VENV)/guest system
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test-unit
	@$(MAKE) --no-print-directory test-kernel
	@$(MAKE) --no-print-directory test-guest

test-unit: $(VENV)/ready
	@$(BIN)/python -m pytest -m "not kernel and not guest" --numprocesses auto

test-kernel: $(VENV)/ready
	@$(LAB)/install-system test
	@$(LAB)/fetch-bpftrace >/dev/null || true
	@$(LAB)/with-tracefs $(BIN)/python -m pytest -m kernel --durations=25

# What a kernel with kprobes and fentry is needed for, in one that is booted for it under emulation.
test-guest: $(VENV)/ready $(VENV)/guest
	@$(LAB)/install-system test guest
	@$(LAB)/fetch-kernel >/dev/null || true
	@$(LAB)/fetch-bpftrace >/dev/null || true
	@$(BIN)/python -m tests.laboratory.guest

# After the environment: for that apt may be asked too, which serves one at a time.
system: | $(VENV)/bin/python
	@$(LAB)/install-system test guest

# Where it cannot be had, the guest says so.
$(VENV)/guest: pyproject.toml | $(VENV)/ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[guest]' && touch $@ || true

lint: $(VENV)/ready
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/ready
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis

# After a change to a recipe's program: BPFTRACE="path ..." records with several.
recordings: $(VENV)/ready
	@$(LAB)/with-tracefs $(BIN)/python -m tests.laboratory.record $(BPFTRACE)

# Runs that are ended at random moments; SEED=n for other moments.
SEED ?= 1
reliability: $(VENV)/ready
	@$(LAB)/install-system test
	@$(LAB)/fetch-bpftrace >/dev/null
	@$(LAB)/with-tracefs $(BIN)/python -m tests.laboratory.reliability $(SEED) docs/reliability.md

bench: $(VENV)/ready
	@$(LAB)/install-system test
	@$(LAB)/fetch-bpftrace >/dev/null
	@$(LAB)/with-tracefs $(BIN)/python -m benchmarks.startup
	@$(LAB)/with-tracefs $(BIN)/python -m benchmarks.carriers
	@$(LAB)/with-tracefs $(BIN)/python -m benchmarks.companions
	@$(LAB)/with-tracefs $(BIN)/python -m benchmarks.probe_costs
	@$(LAB)/with-tracefs $(BIN)/python -m benchmarks.budget
	@$(BIN)/python -m benchmarks.decoding
	@$(BIN)/python -m benchmarks.merging
	@$(BIN)/python -m benchmarks.comparing

# docs/cost.md and the figures in recipes: what an event costs, beside others' tools; 30 min.
# RECIPES="runqlat biolatency" for some; the figures of the others stay.
bench-kernel: $(VENV)/ready
	@$(LAB)/install-system test
	@$(LAB)/fetch-bpftrace >/dev/null
	@$(LAB)/with-tracefs $(BIN)/python -m benchmarks.kernel_cost $(RECIPES)

# docs/startup.md: how long each recipe takes until its probes are attached; 15 min. RECIPES="runqlat …" for some.
startup: $(VENV)/ready
	@$(LAB)/install-system test
	@$(LAB)/fetch-bpftrace >/dev/null
	@$(LAB)/with-tracefs $(BIN)/python -m benchmarks.startup_recipes $(RECIPES)

# docs/truth.md: what each recipe says of a known load, and what another mechanism says of it.
truth: $(VENV)/ready $(VENV)/guest
	@$(LAB)/install-system test guest
	@$(LAB)/fetch-kernel >/dev/null
	@mkdir -p build
	@$(LAB)/fetch-bpftrace >/dev/null
	@EBPF_RECIPE_KERNEL_TESTS=1 EBPF_RECIPE_TRUTH=build/truth-of-guest.json $(BIN)/python -m tests.laboratory.guest
	@EBPF_RECIPE_KERNEL_TESTS=1 EBPF_RECIPE_TRUTH=docs/truth.md EBPF_RECIPE_TRUTH_OF_GUEST=build/truth-of-guest.json \
		$(LAB)/with-tracefs $(BIN)/python -m pytest tests/kernel -k truth

# docs/compatibility.md: every recipe with each bpftrace, here and in guests, as far as that was not seen with the same
# text of the recipe. PLACES=host,6.1+0.27.1 and RECIPES="a b" for a part, FRESH=1 for all of it anew; 1 h.
PLACES ?= host,6.1,6.12,7.2
matrix: $(VENV)/ready $(VENV)/guest
	@$(LAB)/install-system test guest
	@$(LAB)/fetch-bpftrace >/dev/null || true
	@for kernel in 6.1 6.12 7.2; do \
		case ,$(PLACES), in *,$$kernel,* | *,$$kernel+*) $(LAB)/fetch-kernel $$kernel >/dev/null || true ;; esac; \
	done
	@$(LAB)/with-tracefs $(BIN)/python -m tests.laboratory.matrix --places $(PLACES) $(if $(FRESH),--fresh) $(RECIPES)

# docs/compare.md: what comparisons say of simulated runs, where nothing changed and where something did.
truth-compare: $(VENV)/ready
	@$(BIN)/python -m tests.laboratory.comparisons docs/compare.md
	@$(LAB)/install-system test
	@$(LAB)/with-tracefs $(BIN)/python -m tests.laboratory.real_comparisons docs/compare.md

# docs/investigations: reports of loads whose causes are known, with each bpftrace; 20 min.
investigations: $(VENV)/ready
	@$(LAB)/install-system test
	@$(LAB)/fetch-bpftrace >/dev/null
	@$(LAB)/with-tracefs $(BIN)/python -m tests.laboratory.investigations docs/investigations

# docs/experiments: changes that help, do nothing or make it worse, under loads of the laboratory; 10 min.
experiments: $(VENV)/ready
	@$(LAB)/install-system test
	@$(LAB)/fetch-bpftrace >/dev/null
	@$(LAB)/with-tracefs $(BIN)/python -m tests.laboratory.experiment_reports docs/experiments

# What each bpftrace prints for the programs of tests/corpus; review the difference. BPFTRACE=path for one.
corpus: $(VENV)/ready
	@$(LAB)/fetch-bpftrace >/dev/null
	@$(LAB)/with-tracefs $(BIN)/python -m tests.corpus.record $(BPFTRACE)
	@$(LAB)/with-tracefs $(BIN)/python -m tests.corpus.record_foreign $(BPFTRACE)

# Any bytes are decoded or refused; inputs that show a bug are kept, and the next run begins where this one ended.
SECONDS ?= 600
fuzz: $(VENV)/ready
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	@$(BIN)/python -m tests.fuzz_decode --seconds $(SECONDS)
