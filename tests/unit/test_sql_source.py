"""What is said of the host's database, and what its URL keeps to itself."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote_plus

import pytest

pytest.importorskip("sqlalchemy", reason="what reads the host's database is an extra")

from ldapdb.errors import InvalidValue
from ldapdb.migrate.sql_source import SQLSource

ODBC = quote_plus("DRIVER={SQL Server};SERVER=db1;UID=app;PWD={se7ret}")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "remoteapp.db"
    path.touch()
    return path


@pytest.mark.filterwarnings("ignore:Query string argument:sqlalchemy.exc.SAWarning")
@pytest.mark.parametrize(
    "query", ["password=se7ret", f"odbc_connect={ODBC}", "a=b2&sslpassword=se7ret"]
)
def test_the_query_of_a_url_is_in_no_message(database: Path, query: str) -> None:
    """Drivers take passwords there, by names of their own; servers may be told, and users."""
    source = SQLSource(f"sqlite:///{database}?{query}")
    assert source.title == f"sqlite:///{database}"
    said = source._said(RuntimeError("no log-in of app\nat db1 by 'se7ret' \x1b[31m"))
    assert said == r"no log-in of app at db1 by '***' \x1b[31m"


def test_no_file_is_made(database: Path) -> None:
    """Where it is told that a path is a URI, SQLite takes the query for a part of the name."""
    for url in (f"sqlite:///{database}?mode=ro&uri=true", f"sqlite:///{database}x"):
        with pytest.raises(InvalidValue):
            list(SQLSource(url).users())
    assert list(database.parent.iterdir()) == [database]


def test_a_query_that_a_driver_does_not_take_is_an_error_without_it(database: Path) -> None:
    with pytest.raises(InvalidValue, match=r"does not take the URL's query \(.*'\*\*\*'\)") as met:
        SQLSource(f"sqlite:///{database}?timeout=se7ret")
    assert "se7ret" not in str(met.value)
