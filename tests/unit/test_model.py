"""Users, policies, windows, accountings, and the ids that label running containers."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ldapdb.errors import InvalidValue
from ldapdb.model import (
    Account,
    Accounting,
    Application,
    Entitlement,
    Entitlements,
    Grant,
    Policy,
    User,
    Window,
    mapping_id,
    policy_half,
    user_half,
)
from ldapdb.protocol.dn import DN

NOWHERE = DN(())
ALICE = User(id=1, name="alice", dn=DN.parse("uid=alice,ou=people,dc=example,dc=org"))
MAYAVI = Application(id=2, image="simphony/mayavi:0.5", dn=NOWHERE)
HOME_AND_VIEW = Policy(allow_home=True, allow_view=True)
EVERYTHING = Policy.of(
    app_license="27000@licence.example.org",
    allow_home=True,
    volume="/data/shared:/data:ro",
    allow_startup_data=True,
)

LICENCES = st.none() | st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1)
VOLUMES = st.none() | st.sampled_from(["/a:/b:ro", "/a:/b:rw", "/a:/c:ro", "/b:/b:ro"])
POLICIES = st.builds(
    Policy.of,
    app_license=LICENCES,
    allow_home=st.booleans(),
    allow_view=st.booleans(),
    volume=VOLUMES,
    allow_startup_data=st.booleans(),
)
IMAGES = st.sampled_from(["a", "b", "simphony/mayavi:0.5", "simphony/jupyter:LTS", "a:lts"])
USER_IDS = st.integers(0, 2**128 - 1)
MOMENTS = st.integers(-(10**9), 10**10).map(float)
WINDOWS = st.builds(Window, st.none() | MOMENTS, st.none() | MOMENTS)


def _grant(window: Window = Window()) -> Grant:  # noqa: B008 -- a frozen value
    return Grant(NOWHERE, (MAYAVI.image,), HOME_AND_VIEW, window)


def _entitlement(name: str, *windows: Window) -> Entitlement:
    accounting = Accounting(name, ALICE, MAYAVI, HOME_AND_VIEW)
    return Entitlement(accounting, tuple(map(_grant, windows)))


def _names(accountings: list[Accounting]) -> list[str]:
    return [each.id for each in accountings]


# -- values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        ALICE,
        MAYAVI,
        HOME_AND_VIEW,
        Window(1.0, 2.0),
        _grant(),
        Accounting("id", ALICE, MAYAVI, HOME_AND_VIEW),
        _entitlement("id", Window()),
    ],
)
def test_values_are_frozen_and_hashable(value: Any) -> None:
    """No value changes once it is made, and each can be a key."""
    hash(value)
    name = next(iter(value.__dataclass_fields__))
    with pytest.raises(FrozenInstanceError):
        setattr(value, name, None)


def test_where_an_entry_lies_is_no_part_of_its_identity() -> None:
    """A user or an application that was moved is still the same, and the same key."""
    moved = replace(ALICE, dn=DN.parse("uid=alice,ou=left,dc=example,dc=org"))
    assert moved == ALICE
    assert hash(moved) == hash(ALICE)
    assert replace(MAYAVI, dn=DN.parse("cn=x")) == MAYAVI
    assert "ou=" not in repr(ALICE)


def test_users_of_one_name_and_two_ids_differ() -> None:
    """Whoever gets the name of somebody who left is somebody else."""
    assert replace(ALICE, id=3) != ALICE


# -- policies -------------------------------------------------------------------------------


def test_a_policy_gives_nothing_by_itself() -> None:
    """Nothing absent is a right."""
    assert Policy.of() == Policy()
    assert set(Policy().key) == {None, False}
    assert Policy().volume is None
    assert not Policy().allow_common


@given(POLICIES)
def test_a_policy_keeps_its_volume(policy: Policy) -> None:
    """The volume comes back as it was given; allow_common says whether there is one."""
    again = Policy.of(
        app_license=policy.app_license,
        allow_home=policy.allow_home,
        allow_view=policy.allow_view,
        volume=policy.volume,
        allow_startup_data=policy.allow_startup_data,
    )
    assert again == policy
    assert policy.allow_common is (policy.volume is not None)
    parts = (policy.volume_source, policy.volume_target, policy.volume_mode)
    assert (parts == (None, None, None)) is (policy.volume is None)


def test_a_policy_takes_a_volume_apart() -> None:
    """Source, target and mode are fields of their own, as the host reads them."""
    assert EVERYTHING.volume_source == "/data/shared"
    assert EVERYTHING.volume_target == "/data"
    assert EVERYTHING.volume_mode == "ro"
    assert EVERYTHING.allow_common is True


def test_an_empty_licence_is_none() -> None:
    """The host's demo applications pass '' for "no licence"."""
    assert Policy.of(app_license="") == Policy.of(app_license=None)


