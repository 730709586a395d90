"""When a rejected password may be sent again, and when not."""

from __future__ import annotations

from collections.abc import Hashable

from hypothesis import given
from hypothesis import strategies as st

from ldapdb.attempts import Attempts, Busy, Login, Pause
from ldapdb.shared import Place

ONE, TWO, THREE = "ldap://one", "ldap://two", "ldap://three"
MINUTE = 60.0


def login(
    source: Hashable = "old", server: str = ONE, *others: str, account: str = "cn=a"
) -> Login:
    return Login(account, server, frozenset({server, *others}), source)


def reject(attempts: Attempts, each: Login, now: float) -> None:
    assert attempts.begin(each, now) is None
    attempts.end(each)
    attempts.reject(each, now, "wrong password")


def accept(attempts: Attempts, each: Login, now: float) -> None:
    assert attempts.begin(each, now) is None
    attempts.end(each)
    attempts.accept(each, now)


def until(attempts: Attempts, each: Login, now: float) -> float | None:
    pause = attempts.pause(each, now)
    return None if pause is None else pause.until


def moments(attempts: Attempts, each: Login, end: float) -> list[float]:
    """Send a login whenever that is allowed, and have it rejected; return when, in minutes."""
    now, found = 0.0, []
    while now <= end:
        paused = until(attempts, each, now)
        if paused is None:
            reject(attempts, each, now)
            found.append(now / MINUTE)
        else:
            assert paused > now
            now = paused
    return found


def test_retries_follow_the_schedule() -> None:
    """Two in half an hour: the third attempt is kept for a new source."""
    assert moments(Attempts(), login(), 95 * MINUTE) == [0, 1, 30, 45, 60, 75, 90]


def test_a_pause_says_why_and_how_long() -> None:
    attempts = Attempts()
    reject(attempts, login(), 10.0)
    assert attempts.pause(login(), 11.0) == Pause(70.0, 10.0, ONE, "wrong password")
    assert attempts.begin(login(), 11.0) == Pause(70.0, 10.0, ONE, "wrong password")
    assert attempts.begin(login(), 70.0) is None


def test_a_new_source_is_tried_at_once() -> None:
    attempts = Attempts()
    assert moments(attempts, login(), 20 * MINUTE) == [0, 1]
    assert until(attempts, login("new"), 20 * MINUTE) is None
    accept(attempts, login("new"), 20 * MINUTE)
    assert until(attempts, login("new"), 21 * MINUTE) is None


def test_new_sources_stay_within_the_budget() -> None:
    """A file that is written again and again with a wrong password locks no account."""
    attempts = Attempts()
    for number in range(3):
        reject(attempts, login(number), float(number))
    assert until(attempts, login(3), 3.0) == 30 * MINUTE
    assert until(attempts, login(3, account="cn=b"), 3.0) is None


def test_another_server_is_asked_at_once() -> None:
    """Where it accepts the password, the first one is down and the password is right."""
    attempts = Attempts()
    first, second = login("old", ONE, TWO), login("old", TWO, ONE)
    reject(attempts, first, 0.0)
    accept(attempts, second, 0.0)
    assert until(attempts, first, 1.0) == MINUTE
    assert until(attempts, second, 1.0) is None
    reject(attempts, second, 2.0)
    assert until(attempts, second, 2.0) == 30 * MINUTE


def test_all_servers_share_the_budget() -> None:
    attempts = Attempts()
    servers = [login("old", *each) for each in ((ONE, TWO, THREE), (TWO, ONE, THREE))]
    for each in servers:
        reject(attempts, each, 0.0)
    assert until(attempts, login("old", THREE, ONE, TWO), 0.0) == 30 * MINUTE
    assert until(attempts, login("new", THREE, ONE, TWO), 0.0) is None
    assert until(attempts, login("old", THREE), 0.0) is None  # a directory of its own


