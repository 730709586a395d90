"""Who a user is: rights belong to an entry, whatever name or id it is asked for by."""

from __future__ import annotations

import random
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest

from ldapdb import errors
from ldapdb.protocol.ldif import parse
from ldapdb.store import Store
from ldapdb.store.effects import effects_of
from ldapdb.store.linting import Complaint, Linting
from support import Directory, Private

pytestmark = pytest.mark.live(
    *("openldap", "389ds", "ad"), reason="how grants are written does not change who has them"
)

IMAGE, OTHER = "simphony/mayavi:0.5", "simphony/other:1"
UNCACHED: dict[str, Any] = {"cache_ttl_seconds": 0, "cache_max_stale_seconds": 0}


def names(directory: Directory) -> dict[str, Any]:
    """Return the settings by which further names and memberUid count."""
    several = {"user_name_attribute": ["sAMAccountName", "otherMailbox"]}
    return {"group_member_attribute": "memberUid", **(several if directory.vendor == "ad" else {})}


def person(directory: Directory, name: str, *aliases: str) -> str:
    """Add a person with further login names."""
    attribute, own = ("otherMailbox", []) if directory.vendor == "ad" else ("uid", [name])
    return directory.person(name, attributes={attribute: [*own, *aliases]} if aliases else {})


def rename(directory: Directory, dn: str, step: str, alias: str) -> None:
    """Add or delete a further login name."""
    attribute = "otherMailbox" if directory.vendor == "ad" else "uid"
    directory.change(dn, f"{step}: {attribute}", f"{attribute}: {alias}")


def posix(directory: Directory, name: str, *members: str, parent: str = "") -> str:
    """Add a group of login names."""
    if directory.vendor == "ad":
        dn = directory.group(name)
        directory.change(dn, "add: memberUid", *(f"memberUid: {each}" for each in members))
        return dn
    dn = f"cn={name},{parent or directory.groups_base}"
    values = "".join(f"memberUid: {each}\n" for each in members)
    directory.add(f"dn: {dn}\nobjectClass: posixGroup\ncn: {name}\ngidNumber: 5000\n{values}")
    return dn


def numbered(directory: Directory, name: str, number: int) -> str:
    """Add a person with a uidNumber."""
    dn = directory.person(name)
    number_of = ["add: uidNumber", f"uidNumber: {number}"]
    if directory.vendor != "ad":
        number_of += ["-", "add: objectClass", "objectClass: posixAccount"]
        number_of += ["-", "add: gidNumber", "gidNumber: 1"]
        number_of += ["-", "add: homeDirectory", "homeDirectory: /"]
    directory.change(dn, *number_of)
    return dn


def lint(directory: Directory, **settings: Any) -> list[Complaint]:
    with closing(Linting(directory.settings(**settings))) as linting:
        return linting.lint()


def images(accountings: list[Any]) -> set[str]:
    return {each.application.image for each in accountings}


def ask(database: Any, how: str, name: str) -> Any:
    """Come to a user object as the host does."""
    if how == "host":
        return SimpleNamespace(name=name)
    user = database.get_user(user_name=name)
    if how == "id":
        return database.get_user(id=user.id)
    if how == "list":
        return next(each for each in database.list_users() if each == user)
    return user


@pytest.mark.parametrize("settings", [{}, UNCACHED], ids=["cached", "uncached"])
def test_all_names_have_same_rights(directory: Directory, settings: dict[str, Any]) -> None:
    """Whoever asks first, and by whichever name, id or object."""
    person(directory, "alice", "al", "zoe")
    group = posix(directory, "posix", "zoe")
    directory.application(IMAGE)
    directory.granted("grant", images=[IMAGE], members=[group])
    database = directory.open(**names(directory), **settings)
    stale = database.get_user(user_name="al")
    asked = [(how, name) for how in ("name", "host", "id", "list") for name in ("al", "alice")]
    random.Random(1).shuffle(asked)
    for how, name in asked:
        found = ask(database, how, name)
        assert found.name == (name if how == "host" else "alice")
        assert images(database.get_accounting_for_user(found)) == {IMAGE}, (how, name)
    assert images(database.get_accounting_for_user(stale)) == {IMAGE}
    with closing(Store(directory.settings(**names(directory)))) as store:
        assert store.explain("al", IMAGE).is_allowed
        assert [each.holds for each in store.who(IMAGE).holders] == [True]
    with pytest.raises(errors.HeldThroughGroup):
        database.revoke_access(IMAGE, "al", False, False, None)