def test_truth_becomes_a_boolean() -> None:
    """The host's command line passes 1 and 0; they make the same policy as True and False."""
    flags: Any = {"allow_home": 1, "allow_view": 0, "allow_startup_data": "yes"}
    policy = Policy.of(**flags)
    assert policy.allow_home is True
    assert policy.allow_view is False
    assert policy.allow_startup_data is True


@pytest.mark.parametrize("wrong", [{"volume": ""}, {"volume": "/a:/b"}, {"app_license": "a\nb"}])
def test_a_malformed_policy_is_refused(wrong: dict[str, Any]) -> None:
    """A policy is not made of what cannot be read."""
    with pytest.raises(InvalidValue):
        Policy.of(**wrong)


@given(POLICIES, POLICIES)
def test_the_key_tells_policies_apart(one: Policy, other: Policy) -> None:
    """Two policies have one key exactly if they are equal."""
    assert (one.key == other.key) is (one == other)


# -- windows --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "now", "holds"),
    [
        (Window(), 0.0, True),
        (Window(), 1e12, True),
        (Window(not_before=100.0), 99.999, False),
        (Window(not_before=100.0), 100.0, True),
        (Window(not_after=200.0), 199.999, True),
        (Window(not_after=200.0), 200.0, False),
        (Window(100.0, 200.0), 150.0, True),
        (Window(100.0, 200.0), 99.0, False),
        (Window(100.0, 200.0), 201.0, False),
        (Window(200.0, 100.0), 150.0, False),
        (Window(100.0, 100.0), 100.0, False),
        (Window(not_after=0.0), 0.0, False),
        (Window(not_before=0.0), -1.0, False),
    ],
)
def test_a_window_has_its_first_second_and_not_its_last(
    window: Window, now: float, holds: bool
) -> None:
    """NotBefore is the first second in, NotAfter the first second out."""
    assert window.contains(now) is holds


@given(WINDOWS, MOMENTS)
def test_a_window_is_open_unless_it_is_before_or_over(window: Window, now: float) -> None:
    """The three answers agree, and a limit only ever narrows."""
    assert window.contains(now) is not (window.is_before(now) or window.is_over(now))
    if window.contains(now):
        assert Window(window.not_before, None).contains(now)
        assert Window(None, window.not_after).contains(now)


# -- entitlements ---------------------------------------------------------------------------


def test_one_grant_that_holds_is_enough() -> None:
    """An accounting lives as long as any of the grants that it comes from."""
    both = _entitlement("id", Window(not_after=100.0), Window(not_before=200.0))
    assert both.holds(99.0)
    assert not both.holds(150.0)
    assert both.holds(200.0)
    assert not _entitlement("id").holds(0.0)


def test_time_limits_hold_at_every_answer() -> None:
    """What has expired or not begun is left out at that moment, and only that."""
    entitlements = Entitlements(
        [
            _entitlement("always", Window()),
            _entitlement("until", Window(not_after=100.0)),
            _entitlement("from", Window(not_before=200.0)),
            _entitlement("either", Window(not_after=100.0), Window()),
        ]
    )
    assert _names(entitlements.at(99.0)) == ["always", "until", "either"]
    assert _names(entitlements.at(100.0)) == ["always", "either"]
    assert _names(entitlements.at(200.0)) == ["always", "from", "either"]


@given(st.lists(st.lists(WINDOWS, min_size=1, max_size=3), max_size=4), MOMENTS)
def test_the_quick_answer_is_the_slow_one(windows: list[list[Window]], now: float) -> None:
    """What is precomputed without time limits never differs from asking each grant."""
    entitlements = Entitlements(
        _entitlement(str(number), *each) for number, each in enumerate(windows)
    )
    asked = [each.accounting for each in entitlements.all if each.holds(now)]
    assert entitlements.at(now) == asked


@pytest.mark.parametrize("window", [Window(), Window(not_after=100.0)])
def test_another_form_is_given_once_and_told_each_time(window: Window) -> None:
    formed: list[str] = []

    def form(accounting: Accounting) -> Accounting:
        formed.append(accounting.id)
        return replace(accounting, id=f"{accounting.id} in another form")

    entitlements = Entitlements([_entitlement("id", window)], form)
    assert _names(entitlements.at(0.0)) == _names(entitlements.at(1.0)) == ["id in another form"]
    assert formed == ["id"]


def test_an_answer_belongs_to_the_caller() -> None:
    """Whoever changes the list that he got changes nobody else's."""
    for window in (Window(), Window(not_after=100.0)):
        entitlements = Entitlements([_entitlement("id", window)])
        entitlements.at(0.0).clear()
        assert _names(entitlements.at(0.0)) == ["id"]


def test_nothing_granted_is_an_empty_list() -> None:
    """A user without a grant may start nothing, and that is told by the truth of it."""
    assert Entitlements([]).at(0.0) == []
    assert not Entitlements([])


