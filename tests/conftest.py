"""What all tests share: which servers they run on, and hypothesis' profile."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from support.columns import CHOICE, Choice
from support.servers import VENDORS, parse_vendors

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


def pytest_configure(config: pytest.Config) -> None:
    """Look which servers there are."""
    text = config.getoption("--vendors")
    try:
        config.stash[CHOICE] = Choice(parse_vendors(text) if text else None)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which servers the live tests run on."""
    return config.stash[CHOICE].header()


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("LDAPDB_"):
            monkeypatch.delenv(name)
