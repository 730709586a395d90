"""Random input at the boundary to the directory: how much of it, and how to repeat it.

Nothing here is collected by a plain ``pytest``: it takes ``pytest tests/fuzz``.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

import pytest
from fuzz.budget import Budget
from fuzz.watch import Log, peak

from support import Private
from support.columns import CHOICE

_HERE = Path(__file__).resolve().parent

BUDGET = pytest.StashKey[Budget]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the number of cases be chosen, and one of them be repeated."""
    parser.addoption("--fuzz-cases", type=int, default=5000, help="cases in all (default: 5000)")
    parser.addoption("--fuzz-seed", type=int, default=1, help="decides what they are (default: 1)")
    parser.addoption("--fuzz-only", type=int, help="repeat the case on the wire of this number")


def pytest_configure(config: pytest.Config) -> None:
    """Share the cases out."""
    if not asked_for(config):
        return
    config.stash[BUDGET] = Budget(
        config.getoption("--fuzz-cases"),
        config.getoption("--fuzz-seed"),
        config.getoption("--fuzz-only"),
    )


def asked_for(config: pytest.Config) -> bool:
    """Tell whether this folder was named: only then its options are known."""
    return config.getoption("fuzz_cases", None) is not None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> Optional[bool]:
    """Leave this folder out unless it was named."""
    return True if _HERE in collection_path.parents and not asked_for(config) else None


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say how many cases ran."""
    budget = config.stash.get(BUDGET, None)
    if budget is None:
        return
    terminalreporter.section(f"fuzz: {sum(budget.ran.values())} cases, seed {budget.seed}")
    for kind, number in sorted(budget.ran.items()):
        terminalreporter.line(f"{number:>8} {kind}")
    terminalreporter.line(f"at most {peak()} MB of memory")


@pytest.fixture
def budget(request: pytest.FixtureRequest) -> Budget:
    return request.config.stash[BUDGET]


@pytest.fixture
def log() -> Iterator[Log]:
    """Look at every line that ldapdb logs, and keep none."""
    handler, logger = Log(), logging.getLogger("ldapdb")
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    yield handler
    logger.removeHandler(handler)
    logger.level, logger.propagate = before


@pytest.fixture(scope="module")
def sample(request: pytest.FixtureRequest) -> Iterator[Private]:
    """A slapd with ldif/sample.ldif."""
    missing = request.config.stash[CHOICE].missing.get("openldap")
    if missing is not None and os.environ.get("CI") != "true":
        pytest.skip(missing)
    with Private.running(sample=True) as running:
        yield running
