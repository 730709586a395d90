"""Many members in one write: where a server takes too long, or somebody has left meanwhile."""

from __future__ import annotations

import time
from contextlib import closing

import pytest
from proxy import WRITES

from ldapdb.errors import DirectoryUnavailable, LDAPDBError, NotFound
from ldapdb.model import Policy, User
from ldapdb.protocol.dn import DN
from ldapdb.store import Store
from support import Directory
from support.alone import alone

pytestmark = pytest.mark.live("openldap", reason="the delay is between ldapdb and the server")

IMAGE, OTHER = "simphony/mayavi:0.5", "simphony/other:1.0"


@pytest.mark.parametrize("done", [True, False], ids=["though it was made", "and it was not"])
@pytest.mark.lengthy
def test_members_that_took_too_long_are_added_by_fewer_at_a_time(
    directory: Directory, done: bool
) -> None:
    """What was made of it is looked at, and everybody is in it in the end, once."""
    names = [f"user{number}" for number in range(20)]
    for name in names:
        directory.person(name)
    directory.application(IMAGE)
    store = Store(
        directory.settings(counted=True, operation_timeout_seconds=1, connect_timeout_seconds=1)
    )
    try:
        users = store.list_users()
        directory.proxy().at_write(1, lambda: time.sleep(1.5), done=done)
        told = list(store.grant_many(IMAGE, Policy(), users))
        assert told[-1] == len(names)
        assert told[0] == (len(names) if done else 0)
        assert all(store.list_accountings(user) for user in users)
    finally:
        store.close()


@pytest.mark.lengthy
def test_a_server_that_answers_nobody_until_a_write_is_done_is_waited_for(
    directory: Directory,
) -> None:
    """As 389 does: whoever looks what became of the write is kept waiting for it, too."""
    for number in range(4):
        directory.person(f"user{number}")
    directory.application(IMAGE)
    store = Store(
        directory.settings(counted=True, operation_timeout_seconds=1, connect_timeout_seconds=1)
    )
    ends: list[float] = []

    def keep_waiting(operation: str) -> None:
        if operation in WRITES and not ends:
            ends.append(time.monotonic() + 2.5)
        if ends:
            time.sleep(max(0, ends[0] - time.monotonic()))

    try:
        users = store.list_users()
        directory.proxy().asked = keep_waiting
        assert list(store.grant_many(IMAGE, Policy(), users))[-1] == 4
        assert all(store.list_accountings(user) for user in users)
    finally:
        store.close()


def test_a_server_that_is_gone_is_not_asked_for_fewer(directory: Directory) -> None:
    directory.person("alice")
    directory.person("bob")
    directory.application(IMAGE)
    store = Store(directory.settings(counted=True))
    try:
        users = store.list_users()
        directory.proxy().refuse()
        with pytest.raises(DirectoryUnavailable):
            list(store.grant_many(IMAGE, Policy(), users))
    finally:
        store.close()


@pytest.mark.live("openldap", "389ds", "ad", stock=True)
@pytest.mark.parametrize("first", [True, False], ids=["first write", "later write"])
def test_a_user_who_leaves_in_the_middle_keeps_nobody_else_out(
    directory: Directory, caplog: pytest.LogCaptureFixture, first: bool
) -> None:
    """Where servers look for members, he is found gone, and left out with a warning."""
    names = ["alice", "bob", "carol", "dave"]
    people = {name: directory.person(name) for name in names}
    directory.application(IMAGE)
    store = Store(directory.settings())
    try:
        if not first:
            store.grant(IMAGE, "dave", Policy())
        users = store.list_users()
        directory.delete(people["bob"])
        directory.rename_person(people["carol"], "carola")
        told = list(store.grant_many(IMAGE, Policy(), users))
        looks = directory.quirk("no dangling members")
        there = {"alice": True, "carola": looks, "dave": True}
        assert {user.name: bool(store.list_accountings(user)) for user in store.list_users()} == (
            there
        )
        assert told[-1] == len(users) - looks
        assert ("the user 'bob' is not there any more" in caplog.text) is looks
    finally:
        store.close()


@pytest.mark.live("openldap", "389ds", "ad", stock=True)
@pytest.mark.parametrize("first", [True, False], ids=["first write", "later write"])
def test_a_user_who_leaves_as_he_is_granted_is_not_found(directory: Directory, first: bool) -> None:
    """Where servers do not look for members, he is one, and no user."""
    alice = directory.person("alice")
    directory.person("bob")
    directory.application(IMAGE)
    store = Store(directory.settings(counted=True))
    try:
        if not first:
            store.grant(IMAGE, "bob", Policy())
        race = directory.proxy().at_write(1, lambda: directory.delete(alice), done=False)
        if directory.quirk("no dangling members"):
            with pytest.raises(NotFound, match="has left the directory"):
                store.grant(IMAGE, "alice", Policy())
        else:
            store.grant(IMAGE, "alice", Policy())
        assert race.reached
        assert [user.name for user in store.list_users()] == ["bob"]
    finally:
        store.close()


@pytest.mark.live("openldap", "389ds", "ad", stock=True)
def test_a_tree_that_is_missing_is_told_from_a_member_who_is(directory: Directory) -> None:
    """Only then is it advised to make it."""
    directory.person("alice")
    directory.application(IMAGE)
    directory.delete(f"ou=grants,{directory.base_dn}")
    store = Store(directory.settings())
    try:
        with pytest.raises(LDAPDBError, match="run `ldapdb init`"):
            store.grant(IMAGE, "alice", Policy())
    finally:
        store.close()


@pytest.mark.slow
@pytest.mark.live("389ds", reason="its memberOf plug-in makes a write slow by each member")
def test_a_server_that_is_slow_by_each_member_gets_fewer_at_a_time() -> None:
    """Everybody has it in the end, and how far it is is told on the way."""
    with alone("389ds", plugins=("MemberOf Plugin",)) as directory:
        for number in range(300):
            directory.person(f"user{number}")
        directory.application(IMAGE)
        directory.application(OTHER)
        patient = Store(directory.settings())
        users = patient.list_users()
        began = time.monotonic()
        assert list(patient.grant_many(OTHER, Policy(), users[:100])) == [100]
        # Of a hundred members one write takes longer, and so does whoever looks what became of it.
        seconds = (time.monotonic() - began) / 2
        hurried = Store(directory.settings(operation_timeout_seconds=seconds))
        try:
            told = list(hurried.grant_many(IMAGE, Policy(), users))
            assert told == sorted(told)
            assert told[-1] == len(users) == 300
            assert len(told) > 3, told
            assert all(patient.list_accountings(user) for user in users)
            assert sum("memberof" in entry for entry in directory.entries().values()) == 300
        finally:
            hurried.close()
            patient.close()


def test_where_many_were_granted_is_noted_once_and_not_for_each(directory: Directory) -> None:
    """What is asked about any of them is read there; a note for each cost more than the write."""
    directory.application(IMAGE)
    names = [f"user{number:04}" for number in range(300)]
    users = [User(n, name, DN.parse(directory.dn_of(name))) for n, name in enumerate(names)]
    with closing(
        Store(directory.settings(uri=["ldap://127.0.0.1:9"], write_uri=[directory.server.uri]))
    ) as store:
        assert list(store.grant_many(IMAGE, Policy(), users)) == [100, 200, 300]
        assert {store._routes.reading_grants(user.id)[0] for user in users} == {
            directory.server.uri
        }
        assert len(store._routes._written) == 1
