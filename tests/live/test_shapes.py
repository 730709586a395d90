"""Companies of different shapes: their groups, their people's names, their trees."""

from __future__ import annotations

from typing import Any

import pytest

from ldapdb import errors
from support import Directory, ldif

IMAGE = "simphony/mayavi:0.5"

everywhere = pytest.mark.live("openldap", "389ds", "ad", stock=True)
not_on_ad = pytest.mark.live(
    "openldap", "389ds", stock=True, reason="Active Directory's groups are of one class"
)
on_ad = pytest.mark.live("ad", stock=True, reason="others have nothing of the kind")


def held(database: Any, name: str) -> set[str]:
    user = database.get_user(user_name=name)
    return {each.application.image for each in database.get_accounting_for_user(user)}


# --- groups


@not_on_ad
def test_groups_of_unique_names_count(directory: Directory) -> None:
    """Their members are in uniqueMember; grants keep theirs in member all the same."""
    alice, bob = directory.person("alice"), directory.person("bob")
    staff = f"cn=staff,{directory.groups_base}"
    directory.add(
        f"dn: {staff}\nobjectClass: groupOfUniqueNames\ncn: staff\nuniqueMember: {alice}\n"
    )
    directory.application(IMAGE)
    directory.granted("staff", images=[IMAGE], members=[staff])
    database = directory.open(group_member_attribute="uniqueMember")
    assert held(database, "alice") == {IMAGE}
    assert held(database, "bob") == set()
    database.grant_access(IMAGE, "bob", False, False, None)
    assert held(database, "bob") == {IMAGE}
    with pytest.raises(errors.HeldThroughGroup, match="cn=staff,"):
        database.revoke_access(IMAGE, "alice", False, False, None)
    directory.change(staff, "add: uniqueMember", f"uniqueMember: {bob}")
    database.revoke_access(IMAGE, "bob", False, False, None)
    fresh = directory.open(group_member_attribute="uniqueMember")
    assert held(fresh, "bob") == {IMAGE}


@not_on_ad
def test_posix_groups_list_login_names(directory: Directory) -> None:
    """A member of memberUid is in the group, and in the groups that the group is in."""
    directory.person("alice")
    directory.person("bob")
    posix = f"cn=posix,{directory.groups_base}"
    directory.add(
        f"dn: {posix}\nobjectClass: posixGroup\ncn: posix\ngidNumber: 5000\nmemberUid: alice\n"
    )
    outer = directory.group("outer", posix)
    directory.application(IMAGE)
    directory.granted("outer", images=[IMAGE], members=[outer])
    database = directory.open(group_member_attribute="memberUid")
    assert held(database, "alice") == {IMAGE}
    assert held(database, "bob") == set()
    assert held(directory.open(), "alice") == set()
    user = database.get_user(user_name="alice")
    (accounting,) = database.get_accounting_for_user(user)
    fresh = directory.open(group_member_attribute="memberUid")
    with pytest.raises(errors.HeldThroughGroup):
        fresh.revoke_access_by_id(accounting.id)


@not_on_ad
def test_a_posix_group_that_carries_a_grant_loses_a_login_name(directory: Directory) -> None:
    directory.person("alice")
    directory.person("bob")
    posix = f"cn=posix,ou=grants,{directory.base_dn}"
    directory.add(
        f"dn: {posix}\nobjectClass: posixGroup\ncn: posix\ngidNumber: 5000\n"
        "memberUid: alice\nmemberUid: bob\n"
    )
    directory.carry(posix, "grant", images=[IMAGE])
    directory.application(IMAGE)
    database = directory.open(group_member_attribute="memberUid")
    assert held(database, "alice") == held(database, "bob") == {IMAGE}
    database.revoke_access(IMAGE, "alice", False, False, None)
    fresh = directory.open(group_member_attribute="memberUid")
    assert held(fresh, "alice") == set()
    assert held(fresh, "bob") == {IMAGE}


