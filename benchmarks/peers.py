"""Other clients of the directory, which make the same searches as ldapdb.

python-ldap and bonsai stand on OpenLDAP's library in C. ldap3 is written in Python, and used
here as its documentation shows it; ldapdb stands on it.
"""

# ruff: noqa: PLC0415 -- a client that could not be built is left out

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from benchmarks.searches import PAGE_SIZE, Search, of_all, of_grants, of_user

__all__ = ["PEERS", "Bonsai", "Ldap3", "Peer", "PythonLdap", "available"]


class Peer(Protocol):
    """A client with one connection, bound."""

    def search(self, search: Search) -> list[Any]:
        """Search, and return all entries."""

    def search_in_pages(self, search: Search) -> list[Any]:
        """Search in pages (RFC 2696), and return all entries."""

    def close(self) -> None:
        """Close the connection."""


class PythonLdap:
    """python-ldap.

    Parameters
    ----------
    settings : dict
        ldapdb's, of which all peers take uri, bind_dn and bind_password.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        import ldap
        from ldap.controls import SimplePagedResultsControl

        self._ldap = ldap
        self._paging = SimplePagedResultsControl
        self._connection = ldap.initialize(settings["uri"])
        self._connection.simple_bind_s(settings["bind_dn"], settings["bind_password"])

    def search(self, search: Search) -> list[Any]:
        """Search, and return all entries."""
        found: list[Any] = self._connection.search_s(
            search.base, self._ldap.SCOPE_SUBTREE, search.search_filter, search.attributes
        )
        return found

    def search_in_pages(self, search: Search) -> list[Any]:
        """Search in pages (RFC 2696), and return all entries."""
        found: list[Any] = []
        control = self._paging(True, size=PAGE_SIZE, cookie="")
        while True:
            number = self._connection.search_ext(
                search.base,
                self._ldap.SCOPE_SUBTREE,
                search.search_filter,
                search.attributes,
                serverctrls=[control],
            )
            _, entries, _, controls = self._connection.result3(number)
            found += entries
            control.cookie = controls[0].cookie
            if not control.cookie:
                return found

    def add_member(self, entry: str, member: str) -> None:
        """Add a member to an entry."""
        change = (self._ldap.MOD_ADD, "member", member.encode())
        self._connection.modify_s(entry, [change])

    def delete_member(self, entry: str, member: str) -> None:
        """Delete a member of an entry."""
        change = (self._ldap.MOD_DELETE, "member", member.encode())
        self._connection.modify_s(entry, [change])

    def delete(self, entry: str) -> None:
        """Delete an entry."""
        self._connection.delete_s(entry)

    def close(self) -> None:
        """Close the connection."""
        self._connection.unbind_s()


class Bonsai:
    """bonsai; parameters as of :class:`PythonLdap`."""

    def __init__(self, settings: dict[str, Any]) -> None:
        import bonsai

        client = bonsai.LDAPClient(settings["uri"])
        client.set_credentials("SIMPLE", settings["bind_dn"], settings["bind_password"])
        self._subtree = bonsai.LDAPSearchScope.SUBTREE
        self._connection = client.connect()

    def search(self, search: Search) -> list[Any]:
        """Search, and return all entries."""
        found: list[Any] = self._connection.search(
            search.base, self._subtree, search.search_filter, list(search.attributes)
        )
        return found

    def search_in_pages(self, search: Search) -> list[Any]:
        """Search in pages (RFC 2696), and return all entries."""
        return list(
            self._connection.paged_search(
                search.base,
                self._subtree,
                search.search_filter,
                list(search.attributes),
                page_size=PAGE_SIZE,
            )
        )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Ldap3:
    """ldap3, with the schema that it reads by default; parameters as of :class:`PythonLdap`."""

    def __init__(self, settings: dict[str, Any]) -> None:
        import ldap3

        # Names are not checked: it would refuse the filter, for a class that slapd does not have.
        self._connection = ldap3.Connection(
            ldap3.Server(settings["uri"]),
            settings["bind_dn"],
            settings["bind_password"],
            auto_bind=True,
            check_names=False,
        )

    def search(self, search: Search) -> list[Any]:
        """Search, and return all entries."""
        self._connection.search(
            search.base, search.search_filter, attributes=list(search.attributes)
        )
        return list(self._connection.entries)

    def search_in_pages(self, search: Search) -> list[Any]:
        """Search in pages (RFC 2696), and return all entries."""
        return list(
            self._connection.extend.standard.paged_search(
                search.base,
                search.search_filter,
                attributes=list(search.attributes),
                paged_size=PAGE_SIZE,
                generator=False,
            )
        )

    def close(self) -> None:
        """Close the connection."""
        self._connection.unbind()


PEERS: dict[str, Callable[[dict[str, Any]], Peer]] = {
    "python-ldap": PythonLdap,
    "bonsai": Bonsai,
    "ldap3": Ldap3,
}


def available(settings: dict[str, Any]) -> tuple[dict[str, Peer], list[str]]:
    """Connect each peer, and see that it finds what the others find.

    Returns
    -------
    tuple of dict and list
        The peers by name, and the names of those that are not installed.
    """
    peers: dict[str, Peer] = {}
    absent = []
    for name, connect in PEERS.items():
        try:
            peers[name] = connect(settings)
        except ImportError:
            absent.append(name)
    some = "user0000001"
    for name, peer in peers.items():
        counts = [len(peer.search(search)) for search in (of_user(some), of_grants(some))]
        if counts != [1, 5]:
            raise RuntimeError(f"{name} finds {counts} entries for {some}, not [1, 5]")
    return peers, absent


def list_users(peer: Peer) -> int:
    """Let a peer list all users; return how many there are."""
    return len(peer.search_in_pages(of_all()))
