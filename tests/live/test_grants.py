"""Who holds what: groups, hand-made grants, time limits, renames, on a real directory."""

from __future__ import annotations

import logging
import re
import time
from contextlib import closing
from typing import Any

import pytest

from ldapdb import errors
from ldapdb.model import Policy
from ldapdb.store import Store
from ldapdb.syntaxes import format_time
from support import Another, Directory

pytestmark = pytest.mark.live("openldap", "389ds", "ad", stock=True)

IMAGE = "simphony/mayavi:0.5"


def named(dn: str) -> str:
    """A pattern for a DN in an error, whose case is the server's."""
    return f"(?i){re.escape(dn)}"


def held(database: Any, name: str) -> set[str]:
    user = database.get_user(user_name=name)
    return {each.application.image for each in database.get_accounting_for_user(user)}


def test_a_grant_to_a_group_reaches_members_of_groups_in_it_to_any_depth(
    directory: Directory,
) -> None:
    group = directory.person("alice")
    for level in range(6):
        group = directory.group(f"level{level}", group)
    directory.application(IMAGE)
    directory.granted("deep", images=[IMAGE], members=[group])
    assert held(directory.open(), "alice") == {IMAGE}
    assert held(directory.open(nested_groups=False), "alice") == set()


def test_without_nesting_a_group_of_the_user_still_counts(directory: Directory) -> None:
    group = directory.group("flat", directory.person("alice"))
    directory.application(IMAGE)
    directory.granted("flat", images=[IMAGE], members=[group])
    assert held(directory.open(nested_groups=False), "alice") == {IMAGE}


def test_groups_in_a_loop_are_harmless(directory: Directory) -> None:
    alice = directory.person("alice")
    first = directory.group("first", alice)
    second = directory.group("second", first)
    directory.add_members(first, second)
    directory.application(IMAGE)
    directory.granted("loop", images=[IMAGE], members=[second])
    assert held(directory.open(), "alice") == {IMAGE}


def test_one_image_and_policy_through_several_grants_is_one_accounting(
    directory: Directory,
) -> None:
    alice = directory.person("alice")
    group = directory.group("staff", alice)
    directory.application(IMAGE)
    for name, member in (("one", alice), ("two", group), ("three", alice)):
        directory.granted(name, images=[IMAGE], members=[member])
    database = directory.open()
    assert len(database.get_accounting_for_user(database.get_user(user_name="alice"))) == 1


def test_an_existing_group_may_carry_both_classes(directory: Directory) -> None:
    """One group per application is the smallest set-up that works by hand."""
    alice = directory.person("alice")
    group = directory.group("mayavi users", alice)
    directory.carry(group, "application", "grant", images=[IMAGE], home=True)
    everywhere: dict[str, Any] = {
        "grants_base": directory.suffix,
        "applications_base": directory.suffix,
    }
    database = directory.open(**everywhere)
    (accounting,) = database.get_accounting_for_user(database.get_user(user_name="alice"))
    assert accounting.application_policy.allow_home is True
    database.remove_application(app_name=IMAGE)
    assert held(directory.open(**everywhere), "alice") == set()
    # The company's group is still there, with its member.
    directory.add_members(group, directory.person("bob"))
    directory.remove_member(group, alice)


def test_revoking_one_image_of_several_keeps_the_others(directory: Directory) -> None:
    alice = directory.person("alice")
    bob = directory.person("bob")
    images = [IMAGE, "simphony/paraview:5.11", "simphony/tutorial:2.0"]
    for image in images:
        directory.application(image)
    directory.granted("bundle", images=images, members=[alice, bob], not_after="20990101000000.0Z")
    database = directory.open()
    database.revoke_access(IMAGE, "alice", False, False, None)
    assert held(database, "alice") == set(images[1:])
    assert held(directory.open(), "bob") == set(images)


