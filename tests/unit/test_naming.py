"""Names of the entries that ldapdb makes."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ldapdb.model import Policy, Window
from ldapdb.naming import account_name, application_cn, grant_cn, is_made_here
from ldapdb.protocol.dn import DN
from ldapdb.store.linting_mend import SCRATCH
from ldapdb.wellformed import check_image

DIGEST = "sha256:9f1d6b0c5a7e42d38b64e0c1f7a92d5536c8be14d07f3a2b9e6150c4d8a7b3f2"
HOME_AND_VIEW = Policy(allow_home=True, allow_view=True)
BASE = DN.parse("ou=applications,dc=example,dc=org")

PARTS = st.text(alphabet="ab1", min_size=1, max_size=40)
TAGS = st.text(alphabet="aAbB1_", min_size=1, max_size=20)
IMAGES = st.one_of(
    PARTS,
    st.builds("{}/{}:{}".format, PARTS, PARTS, TAGS),
    st.builds("{}.Example.org:5000/{}:{}".format, PARTS, PARTS, TAGS),
    st.builds(f"{{}}@{DIGEST}".format, PARTS),
).map(check_image)
POLICIES = st.builds(Policy, allow_home=st.booleans(), allow_view=st.booleans())
WINDOWS = st.builds(Window, st.none() | st.just(1.0), st.none() | st.just(2.0))
ATTEMPTS = st.integers(1, 12)


@pytest.mark.parametrize(
    ("image", "cn"),
    [
        ("simphony/mayavi:0.5", "simphony/mayavi:0.5"),
        ("a" * 64, "a" * 64),
        ("a" * 65, "a" * 47 + "~635361c48bb9eab1"),
        ("simphony/jupyter:LTS-2023", "simphony/jupyter:lts-2023~b40799b89b5bd569"),
        (
            f"simphony/lattice@{DIGEST}",
            "simphony/lattice@sha256:9f1d6b0c5a7e42d38b64e0c~63f52122f8701eef",
        ),
    ],
)
def test_names_of_applications_never_change(image: str, cn: str) -> None:
    """Every release finds, and collides over, the entry that an earlier one made."""
    assert application_cn(image) == cn


@pytest.mark.parametrize(
    ("window", "attempt", "cn"),
    [
        (Window(), 1, "simphony/mayavi:0.5~c348efa33049d289"),
        (Window(), 2, "simphony/mayavi:0.5~c348efa33049d289.2"),
        (Window(0.0, 2.5e9), 1, "simphony/mayavi:0.5~be805542b934666e"),
    ],
)
def test_names_of_grants_never_change(window: Window, attempt: int, cn: str) -> None:
    """Processes of two releases that grant the same meet in one entry."""
    assert grant_cn("simphony/mayavi:0.5", HOME_AND_VIEW, window, attempt) == cn


@given(IMAGES, POLICIES, WINDOWS, ATTEMPTS)
def test_names_fit_every_directory(
    image: str, policy: Policy, window: Window, attempt: int
) -> None:
    """A cn has at most 64 characters and begins as the image does, in lower case."""
    for cn in (application_cn(image), grant_cn(image, policy, window, attempt)):
        assert 1 <= len(cn) <= 64
        assert cn == cn.lower()
        readable = cn.partition("~")[0]
        assert image.lower().startswith(readable)
        assert readable == image.lower() or len(readable) >= 40


@given(IMAGES, IMAGES, st.booleans())
def test_two_images_never_share_a_name(one: str, other: str, swapped: bool) -> None:
    """Different images have names that differ even where case does not count."""
    if swapped:
        name, colon, tag = one.rpartition(":")
        other = name + colon + (tag.swapcase() if name and "/" not in tag else tag)
    assume(one != other)
    assert application_cn(one).casefold() != application_cn(other).casefold()
    assert BASE.child("cn", application_cn(one)) != BASE.child("cn", application_cn(other))


def test_images_that_begin_alike_have_different_names() -> None:
    """What is cut off is in the hash."""
    images = [f"registry.example.org/{'a' * 60}:{number}" for number in range(1000)]
    assert len({application_cn(image) for image in images}) == 1000


@given(
    st.tuples(IMAGES, POLICIES, WINDOWS, ATTEMPTS), st.tuples(IMAGES, POLICIES, WINDOWS, ATTEMPTS)
)
def test_two_grants_never_share_a_name(
    one: tuple[str, Policy, Window, int], other: tuple[str, Policy, Window, int]
) -> None:
    """Image, policy, window and attempt are all in the name."""
    assert (grant_cn(*one).casefold() == grant_cn(*other).casefold()) is (one == other)


@given(IMAGES)
def test_a_short_plain_image_is_its_own_name(image: str) -> None:
    """An administrator finds the image in the tree; only then there is no hash."""
    plain = len(image) <= 64 and image == image.lower()
    assert (application_cn(image) == image) is plain
    assert ("~" in application_cn(image)) is not plain


# -- account names of Active Directory ------------------------------------------------------

FORBIDDEN = frozenset('"/\\[]:;|=,+*?<>@')  # [MS-SAMR], section 3.1.1.6
UNIQUE = st.text(alphabet="0123456789abcdef", min_size=12, max_size=12)


@pytest.mark.parametrize(
    ("cn", "name"),
    [
        ("simphony/mayavi:0.5", "simphony-mayavi-0.5-0123456789ab"),
        (
            "simphony/mayavi:0.5~c348efa33049d289",
            "simphony-mayavi-0.5~c348efa33049d289-0123456789ab",
        ),
        ("a_b.c@sha256", "a_b.c-sha256-0123456789ab"),
        ("a" * 64, "a" * 51 + "-0123456789ab"),
        ("[::1]:5000/a", "---1--5000-a-0123456789ab"),
    ],
)
def test_an_account_name_is_readable(cn: str, name: str) -> None:
    """It begins as the entry's name does, as far as the domain allows."""
    assert account_name(cn, "0123456789ab") == name