@on_ad
def test_the_primary_group_counts_although_it_lists_no_members(directory: Directory) -> None:
    """Domain Users is the first group that an administrator grants to."""
    directory.person("alice")
    everybody = f"CN=Domain Users,CN=Users,{directory.server.suffix}"
    directory.application(IMAGE)
    grant = directory.granted("everybody", images=[IMAGE], members=[everybody])
    database = directory.open()
    assert held(database, "alice") == {IMAGE}
    with pytest.raises(errors.HeldThroughGroup, match="Domain Users"):
        database.revoke_access(IMAGE, "alice", False, False, None)
    (accounting,) = database.get_accounting_for_user(database.get_user(user_name="alice"))
    with pytest.raises(errors.HeldThroughGroup, match="Domain Users"):
        directory.open().revoke_access_by_id(accounting.id)
    directory.remove_member(grant, everybody)
    assert held(directory.open(), "alice") == set()
    outer = directory.group("outer", everybody)
    directory.add_members(grant, outer)
    assert held(directory.open(), "alice") == {IMAGE}
    with pytest.raises(errors.HeldThroughGroup, match="CN=outer,"):
        directory.open().revoke_access_by_id(accounting.id)
    # By the rule and level by level alike.
    assert held(directory.open(groups_base=directory.server.suffix), "alice") == {IMAGE}
    assert held(directory.open(nested_groups=False), "alice") == set()


@pytest.mark.slow
@pytest.mark.live("ad", reason="others send all members at once, and policy is no matter here")
def test_members_beyond_the_first_1500_are_found(directory: Directory) -> None:
    """The server sends members in parts; who is asked for by mapping id may be in any."""
    names = [f"many{number}" for number in range(1510)]
    directory.add(
        "".join(
            ldif.addition(directory.dn_of(name), {**directory._person(name), "cn": [name]})
            for name in names
        )
    )
    big = directory.group("big", *map(directory.dn_of, names))
    directory.application(IMAGE)
    directory.granted("big", images=[IMAGE], members=[big])
    database = directory.open(operation_timeout_seconds=60)
    ids = {}
    for name in (names[0], names[-1], names[800]):
        (accounting,) = database.get_accounting_for_user(database.get_user(user_name=name))
        ids[name] = accounting.id
    for identifier in ids.values():
        fresh = directory.open(operation_timeout_seconds=60)
        with pytest.raises(errors.HeldThroughGroup, match="CN=big,"):
            fresh.revoke_access_by_id(identifier)


# --- trees and names


@everywhere
def test_users_may_be_below_several_bases_and_nowhere_else(directory: Directory) -> None:
    berlin = directory.unit("berlin")
    paris = directory.unit("paris")
    london = directory.unit("london")
    for name, unit in (("alice", berlin), ("bob", paris), ("carol", london)):
        directory.person(name, parent=unit)
    database = directory.open(users_base=[berlin, paris])
    assert sorted(user.name for user in database.list_users()) == ["alice", "bob"]
    assert database.get_user(user_name="carol") is None
    bob = database.get_user(user_name="bob")
    assert database.get_user(id=bob.id) == bob
    database.create_application(IMAGE)
    database.grant_access(IMAGE, "bob", False, False, None)
    (accounting,) = database.get_accounting_for_user(bob)
    directory.open(users_base=[berlin, paris]).revoke_access_by_id(accounting.id)
    assert held(directory.open(users_base=[berlin, paris]), "bob") == set()
    with pytest.raises(errors.NotFound, match=r"ou=berlin.* or .*ou=paris"):
        database.grant_access(IMAGE, "carol", False, False, None)


@everywhere
def test_a_user_whom_two_bases_hold_is_one(directory: Directory) -> None:
    berlin = directory.unit("berlin")
    directory.person("alice", parent=berlin)
    database = directory.open(users_base=[berlin, directory.users_base])
    assert [user.name for user in database.list_users()] == ["alice"]
    assert database.get_user(user_name="alice").name == "alice"


@everywhere
def test_a_base_that_is_not_there_is_an_error_and_not_nobody(directory: Directory) -> None:
    directory.person("alice")
    database = directory.open(users_base=[directory.users_base, f"ou=gone,{directory.base_dn}"])
    with pytest.raises(errors.BaseNotFound, match="users_base"):
        database.get_user(user_name="nobody")


@everywhere
@pytest.mark.parametrize("setting", ["grants_base", "groups_base"])
def test_a_base_of_grants_or_groups_that_is_not_there_is_an_error_at_the_start(
    directory: Directory, setting: str
) -> None:
    """The search for both together, from above both, does not tell: it would find nothing."""
    gone: dict[str, Any] = {setting: f"ou=gone,{directory.base_dn}"}
    with pytest.raises(errors.BaseNotFound, match=setting):
        directory.open(**gone)


