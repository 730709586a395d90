"""The host's database and CSV file, as it writes them, and the command that takes them over."""

from __future__ import annotations

import csv
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, Optional

from ldapdb.migrate.csv_source import HEADER
from ldapdb.settings import load
from ldapdb.store import Store
from support.directory import Directory

__all__ = ["Right", "csv_file", "database", "ldapdb", "rights", "row"]

# As host 2.2 makes them; what older ones lack is left out.
TABLES = """
CREATE TABLE user (id INTEGER PRIMARY KEY, name VARCHAR);
CREATE TABLE application (id INTEGER PRIMARY KEY, image VARCHAR);
CREATE TABLE application_policy (id INTEGER PRIMARY KEY, {licence} allow_home BOOLEAN,
    allow_common BOOLEAN, allow_view BOOLEAN, volume_source VARCHAR, volume_target VARCHAR,
    volume_mode VARCHAR {startup});
CREATE TABLE accounting (id CHAR(32) PRIMARY KEY, user_id INTEGER, application_id INTEGER,
    application_policy_id INTEGER);
"""
Right = tuple[str, str, dict[str, Any]]


def database(path: Path, rights: list[Right], *, release: str = "2.2") -> str:
    """Write the host's database; return its URL."""
    new = release == "2.2"
    tables = TABLES.format(
        licence="app_license VARCHAR," if new else "",
        startup=", allow_startup_data BOOLEAN" if new else "",
    )
    with sqlite3.connect(path) as connection:
        connection.executescript(tables)
        ids: dict[tuple[str, str], int] = {}
        for number, (user, image, policy) in enumerate(rights, 1):
            for table, column, value in (("user", "name", user), ("application", "image", image)):
                if (table, value) not in ids:
                    made = connection.execute(f"INSERT INTO {table} ({column}) VALUES (?)", [value])
                    ids[table, value] = made.lastrowid or 0
            values = {"allow_home": 0, "allow_common": 0, "allow_view": 0, **policy}
            names = ", ".join(values)
            marks = ", ".join("?" * len(values))
            connection.execute(
                f"INSERT INTO application_policy ({names}) VALUES ({marks})", list(values.values())
            )
            keys = ids["user", user], ids["application", image], number
            connection.execute(
                "INSERT INTO accounting VALUES (?, ?, ?, ?)", [f"{number:032x}", *keys]
            )
    connection.close()
    return f"sqlite:///{path}"


def csv_file(path: Path, rows: list[dict[str, str]], header: tuple[str, ...] = HEADER) -> str:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header)
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def row(user: str, image: str, **policy: str) -> dict[str, str]:
    fields = dict.fromkeys(HEADER, "")
    fields.update({name: "0" for name in HEADER if ".allow_" in name})
    fields.update({f"policy.{name}": value for name, value in policy.items()})
    return {**fields, "user.name": user, "application.image": image}


def ldapdb(
    directory: Directory, *arguments: str, typed: Optional[str] = None, counted: bool = False
) -> subprocess.CompletedProcess[str]:
    kwargs = directory.database_kwargs(counted=counted)
    settings = {f"LDAPDB_{key.upper()}": value for key, value in kwargs.items() if value}
    return subprocess.run(
        [sys.executable, "-m", "ldapdb", *arguments],
        env={**os.environ, **settings},
        input=typed,
        capture_output=True,
        text=True,
        check=False,
    )


def rights(directory: Directory) -> dict[str, dict[str, str]]:
    """Return what everybody has: of each image, the policy's fields as text."""
    store = Store(load(**directory.database_kwargs()))
    try:
        return {
            user.name: {
                each.application.image: str(each.application_policy.key)
                for each in store.list_accountings(user)
            }
            for user in store.list_users()
        }
    finally:
        store.close()
