"""OpenLDAP: its settings are entries of ``cn=config``, which root of its machine may change."""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Optional

from ldapdb.entries import DESCRIPTION, GRANT_CLASS, MEMBER
from ldapdb.errors import AccessDenied, NoSuchValue
from ldapdb.protocol import filters
from ldapdb.protocol.codec import BASE, SUBTREE, Search
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Modification, Operation
from ldapdb.store.checking.findings import Finding, ok, problem, unchecked
from ldapdb.store.checking.kinds.kind import PASSWORD, Kind, State
from ldapdb.store.profile import Base
from ldapdb.syntaxes import parse_time
from ldapdb.vendors import OPENLDAP

__all__ = ["OpenLDAP", "is_plain", "read_csns", "said_indexes"]

_AS_ROOT = "-Q -Y EXTERNAL -H ldapi:///"
_UNLIMITED = "size.soft=unlimited size.hard=unlimited size.prtotal=unlimited time=unlimited"
_CSN = re.compile(r"(\d{14}\.\d+Z)#[0-9a-f]+#([0-9a-f]+)#[0-9a-f]+")
# Whether a server that follows others takes changes itself; the second is its name before 2.5.
_BOTH_WAYS = ("olcMultiProvider", "olcMirrorMode")


class OpenLDAP(Kind):
    """A slapd with its settings in ``cn=config``."""

    vendor = OPENLDAP
    state_attribute = "contextCSN"
    schema_prefix = "olc"

    def indexed(self, wanted: Iterable[str]) -> Optional[frozenset[str]]:
        """Read ``olcDbIndex`` of the database."""
        del wanted
        context = filters.equal("olcSuffix", str(self.visit.context))
        entries = self._seen("cn=config", "olcDatabaseConfig", "olcDbIndex", also=context)
        if not entries:
            return None
        return said_indexes([text for entry in entries for text in entry.values("olcDbIndex")])

    def refuses_writing(self, base: Base, object_class: str) -> Optional[str]:
        """Take a value out of an entry that it does not have, which rights are asked for first.

        Not by the no-op control: slapd 2.5.13 keeps in memory which attributes an addition would
        have made known to the database, and writes later entries that it cannot read any more.
        """
        wanted = self.visit.profile.notation.carrying(object_class)
        dn = self.visit.first(base.dn, wanted)
        if dn is None:
            return None
        nobody = str(base.dn.child("cn", f"ldapdb-check-{secrets.token_hex(6)}"))
        attribute = MEMBER if object_class == GRANT_CLASS else DESCRIPTION
        try:
            self.visit.call().modify(dn, [Modification(Operation.DELETE, attribute, (nobody,))])
        except NoSuchValue:
            return ""
        except AccessDenied as error:
            return f"this account may not change '{dn}' (result code {error.result_code})"
        return ""

    def state(self) -> State:
        """Read ``contextCSN``."""
        there = filters.present("objectClass")
        name = self.state_attribute
        entries = self._found(Search(str(self.visit.context), BASE, there, (name,)))
        return read_csns([value for entry in entries for value in entry.values(name)])

    def providers(self) -> Sequence[Finding]:
        """See that it does not take whole entries from other providers.

        Of two members that are added to one group at the same time, one at each provider, plain
        syncrepl loses one: it copies entries, and delta-syncrepl copies changes.
        """
        check, uri = "two providers", self.visit.uri
        wanted = filters.present("olcSyncrepl")
        entries = self._found(Search("cn=config", SUBTREE, wanted, ("olcSyncrepl", *_BOTH_WAYS)))
        values = [value for entry in entries for value in entry.values("olcSyncrepl")]
        if not values:
            text = (
                "this account may not read cn=config, so that it cannot be told whether the "
                "providers use delta-syncrepl; each olcSyncrepl must have syncdata=accesslog"
            )
            show = self.search("cn=config", "(olcSyncrepl=*)", "olcSyncrepl")
            return [unchecked(check, uri, text, show)]
        if not any("TRUE" in entry.values(name) for entry in entries for name in _BOTH_WAYS):
            return [ok(check, uri, "is a consumer, and takes no changes but its provider's")]
        if any(map(is_plain, values)):
            text = (
                "takes changes of other providers by plain syncrepl, by which one of two grants "
                "that are made at the same time is lost; use delta-syncrepl (docs/check.md), and "
                "until then write to one provider alone"
            )
            return [problem(check, uri, text, f"export LDAPDB_WRITE_URI={uri}")]
        return [ok(check, uri, "takes changes of other providers by delta-syncrepl")]

    def show_indexes(self) -> str:
        """Search ``cn=config``."""
        return self.search("cn=config", f"(olcSuffix={self.visit.context})", "olcDbIndex")

    def show_state(self) -> str:
        """Search the naming context."""
        return self.search(self.visit.context, "(objectClass=*)", "contextCSN", scope="base")

    def show_following(self) -> str:
        """Look into its log."""
        return "journalctl -u slapd --since -1h | grep -i syncrepl"

    def renew_schema(self) -> str:
        """Replace its copy of our definitions by that of ``ldif/``."""
        path = shlex.quote(str(self.visit.ldif / "openldap" / "schema.ldif"))
        return (
            f"dn=$(ldapsearch {_AS_ROOT} -LLL -o ldif-wrap=no -b cn=schema,cn=config "
            "'(cn=*remoteapp)' dn | sed -n 's/^dn: //p'); "
            '{ printf \'%s\\n\' "dn: $dn" "changetype: modify" "replace: olcAttributeTypes"; '
            f"sed -n '/^#/d; /^olcObjectClasses/,$d; /^olcAttributeTypes/,$p' {path}; "
            "printf '%s\\n' - 'replace: olcObjectClasses'; "
            f"sed -n '/^#/d; /^olcObjectClasses/,$p' {path}; }} | ldapmodify {_AS_ROOT}"
        )

    def add_index(self, name: str) -> str:
        """Add to ``olcDbIndex``, of which slapd makes the index by itself."""
        return self._configure("add: olcDbIndex", f"olcDbIndex: {name} eq")

    def lift_limits(self) -> str:
        """Put limits for the account before all others, which stay.

        All are written anew: slapd 2.5.13 shows one that is inserted where it was put, and
        until its next start heeds those from before first.
        """
        who = f'dn.exact="{self.visit.account}"' if self.visit.account else "*"
        limits = f"olcLimits: {who} {_UNLIMITED}"
        record = shlex.join(["changetype: modify", "replace: olcLimits", limits])
        return (
            f"{self._find}; {{ printf '%s\\n' \"dn: $db\" {record}; "
            f'ldapsearch {_AS_ROOT} -LLL -o ldif-wrap=no -b "$db" -s base olcLimits | '
            "sed -n 's/^olcLimits: {[0-9]*}/olcLimits: /p; /^olcLimits::/p'; } | "
            f"ldapmodify {_AS_ROOT}"
        )

    def let_read(self, base: DN) -> str:
        """Add a rule of access, and before it one by which it shows no passwords."""
        where = f'dn.subtree="{base}" '
        read = f'{{1}}to {where}by dn.exact="{self.visit.account}" read by * break'
        # Of this branch alone: a rule that is there already is refused (20), and the other with it.
        return self._configure("add: olcAccess", self._no_passwords(where), f"olcAccess: {read}")

    def let_write(self, base: DN) -> str:
        """Add a rule of access."""
        return self._add_access(base, f'by dn.exact="{self.visit.account}" write')

    def hide_passwords(self) -> str:
        """Add a rule for this account alone: a replica reads passwords, others may have to."""
        return self._configure("add: olcAccess", self._no_passwords())

    def shut_out(self, base: DN) -> str:
        """Leave a right to log in: users may be below, and whoever logs in is nobody before."""
        return self._add_access(base, "by anonymous auth")

    def hide_licences(self, base: DN, attribute: str) -> str:
        """Put a rule before all others, which go on to decide for this account."""
        rule = f'by dn.exact="{self.visit.account}" break by * none'
        return self._configure(
            "add: olcAccess",
            f'olcAccess: {{0}}to dn.subtree="{base}" attrs={attribute} {rule}',
        )

    def tell_changes(self) -> str:
        """Add the overlay that tells of changes, and the module of it."""
        module = ["dn: cn=module{0},cn=config", "changetype: modify", "add: olcModuleLoad"]
        module += ["olcModuleLoad: syncprov", ""]
        classes = ["objectClass: olcOverlayConfig", "objectClass: olcSyncProvConfig"]
        overlay = ["changetype: add", *classes, "olcOverlay: syncprov"]
        return (
            f"{self._find}; printf '%s\\n' {shlex.join(module)} \"dn: olcOverlay=syncprov,$db\" "
            f"{shlex.join(overlay)} | ldapmodify -c {_AS_ROOT}"
        )

    @property
    def _administrator(self) -> str:
        return _AS_ROOT

    def _loader(self, name: str) -> str:
        return "ldapadd" if name == "openldap/schema.ldif" else "ldapmodify"

    @property
    def _find(self) -> str:
        """Find the database's entry in cn=config by its suffix."""
        words = ["-LLL", "-o", "ldif-wrap=no", "-b", "cn=config"]
        find = shlex.join([*words, f"(olcSuffix={self.visit.context})", "dn"])
        return f"db=$(ldapsearch {_AS_ROOT} {find} | sed -n 's/^dn: //p')"

    def _no_passwords(self, where: str = "") -> str:
        """Write the rule, for one branch or for all."""
        account = self.visit.account
        who = f'by dn.exact="{account}" none' if account else "by anonymous auth"
        return f"olcAccess: {{0}}to {where}attrs={PASSWORD} by self break {who} by * break"

    def _configure(self, *lines: str) -> str:
        """Write a change of the database's entry in cn=config."""
        record = shlex.join(["changetype: modify", *lines])
        return f"{self._find}; printf '%s\\n' \"dn: $db\" {record} | ldapmodify {_AS_ROOT}"

    def _add_access(self, base: DN, rule: str) -> str:
        """Write how a rule of access is put before all others, which stay."""
        return self._configure(
            "add: olcAccess", f'olcAccess: {{0}}to dn.subtree="{base}" {rule} by * break'
        )


def said_indexes(values: Iterable[str]) -> frozenset[str]:
    """Read values of ``olcDbIndex``: names, then kinds; those for equality, in lower case."""
    found = set()
    for value in values:
        names, _, kinds = value.partition(" ")
        # Without kinds the database's default holds, which is said by the name "default".
        if not kinds or "eq" in kinds.replace(" ", "").split(","):
            found |= {name.strip().lower() for name in names.split(",")}
    return frozenset(found)


def read_csns(values: Iterable[str]) -> State:
    """Read values of ``contextCSN``."""
    state = {}
    for csn in filter(None, map(_CSN.fullmatch, values)):
        with suppress(ValueError):  # a time that does not exist, as if it had not been told
            state[csn[2]] = float(parse_time(csn[1]))
    return state


def is_plain(olc_syncrepl: str) -> bool:
    """Tell whether a value of ``olcSyncrepl`` copies entries instead of changes."""
    return not re.search(r"\bsyncdata=\"?(accesslog|changelog)\b", olc_syncrepl, re.IGNORECASE)