def test_what_is_held_through_a_group_only_is_not_revoked_by_half(directory: Directory) -> None:
    group = directory.group("staff", directory.person("alice"))
    directory.application(IMAGE)
    directory.granted("staff", images=[IMAGE], members=[group])
    database = directory.open()
    (accounting,) = database.get_accounting_for_user(database.get_user(user_name="alice"))
    with pytest.raises(errors.HeldThroughGroup, match=named(group)):
        database.revoke_access(IMAGE, "alice", False, False, None)
    for asked in (database, directory.open()):
        with pytest.raises(errors.HeldThroughGroup, match=named(group)):
            asked.revoke_access_by_id(accounting.id)
    assert held(directory.open(), "alice") == {IMAGE}


def test_the_last_member_leaves_a_group_of_names(directory: Directory) -> None:
    """OpenLDAP's groupOfNames refuses to lose its last member (65)."""
    alice = directory.person("alice")
    directory.application(IMAGE)
    directory.granted(
        "by hand", images=[IMAGE], members=[alice], object_class=directory.group_class
    )
    database = directory.open()
    database.revoke_access(IMAGE, "alice", False, False, None)
    assert held(database, "alice") == set()
    assert held(directory.open(), "alice") == set()


def test_images_that_differ_in_case_or_are_long_are_different_applications(
    directory: Directory,
) -> None:
    directory.person("alice")
    database = directory.open()
    long = "registry.example.org:5000/" + "a" * 220
    images = {"simphony/mayavi:a", "simphony/mayavi:A", f"{long}:T" + "t" * 127, f"{long}:x"}
    for image in images:
        database.create_application(image)
        database.grant_access(image, "alice", False, False, None)
    assert {each.image for each in database.list_applications()} == images
    assert held(directory.open(), "alice") == images


def test_time_limits_hold_in_the_cache(directory: Directory) -> None:
    alice = directory.person("alice")
    directory.application(IMAGE)
    begin, end = 2_000_000_000.0, 2_000_000_100.0
    directory.granted(
        "limited",
        images=[IMAGE],
        members=[alice],
        not_before=format_time(begin),
        not_after=format_time(end),
    )
    now = [begin - 1]
    store = Store(directory.settings(counted=True), clock=lambda: now[0])
    user = store.get_user("alice")
    assert user is not None
    counts = []
    with directory.operations() as seen:
        for now[0] in (begin - 1, begin, end - 1, end, end + 1):
            counts.append(len(store.list_accountings(user)))
    store.close()
    assert counts == [0, 1, 1, 0, 0]
    # One load: grants, then applications.
    assert seen == ["SRCH"] * (3 if directory.quirk("group searches") else 2)


def test_a_broken_grant_is_left_out_with_one_warning_and_others_are_served(
    directory: Directory, caplog: pytest.LogCaptureFixture
) -> None:
    alice = directory.person("alice")
    directory.application(IMAGE)
    directory.granted("good", images=[IMAGE], members=[alice])
    broken: dict[str, dict[str, Any]] = {
        "volume": {"images": [IMAGE], "volume": "/data"},
        "licence": {"images": [IMAGE], "licence": "<b>"},
        "unknown": {"images": ["simphony/unknown:1"]},
        "html": {"images": ["<img onerror=alert(1)>"]},
    }
    for name, said in broken.items():
        directory.granted(name, members=[alice], **said)
    database = directory.open(cache_ttl_seconds=0)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert held(database, "alice") == {IMAGE}
    warnings = [record.getMessage().lower() for record in caplog.records]
    for name in broken:
        assert len([each for each in warnings if f"cn={name}," in each]) == 1, name


def test_ids_and_mapping_ids_survive_a_rename_and_a_move(directory: Directory) -> None:
    dn = directory.person("alice")
    directory.application(IMAGE)
    database = directory.open(cache_ttl_seconds=0)
    before = database.grant_access(IMAGE, "alice", False, False, None)
    alice = database.get_user(user_name="alice")
    directory.rename_person(dn, "alicia", directory.unit("berlin"))
    assert database.get_user(id=alice.id).name == "alicia"
    assert database.get_user(user_name="alice") is None
    assert database.grant_access(IMAGE, "alicia", False, False, None) == before
    (accounting,) = database.get_accounting_for_user(alice)
    assert accounting.id == before


