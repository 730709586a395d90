"""Attribute options, such as ``uid;lang-fr``: names and members count, policies do not."""

from __future__ import annotations

from contextlib import closing

import pytest

from ldapdb.entries import IMAGE, POLICY_ATTRIBUTES
from ldapdb.model import Policy
from ldapdb.store import Store
from ldapdb.store.linting import Linting
from support import Directory

pytestmark = pytest.mark.live(
    "openldap", "389ds", reason="Active Directory has no options but the range of a part"
)

GOOD = "simphony/good:1"
# What each attribute would say if its option did not matter.
SAID = {
    "remoteAppImage": "simphony/other:1",
    "remoteAppLicense": "KEY",
    "remoteAppVolume": "/a:/b:ro",
    "remoteAppNotBefore": "20200101000000Z",
    "remoteAppNotAfter": "20990101000000Z",
}


def names(store: Store, name: str) -> list[str]:
    """Return the images that the host is told for a user."""
    user = store.get_user(name)
    assert user is not None
    return [each.application.image for each in store.list_accountings(user)]


def test_a_name_with_an_option_counts(directory: Directory) -> None:
    """Look-up, list, who and lint know the user by it, as a search by the attribute does."""
    dn = f"cn=Jean,{directory.users_base}"
    said = {"objectClass": ["inetOrgPerson"], "cn": ["Jean"], "sn": ["Jean"]}
    directory._contents.add(dn, {**said, "uid;lang-fr": ["jean"]})
    directory.person("alice")
    directory.application(GOOD)
    directory.granted("g", images=[GOOD], members=[dn])
    with closing(Store(directory.settings())) as store:
        user = store.get_user("jean")
        assert user is not None
        assert [each.name for each in store.list_users()] == ["alice", "jean"]
        assert store.get_user_by_id(user.id) == user
        assert [each.user.name for each in store.who(GOOD).holders] == ["jean"]
        assert store.explain("jean", GOOD).is_allowed
    with closing(Linting(directory.settings())) as linting:
        assert linting.lint() == []
    directory.person("another", attributes={"uid;lang-fr": ["jean"]})
    with closing(Linting(directory.settings())) as linting:
        assert [each.kind for each in linting.lint()] == ["ambiguous-user"]


@pytest.mark.parametrize("attribute", [IMAGE, *POLICY_ATTRIBUTES])
def test_a_policy_with_an_option_gives_nothing(directory: Directory, attribute: str) -> None:
    """It may have been meant to narrow the grant; lint names it, and removal leaves nothing."""
    alice = directory.person("alice")
    directory.application(GOOD)
    directory.granted("good", images=[GOOD], members=[alice], home="TRUE")
    said = SAID.get(attribute, "TRUE")
    given = {f"{attribute};lang-fr": [said]}
    bad = directory.granted("bad", images=[GOOD], members=[alice], view="TRUE", raw=given)
    with closing(Store(directory.settings())) as store:
        user = store.get_user("alice")
        assert user is not None
        [told] = store.list_accountings(user)
        assert told.application_policy == Policy.of(allow_home=True)
    with closing(Linting(directory.settings())) as linting:
        assert [(each.kind, each.dn) for each in linting.lint()] == [("unreadable", bad)]
    with closing(Store(directory.settings())) as store:
        store.remove_application(GOOD)
    after = directory._contents.entries()[bad.lower()]
    assert not [name for name in after if name.startswith("remoteapp")]


def test_a_member_with_an_option_leaves(directory: Directory) -> None:
    """The member has the right, and a revocation takes it, in all forms of the attribute."""
    alice, bob = directory.person("alice"), directory.person("bob")
    directory.application(GOOD)
    form = {"member;lang-fr": [alice, bob]}
    directory.granted("g", images=[GOOD], members=[alice], home="TRUE", raw=form)
    with closing(Store(directory.settings())) as store:
        holders = [each.user.name for each in store.who(GOOD).holders]
        assert sorted(set(holders)) == ["alice", "bob"]
        for name in ("alice", "bob"):
            assert names(store, name) == [GOOD]
            store.revoke(GOOD, name, Policy.of(allow_home=True))
            assert names(store, name) == []


def test_a_dangling_form_is_taken_out(directory: Directory) -> None:
    """It is removed from the form of the attribute that it is in."""
    alice = directory.person("alice")
    directory.application(GOOD)
    gone = f"uid=gone,{directory.users_base}"
    with closing(Store(directory.settings())) as store:
        store.grant(GOOD, "alice", Policy.of(allow_home=True))
    [grant] = directory.below(f"ou=grants,{directory.base_dn}")
    directory._modify(grant, ("add", "member;lang-fr", [gone]))
    with closing(Linting(directory.settings())) as linting:
        [complaint] = linting.lint(dangling=True)
        assert complaint.change is not None
        assert linting.mend(complaint.change).is_done
        assert linting.lint() == []
    entry = directory._contents.entries()[grant.lower()]
    assert {bytes(each).decode().lower() for each in entry["member"]} == {alice.lower()}
