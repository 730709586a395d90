"""What is in a running server beyond what it came with, and how it goes again."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import LDAPException

from support.servers import Server

_NO_SUCH_OBJECT = 32
_MANAGE_DSA_IT = ("2.16.840.1.113730.3.4.2", False, None)
_PAGE = 500


class Contents:
    """The entries below a server's suffix, seen through a connection of its administrator.

    Parameters
    ----------
    server : Server
        Running, and as it came: what is in it now stays.
    """

    def __init__(self, server: Server) -> None:
        address = urlsplit(server.uri)
        self._suffix = server.suffix
        self._users_base = server.users_base
        self._ldap = ldap3.Connection(
            ldap3.Server(address.hostname, port=address.port or 389, get_info=ldap3.NONE),
            user=server.admin_dn,
            password=server.password,
            client_strategy=ldap3.SAFE_SYNC,
            auto_referrals=False,
            auto_encode=False,
            auto_escape=False,
            check_names=False,
        )
        self._must(self._ldap.bind()[1])
        self._kept = {dn.lower() for dn in self.dns()}

    def keeps(self, dn: str) -> bool:
        """Tell whether an entry was there from the beginning."""
        return dn.lower() in self._kept

    def has(self, dn: str) -> bool:
        """Tell whether an entry is there."""
        _, result, _, _ = self._ldap.search(
            dn, "(objectClass=*)", ldap3.BASE, attributes=["1.1"], controls=[_MANAGE_DSA_IT]
        )
        self._must(result, _NO_SUCH_OBJECT)
        return bool(result["result"] == 0)

    def dns(self) -> list[str]:
        """List all entries."""
        dns: list[str] = []
        cookie: Any = None
        while True:
            _, result, response, _ = self._ldap.search(
                self._suffix,
                "(objectClass=*)",
                attributes=["1.1"],
                controls=[_MANAGE_DSA_IT],
                paged_size=_PAGE,
                paged_cookie=cookie,
            )
            self._must(result, _NO_SUCH_OBJECT)
            dns += [each["dn"] for each in response or () if each["type"] == "searchResEntry"]
            controls = result.get("controls", {})
            cookie = controls.get("1.2.840.113556.1.4.319", {}).get("value", {}).get("cookie")
            if not cookie:
                return dns

    def sweep(self) -> None:
        """Remove what has come."""
        come = [dn for dn in self.dns() if dn.lower() not in self._kept]
        # An entry's name is longer than that of any entry above it. People go last: Samba
        # writes a group anew for each member that is deleted while it is there.
        people = self._users_base.lower()
        for dn in sorted(come, key=lambda dn: (people in dn.lower(), -len(dn))):
            self._must(self._ldap.delete(dn, controls=[_MANAGE_DSA_IT])[1], _NO_SUCH_OBJECT)

    def close(self) -> None:
        """Close the connection, if the server has not."""
        with contextlib.suppress(LDAPException):
            self._ldap.unbind()

    def _must(self, result: Any, *besides: int) -> None:
        if result["result"] not in (0, *besides):
            raise RuntimeError(f"the server says {result}")
