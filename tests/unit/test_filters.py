"""Search filters: no value escapes, and what is written is what is sent."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Union

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from ldap3.operation.search import compile_filter, parse_filter

from ldapdb.protocol import filters
from ldapdb.protocol.filters import Filter

# Text that UTF-8 can write, rich in what means something in a filter.
SPECIALS = st.sampled_from("*()\\&|!=<>~: \0\n\r\t\x1c\x85\xa0\u2003\u3000äß🦊")
TEXT = st.text(st.characters(exclude_categories=["Cs"]) | SPECIALS, max_size=12)
VALUES = TEXT | st.binary(max_size=12)
ATTRIBUTES = st.sampled_from(["cn", "uid", "entryUUID", "cn;lang-de", "2.5.4.3", "remoteAppImage"])
RULE = "1.2.840.113556.1.4.1941"

EQUAL = st.builds(filters.equal, ATTRIBUTES, VALUES)
LEAVES = (
    EQUAL
    | st.builds(filters.present, ATTRIBUTES)
    | st.builds(filters.matches, ATTRIBUTES, st.just(RULE), VALUES)
    | st.builds(filters.starts_with, ATTRIBUTES, TEXT, TEXT)
    | st.builds(filters.at_least, ATTRIBUTES, TEXT)
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: filters.all_of(*parts))
        | st.lists(inner, min_size=1, max_size=3).map(lambda parts: filters.any_of(*parts))
    ),
    max_leaves=6,
)


def _octets(value: Union[str, bytes]) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _unescape(assertion: str) -> bytes:
    """Undo RFC 4515's escaping, written from its grammar and from nothing else."""
    octets = bytearray()
    rest = assertion.encode()
    while rest:
        if rest[:1] == b"\\":
            octets.append(int(rest[1:3], 16))
            rest = rest[3:]
        else:
            assert rest[0] not in b"\0()*", "RFC 4515 wants this octet escaped"
            octets.append(rest[0])
            rest = rest[1:]
    return bytes(octets)


def _sent(search_filter: Filter) -> Any:
    """Return what ldap3 puts on the wire, with the arguments that ldapdb gives it."""
    node = parse_filter(str(search_filter), None, False, False, None, False)
    return compile_filter(node.elements[0])


@given(ATTRIBUTES, VALUES)
@example("uid", "*")
@example("uid", "a)(objectClass=*")
@example("uid", " alice ")
@example("uid", "alice\xa0")
@example("uid", "\u3000alice")
@example("uid", "\\2a")
@example("uid", "a\0b")
@example("uid", "Jürgen 🦊")
@example("uid", "")
@example("entryUUID", bytes(range(256)))
def test_any_value_survives(attribute: str, value: Union[str, bytes]) -> None:
    """The value comes back from the filter octet for octet."""
    text = str(filters.equal(attribute, value))
    assert text.startswith(f"({attribute}=")
    assert text.endswith(")")
    assert _unescape(text[len(attribute) + 2 : -1]) == _octets(value)


@given(ATTRIBUTES, VALUES)
@example("uid", "alice\xa0")
@example("uid", "\u2003alice\u2003\u2003")
@example("uid", "\x85")
@example("uid", "a=b>=c~=d:=e")
@example("uid", "*")
def test_ldap3_sends_exactly_the_value(attribute: str, value: Union[str, bytes]) -> None:
    """What ldap3 encodes is an equality match of these octets, stripped of nothing."""
    sent = _sent(filters.equal(attribute, value))
    assert sent.getName() == "equalityMatch"
    match = sent.getComponent()
    assert str(match["attributeDesc"]) == attribute
    assert bytes(match["assertionValue"]) == _octets(value)


