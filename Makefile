# From a clone to a running pipeline with git, make and Python 3.11+. `make` alone shows what there is.

.DEFAULT_GOAL := help
.NOTPARALLEL:  # phases run side by side, that is doit's business

BIN    := .venv/bin
STAMP  := .venv/.stamp
PYTHON ?= python3
J      ?= 3
$(if $(strip $(value J)),,$(eval override J := 3))

# Where `python3` is too old there is often a newer one with its version in its name. A Python that somebody named is
# taken or refused, never replaced.
PYTHONS := "$$PYTHON" $(if $(filter file,$(origin PYTHON)),python3.14 python3.13 python3.12 python3.11)

# These go on through the environment and verbatim: quotes and dollar signs in a path never meet a shell or make.
# An empty one counts as not given.
GIVEN := $(foreach name,ADW_ID ISSUE REPO AGENT,$(if $(strip $(value $(name))),$(name)))
$(foreach name,$(GIVEN) PYTHON J,$(eval override $(name) := $$(value $(name)))$(eval export $(name)))
$(foreach name,$(filter-out $(GIVEN),ADW_ID ISSUE REPO AGENT),$(eval unexport $(name)))
unexport GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE  # in a git hook these name another repository

# Nobody said what to work on: the sample it is.
SAMPLE := $(if $(filter ADW_ID ISSUE REPO,$(GIVEN)),,.sample)

help:  ## show this
	@awk -F ':.*## ' '/^[a-z_-]+:.*## / {printf "  make %-23s %s\n", $$1, $$2}' Makefile
	@echo
	@echo '  The workflows take ISSUE=file REPO=path ADW_ID=name AGENT=name J=processes; without ISSUE, REPO'
	@echo '  and ADW_ID they mend the sample project in .sample. PYTHON=path names the Python to set up with.'

sdlc:  ## scout, plan, build, then test, review and document side by side, then one commit
plan_build_test_review:  ## the same without document
plan_build:  ## only as far as the build
sdlc plan_build_test_review plan_build: $(STAMP) $(SAMPLE)
	@$(if $(SAMPLE),REPO=.sample ISSUE=examples/splitbill-issue.md) $(BIN)/doit -n "$$J" $@

replay: $(STAMP) .sample  ## the sample, mended as Claude Code was recorded to do it; no key, no network
	@REPO=.sample ISSUE=examples/splitbill-issue.md ADW_ID=cent AGENT=replay $(BIN)/doit -n "$$J" sdlc

record: .agents/claude  ## what `make replay` plays, anew: after a change of a prompt or of the sample
	@$(BIN)/python -m tests.agents.sample

setup: $(STAMP)  ## make .venv and install into it (the others do this by themselves)
	@echo 'make: .venv is ready'

check: $(STAMP)  ## lint, format, types, layers, dead code, dependencies; takes seconds
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet || { echo 'make: run `$(BIN)/ruff format`' >&2; exit 1; }
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/vulture
	@$(BIN)/deptry .

test: $(STAMP)  ## the quick tests, with coverage
	@$(BIN)/coverage erase
	@COVERAGE_FILE=$(CURDIR)/.coverage $(BIN)/coverage run -m pytest -q -n auto -m 'not slow'
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report

test-all: $(STAMP)  ## all tests; takes many minutes
	@$(BIN)/pytest -q -n auto

CLAUDE := claude-agent-sdk==0.2.187
OTHERS := codex=@openai/codex@0.169.0 gemini=@google/gemini-cli@0.61.0 opencode=opencode-ai@1.18.33

test-agents: .agents/claude  ## the real Claude Code (170 MB, into .agents) against a model of ours on loopback; no key, no cost
	@$(BIN)/pytest -q -rs -n 2 --dist worksteal tests/agents --ignore tests/agents/test_others.py

test-agents-all: .agents/claude .agents/others  ## the same, and the real codex, gemini and opencode (860 MB more, with npm)
	@$(BIN)/pytest -q -rs -n 2 --dist worksteal tests/agents

.PHONY: .agents/claude .agents/others
.agents/claude: $(STAMP)
	@test "`cat $@/version 2>/dev/null`" = '$(CLAUDE)' || { \
	  rm -rf $@; \
	  if command -v uv >/dev/null; then uv pip install -q --python $(BIN)/python --no-deps --target $@ '$(CLAUDE)'; \
	  else $(BIN)/python -m pip install -q --no-deps --target $@ '$(CLAUDE)'; fi && \
	  echo '$(CLAUDE)' >$@/version || \
	  echo 'make: the package index has no $(CLAUDE) for this machine; its tests are skipped' >&2; }

