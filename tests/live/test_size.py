"""Large directories: an accounting costs as many round trips, and reads no list of members."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from ldapdb.store import Store
from support import Directory, ldif

pytestmark = [pytest.mark.live("openldap", "389ds", "ad", stock=True), pytest.mark.slow]

LEVELS, WIDTH = 5, 60
MINE = 40
IMAGES = 200
# A list of members in an answer, whole or in ranges (RFC 4511, section 4.1.7).
MEMBERS = re.compile(rb"\x04.member(;[^\x31]*)?\x31", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Size:
    """How much there is.

    Parameters
    ----------
    grants : int
        Of which :data:`MINE` reach alice.
    members : int
        Of one group that alice is in. Where an entry of each must exist, they are fewer; more
        than Active Directory sends at once.
    trips : int
        Round trips of an accounting.
    seconds : float
        How long it may take.
    """

    grants: int
    members: int
    trips: int
    seconds: float


# Groups and grants, once more for each level of groups, then the applications: two and one for
# each. Active Directory goes up all levels in one search; another one finds a user's primary
# group, and what that is in.
#
# Samba AD DC 4.17 adds a hundred entries a second, members that are not there it refuses,
# and it has no index on member: it goes through all groups, so that its time is of their
# number.
SIZES = {
    "openldap": Size(10_000, 20_000, 2 + LEVELS, 1.0),
    "389ds": Size(10_000, 20_000, 2 + LEVELS, 1.0),
    "ad": Size(1_000, 1_510, 3, 3.0),
}
# With --full-size, which takes ten minutes. It took 3.2 s.
FULL_AD = Size(10_000, 20_000, 3, 10.0)


def entries(directory: Directory, size: Size, alice: str) -> Iterator[str]:
    """Write alice's groups, five deep, all grants and all applications."""
    above = [alice] * WIDTH
    for level in range(LEVELS):
        for number in range(WIDTH):
            name = f"level{level} {number}"
            yield written(directory, "group", name, members=[above[number]])
        above = [f"cn=level{level} {number},{directory.groups_base}" for number in range(WIDTH)]
    for number in range(size.grants):
        # Each somebody's: of one person in all of them Samba is slower by each.
        members = [above[number % WIDTH] if number < MINE - 1 else directory.dn_of(f"u{number}")]
        if number == MINE - 1:
            members = [f"cn=big,{directory.groups_base}"]
        name, image = f"grant{number}", f"simphony/app:{number % IMAGES}"
        yield written(directory, "grant", name, image=image, members=members)
    for number in range(IMAGES):
        name = f"app{number}"
        yield written(directory, "application", name, image=f"simphony/app:{number}")


def written(
    directory: Directory,
    what: str,
    name: str,
    *,
    image: str = "",
    members: Sequence[str] = (),
) -> str:
    from support.policy import Said

    if what == "group":
        attributes = directory._group(directory.group_class, name, members)
        base = directory.groups_base
    else:
        attributes = directory._saying(Said([image]), what, name, members)
        base = f"ou={what}s,{directory.base_dn}"
    return ldif.addition(f"cn={name},{base}", {**attributes, "cn": [name]})


def test_an_accounting_among_many_takes_few_round_trips_and_little_time(
    directory: Directory,
    record_property: Callable[[str, object], None],
    pytestconfig: pytest.Config,
) -> None:
    full = pytestconfig.getoption("--full-size")
    size = FULL_AD if full and directory.vendor == "ad" else SIZES[directory.vendor]
    alice = directory.person("alice")
    people = [f"u{number}" for number in range(size.members)]
    if directory.vendor == "ad":  # it refuses members that are not there
        directory.add(
            "".join(
                ldif.addition(directory.dn_of(name), {**directory._person(name), "cn": [name]})
                for name in people
            )
        )
    directory.group("big", alice)
    for start in range(0, len(people), 1000):
        directory.add_members(
            f"cn=big,{directory.groups_base}",
            *map(directory.dn_of, people[start : start + 1000]),
        )
    directory.add("".join(entries(directory, size, alice)))

    # One base for all: nothing but what an entry says tells applications from grants.
    base = directory.base_dn
    database = directory.open(counted=True, applications_base=base, grants_base=base)
    user = database.get_user(user_name="alice")
    answers: list[bytes] = []
    directory.proxy().answered = lambda _, data: answers.append(data)
    began = time.perf_counter()
    with directory.operations() as seen:
        accountings = database.get_accounting_for_user(user)
    seconds = time.perf_counter() - began
    said = f"{seen.trips} round trips, {len(seen)} searches, {seconds:.3f} s"
    record_property("accounting", said)
    if full:
        sys.stderr.write(f"{directory.vendor}, {size.grants} grants: {said}\n")
    assert {each.application.image for each in accountings} == {
        f"simphony/app:{number}" for number in range(MINE)
    }
    assert set(seen) == {"SRCH"}
    assert seen.trips == size.trips, said
    assert not MEMBERS.search(b"".join(answers))
    assert seconds < size.seconds, said


def test_a_list_of_members_is_known_when_it_is_seen(directory: Directory) -> None:
    """The test above would see one."""
    directory.application("simphony/app:1")
    directory.granted("home", images=["simphony/app:1"], members=[directory.person("alice")])
    answers: list[bytes] = []
    directory.proxy().answered = lambda _, data: answers.append(data)
    store = Store(directory.settings(counted=True))
    try:
        assert [each.members for each in store.list_grants()] == [1]
    finally:
        store.close()
    assert MEMBERS.search(b"".join(answers))
