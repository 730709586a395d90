"""Two OpenLDAP providers with delta-syncrepl and one consumer, each stopped as a test likes.

Plain syncrepl copies whole entries, so that of two members added at once to one group at
two providers one is lost. Delta-syncrepl copies the changes themselves, out of the
``accesslog`` database of each provider, and loses neither (OpenLDAP 2.5 Administrator's Guide,
section 18.2.2).

The consumer follows the first provider alone: it has no log of its own to put changes
from two sources in order with.
"""

from __future__ import annotations

import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Union
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import LDAPException

from ldapdb.embedded import SUFFIX, free_ports
from support import ldif
from support.servers import OpenLDAP

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Cluster", "Replica", "Standstill", "Version", "Versions"]

_LOG = "cn=accesslog"
# On a machine with more processes than processors the last change may take this long.
_IN_STEP_SECONDS = 120.0
_STANDSTILL_SECONDS = 2.0
_LOOK_SECONDS = 0.05
_ANSWER_SECONDS = 2

Contents = dict[str, dict[str, frozenset[bytes]]]
# When an entry was changed last (``entryCSN``), and a number that differs where its values do.
Version = tuple[bytes, int]
Versions = dict[str, Version]


@dataclass
class Replica(OpenLDAP):
    """One server of a cluster.

    Parameters
    ----------
    number : int
        Its server id; 0 for a consumer, which accepts no changes.
    follows : list of Replica
        The providers whose changes it takes.
    initial : str
        LDIF with operational attributes, the same for all servers of a cluster.
    kept_log : Path, optional
        Where its log goes instead of its folder, which is removed with it.
    """

    number: int = 0
    follows: list[Replica] = field(default_factory=list, repr=False)
    initial: str = field(default="", repr=False)
    kept_log: Optional[Path] = field(default=None, repr=False)

    @property
    def log_file(self) -> Path:
        """Its log: where it outlives the server, if that is asked for."""
        return self.kept_log or super().log_file

    @property
    def is_provider(self) -> bool:
        """Whether it accepts changes."""
        return self.number > 0

    def run(self) -> None:
        """Start it on what it has, and at first on what all have."""
        if not any((self.folder / "data").iterdir()):
            self._load()
        super().run()

    def see_that_it_runs(self) -> None:
        """Raise an error if it has ended without being told to.

        Raises
        ------
        RuntimeError
            With its exit code and the end of its log.
        """
        code = None if self._process is None else self._process.poll()
        if code is not None:
            log = self.log_file.read_text(encoding="utf-8", errors="replace")[-1000:]
            raise RuntimeError(f"{self.uri} ended by itself: exit code {code}\n{log}")

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """Open a connection of ldap3's, bound as the administrator."""
        address = urlsplit(self.uri)
        connection = ldap3.Connection(
            ldap3.Server(
                address.hostname,
                port=address.port,
                get_info=ldap3.NONE,
                connect_timeout=_ANSWER_SECONDS,
            ),
            user=self.admin_dn,
            password=self.password,
            client_strategy=ldap3.SAFE_SYNC,
            receive_timeout=_ANSWER_SECONDS,
            auto_referrals=False,
        )
        try:
            connection.bind()
            yield connection
        finally:
            connection.unbind()

    def context(self) -> frozenset[bytes]:
        """Return the last change of each provider that it has (``contextCSN``).

        Raises
        ------
        ldap3.core.exceptions.LDAPException
            If it does not answer.
        """
        with self.connected() as connection:
            found = connection.search(
                SUFFIX, "(objectClass=*)", ldap3.BASE, attributes=["contextCSN"]
            )
        return frozenset(found[2][0]["raw_attributes"]["contextCSN"]) if found[2] else frozenset()

    def versions(self, base: str) -> Versions:
        """Return the ``entryCSN`` of all entries below `base`, and a number of their values.

        Raises
        ------
        ldap3.core.exceptions.LDAPException
            If it does not answer.
        """
        with self.connected() as connection:
            found = connection.search(base, "(objectClass=*)", attributes=["*", "entryCSN"])
        return {each["dn"].lower(): _version(each["raw_attributes"]) for each in found[2] or ()}

    def contents(self, base: str = SUFFIX) -> Contents:
        """Return all entries below `base` with their attributes and ``entryUUID``."""
        with self.connected() as connection:
            found = connection.search(base, "(objectClass=*)", attributes=["*", "entryUUID"])
        return {
            each["dn"].lower(): {
                name.lower(): frozenset(values) for name, values in each["raw_attributes"].items()
            }
            for each in found[2]
        }

    def add_offline(self, rdn: str, values: Mapping[str, list[str]]) -> None:
        """Add an entry below base_dn while the server is down, so that no log has it."""
        added = ldif.addition(f"{rdn},{self.base_dn}", values)
        self._slapadd(added.replace("changetype: add\n", ""), self.number)

    def _load(self) -> None:
        """Load what all have, with a contextCSN."""
        self._slapadd(self.initial, 1)

    def _slapadd(self, text: str, number: int) -> None:
        command = [str(self._slapd.program), "-T", "add", "-w", "-S", str(number), "-n", "1"]
        subprocess.run(
            [*command, "-d", "0", "-F", str(self.folder / "config")],
            input=text,
            text=True,
            check=True,
        )

    def _configuration(self) -> str:
        """Configure it as a part of the cluster; the ``accesslog`` gets a folder of its own."""
        (self.folder / "log").mkdir()
        text = super()._configuration()
        if self.is_provider:
            text = text.replace("cn: config\n", f"cn: config\nolcServerID: {self.number}\n", 1)
        text = text.replace(
            "olcModuleLoad: back_mdb\n",
            "olcModuleLoad: back_mdb\nolcModuleLoad: syncprov\nolcModuleLoad: accesslog\n",
        )
        return f"{text.rstrip()}\n{self._replication()}\n{self._log() if self.is_provider else ''}"

    def _replication(self) -> str:
        """Write what the database takes from others."""
        lines = [
            f'olcSyncrepl: rid={each.number:03} provider={each.uri} searchbase="{SUFFIX}" '
            f'type=refreshAndPersist retry="1 +" network-timeout=2 timeout=2 '
            f'bindmethod=simple binddn="{self.admin_dn}" credentials={self.password} '
            f'logbase="{_LOG}" logfilter="(&(objectClass=auditWriteObject)(reqResult=0))" '
            "syncdata=accesslog"
            for each in self.follows
        ]
        if self.is_provider:
            return "\n".join([*lines, "olcMultiProvider: TRUE", ""])
        return "\n".join([*lines, *(f"olcUpdateRef: {each.uri}" for each in self.follows), ""])

    def _log(self) -> str:
        """Write the overlays of a provider, and the database of its changes."""
        return (
            "dn: olcOverlay=syncprov,olcDatabase={1}mdb,cn=config\n"
            "objectClass: olcOverlayConfig\nobjectClass: olcSyncProvConfig\n"
            "olcOverlay: syncprov\nolcSpCheckpoint: 1 1\n\n"
            "dn: olcOverlay=accesslog,olcDatabase={1}mdb,cn=config\n"
            "objectClass: olcOverlayConfig\nobjectClass: olcAccessLogConfig\n"
            f"olcOverlay: accesslog\nolcAccessLogDB: {_LOG}\nolcAccessLogOps: writes\n"
            "olcAccessLogSuccess: TRUE\n\n"
            "dn: olcDatabase={2}mdb,cn=config\n"
            "objectClass: olcDatabaseConfig\nobjectClass: olcMdbConfig\n"
            f"olcDatabase: {{2}}mdb\nolcSuffix: {_LOG}\nolcRootDN: {self.admin_dn}\n"
            f"olcDbDirectory: {self.folder / 'log'}\nolcDbMaxSize: 1073741824\n"
            "olcDbNoSync: TRUE\n"
            "olcDbIndex: default eq\n"
            "olcDbIndex: entryCSN,objectClass,reqEnd,reqResult,reqStart,reqDN\n\n"
            "dn: olcOverlay=syncprov,olcDatabase={2}mdb,cn=config\n"
            "objectClass: olcOverlayConfig\nobjectClass: olcSyncProvConfig\n"
            "olcOverlay: syncprov\nolcSpCheckpoint: 1 1\n"
            "olcSpNoPresent: TRUE\nolcSpReloadHint: TRUE\n"
        )