.agents/others: $(STAMP)
	@for other in $(OTHERS); do \
	  dir=.agents/$${other%%=*} pin=$${other#*=}; \
	  test "`cat $$dir/version 2>/dev/null`" = "$$pin" && continue; \
	  rm -rf $$dir; \
	  npm install --silent --no-save --prefix $$dir "$$pin" >/dev/null 2>&1 && echo "$$pin" >$$dir/version && continue; \
	  rm -rf $$dir; \
	  echo "make: npm of Node 20 or newer could not install $$pin; its tests are skipped" >&2; \
	done

test-matrix: $(STAMP)  ## the tests under every Python and git that is here, GITS=programs too; takes half an hour
	@$(BIN)/nox

bench: $(STAMP)  ## every figure of docs/benchmarks.md; takes about half an hour
	@$(BIN)/python benchmarks/serial_vs_parallel.py
	@$(BIN)/python benchmarks/serial_vs_parallel.py --critical-path --unit 5
	@$(BIN)/python benchmarks/against_git.py
	@$(BIN)/python benchmarks/against_doit.py
	@$(BIN)/python benchmarks/runners.py
	@$(BIN)/python benchmarks/memory.py

install-bubblewrap:  ## what the tests of the sandbox need, on Debian and Ubuntu
	@sudo=; test "$$(id -u)" = 0 || sudo=sudo; $$sudo apt-get install -y -q bubblewrap

clean:  ## remove what this Makefile made: .venv, .nox, .agents, .sample and caches
	@rm -rf .venv .nox .agents .sample .sample.tmp .coverage .coverage.* .hypothesis
	@rm -rf __pycache__ .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find adws tests benchmarks examples -type d \( -name __pycache__ -o -name '.*_cache' \) -prune -exec rm -rf {} +

# The stamp holds the directory it was made in: a moved or copied .venv still points to the old place.
ifneq ($(shell test -x $(BIN)/python && cat $(STAMP) 2>/dev/null),$(CURDIR))
$(STAMP): venv
endif

# A failed installation (no network) is no reason to stop while the old one works; without a new stamp the next start
# tries again. A new venv of Python 3.11 has a pip that does not know --group yet.
$(STAMP): pyproject.toml
	@if command -v uv >/dev/null; then \
	  uv pip install -q --python $(BIN)/python -e . --group dev; \
	else \
	  $(BIN)/python -m pip install -q 'pip>=25.1' && \
	  $(BIN)/python -m pip install -q -e . --group dev; \
	fi && pwd -P > $@ || { \
	  $(BIN)/python -c 'import adws, doit, git, junitparser, yaml' 2>/dev/null; was=$$?; \
	  test $$was = 0 && now='going on with the old one' || now='the first time needs the network'; \
	  echo "make: could not install into .venv; $$now" >&2; exit $$was; }
$(STAMP): export PIP_RETRIES = 2
$(STAMP): export UV_HTTP_RETRIES = 2
$(STAMP): export PIP_DISABLE_PIP_VERSION_CHECK = 1

venv: git
	@for python in $(PYTHONS); do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && break; python=; \
	done; \
	test "$$python" || { \
	  found=`"$$PYTHON" --version 2>&1` || found='not there'; \
	  echo "make: needs Python 3.11 or newer, \`$$PYTHON\` is $$found; name one: make PYTHON=path" >&2; exit 1; }; \
	command -v uv >/dev/null || "$$python" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "make: \`$$python\` has no venv module; on Debian and Ubuntu: sudo apt install python3-venv" >&2; exit 1; }; \
	echo "make: setting up .venv with \`$$python\`, once" >&2; \
	rm -rf .venv; \
	if command -v uv >/dev/null; then uv venv -q --python "$$python" .venv; else "$$python" -m venv .venv; fi

git:
	@version=`git --version 2>/dev/null | sed -n 's/^git version \([0-9]*\.[0-9]*\).*/\1/p'`; \
	test "$$version" || { echo 'make: needs git 2.38 or newer, there is none' >&2; exit 1; }; \
	test "$${version%.*}" -gt 2 || test "$${version%.*}" -eq 2 -a "$${version#*.}" -ge 38 || { \
	  echo "make: needs git 2.38 or newer, this is $$version" >&2; exit 1; }

.sample:
	@rm -rf $@.tmp
	@cp -R examples/splitbill $@.tmp
	@git init -q -b main --template= $@.tmp
	@git -C $@.tmp add -A
	@git -C $@.tmp -c user.name=sample -c user.email=sample@localhost -c commit.gpgsign=false \
	  -c core.hooksPath=/dev/null commit -q -m 'Split a bill among friends'
	@mv $@.tmp $@

.PHONY: help setup replay record test-agents test-agents-all venv git sdlc plan_build_test_review plan_build check test test-all test-matrix bench install-bubblewrap clean
