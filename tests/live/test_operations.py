"""What reaches the server, counted on the way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from ldapdb.protocol import ber
from ldapdb.protocol.codec import split
from support import Directory, Private

pytestmark = pytest.mark.live("openldap", "389ds", "ad", stock=True)

IMAGE = "simphony/tutorial:2.0"
_END = 0x65  # SearchResultDone


@pytest.fixture
def peopled(directory: Directory) -> Directory:
    """A directory where alice may start something, and carol nothing."""
    alice = directory.person("alice")
    directory.person("carol")
    directory.application(IMAGE)
    directory.granted("tutorial", images=[IMAGE], members=[directory.group("staff", alice)])
    return directory


def test_uncached_get_user_is_one_search(peopled: Directory) -> None:
    database = peopled.open(counted=True)
    with peopled.operations() as seen:
        assert database.get_user(user_name="alice").name == "alice"
    assert seen == ["SRCH"]


@pytest.mark.parametrize("levels", [0, 1, 2, 5])
@pytest.mark.lengthy
def test_uncached_accounting_is_two_round_trips_and_one_more_per_level_of_groups(
    directory: Directory, levels: int
) -> None:
    """However many applications and grants there are."""
    alice = member = directory.person("alice")
    for level in range(levels):
        member = directory.group(f"level{level}", member)
        directory.group(f"beside{level}", member, alice)
    for number in range(60):
        directory.application(f"simphony/app:{number}", f"app{number}")
        images = [f"simphony/app:{number}"]
        directory.granted(f"grant{number}", images=images, members=[member])
    database = directory.open(counted=True)
    user = database.get_user(user_name="alice")
    with directory.operations() as seen:
        assert len(database.get_accounting_for_user(user)) == 60
    # Grants and groups, once more for each level, and the applications.
    assert seen == ["SRCH"] * (3 if directory.quirk("group searches") else 2 + levels)


@pytest.mark.live(
    "openldap", "389ds", stock=True, reason="Active Directory's groups are of one class"
)
def test_names_are_verified_where_they_decide(directory: Directory) -> None:
    """A login name in memberUid costs one search more; groups of DNs cost none."""
    directory.person("alice")
    staff = directory.group("staff", directory.person("bob"))
    posix = f"cn=posix,{directory.groups_base}"
    directory.add(
        f"dn: {posix}\nobjectClass: posixGroup\ncn: posix\ngidNumber: 1\nmemberUid: alice\n"
    )
    directory.application(IMAGE)
    directory.granted("tutorial", images=[IMAGE], members=[posix, staff])
    database = directory.open(counted=True, group_member_attribute="memberUid")
    counts = {}
    for name in ("bob", "alice"):
        user = database.get_user(user_name=name)
        with directory.operations() as seen:
            assert len(database.get_accounting_for_user(user)) == 1
        counts[name] = len(seen)
    # For bob his group, its grant, and the application, which is known by then.
    assert counts == {"bob": 3, "alice": 3}


def test_cached_calls_send_nothing(peopled: Directory) -> None:
    database = peopled.open(counted=True)

    def ask() -> list[Any]:
        user = database.get_user(user_name="alice")
        by_id = database.get_user(id=user.id)
        return [
            by_id,
            *database.get_accounting_for_user(user),
            *database.list_applications(),
            database.get_user(user_name="nobody"),
        ]

    first = ask()
    with peopled.operations() as seen:
        assert ask() == first
    assert seen == []


def test_the_first_answer_takes_few_round_trips(peopled: Directory) -> None:
    """The bind; root DSE, bases and subschema together; then the search itself.

    The subschema is where OpenLDAP has it, or is asked for once more.
    """
    elsewhere = peopled.vendor != "openldap" and not peopled.stock
    bases = 2 + bool(peopled.database_kwargs().get("groups_base"))
    with peopled.operations() as seen:
        peopled.open(counted=True).get_user(user_name="alice")
    together = 1 + bases + (not peopled.stock)
    assert seen == ["BIND", *["SRCH"] * (together + elsewhere + 1)]
    assert seen.trips == 3 + elsewhere


def test_64_threads_that_ask_for_one_cold_key_cause_one_search(peopled: Directory) -> None:
    database = peopled.open(counted=True)
    barrier = threading.Barrier(64)
    answers: list[Any] = []

    def ask() -> None:
        barrier.wait()
        answers.append(database.get_user(user_name="alice"))

    threads = [threading.Thread(target=ask) for _ in range(64)]
    with peopled.operations() as seen:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(answers)) == 1
    assert seen.count("SRCH") == 1


def test_own_writes_are_seen_at_once(peopled: Directory) -> None:
    database = peopled.open(counted=True)
    carol = database.get_user(user_name="carol")
    assert database.get_accounting_for_user(carol) == []
    mapping_id = database.grant_access(IMAGE, "carol", False, False, None)
    assert len(database.get_accounting_for_user(carol)) == 1
    database.revoke_access_by_id(mapping_id)
    assert database.get_accounting_for_user(carol) == []
    database.grant_access(IMAGE, "carol", False, False, None)
    database.remove_application(app_name=IMAGE)
    assert database.get_accounting_for_user(carol) == []
    assert IMAGE not in {each.image for each in database.list_applications()}


@pytest.mark.live("openldap", reason="its log is known; the others are counted by the same bytes")
def test_the_proxy_counts_what_the_servers_own_log_tells_of(private: Private) -> None:
    private.person("alice")
    with private.logged() as logged, private.operations() as seen:
        database = private.open(counted=True)
        database.create_application(IMAGE)
        mapping_id = database.grant_access(IMAGE, "alice", False, False, None)
        database.revoke_access_by_id(mapping_id)
        database.remove_application(app_name=IMAGE)
    assert set(seen) == {"BIND", "SRCH", "ADD", "MOD", "DEL"}
    assert seen == logged


@pytest.mark.parametrize("users_base", ["given", "the whole domain"])
def test_a_grant_takes_two_round_trips(peopled: Directory, users_base: str) -> None:
    """Also where a search of all users refers to other parts, as Active Directory's domain does."""
    settings = {"users_base": peopled.suffix} if users_base == "the whole domain" else {}
    database = peopled.open(counted=True, **settings)
    database.grant_access(IMAGE, "alice", True, False, None)
    with peopled.operations() as seen:
        database.grant_access(IMAGE, "carol", True, False, None)
    assert seen == ["SRCH", "SRCH", "SRCH", "MOD"]
    assert seen.trips == 2


