"""What a process of the host sends, as a real ``LDAPDatabase`` sends it.

Names of users are all of one length, so that the same octets with another name and another
entryUUID in them are what the database would send for that one. The search for applications
names images; it is sent as it was recorded.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from proxy import Proxy

from benchmarks.data import GRANTS_OF_A_USER, MEMBERS, name_of
from benchmarks.directory import BenchDirectory
from benchmarks.site_model import SiteSize, of_another, requests_in
from ldapdb import LDAPDatabase
from ldapdb.embedded import ldif_folder
from ldapdb.protocol import ber

__all__ = ["Recorded", "SiteDirectory", "record", "view"]

_READER = "cn=reader"
_ADVISED_READER = "cn=remoteapp-reader,ou=services,dc=example,dc=org"
_TTL_SECONDS = 1
_ATTEMPTS = 5
_SEARCH = 0x63


@dataclass
class SiteDirectory(BenchDirectory):
    """A server whose reader is under the access rules of ``ldif/openldap/access.ldif``.

    Parameters
    ----------
    like : SiteDirectory, optional
        Another server, whose database it serves as well: a replica that is in step.
    without_index : str
        An attribute that it has no index of.
    """

    like: Optional[SiteDirectory] = None
    without_index: str = ""

    def __post_init__(self) -> None:
        """Take the same password as the other server: the same log-in is sent to both."""
        if self.like is not None:
            self.password = self.like.password

    @classmethod
    def of(cls, size: SiteSize, **more: Any) -> SiteDirectory:
        """Make one; the database is kept if ``make bench`` uses the same."""
        kept = size.applications == GRANTS_OF_A_USER
        return cls(size=size, kept=kept, access=_advised_access(), **more)

    @property
    def database(self) -> Path:
        """The folder of the database."""
        return super().database if self.like is None else self.like.database

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def database_kwargs(self) -> dict[str, Any]:
        """Return the settings of the reader."""
        return {**super().database_kwargs(), "bind_dn": _READER}

    def _configuration(self) -> str:
        configuration = super()._configuration()
        # The reader is the administrator of an empty database, and nobody special in ours.
        folder = self.folder / "reader"
        folder.mkdir(exist_ok=True)
        database = configuration[configuration.index("dn: olcDatabase=mdb") :]
        password = next(each for each in database.splitlines() if each.startswith("olcRootPW"))
        own = (
            "\ndn: olcDatabase=mdb,cn=config\nobjectClass: olcDatabaseConfig\n"
            "objectClass: olcMdbConfig\nolcDatabase: mdb\n"
            f"olcSuffix: {_READER}\nolcRootDN: {_READER}\n{password}\nolcDbDirectory: {folder}\n"
        )
        indexes = [each for each in configuration.splitlines() if each.startswith("olcDbIndex: ")]
        for line in indexes if self.without_index else ():
            names, _, kinds = line.partition(": ")[2].partition(" ")
            left = [name for name in names.split(",") if name != self.without_index]
            new = f"olcDbIndex: {','.join(left)} {kinds}" if left else "# left out"
            configuration = configuration.replace(line, new)
        return configuration + own


def _advised_access() -> str:
    text = (ldif_folder() / "openldap" / "access.ldif").read_text(encoding="utf-8")
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("olcAccess: ") or (line.startswith("  ") and lines and lines[-1]):
            lines.append(line)
        elif lines and line == "-":
            break
    return "\n".join(lines).replace(_ADVISED_READER, _READER) + "\n"


@dataclass(frozen=True)
class Recorded:
    """The requests of one user's process, in their order.

    Parameters
    ----------
    number : int
        The user (``data.name_of``).
    start : list of bytes
        From its start to the first page.
    view : list of bytes
        Of a later view that finds the cache too old.
    calls : int
        Calls of ``get_accounting_for_user`` in a view.
    """

    number: int
    start: list[bytes] = field(repr=False)
    view: list[bytes] = field(repr=False)
    calls: int

    def searches(self) -> tuple[int, int]:
        """Return the searches of a view, and of a start."""
        return sum(map(_is_search, self.view)), sum(map(_is_search, self.start))

    def plain(self) -> dict[str, Any]:
        """Write it as JSON has it."""
        return {
            "number": self.number,
            "start": [each.hex() for each in self.start],
            "view": [each.hex() for each in self.view],
        }


def _is_search(message: bytes) -> bool:
    _, start, end = ber.head(message, 0, len(message))
    return message[ber.head(message, start, end)[2]] == _SEARCH


def _without_numbers(messages: list[bytes]) -> list[bytes]:
    return [
        each[ber.head(each, ber.head(each, 0, len(each))[1], len(each))[2] :] for each in messages
    ]


def record(directory: SiteDirectory, users: int) -> list[Recorded]:
    """Record the processes of some users, who have not the same applications.

    Raises
    ------
    RuntimeError
        If two views of one process that must both ask send different requests: what is sent
        again and again would not be known.
    """
    blocks = directory.size.entitled // MEMBERS
    numbers = [number * blocks // users * MEMBERS for number in range(users)]
    return [_record(directory, number) for number in numbers]


def _record(directory: SiteDirectory, number: int) -> Recorded:
    for _ in range(_ATTEMPTS):
        # A proxy for each: the last word of another process, its unbind, is not to be in this.
        proxy = Proxy("127.0.0.1", directory.port)
        try:
            calls, start, warm, views = _listen(directory, proxy, number)
        finally:
            proxy.close()
        # Otherwise this machine held us up, in the middle of a view.
        if not any(warm) and _without_numbers(views[0]) == _without_numbers(views[1]):
            break
    else:
        raise RuntimeError("two views that ask the directory send different requests")
    if any(of_another(each, number, number + 1) == each for each in views[0][:2]):
        raise RuntimeError("a view's searches of the user and of grants do not name the user")
    return Recorded(number, start, views[0], calls)


_Requests = list[bytes]


def _listen(
    directory: SiteDirectory, proxy: Proxy, number: int
) -> tuple[int, _Requests, list[_Requests], list[_Requests]]:
    """Return the calls of a view, and what a start, views that know and views that ask send."""
    sent = bytearray()
    proxy.look = sent.extend

    def seen() -> _Requests:
        octets = bytes(sent)
        sent.clear()
        return requests_in(octets)

    settings = {**directory.database_kwargs(), "uri": proxy.uri}
    with LDAPDatabase(**settings, cache_ttl_seconds=_TTL_SECONDS) as database:
        user = database.get_user(user_name=name_of(number))
        calls = view(database, user)
        start, warm, asking = seen(), [], []
        for _ in range(2):
            view(database, user)
            warm.append(seen())
            time.sleep(_TTL_SECONDS * 1.05)
            view(database, user)
            asking.append(seen())
    return calls, start, warm, asking


def view(database: LDAPDatabase, user: Any) -> int:
    """Ask what the host asks for a page of applications, and return how often it asked."""
    found = database.get_accounting_for_user(user)
    for _ in found:
        database.get_accounting_for_user(user)
    return 1 + len(found)
