"""Accounts that may not see everything, as administrators' own rules make them."""

from __future__ import annotations

from typing import Any

import pytest

from ldapdb import errors
from support import Directory

pytestmark = pytest.mark.live(
    "389ds", stock=True, reason="its searches end with success where they are not allowed"
)

IMAGE = "simphony/mayavi:0.5"
_SEEN = "objectClass || cn || ou || uid || member || description || nsUniqueId || nsAccountLock"
_OURS = (
    "remoteAppImage || remoteAppLicense || remoteAppAllowHome || remoteAppAllowView || "
    "remoteAppAllowStartupData || remoteAppVolume || remoteAppNotBefore || remoteAppNotAfter"
)


def settings(directory: Directory) -> dict[str, Any]:
    """Make trees of a test's own and an account, which may do nothing yet."""
    base = directory.unit("own", directory.base_dn)
    for name in ("applications", "grants"):
        directory.unit(name, base)
    staff = directory.unit("staff")
    directory.person("alice", parent=staff)
    service = directory.person("service", attributes={"userPassword": ["secret"]})
    return {
        "base_dn": base,
        "groups_base": base,
        "users_base": staff,
        "bind_dn": service,
        "bind_password": "secret",
    }


def allow(directory: Directory, what: str, given: dict[str, Any], *bases: str) -> None:
    """Let the account do something below some bases, with each attribute by name."""
    attributes = _SEEN if directory.stock else f"{_SEEN} || {_OURS}"
    for base in bases:
        directory.change(
            given[base],
            "add: aci",
            f'aci: (targetattr="{attributes}")(version 3.0; acl "{what} {base}"; '
            f'allow ({what}) userdn="ldap:///{given["bind_dn"]}";)',
        )


def test_a_writer_whose_rules_list_attributes_can_grant(directory: Directory) -> None:
    """389 DS 2.3.1 tells him "success" of an entry that is not there."""
    given = settings(directory)
    allow(directory, "read,search,compare", given, "base_dn", "users_base")
    allow(directory, "add,delete,write", given, "base_dn")
    database = directory.open(**given)
    database.create_application(IMAGE)
    mapping_id = database.grant_access(IMAGE, "alice", True, False, None)
    assert database.grant_access(IMAGE, "alice", True, False, None) == mapping_id
    (accounting,) = database.get_accounting_for_user(database.get_user(user_name="alice"))
    assert accounting.id == mapping_id
    database.revoke_access_by_id(mapping_id)
    assert database.get_accounting_for_user(database.get_user(user_name="alice")) == []


def test_a_base_that_is_hidden_is_an_error_and_not_nobody(directory: Directory) -> None:
    given = settings(directory)
    with pytest.raises(errors.BaseNotFound, match="base_dn"):
        directory.open(**given)
    allow(directory, "read,search,compare", given, "base_dn")
    database = directory.open(**given)
    for _ in range(2):
        with pytest.raises(errors.BaseNotFound, match="users_base"):
            database.get_user(user_name="alice")