@given(ATTRIBUTES, VALUES)
def test_ldap3_sends_exactly_the_extensible_match(attribute: str, value: Union[str, bytes]) -> None:
    """A matching rule, its attribute and its value reach the wire unchanged."""
    search_filter = filters.matches(attribute, RULE, value)
    assert str(search_filter).startswith(f"({attribute}:{RULE}:=")
    sent = _sent(search_filter)
    assert sent.getName() == "extensibleMatch"
    match = sent.getComponent()
    assert str(match["type"]) == attribute
    assert str(match["matchingRule"]) == RULE
    assert bytes(match["matchValue"]) == _octets(value)
    assert not match["dnAttributes"]


@given(ATTRIBUTES, TEXT, TEXT)
@example("description", "remoteapp", "simphony/mayavi:0.5")
@example("description", "a*b", "c)(uid=*")
@example("description", " a ", " b ")
@example("description", "a\\", "*")
@example("description", "\xa0", "")
@example("description", "", "b")
def test_any_beginning_survives(attribute: str, initial: str, containing: str) -> None:
    """Beginning and later part come back octet for octet, with the asterisks between them."""
    text = str(filters.starts_with(attribute, initial, containing))
    assert text.startswith(f"({attribute}=")
    assert text.endswith("*)")
    parts = text[len(attribute) + 2 : -1].split("*")
    assert [_unescape(part) for part in parts] == [
        initial.encode(),
        *([containing.encode()] if containing else []),
        b"",
    ]


@given(ATTRIBUTES, TEXT.filter(bool), TEXT)
@example("description", "remoteapp", "")
@example("description", " remoteapp\xa0", "\u2003a ")
@example("description", "*", "*")
def test_ldap3_sends_exactly_the_substrings(attribute: str, initial: str, containing: str) -> None:
    """What ldap3 encodes begins with the one, has the other later, and nothing else."""
    sent = _sent(filters.starts_with(attribute, initial, containing))
    assert sent.getName() == "substringFilter"
    match = sent.getComponent()
    assert str(match["type"]) == attribute
    substrings = [(each.getName(), bytes(each.getComponent())) for each in match["substrings"]]
    later = [("any", containing.encode())] if containing else []
    assert substrings == [("initial", initial.encode()), *later]


@given(st.lists(EQUAL, min_size=2, max_size=4), st.booleans())
def test_ldap3_sends_the_parts_in_their_order(parts: list[Filter], conjunction: bool) -> None:
    """A compound filter has the parts that it was built of and no others."""
    sent = _sent(filters.all_of(*parts) if conjunction else filters.any_of(*parts))
    assert sent.getName() == ("and" if conjunction else "or")
    inner = list(sent.getComponent())
    assert [each.getName() for each in inner] == ["equalityMatch"] * len(parts)
    for each, part in zip(inner, parts):
        assert each == _sent(part)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("alice", "(uid=alice)"),
        ("a*b", r"(uid=a\2ab)"),
        ("(a)", r"(uid=\28a\29)"),
        ("a\\b", r"(uid=a\5cb)"),
        ("a\0b", r"(uid=a\00b)"),
        (" a b ", r"(uid=\20a b\20)"),
        ("ä\xa0", r"(uid=ä\c2\a0)"),
        (b"\x00a\xff", r"(uid=\00\61\ff)"),
        ("", "(uid=)"),
    ],
)
def test_escaping_is_that_of_rfc_4515(value: Union[str, bytes], text: str) -> None:
    """Specials are written as a backslash and two hexadecimal digits."""
    assert str(filters.equal("uid", value)) == text


def test_builders_write_the_operators() -> None:
    """And, or and presence look as RFC 4515 has them."""
    one, two = filters.equal("a", "1"), filters.present("b")
    assert str(filters.all_of(one, two)) == "(&(a=1)(b=*))"
    assert str(filters.any_of(one, two)) == "(|(a=1)(b=*))"
    assert str(filters.none_of(one, two)) == "(!(|(a=1)(b=*)))"
    assert str(filters.none_of(one)) == "(!(a=1))"
    assert str(filters.matches("member", RULE, "cn=x")) == f"(member:{RULE}:=cn=x)"
    assert str(filters.starts_with("cn", "a")) == "(cn=a*)"
    assert str(filters.starts_with("cn", "a", "b")) == "(cn=a*b*)"
    assert str(filters.at_least("uSNChanged", "7")) == "(uSNChanged>=7)"


