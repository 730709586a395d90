"""Remedies: commands to copy into a shell, by the directory's own tools."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from ldapdb.dn import DN
from ldapdb.vendors import ACTIVE_DIRECTORY, DS389, Vendor

__all__ = ["Tools", "ping", "show_certificate"]

# OpenLDAP's administrator is root on the server itself.
_AS_ROOT = "-Q -Y EXTERNAL -H ldapi:///"


class Tools:
    """The tools of one server.

    Parameters
    ----------
    vendor : Vendor
        Its kind.
    uri : str
        The server.
    context : DN
        The naming context with the base of our settings in it.
    ldif : Path
        The folder of files for directories.
    base : DN
        The setting ``base_dn``.
    """

    def __init__(self, vendor: Vendor, uri: str, context: DN, ldif: Path, base: DN) -> None:
        self.vendor = vendor
        self.uri = uri
        self._context = context
        self._ldif = ldif
        self._base = base

    def search(self, base: object, search_filter: str, *attributes: str, scope: str = "sub") -> str:
        """Write a search by the directory's administrator."""
        words = ["-LLL", "-b", str(base), "-s", scope, search_filter, *attributes]
        return f"ldapsearch {self._account} {shlex.join(words)}"

    def modify(self, dn: object, *lines: str) -> str:
        """Write a change of one entry by the directory's administrator."""
        record = shlex.join([f"dn: {dn}", "changetype: modify", *lines])
        return f"printf '%s\\n' {record} | ldapmodify {self._account}"

    def configure(self, *lines: str) -> str:
        """Write a change of the database's entry in OpenLDAP's cn=config, found by its suffix."""
        record = shlex.join(["changetype: modify", *lines])
        return f"{self._find}; printf '%s\\n' \"dn: $db\" {record} | ldapmodify {_AS_ROOT}"

    def limit_first(self, limits: str) -> str:
        """Write how OpenLDAP gets limits before all others, which stay.

        All are written anew: slapd 2.5.13 shows one that is inserted where it was put, and
        until its next start heeds those from before first.
        """
        record = shlex.join(["changetype: modify", "replace: olcLimits", f"olcLimits: {limits}"])
        return (
            f"{self._find}; {{ printf '%s\\n' \"dn: $db\" {record}; "
            f'ldapsearch {_AS_ROOT} -LLL -o ldif-wrap=no -b "$db" -s base olcLimits | '
            "sed -n 's/^olcLimits: {[0-9]*}/olcLimits: /p; /^olcLimits::/p'; } | "
            f"ldapmodify {_AS_ROOT}"
        )

    def load(self, name: str, *, carry_on: bool = False) -> str:
        """Write how a file of ``ldif/`` is loaded, with the names of this directory in it."""
        path = shlex.quote(str(self._ldif / name))
        if self.vendor is ACTIVE_DIRECTORY:
            return f"ldifde -i -k -f {path} -c DC=X {shlex.quote(str(self._context))}"
        tool = "ldapadd" if name == "openldap/schema.ldif" else "ldapmodify"
        options = f"{'-c ' if carry_on else ''}{self._account}"
        names = [
            ("ou=remoteapp,dc=example,dc=org", self._base),
            ("dc=example,dc=org", self._context),
        ]
        changes = [
            f"s/{theirs}/{_for_sed(str(ours))}/g" for theirs, ours in names if theirs != str(ours)
        ]
        if name.endswith("schema.ldif") or not changes:
            return f"{tool} {options} -f {path}"
        return f"sed {shlex.quote('; '.join(changes))} {path} | {tool} {options}"

    def replace_schema(self) -> str:
        """Write how OpenLDAP's copy of our definitions is replaced by that of ``ldif/``."""
        path = shlex.quote(str(self._ldif / "openldap" / "schema.ldif"))
        return (
            f"dn=$(ldapsearch {_AS_ROOT} -LLL -o ldif-wrap=no -b cn=schema,cn=config "
            "'(cn=*remoteapp)' dn | sed -n 's/^dn: //p'); "
            '{ printf \'%s\\n\' "dn: $dn" "changetype: modify" "replace: olcAttributeTypes"; '
            f"sed -n '/^#/d; /^olcObjectClasses/,$d; /^olcAttributeTypes/,$p' {path}; "
            "printf '%s\\n' - 'replace: olcObjectClasses'; "
            f"sed -n '/^#/d; /^olcObjectClasses/,$p' {path}; }} | ldapmodify {_AS_ROOT}"
        )

    def add_access(self, dn: object, rule: str, attributes: str = "") -> str:
        """Write how OpenLDAP gets a rule of access before all others, which stay."""
        where = f'to dn.subtree="{dn}"{attributes and f" attrs={attributes}"}'
        return self.configure("add: olcAccess", f"olcAccess: {{0}}{where} {rule} by * break")

    def add_syncprov(self) -> str:
        """Write how OpenLDAP is made to tell of its changes: its overlay, and the module of it."""
        module = ["dn: cn=module{0},cn=config", "changetype: modify", "add: olcModuleLoad"]
        module += ["olcModuleLoad: syncprov", ""]
        classes = ["objectClass: olcOverlayConfig", "objectClass: olcSyncProvConfig"]
        overlay = ["changetype: add", *classes, "olcOverlay: syncprov"]
        return (
            f"{self._find}; printf '%s\\n' {shlex.join(module)} \"dn: olcOverlay=syncprov,$db\" "
            f"{shlex.join(overlay)} | ldapmodify -c {_AS_ROOT}"
        )

    @property
    def _find(self) -> str:
        """Find the database's entry in OpenLDAP's cn=config by its suffix."""
        words = ["-LLL", "-o", "ldif-wrap=no", "-b", "cn=config"]
        find = shlex.join([*words, f"(olcSuffix={self._context})", "dn"])
        return f"db=$(ldapsearch {_AS_ROOT} {find} | sed -n 's/^dn: //p')"

    @property
    def _account(self) -> str:
        if self.vendor is DS389:
            return f'-x -W -D "cn=Directory Manager" -H {shlex.quote(self.uri)}'
        if self.vendor is ACTIVE_DIRECTORY:
            return f"-x -W -D {shlex.quote(f'CN=Administrator,CN=Users,{self._context}')} -H " + (
                shlex.quote(self.uri)
            )
        return _AS_ROOT


def _for_sed(text: str) -> str:
    return "".join(f"\\{each}" if each in "\\/&" else each for each in text)


def ping(uri: str) -> str:
    """Write how to see whether anything answers at a server's address, without ldapdb."""
    parts = urlsplit(uri)
    if parts.scheme == "ldapi":
        return f"ldapsearch -x -H {shlex.quote(uri)} -LLL -b '' -s base vendorName"
    return f"nc -vz -w 3 {shlex.quote(parts.hostname or '')} {_port(uri)}"


def show_certificate(uri: str, *, start_tls: bool) -> str:
    """Write how to see a server's certificate, whether or not it is trusted."""
    host = urlsplit(uri).hostname or ""
    words: Sequence[str] = ["-connect", f"{host}:{_port(uri)}", "-servername", host]
    first = f"openssl s_client {shlex.join(words)}{' -starttls ldap' if start_tls else ''}"
    return f"{first} </dev/null | openssl x509 -noout -subject -issuer -dates -ext subjectAltName"


def _port(uri: str) -> int:
    parts = urlsplit(uri)
    return parts.port or (636 if parts.scheme == "ldaps" else 389)
