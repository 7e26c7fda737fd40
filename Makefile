# The one front door. Every target does all of its own set-up and costs nothing when that is done already.
.DEFAULT_GOAL := help
.PHONY: help setup engine engine-stop browser demo test check bench fmt schema picture lock clean
SHELL := /bin/bash
BIN := .venv/bin

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

setup:  ## make .venv from requirements.lock
	@scripts/setup

engine:  ## make sure that a Docker engine answers; on Debian as root, install and start one
	@scripts/engine

engine-stop:  ## stop the engine that `make engine` started, and no other
	@scripts/engine stop

browser:  ## make sure that there is a Chromium for the tests of pages; on Debian as root, install one
	@scripts/browser

demo: setup engine  ## a bundled request becomes a proven project, by a scripted model; needs no key
	@$(BIN)/greenward demo

test: setup engine  ## every test, Docker ones included, with branch coverage
	@scripts/test

check: setup  ## format, lint, types, import contracts, house rules
	@scripts/check

bench: setup engine  ## measure, and print the numbers with their units
	@$(BIN)/python -m bench.run

fmt: setup  ## format, and mend what the linter can mend by itself
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

schema: setup  ## write the JSON schemas in docs/ anew from the types
	@PYTHONPATH=. $(BIN)/python scripts/schema.py

picture: setup engine  ## draw docs/display.svg anew, from the demonstration's run
	@PYTHONPATH=. $(BIN)/python scripts/picture.py

lock:  ## pin the dependencies anew in requirements.lock
	@scripts/lock

clean:  ## remove .venv and every cache
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.*