def test_a_recreated_user_is_a_new_one(directory: Directory) -> None:
    dn = directory.person("alice")
    database = directory.open(cache_ttl_seconds=0)
    alice = database.get_user(user_name="alice")
    directory.delete(dn)
    directory.person("alice")
    assert database.get_user(id=alice.id) is None
    assert database.get_user(user_name="alice").id != alice.id
    assert database.get_accounting_for_user(alice) == []


def test_a_grant_entry_changed_by_hand_is_left_alone_and_another_one_serves(
    directory: Directory,
) -> None:
    """Its name promises a policy that it no longer has; adding to it would widen or lose."""
    directory.person("alice")
    directory.person("bob")
    database = directory.open(cache_ttl_seconds=0)
    database.create_application(IMAGE)
    database.grant_access(IMAGE, "alice", False, False, None)
    from ldapdb.model import Window
    from ldapdb.naming import grant_cn

    name = grant_cn(IMAGE, Policy(), Window())
    directory.restate(f"cn={name},ou=grants,{directory.base_dn}", images=[IMAGE], home=True)
    database.grant_access(IMAGE, "bob", False, False, None)
    (accounting,) = database.get_accounting_for_user(database.get_user(user_name="bob"))
    assert accounting.application_policy.allow_home is False


@pytest.mark.lengthy
def test_a_user_removed_from_a_nested_group_loses_it_within_the_ttl(directory: Directory) -> None:
    alice, bob = directory.person("alice"), directory.person("bob")
    inner = directory.group("inner", alice, bob)
    outer = directory.group("outer", inner)
    directory.application(IMAGE)
    directory.granted("grant", images=[IMAGE], members=[outer])
    database = directory.open(cache_ttl_seconds=1)
    assert held(database, "alice") == {IMAGE}
    began = time.monotonic()
    directory.remove_member(inner, alice)
    while held(database, "alice"):
        assert time.monotonic() - began < 3
        time.sleep(0.02)
    assert held(database, "bob") == {IMAGE}


def test_a_user_who_is_removed_starts_nothing_once_he_himself_is_out_of_date(
    directory: Directory,
) -> None:
    """What he may start was read later than he, and is in memory: it goes with him."""
    alice = directory.person("alice")
    directory.application(IMAGE)
    directory.granted("grant", images=[IMAGE], members=[alice])
    later = [0.0]
    settings = directory.settings(cache_ttl_seconds=60)
    with closing(Store(settings, timer=lambda: time.monotonic() + later[0])) as store:
        user = store.get_user("alice")
        assert user is not None
        later[0] = 50
        assert len(store.list_accountings(user)) == 1
        directory.delete(alice)
        assert store.known_accountings(user) == store.list_accountings(user)
        later[0] = 61
        assert store.known_accountings(user) is None
        assert store.get_user_by_id(user.id) is None


@pytest.mark.live("openldap", reason="the server's access rules are its own")
def test_groups_and_grants_that_share_no_searchable_ancestor_are_searched_apart(
    another_directory: Another,
) -> None:
    with another_directory(
        access="olcAccess: to dn.exact=dc=example,dc=org by * none\nolcAccess: to * by * read\n"
    ) as hidden:
        group = hidden.group("staff", hidden.person("reader"))
        hidden.application(IMAGE)
        hidden.granted("staff", images=[IMAGE], members=[group])
        database = hidden.open(bind_dn=None, bind_password=None)
        assert held(database, "reader") == {IMAGE}
        assert held(database, "reader") == {IMAGE}


def grants_what_is_in_effect(directory: Directory, **settings: Any) -> None:
    group = directory.group("staff", directory.person("alice"))
    directory.person("bob")
    directory.application(IMAGE)
    directory.granted("staff", images=[IMAGE], members=[group])
    database = directory.open(**settings)
    (accounting,) = database.get_accounting_for_user(database.get_user(user_name="alice"))
    assert database.grant_access(IMAGE, "alice", False, False, None) == accounting.id
    with pytest.raises(errors.AccessDenied):
        database.grant_access(IMAGE, "bob", False, False, None)


