"""Names and images of any kind as input: one value in one filter, and never two people."""

from __future__ import annotations

import string
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from typing import Any, Optional

import pytest
from fuzz import ber
from fuzz.budget import Budget
from fuzz.watch import Log, bounded
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from ldapdb import LDAPDatabase
from ldapdb.errors import LDAPDBError
from ldapdb.protocol.dn import DN
from support import Private

SEARCH, ADD = 0x63, 0x68
EQUALITY = 0xA3
KNOWN = ["alice", "john.smith2", "heidi", "kaoru"]
LONG = "\ue000"  # stands for a name of 100,000 characters, which would fill a report
PIECES = [
    *KNOWN, "*", "(", ")", "\\", "\0", ")(uid=*", "*)(objectClass=*", "\\2a", "\\", "=", ",", "+",
    '"', "<", ">", ";", "#", " ", "  ", "\u00a0", "\u3000", "\u200b", "\u00ad", "ß", "SS", "İ",
    "\u0131", "\u212a", "ﬁ", "\ud800", "\U0001f600", "&", "|", "!", "~=", ":=", "uid=alice", "\n",
    "\x7f", "ALICE", "à", "a\u0300", "x" * 300, LONG,
]  # fmt: skip
TEXTS = (
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join)
    | st.text(max_size=20)
    | st.text(string.printable, max_size=20)
)
IMAGES = TEXTS | TEXTS.map("simphony/{}".format) | st.sampled_from(["simphony/mayavi:0.5"])


class Requests:
    """Keeps what a client sends, as the server receives it."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def __call__(self, data: bytes) -> None:
        self.seen.append(data)

    def take(self) -> list[tuple[int, bytes]]:
        """Return tag and content of all requests since the last time."""
        messages, rest = ber.split(b"".join(self.seen))
        self.seen = []
        assert not rest
        taken = []
        for message in messages:
            outer = ber.element(message, 0, len(message))
            _, operation, *_ = ber.elements(message, outer.start, outer.stop)
            taken.append((operation.tag, message[operation.start : operation.stop]))
        return taken


def equalities(request: bytes) -> Iterator[tuple[str, bytes]]:
    """List the attributes and values of all equality matches in a search's filter."""
    *_, search_filter, _ = ber.elements(request, 0, len(request))
    todo = [search_filter]
    while todo:
        each = todo.pop()
        if each.tag == EQUALITY:
            attribute, value = ber.elements(request, each.start, each.stop)
            yield (
                request[attribute.start : attribute.stop].decode(),
                request[value.start : value.stop],
            )
        elif each.tag in (0xA0, 0xA1, 0xA2):  # and, or, not
            todo += ber.elements(request, each.start, each.stop)


def shape(request: bytes) -> list[int]:
    """List the tags of a search's filter, with its values left out."""
    *_, search_filter, _ = ber.elements(request, 0, len(request))
    todo, tags = [search_filter], []
    while todo:
        each = todo.pop()
        tags.append(each.tag)
        if each.tag in (0xA0, 0xA1, 0xA2):
            todo += ber.elements(request, each.start, each.stop)
    return tags


@contextmanager
def watched(sample: Private) -> Iterator[tuple[Any, Requests]]:
    """Open a database, and see what it sends."""
    requests = Requests()
    kwargs = sample.database_kwargs(
        counted=True, cache_ttl_seconds=0, cache_max_stale_seconds=0, user_name_attribute="uid"
    )
    proxy = sample.proxy()
    proxy.look = requests
    try:
        with LDAPDatabase(**kwargs) as database:
            database.get_user(user_name="alice")
            yield database, requests
    finally:
        proxy.look = None


def test_a_name_is_one_value_of_one_filter(sample: Private, budget: Budget, log: Log) -> None:
    """Whatever a name holds, the filter has the same shape and the name as its value."""
    with watched(sample) as (database, requests):
        ((_, usual),) = [each for each in requests.take() if each[0] == SEARCH][-1:]

        @seed(budget.seed)
        @settings(max_examples=ceil(budget.of("names") / 2), database=None)
        @given(TEXTS)
        def ask(text: str) -> None:
            name = text.replace(LONG, "x" * 100_000)
            found: Optional[Any] = None
            with bounded("a name", seconds=6, megabytes=50):
                try:
                    found = database.get_user(user_name=name)
                except LDAPDBError:
                    requests.take()
                else:
                    _check(name, found, usual, requests)
            log.check()
            budget.ran["names: get_user"] += 1

        ask()


def _check(name: str, found: Any, usual: bytes, requests: Requests) -> None:
    sent = [content for tag, content in requests.take() if tag == SEARCH]
    if not sent:
        assert found is None
        return
    (search,) = sent
    assert shape(search) == shape(usual)
    before = [each for each in equalities(usual) if each[0] != "uid"]
    after = list(equalities(search))
    assert [each for each in after if each[0] != "uid"] == before
    assert [value for attribute, value in after if attribute == "uid"] == [name.encode()]
    if found is not None:
        assert DN(()).child("uid", found.name) == DN(()).child("uid", name)


def test_images_and_names_change_nothing_else(sample: Private, budget: Budget, log: Log) -> None:
    """An application or a grant of any name is refused, or makes the one entry that says so."""
    everything = set(sample._contents.dns())
    with watched(sample) as (database, requests):

        @seed(budget.seed)
        @settings(max_examples=ceil(budget.of("names") / 2), database=None)
        @given(IMAGES, TEXTS, st.sampled_from(["create", "remove", "grant", "revoke"]))
        def ask(text: str, name: str, what: str) -> None:
            image = text.replace(LONG, "x" * 100_000)
            requests.take()
            with bounded(what, seconds=6, megabytes=50):
                try:
                    _do(database, image, name, what)
                except (LDAPDBError, ValueError):
                    pass
                else:
                    _undo(database, image, what)
            added = [content for tag, content in requests.take() if tag == ADD]
            for content in added:
                dn, *_ = ber.elements(content, 0, len(content))
                made = DN.parse(content[dn.start : dn.stop].decode())
                assert len(made.rdns) == 5
                assert made.is_under(DN.parse(sample.base_dn))
            log.check()
            budget.ran[f"names: {what}"] += 1

        ask()
    assert set(sample._contents.dns()) >= everything


def _do(database: Any, image: str, name: str, what: str) -> None:
    if what == "create":
        database.create_application(image)
    elif what == "remove" and image not in {each.image for each in database.list_applications()}:
        database.remove_application(app_name=image)
    elif what == "grant":
        database.grant_access(image, name, False, False, None)
    elif what == "revoke":
        database.revoke_access(image, name, False, False, None)


def _undo(database: Any, image: str, what: str) -> None:
    if what == "create":
        assert image in {each.image for each in database.list_applications()}
        database.remove_application(app_name=image)


@pytest.mark.parametrize("name", KNOWN)
def test_the_known_are_found(sample: Private, name: str) -> None:
    """The names that the others are made of are there to be found by mistake."""
    with watched(sample) as (database, _):
        assert database.get_user(user_name=name).name == name


def test_names_that_nobody_has_fill_no_memory(sample: Private) -> None:
    """Whoever may try to log in decides what is asked for, and not what is kept."""
    with LDAPDatabase(**sample.database_kwargs()) as database:
        for name in ("alice", "nobody", "x" * 1000, "x" * 1001, "x" * 100_000):
            database.get_user(user_name=name)
        assert database.cache_info()["users_by_name"].size == 3
