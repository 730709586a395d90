"""The host's SQL database, as a source of rights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Union

from ldapdb.errors import InvalidValue, LDAPDBError
from ldapdb.migrate.policies import BOOLEANS, COLUMNS, SINCE_2_2, policy_of
from ldapdb.migrate.rows import Problem, Row
from ldapdb.secrecy import wiped_methods
from ldapdb.wellformed import one_line

__all__ = ["SQLSource"]

_TABLES = ("user", "application", "application_policy", "accounting")
_KEYS = ("user_id", "application_id", "application_policy_id")
# What a URL's query may hold that a message may say.
_TOLD = {"charset", "connect_timeout", "database", "dbname", "driver", "host", "port", "server"}
_TOLD |= {"sslmode", "uid", "user"}


@wiped_methods
class SQLSource:
    """The four tables of the host, of any of its releases: the columns tell.

    Parameters
    ----------
    url : str
        As SQLAlchemy writes it, such as ``sqlite:////srv/remoteapp.db``.

    Raises
    ------
    InvalidValue
        If it is no URL, or names a file that is not there.
    LDAPDBError
        If SQLAlchemy or the database's driver is not installed.
    """

    lists_all = True

    def __init__(self, url: str) -> None:
        try:
            import sqlalchemy  # noqa: PLC0415 -- an extra, and slow to import
        except ImportError:
            raise LDAPDBError(
                "to read the host's database, install: pip install '/path/to/ldapdb[sql]'"
            ) from None
        self._sql = sqlalchemy
        try:
            self._url = sqlalchemy.engine.make_url(url)
        except (sqlalchemy.exc.ArgumentError, ValueError):
            raise InvalidValue(
                "the URL of the database cannot be read; write it as SQLAlchemy does, such as "
                "sqlite:////srv/remoteapp.db or postgresql://user:password@server/name"
            ) from None
        # A query may hold a password, by whatever name its driver knows it.
        self.title = self._url.set(query={}).render_as_string(hide_password=True)
        if self._url.get_backend_name() == "sqlite":
            self._require_file(self._url.database)
        try:
            self._engine = sqlalchemy.create_engine(self._url)
        except (sqlalchemy.exc.NoSuchModuleError, ImportError) as error:
            raise LDAPDBError(
                f"{self.title}: no driver for it is installed ({self._said(error)})"
            ) from error
        except (sqlalchemy.exc.ArgumentError, ValueError) as error:
            raise InvalidValue(
                f"{self.title}: its driver does not take the URL's query ({self._said(error)})"
            ) from error

    def rows(self) -> Iterator[Union[Row, Problem]]:
        """Read all rows, by user."""
        with self._connected() as connection:
            tables = self._tables(connection)
            user, application, policy, accounting = (tables[name] for name in _TABLES)
            columns = [policy.c[name] for name in COLUMNS if name in policy.c]
            wanted = (
                self._sql.select(accounting.c.id, user.c.name, application.c.image, *columns)
                .select_from(
                    accounting.join(user, accounting.c.user_id == user.c.id)
                    .join(application, accounting.c.application_id == application.c.id)
                    .join(policy, accounting.c.application_policy_id == policy.c.id)
                )
                .order_by(user.c.name, user.c.id)
            )
            for identifier, name, image, *values in connection.execute(wanted):
                where = f"accounting {identifier}"
                said = dict(zip((column.name for column in columns), values))
                try:
                    yield Row(_text(name), _text(image), _policy(said), where)
                except InvalidValue as error:
                    yield Problem(where, str(error))

    def users(self) -> Iterator[str]:
        """List the names of all users."""
        yield from self._column("user", "name")

    def images(self) -> Iterator[str]:
        """List all images."""
        yield from self._column("application", "image")

    def _column(self, table: str, column: str) -> Iterator[str]:
        with self._connected() as connection:
            found = self._tables(connection)[table].c[column]
            for (value,) in connection.execute(self._sql.select(found).order_by(found)):
                if value:  # what has no name can give nobody anything
                    yield _text(value)

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        """Connect; what the database complains of names it, and no password."""
        try:
            with self._engine.connect() as connection:
                # As a stream, where the driver can.
                yield connection.execution_options(stream_results=True)
        except self._sql.exc.SQLAlchemyError as error:
            raise LDAPDBError(f"{self.title} cannot be read: {self._said(error)}") from error
        finally:
            self._engine.dispose()

    def _tables(self, connection: Any) -> dict[str, Any]:
        """Describe the host's tables by the columns that there are."""
        wanted = {
            "user": {"id", "name"},
            "application": {"id", "image"},
            "application_policy": {"id", *COLUMNS},
            "accounting": {"id", *_KEYS},
        }
        there = self._sql.inspect(connection)
        known = set(there.get_table_names())
        missing = [name for name in _TABLES if name not in known]
        if missing:
            raise InvalidValue(
                f"{self.title} has no table {' and no '.join(map(repr, missing))}; it is not the "
                "host's database"
            )
        tables = {}
        for name, names in wanted.items():
            columns = {each["name"] for each in there.get_columns(name)}
            lacking = sorted(names - columns - SINCE_2_2)
            if lacking:
                raise InvalidValue(f"{self.title}: the table {name!r} has no column {lacking[0]!r}")
            tables[name] = self._sql.table(name, *map(self._sql.column, sorted(names & columns)))
        return tables

    def _require_file(self, database: Any) -> None:
        # SQLite would make an empty one; with uri, of a name in which the query is, too.
        if "uri" in self._url.query:
            raise InvalidValue(f"{self.title}: drop uri from its query; the file is only read")
        if database in (None, "", ":memory:") or not Path(database).is_file():
            raise InvalidValue(f"{self.title}: there is no such file")

    def _said(self, error: BaseException) -> str:
        """Say in one line what went wrong, without what the URL keeps secret."""
        text = " ".join(str(getattr(error, "orig", None) or error).split())
        for secret in sorted(self._secrets(), key=len, reverse=True):
            text = text.replace(secret, "***")
        return one_line(text)

    def _secrets(self) -> set[str]:
        """List what no message may say: the password, and what else the query gives a driver."""
        query = self._url.normalized_query
        said = [(name, value) for name, values in query.items() for value in values]
        # ODBC's is a list of its own, UID=app;PWD={…}, of which a message may quote a part.
        for _, value in list(said):
            said += [part.partition("=")[::2] for part in value.split(";")]
        secrets = {value.strip("{}") for name, value in said if name.lower() not in _TOLD}
        return {*secrets, str(self._url.password or "")} - {""}


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidValue(f"a name is {value!r}, and no text")
    return value


def _policy(said: dict[str, Any]) -> Any:
    booleans = {}
    for name in BOOLEANS & said.keys():
        value = said[name]
        if value not in (None, 0, 1):  # False is 0, and True 1
            raise InvalidValue(f"{name} is {value!r}, and neither true nor false")
        booleans[name] = bool(value)
    texts = {name: value for name, value in said.items() if name not in BOOLEANS}
    for name, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise InvalidValue(f"{name} is no text")
    return policy_of(booleans, texts)