@pytest.mark.live("openldap", "389ds", reason="Active Directory's groups are of one class")
def test_revoking_finds_every_name(directory: Directory) -> None:
    """Also one that the user was not asked for by."""
    person(directory, "alice", "al", "zoe")
    grant = posix(directory, "posix", "zoe", parent=f"ou=grants,{directory.base_dn}")
    directory.carry(grant, "grant", images=[IMAGE])
    directory.application(IMAGE)
    database = directory.open(**names(directory))
    stale = database.get_user(user_name="al")
    assert images(database.get_accounting_for_user(stale)) == {IMAGE}
    database.revoke_access(IMAGE, "alice", False, False, None)
    assert database.get_accounting_for_user(stale) == []
    assert directory.open(**names(directory)).get_accounting_for_user(stale) == []


def test_shared_name_gives_rights_to_none(directory: Directory) -> None:
    """A memberUid of two entries counts for neither; once it is one's alone, for that one."""
    person(directory, "alice", "al")
    bob = person(directory, "bob", "al", "bobby")
    group = posix(directory, "posix", "al", "bobby")
    directory.application(IMAGE)
    directory.granted("grant", images=[IMAGE], members=[group])
    for order in (("alice", "bob"), ("bob", "alice")):
        database = directory.open(**names(directory))
        held = {
            name: images(database.get_accounting_for_user(SimpleNamespace(name=name)))
            for name in order
        }
        assert held == {"alice": set(), "bob": {IMAGE}}
        with pytest.raises(errors.AmbiguousName):
            database.get_user(user_name="al")
        assert [user.name for user in database.list_users()] == ["alice", "bob"]
    with closing(Store(directory.settings(**names(directory)))) as store:
        explained = store.explain("alice", IMAGE)
        assert not explained.is_allowed
        assert any("memberUid: al" in each.text for each in explained.reasons)
        who = store.who(IMAGE)
        assert [each.user.name for each in who.holders] == ["bob"]
        assert any("memberUid: al" in each.text for each in who.reasons)
        assert [each.user.name for each in store.review().people] == ["bob"]
    assert {each.kind for each in lint(directory, **names(directory))} == {"ambiguous-user"}
    rename(directory, bob, "delete", "al")
    fresh = directory.open(**names(directory))
    assert images(fresh.get_accounting_for_user(SimpleNamespace(name="alice"))) == {IMAGE}


@pytest.fixture
def shared(directory: Directory) -> dict[str, Any]:
    """Four users with one id, and one with an id of his own."""
    for name in ("root", "toor", "admin", "daemon"):
        numbered(directory, name, 0)
    numbered(directory, "alice", 5)
    for name in ("root", "toor", "alice"):
        directory.application(f"simphony/{name}:1", name)
        directory.granted(name, images=[f"simphony/{name}:1"], members=[directory.dn_of(name)])
    directory.application(IMAGE)
    directory.granted("both", images=[IMAGE], members=[directory.dn_of("toor")])
    return {"user_id_attribute": "uidNumber"}


EACH: dict[str, set[str]] = {
    "root": {"simphony/root:1"},
    "toor": {"simphony/toor:1", IMAGE},
    "admin": set(),
    "daemon": set(),
    "alice": {"simphony/alice:1"},
}


@pytest.mark.parametrize(
    ("settings", "order"),
    [
        ({}, ["daemon", "toor", "root", "alice", "admin", "toor", "root"]),
        (UNCACHED, ["root", "toor", "root"]),
    ],
    ids=["cached", "uncached"],
)
def test_users_of_one_id_keep_apart(
    directory: Directory, shared: dict[str, Any], settings: dict[str, Any], order: list[str]
) -> None:
    """Each is found by name and has its own rights; the id finds none, and lists skip them."""
    database = directory.open(**shared, **settings)
    for name in order:
        user = database.get_user(user_name=name)
        assert (user.name, user.id) == (name, 5 if name == "alice" else 0)
        assert images(database.get_accounting_for_user(user)) == EACH[name]
        assert all(each.user == user for each in database.get_accounting_for_user(user))
        host = SimpleNamespace(name=name)
        assert images(database.get_accounting_for_user(host)) == EACH[name]
    with pytest.raises(errors.AmbiguousName, match="root"):
        database.get_user(id=0)
    assert [user.name for user in database.list_users()] == ["alice"]


