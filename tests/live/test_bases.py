"""Each base of the settings means the same in every search, cache and command."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from ldapdb.errors import HeldThroughGroup
from ldapdb.model import Policy
from ldapdb.store import Store
from ldapdb.store.linting import Complaint, Linting
from support import Directory
from support.waiting import eventually

pytestmark = pytest.mark.live("openldap", "389ds", "ad", stock=True)

IMAGE, OTHER = "simphony/mayavi:0.5", "simphony/other:1"
# Seeds of layouts in which bases lie in, above and beside one another.
LAYOUTS = (13, 20, 51)
BASES = ("applications_base", "grants_base", "groups_base", "users_base")

Opened = Callable[..., Store]


@pytest.fixture
def opened(directory: Directory) -> Iterator[Opened]:
    """Open stores, which are closed at the end."""
    stores: list[Store] = []

    def open_store(**given: Any) -> Store:
        stores.append(Store(directory.settings(**given)))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


class Layout:
    """A user, a group of all users and an application in each branch, and grants everywhere.

    There is a grant in each branch for the group of each branch; its volume names both.
    """

    def __init__(self, directory: Directory) -> None:
        base = directory.base_dn
        self.branches = {
            "p": directory.users_base,
            "g": directory.groups_base,
            "a": f"ou=applications,{base}",
            "r": f"ou=grants,{base}",
        }
        self.bases = [*self.branches.values(), base, directory.suffix]
        users = [directory.person(f"user-{b}", parent=dn) for b, dn in self.branches.items()]
        for b, dn in self.branches.items():
            directory.application(f"image/{b}:1", f"application-{b}", parent=dn)
        images = [f"image/{b}:1" for b in self.branches]
        for c, dn in self.branches.items():
            group = directory.group(f"group-{c}", *users, parent=dn)
            for b, place in self.branches.items():
                name, volume = f"grant-{b}-{c}", f"/{b}/{c}:/x:ro"
                directory.granted(name, images=images, members=[group], volume=volume, parent=place)

    def inside(self, base: str) -> set[str]:
        """Return the branches inside a base."""
        base = base.lower().replace(" ", "")
        return {b for b, dn in self.branches.items() if f",{dn}".lower().endswith(f",{base}")}


def spelled(dn: str, rng: random.Random) -> str:
    """Spell a DN in another way."""
    return rng.choice([dn, dn.upper(), dn.replace(",", ", ")])


def linted(store: Store) -> list[Complaint]:
    with closing(Linting(store.settings)) as one:
        return one.lint()


def volumes(policies: list[Policy]) -> set[str]:
    return {f"{policy.volume_source}" for policy in policies}


@pytest.mark.lengthy
def test_every_command_agrees_on_bases(directory: Directory, opened: Opened) -> None:
    """What is inside is told by the ends of the names, in layouts that are made up."""
    layout = Layout(directory)
    for seed in LAYOUTS:
        rng = random.Random(seed)
        chosen = {name: spelled(rng.choice(layout.bases), rng) for name in BASES}
        inside = {name: layout.inside(base) for name, base in chosen.items()}
        store = opened(**chosen)
        users = {f"user-{b}" for b in inside["users_base"]}
        images = {f"image/{b}:1" for b in inside["applications_base"]}
        given = {f"/{b}/{c}" for b in inside["grants_base"] for c in inside["groups_base"]}
        where = str(chosen)
        assert {each.name for each in store.list_users() if "user-" in each.name} == users, where
        assert {each.image for each in store.list_applications()} == images, where
        grants = {str(each.grant.dn).partition(",")[0][3:] for each in store.list_grants()}
        wanted = {f"grant-{b}-{c}" for b in inside["grants_base"] for c in layout.branches}
        assert grants == wanted, where
        assert_rights(store, layout, users, images, given, where)


def assert_rights(
    store: Store,
    layout: Layout,
    users: set[str],
    images: set[str],
    given: set[str],
    where: str,
) -> None:
    """Compare what each user may start, as each command tells it."""
    review = store.review()
    reviewed = {each.user.name: review.accountings(each) for each in review.people}
    for b in layout.branches:
        name, image = f"user-{b}", f"image/{b}:1"
        user = store.get_user(name)
        assert (user is not None) == (name in users), where
        held = [] if user is None else store.list_accountings(user)
        assert {each.application.image for each in held} == (images if user and given else set())
        assert volumes([each.application_policy for each in held]) == (
            given if user and images else set()
        ), where
        assert {each.id for each in reviewed.get(name, [])} == {each.id for each in held}, where
        found = store.who(image)
        assert (found.application is not None) == (image in images), where
        holding = {each.user.name for each in found.holders if each.holds}
        assert holding == (users if image in images and given else set()), where
        explained = store.explain(name, image)
        assert explained.is_allowed == bool(user and given and image in images), where
    unregistered = {each.text for each in linted(store) if each.kind == "unregistered"}
    absent = {f"image/{b}:1" for b in layout.branches} - images
    named = {image for image in absent if any(f"'{image}'" in text for text in unregistered)}
    grants_there = bool(store.list_grants())
    assert named == (absent if grants_there else set()), where


def test_a_grant_outside_holds_nothing(directory: Directory, opened: Opened) -> None:
    """Revoking from a group asks which grants it has through others: not those elsewhere."""
    alice = directory.person("alice")
    inner = directory.group("inner", alice)
    outer = directory.group("outer", inner)
    directory.application(IMAGE)
    elsewhere = directory.granted(
        "elsewhere", images=[IMAGE], members=[outer], parent=directory.groups_base
    )
    store = opened(groups_base=directory.suffix)
    [nothing] = store.revoke_several([IMAGE], None, groups=[inner])
    assert nothing.policies == ()
    assert not store.explain("alice", IMAGE).is_allowed
    directory.granted("inside", images=[IMAGE], members=[outer])
    with pytest.raises(HeldThroughGroup) as held:
        store.revoke_several([IMAGE], None, groups=[inner])
    assert elsewhere.lower() not in str(held.value).lower()


def test_entries_outside_the_base_are_ignored(
    directory: Directory, opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    """A server, or what stands before it, may return what was not asked for."""
    alice = directory.person("alice")
    directory.application(IMAGE, "here")
    directory.application(OTHER, "elsewhere")
    directory.granted("staff", images=[IMAGE, OTHER], members=[alice])
    inside, outside = b"=elsewhere,ou=applications,", b"=elsewhere,ou=applicationz,"
    directory.proxy().tamper = lambda data: _cased(data, inside, outside)
    store = opened(counted=True)
    for each in (store, opened(counted=True, page_size=1)):
        assert [found.image for found in each.list_applications()] == [IMAGE]
    assert "ou=applicationz" in caplog.text.lower()
    user = store.get_user("alice")
    assert user is not None
    assert [each.application.image for each in store.list_accountings(user)] == [IMAGE]
    assert store.who(OTHER).application is None
    assert {each.kind for each in linted(store)} == {"unregistered"}
    assert [each.image for each in store.review().applications] == [IMAGE]


def _cased(data: bytes, old: bytes, new: bytes) -> bytes:
    for one, other in ((old, new), (old.replace(b"ou=", b"OU="), new.replace(b"ou=", b"OU="))):
        data = data.replace(one, other)
    return data


def test_an_application_leaves_the_base(directory: Directory, opened: Opened) -> None:
    """It is forgotten at once while changes are followed, and found again when it returns."""
    alice = directory.person("alice")
    moved = directory.application(IMAGE, "moved")
    directory.granted("staff", images=[IMAGE], members=[alice])
    store = opened(watch=True, watch_poll_seconds=0.2)
    user = store.get_user("alice")
    assert user is not None

    def told() -> tuple[int, int]:
        return len(store.list_applications()), len(store.list_accountings(user))

    assert eventually(lambda: store.watch_info().state.value == "live")
    assert told() == (1, 1)
    directory.move(moved, "cn=moved", directory.groups_base)
    assert eventually(lambda: told() == (0, 0))
    directory.move(f"cn=moved,{directory.groups_base}", "cn=moved", moved.partition(",")[2])
    assert eventually(lambda: told() == (1, 1))
