"""Real directories, and the stand-in hosts that call ldapdb."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import Directory, Host

_STANDIN = Path(__file__).resolve().parents[1] / "standin"


@pytest.fixture
def another_directory() -> type[Directory]:
    """For tests that need a directory of another make, or several."""
    return Directory


@pytest.fixture
def directory() -> Iterator[Directory]:
    """A directory with the base tree and nobody in it."""
    with Directory() as running:
        running.add_tree()
        yield running


@pytest.fixture
def sample() -> Iterator[Directory]:
    """A directory with ldif/sample.ldif."""
    with Directory(sample=True) as running:
        yield running


@pytest.fixture(params=["none", "2.0", "2.2"])
def host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """Each generation of the host, and none at all."""
    name: str = request.param
    touched = ("ldapdb.database", "remoteappmanager")
    saved = {
        module: sys.modules.pop(module)
        for module in list(sys.modules)
        if module.startswith(touched)
    }
    if name != "none":
        monkeypatch.syspath_prepend(str(_STANDIN / f"host{name.replace('.', '')}"))
    database = importlib.import_module("ldapdb.database")
    yield Host(name, database.LDAPDatabase, database.host_interfaces, database.host_exceptions)
    for module in [module for module in sys.modules if module.startswith(touched)]:
        del sys.modules[module]
    sys.modules.update(saved)
