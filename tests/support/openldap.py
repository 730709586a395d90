"""OpenLDAP: the words that differ, and directories of a test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Optional

from support.contents import Contents
from support.directory import Directory
from support.servers import OpenLDAP

# The overlay that locks accounts, for cn=config.
PPOLICY = """
dn: cn=module{0},cn=config
changetype: modify
add: olcModuleLoad
olcModuleLoad: ppolicy

dn: olcOverlay=ppolicy,olcDatabase={1}mdb,cn=config
changetype: add
objectClass: olcOverlayConfig
objectClass: olcPPolicyConfig
olcOverlay: ppolicy
"""


class OpenLDAPDirectory(Directory):
    """OpenLDAP, whose groupOfNames must have a member."""

    policy_class = "remoteAppGroup"

    def _group(self, object_class: str, name: str, members: Sequence[str]) -> dict[str, list[str]]:
        # The empty DN names nobody.
        someone = members or ([""] if object_class == "groupOfNames" else [])
        return super()._group(object_class, name, someone)


class Private(OpenLDAPDirectory):
    """A slapd for one test: it may be stopped, frozen and set up in other ways."""

    server: OpenLDAP

    @classmethod
    @contextmanager
    def running(
        cls,
        *,
        sample: bool = False,
        access: Optional[str] = None,
        schema: bool = True,
        certificate: Optional[Path] = None,
        key: Optional[Path] = None,
    ) -> Iterator[Private]:
        """Start one, with ldif/sample.ldif or with the tree and nobody in it."""
        server = OpenLDAP(sample=sample, schema=schema, certificate=certificate, key=key)
        if access is not None:
            server.access = access
        with server:
            contents = Contents(server)
            directory = cls(server, contents)
            try:
                if not sample:
                    directory.add_tree()
                yield directory
            finally:
                directory.close()
                contents.close()

    @contextmanager
    def logged(self) -> Iterator[list[str]]:
        """Collect the operations that the server's own log tells of."""
        seen: list[str] = []
        start = self.server.log_file.stat().st_size
        yield seen
        with self.server.log_file.open("rb") as log:
            log.seek(start)
            lines = log.read().decode(errors="replace").splitlines()
        for text in lines:
            if not any(part in text for part in (" RESULT ", " attr=", " mech=")):
                seen += [word for word in text.split() if word in _LOGGED]


_LOGGED = frozenset({"SRCH", "ADD", "MOD", "DEL", "BIND", "CMP"})

# Starts another slapd; see Private.running.
Another = Callable[..., AbstractContextManager[Private]]
