"""The host's interface, as on a server without a container (tests/live), through the port."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ldap3
import pytest
from live.conftest import host
from live.test_contract import *  # noqa: F403 -- each test of that module
from live.test_contract import database

from compose.stack import Stack
from support.contents import Contents
from support.openldap import OpenLDAPDirectory

__all__ = ["database", "host"]

pytestmark = pytest.mark.compose("openldap")

SUFFIX = "dc=example,dc=org"


@pytest.fixture(scope="module")
def contents(openldap: Stack, ca_file: Path) -> Iterator[Contents]:
    """The directory, whose people of the sample are left where they are not seen."""
    tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=str(ca_file))
    with warnings.catch_warnings():
        # ldap3 2.9.1 compares names with ssl.match_hostname.
        warnings.simplefilter("ignore", DeprecationWarning)
        contents = Contents(server_of(openldap, ca_file), tls)
    yield contents
    contents.close()


def server_of(stack: Stack, ca_file: Path) -> Any:
    """Describe the container as tests/live describes a server, with a tree of the tests' own."""
    kwargs = stack.database_kwargs("OPENLDAP_PORT", ca_file)
    base = f"ou=contract,{SUFFIX}"
    kwargs.update(
        bind_dn=f"cn=admin,{SUFFIX}",
        bind_password=stack.read("openldap", "/secrets/admin.pw"),
        base_dn=f"ou=remoteapp,{base}",
        users_base=f"ou=people,{base}",
        groups_base=f"ou=groups,{base}",
    )
    return SimpleNamespace(
        uri=kwargs["uri"],
        vendor="openldap",
        suffix=base,
        admin_dn=kwargs["bind_dn"],
        password=kwargs["bind_password"],
        users_base=kwargs["users_base"],
        groups_base=kwargs["groups_base"],
        base_dn=kwargs["base_dn"],
        database_kwargs=lambda: dict(kwargs),
    )


@pytest.fixture
def directory(openldap: Stack, ca_file: Path, contents: Contents) -> Iterator[OpenLDAPDirectory]:
    """A branch with the base tree and nobody in it, made anew for each test."""
    running = OpenLDAPDirectory(server_of(openldap, ca_file), contents)
    running.add_tree()
    yield running
    running.close()
    contents.sweep()
