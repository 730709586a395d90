"""Real directories, and the stand-in hosts that call ldapdb."""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Optional

import pytest

from ldapdb.attempts import Attempts
from ldapdb.client.logins import LOGINS
from ldapdb.shared import Kept
from support import DIRECTORIES, Another, Directory, Host, Private
from support.columns import CHOICE, COLUMN, Live, column_of
from support.contents import Entries
from support.matrix import Matrix
from support.quirks import Quirks
from support.servers import Column
from support.shared import Servers
from support.watched import running

__all__ = ["running"]

_HERE = Path(__file__).resolve().parent
_STANDIN = _HERE.parent / "standin"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test on each vendor, and in each way of keeping policy, that it holds for."""
    if "directory" in metafunc.fixturenames:
        columns = metafunc.config.stash[CHOICE].chosen(Live.of(metafunc.definition))
        metafunc.parametrize("directory", columns, ids=str, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Hold every live test to its marker, and leave out what --vendors leaves out."""
    choice = config.stash[CHOICE]
    left_out = []
    for item in items:
        if _HERE not in item.path.parents:
            continue
        live = Live.of(item)
        column = column_of(item, live)
        if column is None or column.vendor not in choice.vendors:
            left_out.append(item)
            continue
        item.stash[COLUMN] = column
        # What is to be covered is the pure core, by its unit tests; here it would take a
        # third of the time.
        if config.pluginmanager.hasplugin("_cov"):
            item.add_marker("no_cover")
        Matrix.expect(item, live, column, Quirks(item, column).asked_numbers)
        if config.pluginmanager.hasplugin("xdist"):
            # A file's servers are started once; by larger parts one process would wait for
            # another at the end.
            item.add_marker(pytest.mark.xdist_group(item.path.name))
        reason = choice.skip(column)
        if reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Hold tests to the table of what differs between vendors."""
    report = yield
    if call.when != "teardown":
        error = call.excinfo.value if call.excinfo else None
        Quirks(item, item.stash[COLUMN]).judge(report, error)
    return report


def pytest_assertrepr_compare(op: str, left: object, right: object) -> Optional[list[str]]:
    """Tell of two directories what differs, not all that is in them."""
    if op == "==" and isinstance(left, Entries) and isinstance(right, Entries):
        return ["the entries are the same:", *left.differences(right)]
    return None


@pytest.fixture(autouse=True)
def _no_rejected_logins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget rejected logins: they belong to the process, and all tests log in as one account."""
    monkeypatch.setattr(LOGINS, "_attempts", Kept(Attempts))


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """The servers of this run, each started when it is first needed."""
    running = Servers()
    yield running
    running.stop()


@pytest.fixture
def directory(request: pytest.FixtureRequest, servers: Servers) -> Iterator[Directory]:
    """A directory of each vendor with the base tree and nobody in it."""
    column: Column = request.param
    missing = request.config.stash[CHOICE].missing.get(column.vendor)
    if missing is not None:
        pytest.fail(missing, pytrace=False)
    shared = servers.get(column)
    running = DIRECTORIES[column.vendor](shared.server, shared.contents, stock=column.stock)
    running.quirk = Quirks(request.node, column).asked
    try:
        running.add_tree()
        yield running
    finally:
        running.close()
        servers.clear(column)


@pytest.fixture
def another_directory() -> Another:
    """For tests that need a directory of another make, or several."""
    return Private.running


@pytest.fixture
def private(another_directory: Another) -> Iterator[Private]:
    """A server for this test only, with the base tree and nobody in it."""
    with another_directory() as running:
        yield running


@pytest.fixture
def sample(another_directory: Another) -> Iterator[Private]:
    """A server for this test only, with ldif/sample.ldif."""
    with another_directory(sample=True) as running:
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


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let what a test starts hear SIGINT, which a shell ignores for what is in its background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