@everywhere
@pytest.mark.parametrize(
    "rdn",
    [
        "cn=Müller\\, Jürgen",
        "cn=Smith \\+ Sons",
        "cn=李 小龍",
        "cn=O'Neil \\#2 \\<x\\>",
        'cn=The \\"Boss\\"',
    ],
)
def test_people_may_be_called_anything_in_their_rdn(directory: Directory, rdn: str) -> None:
    directory.person("alice", rdn=rdn)
    directory.person("bob")
    database = directory.open()
    database.create_application(IMAGE)
    mapping_id = database.grant_access(IMAGE, "alice", False, False, None)
    assert held(directory.open(), "alice") == {IMAGE}
    assert held(directory.open(), "bob") == set()
    directory.open().revoke_access_by_id(mapping_id)
    assert held(directory.open(), "alice") == set()


@not_on_ad
@pytest.mark.parametrize("rdn", ["mail=alice@example.org", "cn=Alice B+uid=alice", "uid=alice"])
def test_people_may_be_named_by_other_attributes_or_several(directory: Directory, rdn: str) -> None:
    """Active Directory names all accounts by one cn."""
    directory.person("alice", rdn=rdn)
    database = directory.open()
    database.create_application(IMAGE)
    mapping_id = database.grant_access(IMAGE, "alice", False, False, None)
    assert held(directory.open(), "alice") == {IMAGE}
    directory.open().revoke_access_by_id(mapping_id)
    assert held(directory.open(), "alice") == set()


@everywhere
def test_people_log_in_by_one_of_several_names(directory: Directory) -> None:
    """Whichever he gives, he is the same user, under the first of his names."""
    address = "alice.b@example.org"
    directory.person("alice", attributes={"mail": [address]})
    name_attribute = "sAMAccountName" if directory.vendor == "ad" else "uid"
    database = directory.open(user_name_attribute=[name_attribute, "mail"])
    by_mail = database.get_user(user_name="Alice.B@example.org")
    assert by_mail == database.get_user(user_name="alice")
    assert by_mail.name == "alice"
    assert [user.name for user in database.list_users()] == ["alice"]
    database.create_application(IMAGE)
    mapping_id = database.grant_access(IMAGE, address, False, False, None)
    assert mapping_id == database.grant_access(IMAGE, "alice", False, False, None)


@not_on_ad
def test_the_first_attribute_that_somebody_has_the_name_in_decides(directory: Directory) -> None:
    """One person's mail address may be another's uid."""
    directory.person("alice", attributes={"mail": ["bob@example.org"]})
    directory.person("bob@example.org")
    for order, wanted in ((["uid", "mail"], "bob@example.org"), (["mail", "uid"], None)):
        database = directory.open(user_name_attribute=order)
        found = database.get_user(user_name="bob@example.org")
        assert found.name == (wanted or "bob@example.org")
        expected = "bob@example.org" if wanted else "alice"
        uids = directory.open(user_name_attribute="uid")
        assert found.id == uids.get_user(user_name=expected).id


@on_ad
def test_people_log_in_by_their_principal_name(directory: Directory) -> None:
    directory.person("alice", attributes={"userPrincipalName": ["alice@example.org"]})
    database = directory.open(user_name_attribute=["sAMAccountName", "userPrincipalName"])
    assert database.get_user(user_name="alice@example.org").name == "alice"


# --- those who are locked


@pytest.mark.live("389ds", "ad", stock=True, reason="OpenLDAP's lock needs an overlay: see below")
def test_who_is_locked_is_not_found(directory: Directory) -> None:
    alice = directory.person("alice")
    directory.person("bob")
    name = "userAccountControl" if directory.vendor == "ad" else "nsAccountLock"
    value = "514" if directory.vendor == "ad" else "true"
    directory.change(alice, f"replace: {name}", f"{name}: {value}")
    database = directory.open()
    assert database.get_user(user_name="alice") is None
    assert [user.name for user in database.list_users()] == ["bob"]
    own = directory.open(users_filter="(objectClass=person)")
    assert own.get_user(user_name="alice") is None
    assert own.get_user(user_name="bob")