def _in_another_order(answers: list[bytes]) -> bytes:
    """Let the last answer come first; the messages of each stay in their order."""
    by_number: dict[int, list[bytes]] = {}
    for message in answers:
        by_number.setdefault(split(message, 1 << 26)[0][0].number, []).append(message)
    return b"".join(message for each in reversed(by_number.values()) for message in each)


def _kind(message: bytes) -> int:
    return split(message, 1 << 26)[0][0].tag


def _messages(octets: bytes) -> list[bytes]:
    found = []
    while octets:
        _, _, stop = ber.head(octets, 0, len(octets))
        found.append(octets[:stop])
        octets = octets[stop:]
    return found


@pytest.mark.parametrize("in_order", [_in_another_order, b"".join])
def test_answers_to_what_was_asked_together_may_come_in_any_order(
    peopled: Directory, in_order: Callable[[list[bytes]], bytes]
) -> None:
    """RFC 4511, section 3.1.1: a server answers in the order that it likes."""
    database, proxy = peopled.open(counted=True), peopled.proxy()
    waiting: list[bytes] = []

    def hold_back(octets: bytes) -> bytes:
        """Pass on three answers when all of them are there."""
        waiting.append(octets)
        held = _messages(b"".join(waiting))
        if sum(_kind(message) == _END for message in held) < 3:
            return b""
        proxy.tamper = None
        return in_order(held)

    proxy.tamper = hold_back
    database.grant_access(IMAGE, "carol", False, False, None)
    assert len(_messages(b"".join(waiting))) >= 5  # an application, a user, three ends
    carol = database.get_user(user_name="carol")
    assert len(database.get_accounting_for_user(carol)) == 1
