"""Many members in one write: what becomes of it where a server takes too long for it."""

from __future__ import annotations

import time

import pytest

from ldapdb.errors import DirectoryUnavailable
from ldapdb.model import Policy
from ldapdb.store import Store
from support import Directory

pytestmark = pytest.mark.live("openldap", reason="the delay is between ldapdb and the server")

IMAGE = "simphony/mayavi:0.5"


@pytest.mark.parametrize("done", [True, False], ids=["though it was made", "and it was not"])
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