def test_shared_id_revokes_from_nobody(directory: Directory, shared: dict[str, Any]) -> None:
    """A mapping id that may be any of several users' is refused; by name all works."""
    database = directory.open(**shared)
    toor = database.get_user(user_name="toor")
    ids = {each.application.image: each.id for each in database.get_accounting_for_user(toor)}
    granted = database.grant_access(IMAGE, "root", False, False, None)
    assert granted == ids[IMAGE]
    for each in (database, directory.open(**shared)):
        with pytest.raises(errors.AmbiguousName, match="root"):
            each.revoke_access_by_id(ids[IMAGE])
    fresh = directory.open(**shared)
    for name in ("root", "toor"):
        user = fresh.get_user(user_name=name)
        assert images(fresh.get_accounting_for_user(user)) == EACH[name] | {IMAGE}
    fresh.revoke_access(IMAGE, "root", False, False, None)
    user = fresh.get_user(user_name="root")
    assert images(fresh.get_accounting_for_user(user)) == EACH["root"]
    [told] = [each for each in lint(directory, **shared) if each.kind == "shared-id"]
    with closing(Store(directory.settings(**shared))) as store:
        assert all(name in f"{told.dn} {told.text}" for name in ("root", "toor", "admin"))
        people = {
            who.user.name: images(store.review().accountings(who)) for who in store.review().people
        }
        assert people == {name: held for name, held in EACH.items() if held}
        found = {each.user.name for each in store.who(IMAGE).holders}
        assert found == {"toor"}


def test_whatif_keeps_users_of_one_id_apart(directory: Directory, shared: dict[str, Any]) -> None:
    """They have the same mapping ids for the same applications."""
    grant = f"cn=both,ou=grants,{directory.base_dn}"
    change = (
        f"dn: {grant}\nchangetype: modify\n"
        f"delete: member\nmember: {directory.dn_of('toor')}\n-\n"
        f"add: member\nmember: {directory.dn_of('root')}\n"
    )
    told = effects_of(directory.settings(**shared), parse(change.encode())).effects
    assert [(each.kind, each.user.name, each.image) for each in told] == [
        ("revoked", "toor", IMAGE),
        ("granted", "root", IMAGE),
    ]


def test_user_who_left_gets_nothing_of_same_id(directory: Directory) -> None:
    """Neither a user object from before nor a mapping id reaches the other entry."""
    left = numbered(directory, "root", 0)
    directory.application(IMAGE)
    directory.granted("grant", images=[IMAGE], members=[left])
    filtered: dict[str, Any] = {
        "user_id_attribute": "uidNumber",
        "users_filter": "(!(description=left))",
    }
    database = directory.open(**filtered, **UNCACHED)
    root = database.get_user(user_name="root")
    [held] = database.get_accounting_for_user(root)
    directory.change(left, "add: description", "description: left")
    toor = numbered(directory, "toor", 0)
    directory.application(OTHER)
    directory.granted("others", images=[IMAGE, OTHER], members=[toor])
    assert database.get_accounting_for_user(root) == []
    for each in (database, directory.open(**filtered)):
        with pytest.raises(errors.AmbiguousName, match="toor"):
            each.revoke_access_by_id(held.id)
    assert images(database.get_accounting_for_user(SimpleNamespace(name="toor"))) == {IMAGE, OTHER}


@pytest.mark.live("openldap", reason="others let nobody choose an entry's own identifier")
def test_loaded_duplicate_identifiers_are_refused(private: Private) -> None:
    """Whoever loads LDIF may give two users, or two applications, one entryUUID."""
    loaded = "entryUUID: 11111111-2222-3333-4444-555555555555\n"
    for name in ("alice", "bob"):
        private.server.ldapmodify(
            f"dn: {private.dn_of(name)}\nobjectClass: inetOrgPerson\n"
            f"uid: {name}\ncn: {name}\nsn: {name}\n{loaded}",
            *("-a", "-e", "relax"),
        )
    for image in (IMAGE, OTHER):
        cn = image.replace("/", "-")
        private.server.ldapmodify(
            f"dn: cn={cn},ou=applications,{private.base_dn}\nobjectClass: remoteAppGroup\n"
            f"objectClass: remoteAppApplication\ncn: {cn}\nremoteAppImage: {image}\n{loaded}",
            *("-a", "-e", "relax"),
        )
    private.granted("grant", images=[IMAGE], members=[private.dn_of("alice")])
    database = private.open()
    for name, held in (("alice", {IMAGE}), ("bob", set()), ("alice", {IMAGE})):
        user = database.get_user(user_name=name)
        with pytest.raises(errors.AmbiguousName, match="uid=bob"):
            database.get_user(id=user.id)
        assert images(database.get_accounting_for_user(user)) == held
    assert database.list_users() == []
    alice = database.get_user(user_name="alice")
    with pytest.raises(errors.AmbiguousName):
        database.revoke_access_by_id(database.get_accounting_for_user(alice)[0].id)
    [application, other] = database.list_applications()
    assert application.id == other.id
    with pytest.raises(errors.AmbiguousName, match="belongs to 2 applications"):
        database.remove_application(id=other.id)
    assert len(database.list_applications()) == 2
