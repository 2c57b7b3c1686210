# Builds .venv once and runs in it what you ask for. `make help` lists the targets.

.DEFAULT_GOAL := help
.PHONY: race test test-quick test-all check docs clean help

BIN := .venv/bin
INSTALL := $(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt
NOTICE := @echo "Installing racer and its packages into .venv; the first time this takes minutes," \
  "and gigabytes where pip takes torch with CUDA ..."

race: .venv/train.stamp ## train a car, judge it and put it on the board, step by step
	@$(BIN)/python scripts/race_day.py

test: .venv/dev.stamp ## run the fast test suite
	@$(BIN)/pytest

test-all: .venv/dev.stamp ## run every test, the long ones too
	@$(BIN)/pytest -m ""

# The quickest tests of every room; tests/test_names.py holds that none is left out.
QUICK := $(addprefix tests/, \
  test_assets.py test_layers.py test_names.py test_overwriting.py test_tables.py benchmark/test_rows.py car \
  cluster/test_address.py cluster/test_jobs.py controllers \
  deepracer/test_action_lists.py entries/test_interface.py entries/test_onnx_check.py \
  entries/test_package.py entries/test_signing.py envs/test_env.py evaluation/test_evaluate.py \
  explain/test_map_proof.py gpu/test_rollout_storage.py gpu/test_runtime.py \
  identification/test_car_log.py \
  imitation/test_demonstrations.py laptime leaderboard/test_hash_chain.py leaderboard/test_ranking.py \
  leaderboard/test_roster.py leaderboard/test_run_result.py leaderboard/test_scoring.py leaderboard/test_season.py \
  leaderboard/test_store.py networks/test_quantize.py project/test_new_folder.py race \
  rendering/test_rendering.py reward/test_params.py reward/test_races.py reward/test_shipped.py \
  reward_check/test_exploits.py sensors/test_draws.py sensors/test_lidar.py \
  studio/test_access.py sweeps/test_objective.py sweeps/test_parameters.py track \
  training/test_overrides.py training/test_threads.py validation/test_manoeuvres.py world)

test-quick: .venv/dev.stamp ## run the quickest tests of every room, within 30 seconds
	@$(BIN)/pytest $(QUICK)

check: .venv/dev.stamp ## lint, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright

docs: .venv/docs.stamp ## build the docs as a site in site/; every link to a page or heading is checked
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "site/index.html opens from the disk; its search works with: python3 -m http.server -d site"

clean: ## remove .venv and the caches; runs/ and board/ stay
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis dist site
	find racer scripts benchmarks tests configs -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/make \1	\2/p' Makefile
	@echo "PYTHON=/path/to/python names the CPython, 3.10 or newer, that a new .venv is made with."

# A stamp is older than the files that name the packages, or missing, when pip must run.
.venv/train.stamp: pyproject.toml constraints.txt | $(BIN)/pip
	$(NOTICE)
	@$(INSTALL) -e '.[train,limit]'
	@touch $@

.venv/dev.stamp: pyproject.toml constraints.txt | $(BIN)/pip
	$(NOTICE)
	@$(INSTALL) -e '.[train,dev]'
	@touch .venv/train.stamp $@

.venv/docs.stamp: pyproject.toml constraints.txt | $(BIN)/pip
	$(NOTICE)
	@$(INSTALL) -e '.[docs]'
	@touch $@

# PyBullet has wheels for CPython 3.11 and 3.10 on Linux x86-64 only, so these come first; elsewhere
# racer works without it. Each candidate is started, because a name on the PATH may be a shim that
# only prints an error.
$(BIN)/pip:
	@for name in $(if $(PYTHON),"$(PYTHON)",python3.11 python3.10 python3.13 python3.12 python3 python); do \
	  if "$$name" -c 'import ensurepip, platform, sys, venv; sys.exit(not ( \
	      sys.version_info >= (3, 10) and sys.maxsize > 2**32 \
	      and platform.python_implementation() == "CPython"))' >/dev/null 2>&1; then \
	    echo "Making .venv with $$("$$name" --version) ($$name) ..."; \
	    "$$name" -c 'import platform, sys; sys.exit(sys.version_info < (3, 12) \
	        and (sys.platform, platform.machine()) == ("linux", "x86_64"))' && \
	      echo "PyBullet has no wheel for it: all works but races with walls, boxes, bots or" \
	        "several cars, which need CPython 3.11 or 3.10 on Linux x86-64."; \
	    exec "$$name" -m venv .venv; \
	  fi; \
	done; \
	echo "$(if $(PYTHON),PYTHON=$(PYTHON) is not a,Found no) 64-bit CPython 3.10 or newer" \
	  "with venv and ensurepip: install Python 3.11 with its venv package (python3.11 and" \
	  "python3.11-venv on Debian and Ubuntu)." >&2; \
	exit 1
