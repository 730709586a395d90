"""Ways from a member to an entry, and what explanations make of times."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Optional, TypeVar

from hypothesis import given
from hypothesis import strategies as st

from ldapdb.model import Grant, Policy, Window
from ldapdb.protocol.dn import DN
from ldapdb.store.explaining import Link
from ldapdb.store.ways import MOST_WAYS, Graph, links
from ldapdb.store.why import in_time
from ldapdb.syntaxes import said_time

T = TypeVar("T")
NOW = 1_000_000_000.0


def dn(name: str) -> DN:
    return DN.parse(f"cn={name},dc=example,dc=org")


def holders(*pairs: str) -> dict[DN, dict[DN, str]]:
    """Read pairs such as ``a>b``: b has a as a member."""
    found: dict[DN, dict[DN, str]] = {}
    for pair in pairs:
        member, _, holder = pair.partition(">")
        found.setdefault(dn(member), {})[dn(holder)] = "member"
    return found


def steps(names: Sequence[T]) -> list[tuple[T, T]]:
    return list(zip(names, names[1:]))


def names(ways: list[tuple[Link, ...]]) -> list[str]:
    return [" ".join(link.dn.rdns[0][0].value for link in way) for way in ways]


def test_all_ways_are_listed_the_shortest_first() -> None:
    having = holders("u>a", "u>b", "a>b", "b>c", "a>g", "c>g", "u>g", "b>x")
    assert names(links(having, dn("u"), dn("g"))) == ["g", "a g", "b c g", "a b c g"]


def test_no_way_leads_through_an_entry_twice() -> None:
    having = holders("u>a", "a>b", "b>a", "a>a", "b>g", "g>a", "a>u")
    assert names(links(having, dn("u"), dn("g"))) == ["a b g"]


def test_where_no_way_leads_there_is_none() -> None:
    assert links(holders("u>a", "b>g"), dn("u"), dn("g")) == []


def test_without_nesting_a_way_has_one_group() -> None:
    having = holders("u>a", "a>b", "a>g", "b>g", "u>g")
    assert names(links(having, dn("u"), dn("g"), 2)) == ["g", "a g"]


def test_the_attribute_is_that_of_the_entry_that_has_the_member() -> None:
    having = {dn("u"): {dn("a"): "memberUid"}, dn("a"): {dn("g"): "uniqueMember"}}
    [way] = links(having, dn("u"), dn("g"))
    assert way == (Link(dn("a"), "memberUid"), Link(dn("g"), "uniqueMember"))


def test_ways_are_cut_off_where_nobody_reads_them() -> None:
    """Twelve storeys of four groups, each in all of the next: 16 million ways."""
    storeys = [["u"], *([f"s{n}-{i}" for i in range(4)] for n in range(12)), ["g"]]
    pairs = [
        f"{member}>{holder}"
        for below, above in steps(storeys)
        for member in below
        for holder in above
    ]
    found = links(holders(*pairs), dn("u"), dn("g"))
    assert len(found) == MOST_WAYS
    assert {len(way) for way in found} == {13}


NODES = "uabcdg"
PAIRS = [f"{one}>{other}" for one, other in itertools.permutations(NODES, 2)]


@given(st.sets(st.sampled_from(PAIRS)), st.sampled_from([None, 2, 3]))
def test_ways_are_those_that_trying_all_finds(pairs: set[str], longest: Optional[int]) -> None:
    wanted = {
        " ".join((*between, "g"))
        for count in range(len(NODES) - 1)
        for between in itertools.permutations("abcd", count)
        if all(f"{one}>{other}" in pairs for one, other in steps(("u", *between, "g")))
        and (longest is None or count < longest)
    }
    found = names(links(holders(*pairs), dn("u"), dn("g"), longest))
    assert set(found) == wanted
    assert len(found) == len(wanted)
    assert [len(way) for way in found] == sorted(len(way) for way in found)


def test_the_ways_to_several_grants_are_put_in_order() -> None:
    graph = Graph(holders=holders("u>a", "a>long", "u>short"))
    grants = [Grant(dn(name), ("i:1",), Policy()) for name in ("long", "short")]
    ways = graph.ways(dn("u"), grants)
    assert [way.grant.dn for way in ways] == [dn("short"), dn("long")]


def test_times_are_told_by_the_day_and_second() -> None:
    grants = [
        Grant(dn("over"), ("i:1",), Policy(), Window(None, NOW)),
        Grant(dn("coming"), ("i:1",), Policy(), Window(NOW + 1, None)),
        Grant(dn("open"), ("i:1",), Policy(), Window(NOW, NOW + 1)),
    ]
    told = [(reason.kind, reason.text) for reason in in_time(grants, NOW)]
    assert told == [
        ("expired", f"'{dn('over')}' has expired, on 2001-09-09 01:46:40 UTC"),
        ("not-begun", f"'{dn('coming')}' has not begun; it does on 2001-09-09 01:46:41 UTC"),
    ]
    assert said_time(-62_135_596_800) == "0001-01-01 00:00:00 UTC"