def test_entitlements_know_what_they_were_made_from() -> None:
    made = Entitlements([], made_from=["a", "b"])
    assert made.made_from == {"a", "b"}


def test_something_granted_for_another_time_is_something() -> None:
    """What has expired is still an answer, unlike no grant at all."""
    expired = Entitlements([_entitlement("id", Window(not_after=0.0))])
    assert expired.at(1.0) == []
    assert expired


# -- mapping ids ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "policy", "user_id", "identifier"),
    [
        ("simphony/mayavi:0.5", HOME_AND_VIEW, 1, "c348efa33049d28943de3a417d75f481"),
        ("simphony/mayavi:0.5", Policy(), 1, "036e1f9ee911799e43de3a417d75f481"),
        ("simphony/mayavi:0.5", HOME_AND_VIEW, 0, "c348efa33049d289a37bbbb0764cc5bf"),
        (
            "registry.example.org:5000/solver/stress:2023.1",
            EVERYTHING,
            2**128 - 1,
            "5aa3685250327be065043f48a07b6996",
        ),
        ("a", Policy.of(app_license="ü"), 1, "993c1e9cefb9671943de3a417d75f481"),
    ],
)
def test_mapping_ids_never_change(
    image: str, policy: Policy, user_id: int, identifier: str
) -> None:
    """The id of a running container is found again by every release.

    Never adapt these literals to the code: containers that run carry them.
    """
    assert mapping_id(image, policy, user_id) == identifier


@given(IMAGES, POLICIES, USER_IDS)
@example("a", Policy(), 0)
def test_a_mapping_id_is_two_halves(image: str, policy: Policy, user_id: int) -> None:
    """It has 32 lower-case hexadecimal digits; half say what, half say who."""
    identifier = mapping_id(image, policy, user_id)
    assert re.fullmatch("[0-9a-f]{32}", identifier)
    assert identifier[:16] == policy_half(image, policy)
    assert identifier[16:] == user_half(user_id)
    assert identifier == mapping_id(image, replace(policy), user_id)


@given(IMAGES, POLICIES, USER_IDS, USER_IDS)
def test_the_first_half_does_not_know_the_user(
    image: str, policy: Policy, one: int, other: int
) -> None:
    """Two users of one image and policy share the first half, and not the second."""
    first, second = mapping_id(image, policy, one), mapping_id(image, policy, other)
    assert first[:16] == second[:16]
    assert (first[16:] == second[16:]) is (one == other)


@given(IMAGES, IMAGES, POLICIES, POLICIES)
def test_different_policies_have_different_ids(
    one: str, other: str, policy: Policy, another: Policy
) -> None:
    """The first half is the same exactly for the same image and policy."""
    same = (one, policy) == (other, another)
    assert (policy_half(one, policy) == policy_half(other, another)) is same


def test_fields_cannot_run_into_each_other() -> None:
    """A licence that looks like the rest of the text makes another id."""
    tricky = Policy.of(app_license='x",true,true,null,false]')
    assert policy_half("a", tricky) != policy_half("a", Policy.of(app_license="x"))
    assert policy_half("a", Policy.of(app_license="null")) != policy_half("a", Policy())


def test_a_window_is_part_of_a_grant_s_name_only() -> None:
    """Without limits the half is the mapping id's; with limits it is another, and fixed."""
    plain = policy_half("simphony/mayavi:0.5", HOME_AND_VIEW)
    assert policy_half("simphony/mayavi:0.5", HOME_AND_VIEW, Window()) == plain
    limited = policy_half("simphony/mayavi:0.5", HOME_AND_VIEW, Window(0.0, 2.5e9))
    assert limited == "be805542b934666e"


def test_a_window_in_whole_seconds_is_no_larger() -> None:
    """Directories keep no part of a second."""
    assert Window(1.2, 2.8).whole() == Window(2.0, 2.0)
    assert Window(3.0, None).whole() == Window(3.0, None)
    assert Window().whole() == Window()


def test_windows_have_a_time_in_common() -> None:
    """It is none where one ends before the other begins."""
    assert Window().within(Window()) == Window()
    assert Window(1, None).within(Window(2, 5)) == Window(2, 5)
    assert Window(None, 9).within(Window(None, 5)) == Window(None, 5)
    assert not any(Window(1, 3).within(Window(6, 8)).contains(now) for now in range(10))


def test_rights_end_with_the_account() -> None:
    """Also what no grant limits, and however old the answer is."""
    account = Account(ends=100.0, ends_by="accountExpires")
    leaver = replace(ALICE, account=account)
    accounting = Accounting("0" * 32, leaver, Application(1, "a/b:1", ALICE.dn), Policy())
    entitlement = Entitlement(accounting, (Grant(ALICE.dn, ("a/b:1",), Policy()),))
    held = Entitlements([entitlement])
    assert entitlement.holds(99.9)
    assert held.at(99.9) == [accounting]
    assert not entitlement.holds(100)
    assert held.at(100) == []
