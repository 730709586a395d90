"""What is in a running server, as its administrator sees and changes it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, Optional

import ldap3
from ldap3.core.exceptions import LDAPException

from support.ldif import Step, Values
from support.servers import Server

_NO_SUCH_OBJECT = 32
_MANAGE_DSA_IT = ("2.16.840.1.113730.3.4.2", False, None)
_PAGED = "1.2.840.113556.1.4.319"
_PAGE = 500
# Active Directory's, by which it takes a third of the time, and the tree has to be made anew.
_TREE_DELETE = ("1.2.840.113556.1.4.805", True, None)
_MANY = 50


class Entries(dict[str, dict[str, frozenset[bytes]]]):
    """All entries: attributes in small letters, by DN in small letters."""

    def differences(self, other: Entries) -> Iterator[str]:
        """Say what is not the same there; of a thousand entries that are, nothing."""
        for dn in sorted({*self, *other}):
            here, there = self.get(dn), other.get(dn)
            if here is None or there is None:
                yield f"{dn}: only on the {'left' if there is None else 'right'}"
                continue
            for name in sorted({*here, *there}):
                ours, theirs = (sorted(each.get(name, ())) for each in (here, there))
                if ours != theirs:
                    yield f"{dn}: {name}: {ours} != {theirs}"


class Contents:
    """The entries below a server's suffix, through a connection that stays open.

    A program such as ldapmodify takes thirty milliseconds for what takes one or two here,
    and there are ten thousand such things in a run.

    Parameters
    ----------
    server : Server
        Running, and as it came: what is in it now stays.
    tls : ldap3.Tls, optional
        Whom to trust, for ldaps://.
    """

    def __init__(self, server: Server, tls: Optional[ldap3.Tls] = None) -> None:
        self._suffix = server.suffix
        self._users_base = server.users_base.lower()
        self._ldap = ldap3.Connection(
            ldap3.Server(server.uri, get_info=ldap3.NONE, tls=tls),
            user=server.admin_dn,
            password=server.password,
            client_strategy=ldap3.SAFE_SYNC,
            auto_referrals=False,
            auto_encode=False,
            auto_escape=False,
            check_names=False,
        )
        _must("bind", self._ldap.bind())
        self._present = self._kept = self._original = {dn.lower() for dn in self.dns()}
        self._deletes_trees = server.vendor == "ad"
        self._has_rules = server.vendor == "389ds"
        self._rules = self._read_rules()

    # --- one entry

    def has(self, dn: str) -> bool:
        """Tell whether an entry is there."""
        found = self._ldap.search(
            dn, "(objectClass=*)", ldap3.BASE, attributes=["1.1"], controls=[_MANAGE_DSA_IT]
        )
        return _must(dn, found, _NO_SUCH_OBJECT) == 0

    def add(self, dn: str, attributes: Values) -> None:
        """Add an entry; an attribute without values is left out."""
        written = {name: _encoded(values) for name, values in attributes.items() if values}
        _must(dn, self._ldap.add(dn, attributes=written))

    def modify(self, dn: str, steps: Iterable[Step]) -> None:
        """Change an entry, in one request."""
        changes: dict[str, list[Any]] = {}
        for what, attribute, values in steps:
            changes.setdefault(attribute, []).append((f"MODIFY_{what.upper()}", _encoded(values)))
        _must(dn, self._ldap.modify(dn, changes))

    def rename(self, dn: str, newrdn: str, newsuperior: str | None) -> None:
        """Rename an entry, and move it where a new superior is given."""
        _must(dn, self._ldap.modify_dn(dn, newrdn, new_superior=newsuperior))

    def delete(self, dn: str) -> None:
        """Remove an entry."""
        _must(dn, self._ldap.delete(dn, controls=[_MANAGE_DSA_IT]))

    # --- all entries

    def dns(self) -> list[str]:
        """List all entries."""
        return [each["dn"] for each in self._all("1.1")]

    def entries(self, *, without: frozenset[str] = frozenset()) -> Entries:
        """Read all entries, without some attributes."""
        return Entries(
            (
                each["dn"].lower(),
                {
                    name.lower(): frozenset(values)
                    for name, values in each["raw_attributes"].items()
                    if name.lower() not in without
                },
            )
            for each in self._all("*")
        )

    def _all(self, attributes: str) -> Iterator[Any]:
        cookie: Any = None
        while True:
            found = self._ldap.search(
                self._suffix,
                "(objectClass=*)",
                attributes=[attributes],
                controls=[_MANAGE_DSA_IT],
                paged_size=_PAGE,
                paged_cookie=cookie,
            )
            _must(self._suffix, found, _NO_SUCH_OBJECT)
            yield from (each for each in found[2] or () if each["type"] == "searchResEntry")
            cookie = found[1].get("controls", {}).get(_PAGED, {}).get("value", {}).get("cookie")
            if not cookie:
                return

    def lacks(self, dn: str) -> bool:
        """Tell whether an entry was not there when all were last looked at."""
        return dn.lower() not in self._present

    def keep(self) -> None:
        """Let what is there by now stay."""
        self._present = self._kept = {dn.lower() for dn in self.dns()}
        self._rules = self._read_rules()

    def come(self) -> int:
        """Count what is not to stay."""
        return len({dn.lower() for dn in self.dns()} - self._kept)

    def sweep(self) -> None:
        """Remove what is not to stay, and put back the rules of what stays."""
        dns = self.dns()
        if self._deletes_trees and len(dns) - len(self._kept) > _MANY:
            self._fell(dn for dn in dns if dn.lower() in self._kept - self._original)
            dns = self.dns()
        self._present = self._kept & {dn.lower() for dn in dns}
        come = [dn for dn in dns if dn.lower() not in self._kept]
        for dn in sorted(come, key=self._order):
            self.delete(dn)
        rules = self._read_rules()
        changed = [dn for dn in {*rules, *self._rules} if rules.get(dn) != self._rules.get(dn)]
        for dn in changed:
            self.modify(dn, [("replace", "aci", self._rules.get(dn, []))])

    def _read_rules(self) -> dict[str, list[str]]:
        """Read the rules that 389 DS keeps in entries, by DN in small letters."""
        if not self._has_rules:
            return {}
        found = self._ldap.search(self._suffix, "(aci=*)", attributes=["aci"])
        _must(self._suffix, found, _NO_SUCH_OBJECT)
        return {
            each["dn"].lower(): sorted(value.decode() for value in each["raw_attributes"]["aci"])
            for each in found[2]
            if each["type"] == "searchResEntry"
        }

    def _fell(self, branches: Iterable[str]) -> None:
        """Remove branches with all that is below them."""
        for dn in sorted(branches, key=self._order):
            _must(dn, self._ldap.delete(dn, controls=[_TREE_DELETE]))

    def _order(self, dn: str) -> tuple[bool, int]:
        # People go last: Samba writes a group anew for each member that is deleted while it
        # is there. So does what is above them. Names are longer than those of entries above.
        is_of_people = self._users_base in dn.lower() or self._users_base.endswith(dn.lower())
        return is_of_people, -len(dn)

    def close(self) -> None:
        """Close the connection, if the server has not."""
        with contextlib.suppress(LDAPException):
            self._ldap.unbind()


def _encoded(values: Iterable[str]) -> list[bytes]:
    return [value.encode() for value in values]


def _must(what: str, answer: Any, *besides: int) -> int:
    """Return the result code of an answer, which may be 0 or one of some others.

    Raises
    ------
    RuntimeError
        With what the server said, otherwise.
    """
    code: int = answer[1]["result"]
    if code not in (0, *besides):
        said = f"{answer[1]['description']} ({code}): {answer[1]['message']}".replace("\0", "")
        raise RuntimeError(f"{what}: {said}")
    return code
