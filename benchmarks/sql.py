"""What the host's own backend costs: its four tables in SQLite, through SQLAlchemy.

The tables are as the host lays them out. A call opens a session, follows the relationships
of what it finds and copies that into plain objects, which outlive the session.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from sqlalchemy import Boolean, Column, ForeignKey, Integer, String, Table, create_engine, event
from sqlalchemy.orm import registry, relationship, sessionmaker

from benchmarks.data import APPLICATIONS, Grant, Size, image_of

__all__ = ["SqlDatabase", "create", "fill"]

_NAMES = registry()
_USER = Table(
    "user",
    _NAMES.metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, unique=True, index=True),
)
_APPLICATION = Table(
    "application",
    _NAMES.metadata,
    Column("id", Integer, primary_key=True),
    Column("image", String, unique=True, index=True),
)
_POLICY = Table(
    "application_policy",
    _NAMES.metadata,
    Column("id", Integer, primary_key=True),
    Column("app_license", String),
    Column("allow_home", Boolean),
    Column("allow_common", Boolean),
    Column("allow_view", Boolean),
    Column("volume_source", String),
    Column("volume_target", String),
    Column("volume_mode", String),
    Column("allow_startup_data", Boolean),
)
_ACCOUNTING = Table(
    "accounting",
    _NAMES.metadata,
    Column("id", String(32), primary_key=True),
    # An index here is to its favour: without one each call reads the whole table.
    Column("user_id", Integer, ForeignKey("user.id"), index=True),
    Column("application_id", Integer, ForeignKey("application.id")),
    Column("application_policy_id", Integer, ForeignKey("application_policy.id")),
)


class _User:
    id: int
    name: str


class _Application:
    id: int
    image: str


class _Policy:
    app_license: Optional[str]
    allow_home: bool
    allow_view: bool
    allow_common: bool
    volume_source: Optional[str]
    volume_target: Optional[str]
    volume_mode: Optional[str]
    allow_startup_data: bool


class _Accounting:
    id: str
    user: _User
    application: _Application
    application_policy: _Policy


_NAMES.map_imperatively(_User, _USER)
_NAMES.map_imperatively(_Application, _APPLICATION)
_NAMES.map_imperatively(_Policy, _POLICY)
_NAMES.map_imperatively(
    _Accounting,
    _ACCOUNTING,
    properties={
        "user": relationship(_User),
        "application": relationship(_Application),
        "application_policy": relationship(_Policy),
    },
)

_FIELDS = tuple(each for each in _Policy.__annotations__)


@dataclass(frozen=True)
class Plain:
    """An object that has left its session: what it is of, and its values."""

    table: str
    values: tuple[Any, ...]


class SqlDatabase:
    """The reads of the host's backend.

    Parameters
    ----------
    path : Path
        SQLite's file.
    """

    def __init__(self, path: Path) -> None:
        self._engine = create_engine(f"sqlite:///{path}")
        event.listen(self._engine, "connect", _enforce_foreign_keys)
        self._session = sessionmaker(self._engine)

    def get_user(self, name: str) -> Optional[Plain]:
        """Return a user, or None."""
        with self._session() as session:
            user = session.query(_User).filter_by(name=name).one_or_none()
            return None if user is None else Plain("user", (user.id, user.name))

    def get_accounting_for_user(self, user: Plain) -> list[Plain]:
        """List what a user may start."""
        with self._session() as session:
            found = session.query(_Accounting).filter_by(user_id=user.values[0]).all()
            return [
                Plain(
                    "accounting",
                    (
                        each.id,
                        Plain("user", (each.user.id, each.user.name)),
                        Plain("application", (each.application.id, each.application.image)),
                        Plain(
                            "policy",
                            tuple(getattr(each.application_policy, name) for name in _FIELDS),
                        ),
                    ),
                )
                for each in found
            ]

    def list_users(self) -> list[Plain]:
        """List all users."""
        with self._session() as session:
            users = session.query(_User).all()
            return [Plain("user", (user.id, user.name)) for user in users]

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _enforce_foreign_keys(connection: Any, _: object) -> None:
    connection.execute("PRAGMA foreign_keys=ON")


def create(path: Path) -> None:
    """Make the file, with nothing in its tables."""
    engine = create_engine(f"sqlite:///{path}")
    _NAMES.metadata.create_all(engine)
    engine.dispose()


def fill(path: Path, size: Size) -> None:
    """Make the file with the company in it, unless it is there."""
    if path.exists():
        return
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    create(partial)
    connection = sqlite3.connect(partial)
    numbers = {name: number for number, name in enumerate(size.names())}
    connection.executemany("INSERT INTO user (id, name) VALUES (?, ?)", _turned(numbers))
    images = {image_of(number): number for number in range(APPLICATIONS)}
    connection.executemany("INSERT INTO application (id, image) VALUES (?, ?)", _turned(images))
    policies: dict[tuple[Any, ...], int] = {}
    for grant in size.iter_grants():
        policy = policies.setdefault(_policy_of(grant), len(policies))
        connection.executemany(
            "INSERT INTO accounting VALUES (?, ?, ?, ?)",
            [
                (uuid.uuid4().hex, numbers[name], images[grant.image], policy)
                for name in grant.members
            ],
        )
    connection.executemany(
        "INSERT INTO application_policy VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(number, *policy) for policy, number in policies.items()],
    )
    connection.commit()
    connection.close()
    partial.rename(path)


def _turned(numbers: dict[str, int]) -> Iterator[tuple[int, str]]:
    return ((number, text) for text, number in numbers.items())


def _policy_of(grant: Grant) -> tuple[Any, ...]:
    volume = grant.volume.split(":") if grant.volume else [None] * 3
    return (None, grant.home, False, grant.view, *volume, False)