@given(IMAGES.map(application_cn) | st.text(max_size=80), UNIQUE)
def test_an_account_name_is_allowed(cn: str, unique: str) -> None:
    """Whatever the entry is called, its account has no forbidden character and may be that long."""
    name = account_name(cn, unique)
    assert not FORBIDDEN & set(name)
    assert all(char.isprintable() and not char.isspace() for char in name)
    assert len(name) <= 64
    assert not name.endswith(".")


@given(IMAGES, POLICIES, WINDOWS, ATTEMPTS, UNIQUE)
def test_an_account_name_of_any_image_is_allowed(
    image: str, policy: Policy, window: Window, attempt: int, unique: str
) -> None:
    """An image of any form, registered or granted, gets an account name of ASCII letters."""
    for cn in (application_cn(image), grant_cn(image, policy, window, attempt)):
        name = account_name(cn, unique)
        assert not FORBIDDEN & set(name)
        assert len(name) <= 64
        assert name.isascii()
        assert name[0] == cn[0]


@given(st.text(max_size=80), UNIQUE, UNIQUE)
def test_two_accounts_never_share_a_name(cn: str, one: str, other: str) -> None:
    """An entry that has been renamed keeps its account name and is in nobody's way."""
    assert (account_name(cn, one) == account_name(cn, other)) is (one == other)
    assert account_name(cn, one).endswith(f"-{one}")


@given(IMAGES, POLICIES, WINDOWS, ATTEMPTS)
def test_a_name_tells_who_made_a_grant(
    image: str, policy: Policy, window: Window, attempt: int
) -> None:
    made = grant_cn(image, policy, window, attempt)
    assert is_made_here(made)
    assert is_made_here(made.upper())
    assert is_made_here(f"{SCRATCH}0123456789abcdef")
    for by_hand in ("design-office", image, f"{made}-staff", "home~alice", f"old {SCRATCH}1"):
        assert not is_made_here(by_hand)
