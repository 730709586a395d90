"""Changes are seen through TLS, whose connections keep octets to themselves."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
import trustme

from ldapdb import LDAPDatabase
from ldapdb.watch import State
from support.contents import Contents
from support.openldap import OpenLDAPDirectory
from support.waiting import eventually
from support.watched import SyncingOpenLDAP

pytestmark = pytest.mark.live(
    "openldap",
    reason="how ldapdb speaks TLS is no matter of the vendor; slapd takes any certificate",
)


@pytest.mark.parametrize("way", ["ldaps", "start_tls"])
@pytest.mark.lengthy
def test_changes_are_seen_through_tls(tmp_path: Path, way: str) -> None:
    """Single ones, and more at a time than one read takes; its end waits for nothing."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    issued.private_key_pem.write_to_path(tmp_path / "server.key")
    with (
        SyncingOpenLDAP(certificate=tmp_path / "server.pem", key=tmp_path / "server.key") as server,
        contextlib.closing(Contents(server)) as contents,
    ):
        directory = OpenLDAPDirectory(server, contents)
        directory.add_tree()
        uri = server.tls_uri if way == "ldaps" else f"ldap://localhost:{server.port}"
        kwargs = directory.database_kwargs(
            uri=uri,
            start_tls=way == "start_tls",
            ca_file=tmp_path / "ca.pem",
            watch=True,
            cache_negative_ttl_seconds=3600,
        )
        with LDAPDatabase(**kwargs) as database:
            assert eventually(lambda: database.watch_info().state is State.LIVE)
            assert database.get_user(user_name="person7") is None
            directory.person("person7")
            assert eventually(lambda: database.get_user(user_name="person7") is not None, 3)
            before = database.watch_info().changes
            for number in range(100, 400):
                directory.person(f"person{number}", attributes={"description": ["x" * 1000]})
            assert eventually(lambda: database.watch_info().changes == before + 300, 3)
            began = time.monotonic()
            database.close()
            assert time.monotonic() - began < 1
