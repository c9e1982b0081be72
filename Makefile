# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Every target makes what it needs first and uses it again afterwards. Nothing is written outside the clone but one
# private work area under $TMPDIR or /var/tmp (see tests/tools/area.py). ARGS is handed on: make test ARGS="-k journal".

SHELL := /bin/sh
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
ARGS ?=
# Repository of the quickstart: `local` for a directory, `s3` for a bucket with Object Lock.
REPOSITORY ?= local
# Deployment of the quickstart: `host` for programs on this host, `compose` for a Compose project, which is lost and restored as well.
DEPLOYMENT ?= host

export PYTHONDONTWRITEBYTECODE := 1
TOOL := PYTHONPATH=tests "$(PYTHON)" -m
INSIDE := $(TOOL) tools.inside

.PHONY: help quickstart test record snapshots docs lint bench mutations faults clean venv
.NOTPARALLEL:

help:
	@echo "make quickstart   back up a deployment, restore it elsewhere, prove that it works; REPOSITORY=s3 with a locked bucket"
	@echo "                  DEPLOYMENT=compose with a Compose project (Docker, as root), which is lost and restored as well"
	@echo "make test         the gate's tests; ARGS=--all for every test, ARGS=\"--all --part 2/4\" for a quarter of them"
	@echo "make record       measure the tests that are new or whose file changed, for tests/durations.json"
	@echo "make snapshots    rewrite tests/snapshots, the texts that users read most, after a change of words"
	@echo "make docs         build the documentation as a site, into build/docs/html"
	@echo "make lint         all other gates"
	@echo "make bench        speed and memory, into build/bench.json"
	@echo "make mutations    only the tests that break things on purpose"
	@echo "make faults       break things for 25 minutes, at random; ARGS=\"--minutes 5 --seed 1\""
	@echo "make clean        remove everything that these targets made"

venv:
	@$(TOOL) tools.venv .venv dev

quickstart: venv
	@$(TOOL) tools.bring_tools ssh-keygen bwrap
	@DOCKER_CONFIG="$${DOCKER_CONFIG:-$$HOME/.docker}" \
		$(INSIDE) sh -c 'exec python -m tools.quickstart --directory "$$CARACAL_OPS_BUILD/quickstart" "$$@"' quickstart \
		--repository $(REPOSITORY) --deployment $(DEPLOYMENT) $(ARGS)

test: venv
	@$(TOOL) tools.bring_tools age age-keygen zstd ssh-keygen bwrap redis-cli redis-server-7 promtool
	@$(TOOL) tools.bring_server
	@$(TOOL) tools.bring_collection
	@$(INSIDE) python -m tools.run_tests $(ARGS)

record: override ARGS += --record --unrecorded
record: test

snapshots: venv
	@$(INSIDE) python -m pytest --rewrite-snapshots tests/unit/snapshots $(ARGS)

docs: venv
	@$(INSIDE) python -m tools.docs_site

lint: venv
	@$(TOOL) tools.venv .venv-importer importer
	@PYTHONPATH=tests .venv/bin/python -m tools.lint $(ARGS)

bench: venv
	@$(TOOL) tools.bring_tools age age-keygen zstd ssh-keygen bwrap
	@$(INSIDE) python -m bench $(ARGS)

mutations: venv
	@$(TOOL) tools.bring_tools age age-keygen zstd ssh-keygen bwrap redis-cli redis-server-7 promtool
	@$(TOOL) tools.bring_server
	@$(TOOL) tools.bring_collection
	@$(INSIDE) python -m pytest -p tools.mutations -m "mutation or no_false_alarm" $(ARGS)

faults: venv
	@$(TOOL) tools.bring_tools age age-keygen zstd ssh-keygen bwrap redis-cli redis-server-7
	@$(INSIDE) python -m faults $(ARGS)

clean:
	@$(TOOL) tools.area --remove
	rm -rf .venv .venv-importer .tools build
