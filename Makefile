# Copyright 2026 The affordance_ros authors
# SPDX-License-Identifier: Apache-2.0
PYTHON ?= python3
SEED ?= 3
SENTENCE ?= grasp the red mug by its handle
OUT ?= out/demo
TESTS ?= test
WORKERS ?= 2
export TORCH_INDEX
# The ROS wheels restart Python once to find their libraries; one set by another environment must not stop that here.
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE

.PHONY: help setup demo test lint bench clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile
	@echo '  settings: SENTENCE="..." SEED=n OUT=dir (demo)  TESTS=path WORKERS=n (test)  PYTHON=path TORCH_INDEX=url (setup)'

setup: ## make .venv: ROS 2 Jazzy from wheels, torch, Open3D, our interfaces (every other target does it first)
	@$(PYTHON) tools/setup_venv.py

demo: setup ## simulated camera, model, targets, one question; writes OUT (SENTENCE="..." SEED=n)
	@.venv/bin/affordance demo --seed $(SEED) --out $(OUT) "$(SENTENCE)"

test: setup ## run the tests (TESTS=test/geometry for a part)
	@OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n $(WORKERS) --dist worksteal $(TESTS)

lint: setup ## ruff and mypy
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy

bench: setup ## run every benchmark
	@set -e; for file in benchmarks/*.py; do echo "== $$file"; .venv/bin/python $$file; done

clean: ## remove .venv, builds and outputs
	rm -rf .venv build install log out .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
