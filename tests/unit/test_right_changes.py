"""Who has gained and who has lost what: what has been seen is told, whatever comes after it."""

from __future__ import annotations

from typing import Any, Optional, cast

import pytest

from ldapdb.errors import AccessDenied
from ldapdb.model import Accounting, Application, Entitlement, Policy, User
from ldapdb.protocol.dn import DN
from ldapdb.store.rights import Rights

BASE = DN.parse("dc=example,dc=org")
ALICE, BOB = (
    User(number, name, BASE.child("uid", name)) for number, name in enumerate(("alice", "bob"))
)
APPLICATION = Application(1, "a/b", BASE.child("cn", "app"))


class Store:
    """Says who has the one application there is; of the one who is hidden, that he is."""

    def __init__(self) -> None:
        self.users = [ALICE, BOB]
        self.having = {ALICE, BOB}
        self.hidden: Optional[User] = None
        self.removed: Optional[User] = None

    def list_users(self) -> list[User]:
        return self.users

    def get_user_by_id(self, user_id: int) -> Optional[User]:
        return next((each for each in self.users if each.id == user_id), None)

    def refresh_user(self, user: User) -> Optional[User]:
        return None if user == self.removed else self.get_user_by_id(user.id)

    def list_entitlements(self, user: User) -> list[Entitlement]:
        if user == self.hidden:
            raise AccessDenied("hidden")
        accounting = Accounting(f"of {user.name}", user, APPLICATION, Policy())
        return [Entitlement(accounting, ())] if user in self.having else []


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def rights(store: Store) -> Rights:
    looking = Rights(cast(Any, store))
    assert names(looking.look()) == ["+alice", "+bob"]
    return looking


def names(looking: Any) -> list[str]:
    """Name those who gain and lose, up to an error."""
    told = []
    try:
        for changes in looking:
            told += [f"{'+' if each.gained else '-'}{each.user.name}" for each in changes]
    except AccessDenied as error:
        told.append(str(error))
    return told


@pytest.mark.parametrize("everybody", [True, False])
def test_what_was_seen_before_an_error_is_told(
    store: Store, rights: Rights, *, everybody: bool
) -> None:
    """Nobody would stop a container whose user was looked at just before, ever."""
    store.having, store.hidden = set(), BOB
    assert names(rights.look() if everybody else rights.look_at([0, 1])) == ["-alice", "hidden"]
    store.hidden = None
    assert names(rights.look()) == ["-bob"]
    assert names(rights.look()) == []


def test_whoever_is_gone_loses_what_he_had_once(store: Store, rights: Rights) -> None:
    store.users = [ALICE]
    assert names(rights.look_at([1])) == ["-bob"]
    assert names(rights.look_at([1])) == names(rights.look()) == []
    store.users, store.hidden = [BOB], BOB
    assert names(rights.look()) == ["-alice", "hidden"]


def test_whoever_is_removed_during_a_look_loses_what_he_had(store: Store, rights: Rights) -> None:
    """He is on the list that was read first, and a grant may still name his entry."""
    store.removed = BOB
    assert names(rights.look()) == ["-bob"]
    assert names(rights.look()) == []


def test_only_those_who_are_concerned_are_looked_at(store: Store, rights: Rights) -> None:
    store.hidden, store.having = ALICE, {ALICE}
    assert names(rights.look_at([1, 7])) == ["-bob"]
