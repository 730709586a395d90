"""``--dry-run`` and ``--ldif``: what is printed is what would be done, and nothing is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from ldapdb import ldif_text
from ldapdb.model import Policy
from ldapdb.store import Store
from ldapdb.store.planning import PlannedStore
from support import Directory

pytestmark = pytest.mark.live("openldap", "389ds", "ad", stock=True)

IMAGE, OTHER, THIRD = "simphony/mayavi:0.5", "simphony/other:1", "registry.example:5000/third:RC1"
HOME = Policy.of(allow_home=True)
WHOLE = Policy.of(
    app_license="port@server, the key's",
    allow_home=True,
    allow_view=True,
    volume="/data:/mnt/data:ro",
    allow_startup_data=True,
)


@contextmanager
def planning(directory: Directory, **settings: Any) -> Iterator[PlannedStore]:
    with closing(PlannedStore(directory.settings(**settings))) as store:
        yield store


def prepare(directory: Directory) -> None:
    """Put in what administrators have by the time that they write."""
    alice, bob = directory.person("alice"), directory.person("bob")
    directory.person("mueller k", rdn="cn=Müller\\, K")
    directory.application(OTHER)
    directory.granted("by hand", images=[OTHER, THIRD], members=[alice, bob], home="TRUE")
    directory.granted("of one", images=[OTHER], members=[alice])
    team = directory.group("team", bob)
    directory.carry(team, "grant", images=[OTHER])


def work(store: Store) -> None:
    """Make every kind of write there is, one on top of the other."""
    store.create_tree()
    store.create_application(IMAGE)
    store.create_application(THIRD)
    for name in ("alice", "bob", "mueller k"):
        store.grant(IMAGE, name, WHOLE)
    store.grant(IMAGE, "alice", HOME)
    store.grant(IMAGE, "alice", HOME)
    store.grant(OTHER, "bob", HOME)
    store.revoke(IMAGE, "bob", WHOLE)
    store.revoke(OTHER, "bob", HOME)
    store.revoke(OTHER, "alice", Policy())
    assert store.revoke_all(OTHER, "alice") == [HOME]
    user = store.get_user("alice")
    assert user is not None
    held = {each.application.image for each in store.list_accountings(user)}
    assert held == {IMAGE, THIRD}
    store.remove_application(OTHER)
    store.remove_application(OTHER)


@pytest.mark.slow
def test_the_ldif_gives_the_directory_that_the_writes_give(directory: Directory) -> None:
    """Planned, nothing changes; applied by ldapmodify, all is as after the writes themselves."""
    prepare(directory)
    before = directory.entries()
    with planning(directory) as store:
        work(store)
        assert not store.doubts
        text = ldif_text.write(store.changes, "by a test")
    assert directory.entries() == before
    directory.server.ldapmodify(text)
    applied = directory.entries()
    assert applied != before
    directory.clear()
    prepare(directory)
    assert directory.entries() == before
    with closing(Store(directory.settings())) as store:
        work(store)
    assert directory.entries() == applied
