"""A PostgreSQL server for tests: the host's database may be in one.

It is what ``.ci/prepare machine`` unpacked; missing, it is a skip on a laptop and a failure in CI.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from servers.machine import CHECKOUT

from ldapdb.embedded import free_ports
from support.waiting import eventually

__all__ = ["copied", "postgresql"]

_ROOT = CHECKOUT / ".cache" / "postgresql"
_START_SECONDS = 30
# It refuses root, even one who may do nothing: a namespace calls him otherwise.
_NOT_ROOT = ("unshare", "--user", "--map-user=65534", "--map-group=65534")
_UNTIL_WE_END = ("setpriv", "--pdeathsig", "KILL")
_SETTINGS = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "jit=off")


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Start a server on this machine; give the URL of an empty database, with its password."""
    programs = next(_ROOT.glob("usr/lib/postgresql/*/bin"), None)
    if programs is None:
        if os.environ.get("CI") == "true":
            pytest.fail("PostgreSQL is not in .cache/postgresql; run: bash .ci/prepare machine")
        pytest.skip("PostgreSQL is not in .cache/postgresql")
    libraries = ":".join(map(str, _ROOT.glob("usr/lib/*-linux-gnu")))
    environment = {"LD_LIBRARY_PATH": libraries, "PATH": f"{programs}:/usr/bin:/bin"}
    begin = [*(_NOT_ROOT if os.geteuid() == 0 else ()), *_UNTIL_WE_END]
    data, password = folder / "data", folder / "password"
    password.write_text("se7ret")
    making = ["--no-locale", "--encoding=UTF8", "--no-sync", "--auth=scram-sha-256"]
    making += [f"--pwfile={password}", "--username=app", f"--pgdata={data}"]
    subprocess.run(
        [*begin, "initdb", *making], env=environment, check=True, stdout=subprocess.DEVNULL
    )
    [port] = free_ports(1)
    settings = [word for each in _SETTINGS for word in ("-c", each)]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*begin, "postgres", "-D", str(data), "-p", str(port), *settings],
            env=environment,
            stdout=log,
            stderr=log,
        )
    url = f"postgresql+pg8000://app:se7ret@127.0.0.1:{port}/postgres"
    try:
        assert eventually(lambda: _answers(url), _START_SECONDS), (folder / "log").read_text()
        yield url
    finally:
        server.terminate()
        server.wait(20)


def _answers(url: str) -> bool:
    engine = sqlalchemy.create_engine(url)
    try:
        with contextlib.suppress(sqlalchemy.exc.SQLAlchemyError), engine.connect():
            return True
        return False
    finally:
        engine.dispose()


def copied(source: str, target: str) -> str:
    """Copy a database's tables and rows into another; return the other's URL."""
    there, here = sqlalchemy.create_engine(source), sqlalchemy.create_engine(target)
    tables = sqlalchemy.MetaData()
    tables.reflect(there)
    tables.create_all(here)
    with there.connect() as reading, here.begin() as writing:
        for table in tables.sorted_tables:
            rows = [dict(row._mapping) for row in reading.execute(table.select())]
            writing.execute(table.insert(), rows)
    there.dispose()
    here.dispose()
    return target