def test_read_only_grants_succeed_where_they_are_in_effect(directory: Directory) -> None:
    """The host grants its demo applications at every start of every user's process."""
    grants_what_is_in_effect(directory, read_only=True)


@pytest.mark.live("openldap", reason="the server's access rules are its own")
def test_refused_grants_succeed_where_they_are_in_effect(another_directory: Another) -> None:
    with another_directory(access="olcAccess: to * by * read\n") as readable:
        grants_what_is_in_effect(readable, bind_dn=None, bind_password=None)


@pytest.mark.live("openldap", "389ds", "ad", reason="displayName comes with a class of our schema")
def test_a_hand_made_application_with_a_display_name_can_be_removed(directory: Directory) -> None:
    """The class that allows displayName goes, and the class that is left may not allow it."""
    dn = directory.application(IMAGE, name="Mayavi")
    directory.change(dn, "add: displayName", "displayName: Mayavi")
    database = directory.open()
    database.remove_application(app_name=IMAGE)
    assert directory.open().list_applications() == []


@pytest.mark.live("openldap", reason="the server's access rules are its own")
def test_a_refused_grant_is_not_answered_from_the_cache(
    another_directory: Another,
) -> None:
    """What another process revoked a moment ago is not in effect."""
    with another_directory(access="olcAccess: to * by * read\n") as directory:
        directory.person("alice")
        administrator = directory.open()
        administrator.create_application(IMAGE)
        mapping_id = administrator.grant_access(IMAGE, "alice", False, False, None)
        reader = directory.open(bind_dn=None, bind_password=None)
        assert reader.grant_access(IMAGE, "alice", False, False, None) == mapping_id
        administrator.revoke_access_by_id(mapping_id)
        with pytest.raises(errors.AccessDenied):
            reader.grant_access(IMAGE, "alice", False, False, None)


def test_groups_whose_names_only_case_folding_makes_equal_are_two(directory: Directory) -> None:
    alice = directory.person("alice")
    groups = [directory.group(name, alice) for name in ("strasse", "straße")]
    for number, group in enumerate(groups):
        directory.application(f"simphony/app:{number}")
        directory.granted(f"grant{number}", images=[f"simphony/app:{number}"], members=[group])
    assert held(directory.open(), "alice") == {"simphony/app:0", "simphony/app:1"}


def test_fractions_of_seconds_in_limits_make_no_further_entries(directory: Directory) -> None:
    members = [directory.person(f"user{number}") for number in range(3)]
    for image in (IMAGE, "simphony/other:1"):
        directory.application(image)
    directory.granted(
        "fraction",
        images=[IMAGE, "simphony/other:1"],
        members=members,
        not_after="20990101000005.5Z",
    )
    database = directory.open()
    for number in range(3):
        database.revoke_access(IMAGE, f"user{number}", False, False, None)
        assert held(database, f"user{number}") == {"simphony/other:1"}
    # One entry of our making holds what is left of all three.
    assert len(directory.below(f"ou=grants,{directory.base_dn}")) == 2


def test_what_an_administrator_calls_no_group_is_none(directory: Directory) -> None:
    """Whoever may write a description cannot make a group that counts."""
    alice = directory.person("alice")
    other = directory.group("mine", alice)
    corporate = directory.group("corp-staff", directory.person("bob"))
    directory.application(IMAGE)
    directory.granted("grant", images=[IMAGE], members=[other, corporate])
    for words in ("remoteapps I like", "remoteapp grant image=simphony/other:1"):
        directory.change(other, "replace: description", f"description: {words}")
        database = directory.open(groups_filter="(cn=corp-*)")
        assert held(database, "alice") == set()
        assert held(database, "bob") == {IMAGE}