def test_the_attributes_of_a_filter_are_told() -> None:
    text = "(&(|(cn;lang-de=a*)(CN>=1)(2.5.4.4~=x))(!(flags:1.2.840:=2))(:dn:2.4.6:=z)(cn=(b))"
    asked = filters.attributes_of(filters.Filter(text))
    assert asked == ("cn", "CN", "2.5.4.4", "flags")
    assert str(filters.starts_with("cn", " (", "* ")) == r"(cn=\20\28*\2a\20*)"


@pytest.mark.parametrize("join", [filters.all_of, filters.any_of])
def test_one_part_needs_no_operator(join: Callable[..., Filter]) -> None:
    """A list of one is that one."""
    assert join(filters.present("cn")) == filters.present("cn")


@pytest.mark.parametrize(("join", "operator"), [(filters.all_of, "&"), (filters.any_of, "|")])
def test_no_part_is_refused(join: Callable[..., Filter], operator: str) -> None:
    """An empty list does not become the filter that matches everything."""
    with pytest.raises(ValueError, match="needs at least one part") as caught:
        join()
    assert operator in str(caught.value)


@pytest.mark.parametrize(
    "attribute", ["", "c n", "cn=*", "cn)(uid", "*", "cn:", "1", "1..2", "cn;", "cn\n", "ümlaut"]
)
def test_what_is_no_attribute_is_refused(attribute: str) -> None:
    """An attribute cannot carry anything into a filter, in any builder."""
    builders: list[Callable[[], Filter]] = [
        lambda: filters.equal(attribute, "x"),
        lambda: filters.present(attribute),
        lambda: filters.matches(attribute, RULE, "x"),
        lambda: filters.starts_with(attribute, "x"),
    ]
    for build in builders:
        with pytest.raises(ValueError, match="is not an attribute description"):
            build()


@pytest.mark.parametrize("rule", ["", "caseExactMatch", "1", "1.2:=x)(", "1.2."])
def test_what_is_no_rule_is_refused(rule: str) -> None:
    """A matching rule is named by its OID."""
    with pytest.raises(ValueError, match="is not the OID of a matching rule"):
        filters.matches("cn", rule, "x")


def test_text_beyond_utf_8_is_refused() -> None:
    """A lone surrogate is refused here, before a connection breaks over it."""
    with pytest.raises(ValueError, match="cannot be written in UTF-8"):
        filters.equal("uid", "a\ud800")
    for parts in (("a\ud800",), ("a", "\ud800")):
        with pytest.raises(ValueError, match="cannot be written in UTF-8"):
            filters.starts_with("uid", *parts)


@given(FILTERS)
def test_parse_accepts_what_the_builders_make(search_filter: Filter) -> None:
    """Everything built is a filter, with white space around it or without."""
    assert filters.parse(str(search_filter)) == search_filter
    assert filters.parse(f" {search_filter}\n") == search_filter


@given(FILTERS, st.data())
def test_parse_refuses_what_lacks_or_has_too_many_parentheses(
    search_filter: Filter, data: st.DataObject
) -> None:
    """Taking away or adding any parenthesis leaves no filter."""
    text = str(search_filter)
    places = [match.start() for match in re.finditer(r"[()]", text)]
    place = data.draw(st.sampled_from(places))
    without = text[:place] + text[place + 1 :]
    doubled = text[:place] + text[place] + text[place:]
    for mutant in (without, doubled):
        with pytest.raises(ValueError, match=r"is not a filter|goes on after"):
            filters.parse(mutant)


