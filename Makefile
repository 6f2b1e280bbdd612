# What a visitor needs is `make demo` and `make test`. Both want python3 (3.11 or newer, with its venv
# module) and the package index, the first time; after that, nothing.
#
#   make demo PORT=9000        make test ARGS="-k consent"        make test PYTHON=python3.13

PYTHON  ?= python3
WORKERS ?= 2
ARGS    ?=

# An interpreter that somebody named is the one used; otherwise a newer one may stand in for an old python3.
NAMED     := $(if $(filter file default undefined,$(origin PYTHON)),,--exactly)
BOOTSTRAP  = $(PYTHON) scripts/bootstrap.py $(NAMED)
VENV      := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test lint clean

help: ## say what there is
	@echo "make demo   an example shop on SQLite, with no account: prints its logins and its address (PORT=, HOST=, ARGS=)"
	@echo "make test   the test suite on SQLite, with the coverage gate (ARGS= for pytest turns the gate off; WORKERS=2)"
	@echo "make lint   style, types and the layers"
	@echo "make clean  remove what these commands made"
	@echo "PYTHON=python3.13 chooses an interpreter."

demo:
	@$(BOOTSTRAP) --group demo
	@$(VENV)/python example_project/manage.py demo $(ARGS)

test:
	@$(BOOTSTRAP) --group test
	@$(VENV)/python -m pytest -n $(WORKERS) $(if $(ARGS),$(ARGS),--cov --cov-report=)
	@$(if $(ARGS),true,$(VENV)/python -m coverage report --omit='*/contrib/*' --fail-under=95)

lint:
	@$(BOOTSTRAP) --group test --group lint
	$(VENV)/python -m ruff check .
	$(VENV)/python -m ruff format --check .
	$(VENV)/python -m mypy
	$(VENV)/lint-imports

clean:
	rm -rf .venv .nox build dist htmlcov .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	rm -f .coverage .coverage.*
	find django_twilio_verify example_project tests scripts docs -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
