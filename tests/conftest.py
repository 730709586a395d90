"""What all tests share: which servers they run on, and hypothesis' profile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from support.browser import browser
from support.columns import CHOICE, Choice
from support.matrix import MATRIX, Matrix
from support.servers import VENDORS, parse_vendors

__all__ = ["browser"]

settings.register_profile(
    "ldapdb",
    deadline=None,
    derandomize=os.environ.get("CI") == "true",  # a red run is red again
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("ldapdb")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the vendors be chosen."""
    parser.addoption(
        "--vendors",
        help=f"run live tests on these only (of {','.join(VENDORS)}; default: all that can run)",
    )
    parser.addoption("--matrix", metavar="FILE", help="write a table of tests and servers")
    parser.addoption(
        "--full-size",
        action="store_true",
        help="on Samba as many grants as on others: a quarter of an hour",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Look which servers there are."""
    # What fails there is to say what differed; it is imported by tests alone, so not yet.
    pytest.register_assert_rewrite("support.planned")
    text = config.getoption("--vendors")
    try:
        config.stash[CHOICE] = Choice(parse_vendors(text) if text else None)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[MATRIX] = Matrix()
    config.pluginmanager.register(config.stash[MATRIX])


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which servers the live tests run on."""
    return config.stash[CHOICE].header()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Sum up what ran where, and write the table if it is asked for."""
    choice, matrix = config.stash[CHOICE], config.stash[MATRIX]
    if len({column.vendor for column in matrix.ran()}) > 1:
        terminalreporter.section("vendors")
        for line in matrix.summary(choice.states()):
            terminalreporter.line(line)
    file = config.getoption("--matrix")
    if file:
        Path(file).write_text(matrix.markdown(choice.states()), encoding="utf-8")


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("LDAPDB_"):
            monkeypatch.delenv(name)