@pytest.mark.parametrize(
    "text",
    [
        "(objectClass=person)",
        "(cn=*)",
        "(cn=a*b*)",
        "(cn=)",
        "(cn~=a)",
        "(cn>=a)",
        "(cn<=a)",
        "(cn:=a)",
        "(cn:dn:=a)",
        "(cn:caseExactMatch:=a)",
        "(cn:dn:2.5.13.5:=a)",
        "(:2.5.13.5:=a)",
        "(:dn:2.5.13.5:=a)",
        "(2.5.4.3=a)",
        "(cn;lang-de=a)",
        r"(cn=a\2a\29)",
        "(cn=Jürgen = x)",
        "(&(a=1)(|(b=2)(!(c=3))))",
        "(&(a=1))",
        "(!(a=1))",
    ],
)
def test_parse_accepts_rfc_4515(text: str) -> None:
    """What an administrator may write is taken as it is."""
    assert str(filters.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", r"expected '\(' at position 0"),
        ("cn=a", r"expected '\(' at position 0"),
        ("()", "expected attribute=value at position 1"),
        ("(cn)", "expected attribute=value at position 1"),
        ("(=a)", "expected attribute=value at position 1"),
        ("(c n=a)", "expected attribute=value at position 1"),
        ("(cn=a", r"expected '\)' at position 5"),
        ("(cn=a))", "goes on after a complete filter, at position 6"),
        ("(cn=a)(uid=b)", "goes on after a complete filter, at position 6"),
        ("(cn=a(b)", r"expected '\)' at position 5"),
        (r"(cn=a\)", r"expected '\)' at position 5"),
        (r"(cn=\2)", r"expected '\)' at position 4"),
        ("(cn=a\0)", r"expected '\)' at position 5"),
        ("(&)", r"expected '\(' at position 2"),
        ("(|)", r"expected '\(' at position 2"),
        ("(!)", r"expected '\(' at position 2"),
        ("(!(a=1)(b=2))", r"expected '\)' at position 7"),
        ("(&(a=1)x)", r"expected '\)' at position 7"),
        ("(::=a)", "expected attribute=value at position 1"),
        ("(&(a=b)(cn=a**b))", "two asterisks after position 8"),
        ("(cn=**)", "two asterisks after position 1"),
    ],
)
def test_parse_says_where_it_stopped(text: str, reason: str) -> None:
    """What is no filter is refused with the position."""
    with pytest.raises(ValueError, match=reason):
        filters.parse(text)


def test_parse_refuses_nesting_without_end() -> None:
    """A filter nested very deep is refused rather than recursed into."""
    filters.parse("(!" * 50 + "(a=1)" + ")" * 50)
    for depth in (51, 100_000):
        with pytest.raises(ValueError, match="nested more than 50 deep"):
            filters.parse("(!" * depth + "(a=1)" + ")" * depth)


@given(st.text(max_size=30) | st.text(alphabet="()&|!=*\\:cn2. ", max_size=30))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    """Whatever comes, parsing ends with a filter that ldap3 takes or with ValueError."""
    try:
        search_filter = filters.parse(text)
    except ValueError:
        return
    assert str(search_filter) == text.strip()
    assert _sent(search_filter).isValue


@pytest.mark.parametrize("char", ["\n", "\x1b", "\x7f", "\x85", "\u2028", "\u2029"])
def test_no_value_breaks_a_line_of_the_log(char: str) -> None:
    """Filters are logged, with whatever name somebody typed."""
    octets = "".join(f"\\{octet:02x}" for octet in char.encode())
    assert str(filters.equal("uid", f"a{char}b")) == f"(uid=a{octets}b)"


def test_what_cannot_be_written_in_utf8_is_refused() -> None:
    """A variable of an environment that is not in UTF-8 comes with halves of surrogate pairs."""
    with pytest.raises(ValueError, match="UTF-8"):
        filters.parse("(cn=\udcff)")
