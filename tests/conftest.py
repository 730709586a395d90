"""What all tests share: what to do without a server, and hypothesis' profile."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

from ldapdb.embedded import Slapd
from ldapdb.errors import LDAPDBError

settings.register_profile(
    "ldapdb",
    deadline=None,
    derandomize=os.environ.get("CI") == "true",  # a red run is red again
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("ldapdb")


def _why_no_server() -> str | None:
    try:
        Slapd.find()
    except LDAPDBError as error:
        return str(error)
    return None


_NO_SERVER = _why_no_server()


def pytest_report_header() -> str:
    """Say which servers the live tests run on."""
    return f"live tests: {'no server' if _NO_SERVER else 'OpenLDAP'}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip live tests without a server on a laptop; in CI that is a failure."""
    if _NO_SERVER is None or os.environ.get("CI") == "true":
        return
    for item in items:
        if item.get_closest_marker("live"):
            item.add_marker(pytest.mark.skip(reason=_NO_SERVER))


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("LDAPDB_"):
            monkeypatch.delenv(name)