class Cluster:
    """Two providers that take each other's changes, and a consumer of the first.

    Use it as a context manager. Servers have the numbers 0 and 1, the providers, and 2, the
    consumer; each keeps its address and its folder when it is killed and restarted.

    Parameters
    ----------
    logs : Path, optional
        A folder for the servers' logs, which are removed with the servers otherwise.
    """

    def __init__(self, logs: Optional[Path] = None) -> None:
        first, second = Replica(number=1), Replica(number=2)
        first.follows, second.follows = [second], [first]
        self.providers = (first, second)
        self.consumer = Replica(follows=[first])
        self.servers = (*self.providers, self.consumer)
        self._frozen: set[int] = set()
        # The others must know it before it starts.
        for number, port in enumerate(free_ports(len(self.servers))):
            each = self.servers[number]
            each.port = port
            each.kept_log = logs and logs / f"server-{number}.log"
            each.password = first.password
            each.initial = _initial(first)

    def __enter__(self) -> Self:
        """Start."""
        try:
            # All at once: a server that asks a peer which is not there asks again a second later.
            with ThreadPoolExecutor(len(self.servers)) as pool:
                list(pool.map(Replica.start, self.servers))
            self._link()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop and remove everything."""
        self.stop()

    def database_kwargs(self, **settings: Any) -> dict[str, Any]:
        """Return settings that read at the consumer first and write at the first provider."""
        providers = [each.uri for each in self.providers]
        return {
            **self.consumer.database_kwargs(),
            "uri": ",".join([self.consumer.uri, *providers]),
            "write_uri": ",".join(providers),
            **settings,
        }

    def add_person(self, name: str) -> None:
        """Add a person at the first provider."""
        first = self.providers[0]
        values = {"objectClass": ["inetOrgPerson"], "uid": [name], "cn": [name], "sn": [name]}
        first.ldapmodify(ldif.addition(f"uid={name},{first.users_base}", values))

    # --- faults

    def kill(self, number: int) -> None:
        """End a server without warning; what it has acknowledged is on its disk."""
        self._frozen.discard(number)
        self.servers[number].halt(signal.SIGKILL)

    def restart(self, number: int) -> None:
        """Start a server that was killed, or end one in good order and start it."""
        self.thaw(number)
        self.servers[number].halt()
        self.servers[number].run()

    def freeze(self, number: int) -> None:
        """Let a server accept connections and answer nothing."""
        self.servers[number].signal(signal.SIGSTOP)
        self._frozen.add(number)

    def thaw(self, number: int) -> None:
        """Let a frozen server go on, also with what it was asked meanwhile."""
        if number in self._frozen:
            self._frozen.discard(number)
            self.servers[number].signal(signal.SIGCONT)

    # --- agreement

    def wait_in_step(self, timeout_seconds: float = _IN_STEP_SECONDS) -> None:
        """Wait until all servers have the same changes; all must be up.

        A provider that is killed between a change and the log of it comes back with a
        ``contextCSN`` that no other server gets before its next change (OpenLDAP 2.5.13). So
        when nothing moves, each provider makes one.

        Raises
        ------
        TimeoutError
            With what each has by then, or why it does not answer.
        RuntimeError
            If one has ended by itself.
        """
        end = time.monotonic() + timeout_seconds
        moved = Standstill()
        while True:
            for each in self.servers:
                each.see_that_it_runs()
            seen = [_context(each) for each in self.servers]
            if isinstance(seen[0], frozenset) and seen.count(seen[0]) == len(seen):
                return
            if time.monotonic() > end:
                said = "; ".join(
                    f"{each.uri}: {_said(has)}" for each, has in zip(self.servers, seen)
                )
                raise TimeoutError(f"servers not in step after {timeout_seconds:g} s: {said}")
            if moved.is_over(seen):
                self.nudge()
            time.sleep(_LOOK_SECONDS)

    def nudge(self) -> None:
        """Let each provider that answers change an entry of its own choice, for its contextCSN."""
        # Two providers that change one entry at once may disagree about it for good.
        for each, dn in zip(self.providers, (OpenLDAP.users_base, OpenLDAP.groups_base)):
            with suppress(LDAPException), each.connected() as connection:
                value = f"nudged at {time.monotonic()}"
                connection.modify(dn, {"description": [(ldap3.MODIFY_REPLACE, [value])]})

    def _link(self) -> None:
        """Bring a change of each provider to all.

        Before its first change the log of a provider reaches back to nothing, so that who
        connects then takes whole entries, and keeps of his own what is as new: of two changes
        of an entry one is missing (OpenLDAP 2.5.13).
        """
        for each in self.providers:
            change = f"replace: description\ndescription: linked by {each.number}\n"
            each.ldapmodify(f"dn: {SUFFIX}\nchangetype: modify\n{change}")
            self.wait_in_step()

    def stop(self) -> None:
        """Stop all servers and remove their folders."""
        for number, each in enumerate(self.servers):
            self.thaw(number)
            if hasattr(each, "folder"):
                each.stop()


def _version(attributes: Mapping[str, Sequence[bytes]]) -> Version:
    values = frozenset((name, frozenset(each)) for name, each in attributes.items())
    return attributes["entryCSN"][0], hash(values)


class Standstill:
    """Notices that what is looked at again and again has not changed for a while."""

    def __init__(self) -> None:
        self._last: object = None
        self._since = time.monotonic()

    def is_over(self, seen: object) -> bool:
        """Return whether it is time to act, and begin to wait anew if it is."""
        now = time.monotonic()
        if seen == self._last and now - self._since < _STANDSTILL_SECONDS:
            return False
        has_stood = seen == self._last
        self._last, self._since = seen, now
        return has_stood


def _context(server: Replica) -> Union[frozenset[bytes], str]:
    """Return what a server has, or why it does not answer."""
    try:
        return server.context()
    except LDAPException as error:
        return f"{type(error).__name__}: {error}"


def _said(seen: Union[frozenset[bytes], str]) -> str:
    return seen if isinstance(seen, str) else ", ".join(sorted(csn.decode() for csn in seen))


def _initial(server: OpenLDAP) -> str:
    """Write the base tree, with the operational attributes that make it the same everywhere."""
    units = [server.users_base, server.groups_base, server.base_dn]
    units += [f"ou={name},{server.base_dn}" for name in ("applications", "grants")]
    values: dict[str, list[str]] = {
        "objectClass": ["dcObject", "organization"],
        "o": ["Example"],
    }
    entries = {SUFFIX: values, **{dn: {"objectClass": ["organizationalUnit"]} for dn in units}}
    return "".join(
        ldif.addition(dn, {**attributes, **_stamp(dn, number)}).replace("changetype: add\n", "")
        for number, (dn, attributes) in enumerate(entries.items())
    )


def _stamp(dn: str, number: int) -> dict[str, list[str]]:
    attribute, _, value = dn.partition(",")[0].partition("=")
    return {
        attribute: [value],
        "entryUUID": [str(uuid.uuid5(uuid.NAMESPACE_X500, dn))],
        "entryCSN": [f"20260101000000.{number:06}Z#000000#00{1 + number % 2}#000000"],
    }
