"""The list of all users: what changes while it is read or kept is in the next one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection

import pytest

from ldapdb.client import Deadline
from ldapdb.errors import DeadlineExceeded, DirectoryUnavailable
from ldapdb.model import User
from ldapdb.protocol.dn import DN
from ldapdb.store import everybody
from ldapdb.store.everybody import Everybody, Shared, UserList, told_apart

TTL = 60.0


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def dn_of(name: str) -> DN:
    return DN.parse(f"uid={name},ou=people,dc=example,dc=org")


class Directory:
    """Some users, and what has been asked."""

    def __init__(self, *names: str) -> None:
        self.users = {name: User(number, name, dn_of(name)) for number, name in enumerate(names)}
        self.asked: list[object] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def all(self) -> list[User]:
        self.asked.append("all")
        users = list(self.users.values())
        self.meanwhile()
        return users

    def again(self, dns: Collection[DN]) -> list[User]:
        self.asked.append(set(dns))
        users = [user for user in self.users.values() if user.dn in dns]
        self.meanwhile()
        return users

    def warn(self, shared: Shared) -> None:
        self.asked.append({user.dn for user in shared.skipped})

    def add(self, name: str) -> set[DN]:
        self.users[name] = User(len(self.users) + 100, name, dn_of(name))
        return {dn_of(name)}

    def remove(self, name: str) -> set[DN]:
        return {self.users.pop(name).dn}


def told(users: UserList, directory: Directory) -> list[str]:
    """Return the names that are listed."""
    return [user.name for user in users.get(directory, Deadline(1))]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def users(clock: Clock) -> UserList:
    return UserList(TTL, 4, clock)


def test_only_what_has_changed_is_read_again(users: UserList) -> None:
    directory = Directory("bob", "alice")
    assert told(users, directory) == told(users, directory) == ["alice", "bob"]
    users.touch(directory.remove("alice") | directory.add("Carol"), may_be_users=True)
    assert told(users, directory) == ["bob", "Carol"]
    users.touch({dn_of("group")}, may_be_users=False)
    assert told(users, directory) == ["bob", "Carol"]
    assert directory.asked == ["all", {dn_of("alice"), dn_of("Carol")}]
    users.touch(directory.remove("bob"), may_be_users=False)  # who was one is looked at
    assert told(users, directory) == ["Carol"]


def test_what_changes_while_all_is_read_is_read_again(users: UserList) -> None:
    directory = Directory("alice", "bob")
    directory.meanwhile = lambda: users.touch(directory.remove("bob"), may_be_users=True)
    users.refresh(directory)
    directory.meanwhile = lambda: None
    assert told(users, directory) == ["alice"]
    assert directory.asked == ["all", {dn_of("bob")}]


def test_what_is_forgotten_while_it_is_read_is_not_kept(users: UserList) -> None:
    directory = Directory("alice")
    directory.meanwhile = users.drop
    assert told(users, directory) == ["alice"]
    told(users, directory)
    assert directory.asked == ["all", "all"]
    directory.meanwhile = lambda: None
    told(users, directory)
    users.touch(directory.add("bob"), may_be_users=True)
    directory.meanwhile = users.drop
    assert told(users, directory) == ["alice", "bob"]
    assert directory.asked[-2:] == [{dn_of("bob")}, "all"]


def test_what_could_not_be_read_again_is_the_next_time(users: UserList) -> None:
    directory = Directory("alice")
    told(users, directory)
    users.touch(directory.remove("alice"), may_be_users=True)

    def fail() -> None:
        raise DirectoryUnavailable("down")

    directory.meanwhile = fail
    with pytest.raises(DirectoryUnavailable):
        told(users, directory)
    directory.meanwhile = lambda: None
    assert told(users, directory) == []


def test_too_many_are_not_kept(users: UserList, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = Directory(*"abcd")
    assert len(told(users, directory)) == 4
    assert not users.is_too_long
    monkeypatch.setattr(everybody, "_MOST_CHANGED", 2)
    users.touch({dn_of(name) for name in "abc"}, may_be_users=True)
    told(users, directory)
    assert directory.asked == ["all", "all"]  # more than is read one by one
    users.touch(directory.add("e"), may_be_users=True)
    assert len(told(users, directory)) == 5
    assert users.is_too_long


def test_what_is_out_of_date_serves_only_while_somebody_reads_it(
    users: UserList, clock: Clock
) -> None:
    directory = Directory("alice")
    told(users, directory)
    clock.now += TTL
    told(users, directory)
    assert directory.asked == ["all", "all"]
    users.is_tended = True
    clock.now += TTL
    told(users, directory)
    users.outdate()
    told(users, directory)
    assert directory.asked == ["all", "all"]
    users.tend(directory)
    assert directory.asked == ["all", "all", "all"]
    users.tend(directory)
    users.outdate()
    told(users, directory)
    assert len(directory.asked) == 3
    users.tend(directory)
    assert len(directory.asked) == 4
    clock.now += TTL + everybody.TENDED_SECONDS
    told(users, directory)
    assert len(directory.asked) == 5


def test_what_is_tended_is_read_before_anybody_asks(users: UserList) -> None:
    directory = Directory("alice")
    told(users, directory)
    users.touch(directory.add("bob"), may_be_users=True)
    users.tend(directory)
    users.tend(directory)
    assert directory.asked == ["all", {dn_of("bob")}]
    users.drop()
    users.tend(directory)
    assert told(users, directory) == ["alice", "bob"]
    assert directory.asked[2:] == ["all"]


def test_what_is_forgotten_at_each_change_is_not_read_all_the_time(
    users: UserList, clock: Clock
) -> None:
    """Whoever asks reads it; nobody else does for more than a twentieth of the time."""
    directory = Directory("alice")

    def take_a_second() -> None:
        clock.now += 1

    directory.meanwhile = take_a_second
    told(users, directory)
    for _ in range(19):
        users.drop()
        clock.now += 1
        users.tend(directory)
    assert directory.asked == ["all"]
    clock.now += 1
    users.tend(directory)
    assert directory.asked == ["all", "all"]


def fail() -> None:
    raise DirectoryUnavailable("too slow")


def test_what_a_caller_has_no_time_for_is_read_by_whoever_has(
    users: UserList, clock: Clock
) -> None:
    """A long list is there at the next question, however long a caller tried before."""
    directory = Directory("alice")

    def take_too_long() -> None:
        clock.now += 5
        fail()

    users.is_tended = True
    directory.meanwhile = take_too_long
    with pytest.raises(DirectoryUnavailable):
        told(users, directory)
    directory.meanwhile = lambda: None
    users.tend(directory)
    assert directory.asked == ["all", "all"]
    assert told(users, directory) == ["alice"]
    assert directory.asked == ["all", "all"]


def test_callers_wait_for_whoever_has_the_time(users: UserList) -> None:
    """They would keep each other and the directory busy otherwise."""
    directory = Directory("alice")
    users.is_tended = True
    directory.meanwhile = fail
    with pytest.raises(DirectoryUnavailable):
        told(users, directory)
    with pytest.raises(DeadlineExceeded, match="another thread"):
        users.get(directory, Deadline(0.05))
    assert directory.asked == ["all"]
    directory.meanwhile = lambda: None
    names: list[str] = []
    thread = threading.Thread(target=lambda: names.extend(told(users, directory)))
    thread.start()
    users.tend(directory)
    thread.join()
    assert names == ["alice"]
    assert directory.asked == ["all", "all"]


def test_what_nobody_has_the_time_for_is_not_read_all_the_time(
    users: UserList, clock: Clock
) -> None:
    """Whoever fails after a minute rests for one; whoever asks then reads himself."""
    directory = Directory("alice")
    users.is_tended = True
    directory.meanwhile = fail
    with pytest.raises(DirectoryUnavailable):
        told(users, directory)

    def take_a_minute() -> None:
        clock.now += 60
        fail()

    directory.meanwhile = take_a_minute
    with pytest.raises(DirectoryUnavailable):
        users.tend(directory)
    directory.meanwhile = fail
    with pytest.raises(DirectoryUnavailable, match="too slow"):
        told(users, directory)
    clock.now += 59
    users.tend(directory)
    assert directory.asked == ["all"] * 3
    clock.now += 1
    directory.meanwhile = lambda: None
    users.tend(directory)
    assert directory.asked == ["all"] * 4


def test_whoever_waits_for_another_s_reading_waits_no_longer_than_his_call(
    users: UserList,
) -> None:
    directory, reading, over = Directory("alice"), threading.Event(), threading.Event()

    def wait() -> None:
        reading.set()
        over.wait(5)

    directory.meanwhile = wait
    thread = threading.Thread(target=told, args=(users, directory))
    thread.start()
    assert reading.wait(5)
    with pytest.raises(DeadlineExceeded, match="another thread"):
        users.get(directory, Deadline(0.05))
    over.set()
    thread.join()
    assert told(users, directory) == ["alice"]
    assert directory.asked == ["all"]


def test_those_who_share_a_name_are_listed_when_they_do_not() -> None:
    one, two = User(1, "Alice", dn_of("one")), User(2, "alice", dn_of("two"))
    many = Everybody([one, two, one, User(3, "bob", dn_of("bob"))])
    assert [user.id for user in many.listed()] == [3]
    assert many.shared() == [Shared("the name 'alice'", (one, two), (one, two))]
    assert many.put([two.dn], []) == []
    assert [user.id for user in many.listed()] == [1, 3]
    assert many.put([], [two]) == many.shared()
    assert [user.id for user in many.listed()] == [3]
    spelled = DN.parse("UID=One, OU=People, DC=Example, DC=org")
    many.put([spelled], [])
    assert [user.id for user in many.listed()] == [2, 3]
    assert len(many) == 2


def listed(many: Everybody) -> list[str]:
    """Return the places of those who are listed; the list of a single look is the same."""
    users = list(many._by_dn.values())
    once, shared = told_apart([*users, *users])
    assert once == many.listed()
    assert {each.what: each.skipped for each in shared} == {
        each.what: each.skipped for each in many.shared()
    }
    return [user.dn.rdns[0][0].value for user in once]


def named(place: str, user_id: int, name: str, *aliases: tuple[int, str], rank: int = 0) -> User:
    return User(user_id, name, dn_of(place), rank=rank, aliases=aliases)


def test_users_who_share_ids_are_skipped() -> None:
    """They are listed again when one of them has another id."""
    one, two, three = named("a", 0, "a"), named("b", 0, "b"), named("c", 5, "c")
    many = Everybody([one, two, three])
    assert listed(many) == ["c"]
    assert many.shared() == [Shared("the id 0", (one, two), (one, two))]
    changed = named("b", 5, "b")
    assert many.put([two.dn], [changed]) == [Shared("the id 5", (three, changed), (three, changed))]
    assert listed(many) == ["a"]
    assert many.put([three.dn], []) == []
    assert listed(many) == ["a", "b"]


def test_alias_of_another_user_is_shared() -> None:
    """Only who has it as the own name is skipped: the other one is found by the own name."""
    alice, al = named("a", 1, "alice", (0, "AL")), named("b", 2, "al", (0, "bob"))
    many = Everybody([alice, al])
    assert listed(many) == ["a"]
    assert many.shared() == [Shared("the name 'al'", (alice, al), (al,))]
    many.put([], [named("a", 1, "alice")])
    assert listed(many) == ["b", "a"]


def test_preferred_attribute_decides_about_name() -> None:
    """A name in a later attribute takes nothing from the user who has it in the first one."""
    first = named("a", 1, "al")
    alias, own = named("b", 2, "bob", (1, "al")), named("c", 3, "al", rank=1)
    many = Everybody([alias, first, own])
    assert listed(many) == ["a", "b"]
    assert [each.skipped for each in many.shared()] == [(own,)]
    many.put([first.dn], [])
    assert listed(many) == ["b"]
    many.put([alias.dn], [])
    assert listed(many) == ["c"]


@pytest.mark.parametrize("end", ["\\0A", "\\0D", "\\0A'", "\\0D=", "'\\2C '"])
def test_no_value_reads_as_the_end_of_another(end: str) -> None:
    """A line break in a value made one user of two, so that the list had one of them."""
    inside = User(1, "inside", DN.parse(f"uid=a{end}ou=people,dc=x"))
    outside = User(2, "outside", DN.parse("uid=a,ou=people,dc=x"))
    assert Everybody([inside, outside]).listed() == [inside, outside]