def test_an_accepted_login_ends_the_count() -> None:
    attempts = Attempts()
    for number in range(2):
        reject(attempts, login(number), float(number))
    accept(attempts, login(2), 2.0)
    reject(attempts, login(2), 3.0)
    for number in range(3, 5):
        reject(attempts, login(number), float(number))
    assert until(attempts, login(9), 9.0) == 3.0 + 30 * MINUTE


def test_the_first_login_goes_alone() -> None:
    """Eight threads that reconnect at once with a wrong password send it once."""
    attempts = Attempts()
    accept(attempts, login(), 0.0)
    assert attempts.begin(login(), 1.0, 1.0) is None
    assert isinstance(attempts.begin(login(), 1.0, 1.0), Busy)
    attempts.accept(login(), 2.0)
    attempts.end(login())
    for _ in range(2):  # those that have waited for it
        assert attempts.begin(login(), 2.0, 1.0) is None
    assert isinstance(attempts.begin(login(), 3.0, 3.0), Busy)
    attempts.end(login())
    attempts.end(login())
    assert attempts.begin(login(), 3.0, 3.0) is None


def test_logins_elsewhere_count_while_under_way() -> None:
    attempts = Attempts()
    first, second, third = (
        login("old", *each) for each in ((ONE, TWO, THREE), (TWO, ONE, THREE), (THREE, ONE, TWO))
    )
    reject(attempts, first, 0.0)
    assert attempts.begin(second, 0.0) is None
    assert isinstance(attempts.begin(third, 0.0), Busy)
    attempts.end(second)
    attempts.accept(second, 0.0)
    assert attempts.begin(third, 0.0) is None
    assert attempts.begin(second, 20.0) is None  # which accepted it


def test_a_forked_child_has_nothing_under_way() -> None:
    attempts = Attempts()
    assert attempts.begin(login(), 0.0) is None
    attempts.forget_under_way()
    assert attempts.begin(login(), 0.0) is None


@given(
    st.lists(
        st.tuples(
            st.sampled_from((ONE, TWO, THREE)),
            st.sampled_from("abcdef"),
            st.floats(0, 20 * MINUTE),
        ),
        max_size=60,
    )
)
def test_half_an_hour_has_three_rejections(asked: list[tuple[str, str, float]]) -> None:
    """Whatever is asked for, of which server and from which source."""
    attempts, now, rejected = Attempts(), 0.0, []
    for server, source, seconds in asked:
        now += seconds
        each = Login("cn=a", server, frozenset({ONE, TWO, THREE}), source)
        if attempts.begin(each, now) is None:
            attempts.end(each)
            attempts.reject(each, now, "")
            rejected.append(now)
    for moment in rejected:
        assert sum(moment <= each < moment + 30 * MINUTE for each in rejected) <= 3


@given(
    st.lists(
        st.tuples(st.sampled_from("123456"), st.floats(0.001, 20 * MINUTE)),
        max_size=60,
    )
)
def test_half_an_hour_has_three_rejections_of_what_was_accepted(
    asked: list[tuple[str, float]],
) -> None:
    """All servers have accepted the password, which was changed since."""
    attempts, now, rejected = Attempts(), 0.0, []
    servers = frozenset("123456")
    for server in servers:
        attempts.accept(Login("cn=a", server, servers, "old"), now)
    for server, seconds in asked:
        now += seconds
        each = Login("cn=a", server, servers, "old")
        if attempts.begin(each, now) is None:
            attempts.end(each)
            attempts.reject(each, now, "")
            rejected.append(now)
    for moment in rejected:
        assert sum(moment <= each < moment + 30 * MINUTE for each in rejected) <= 3


def test_a_login_whose_thread_was_interrupted_is_not_under_way() -> None:
    """An interrupt can come before any ``finally``: nobody would log in there any more."""
    attempts, place = Attempts(), Place()
    assert attempts.begin(login(), 0.0, place=place) is None
    assert isinstance(attempts.begin(login(), 1.0), Busy)
    del place
    assert attempts.begin(login(), 2.0) is None
    attempts.end(login())
    assert attempts.begin(login(), 3.0) is None
