"""Distinguished names: text in, text out, and when two are the same."""
# ruff: noqa: RUF001 -- letters that look like others are the point

from __future__ import annotations

import os
import signal
import threading

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ldapdb.protocol import dn as names
from ldapdb.protocol.dn import AVA, DN, RDN, NameMatching, Subtree, common_ancestor

# Text that UTF-8 can write, rich in what RFC 4514 escapes and in what people have in names.
SPECIALS = st.sampled_from('+,\\"#;=*()<>/ \0\n\r\t\x7f\x85\u2028') | st.sampled_from("ÄöüßéŁİı")
TEXT = st.text(st.characters(exclude_categories=["Cs"]) | SPECIALS, max_size=12)
VALUES = TEXT.filter(bool)
ATTRIBUTES = st.sampled_from(["cn", "uid", "OU", "dc", "mail", "x-y1", "2.5.4.3", "1.2.840.113556"])
RDNS = st.lists(st.builds(AVA, ATTRIBUTES, VALUES), min_size=1, max_size=3).map(tuple)
DNS = st.lists(RDNS, max_size=4).map(lambda rdns: DN(tuple(rdns)))

BASE = DN.parse("ou=people,dc=example,dc=org")


def _value(text: str) -> str:
    """Return the value of the first RDN."""
    return DN.parse(text).rdns[0][0].value


@given(DNS)
def test_a_name_survives_its_text(dn: DN) -> None:
    """What is written is read back to the character, whatever the values are."""
    again = DN.parse(str(dn))
    assert again == dn
    assert again.rdns == dn.rdns
    assert hash(again) == hash(dn)


@given(VALUES)
@example("Weber, Keller and Partners")
@example("#1")
@example(" both ends ")
@example("  ")
@example(" ")
@example("a\\2Cb")
@example('"quoted"')
@example("uid=x+y,z;<>")
@example("*)(uid=*")
@example("a\0b")
@example("Ärger im Büro ")
@example("🦊 + 🐻")
def test_a_value_cannot_leave_its_place(value: str) -> None:
    """No value adds an RDN, ends one early or changes on the way."""
    child = BASE.child("cn", value)
    assert DN.parse(str(child)).rdns == ((AVA("cn", value),), *BASE.rdns)
    assert child.parent == BASE


@given(VALUES)
def test_text_has_no_character_that_breaks_a_line_or_a_filter(value: str) -> None:
    """A name can stand in a log line: control characters and separators are escaped."""
    text = str(BASE.child("cn", value))
    assert not set(text) & set('\0\n\r\t\x7f\x85\u2028\u2029"<>;')
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "cn=plain"),
        ("a,b", r"cn=a\2Cb"),
        ("a+b", r"cn=a\2Bb"),
        ('a"b', r"cn=a\22b"),
        ("a\\b", r"cn=a\5Cb"),
        ("a;b", r"cn=a\3Bb"),
        ("a<b>", r"cn=a\3Cb\3E"),
        ("a=b", r"cn=a\3Db"),
        ("#a#", r"cn=\23a#"),
        (" a b ", r"cn=\20a b\20"),
        (" ", r"cn=\20"),
        ("a\0b", r"cn=a\00b"),
        ("a\nb", r"cn=a\0Ab"),
        ("\u2028", r"cn=\E2\80\A8"),
        ("Müller", "cn=Müller"),
        ("*(x)", "cn=*(x)"),
    ],
)
def test_escaping_is_that_of_rfc_4514(value: str, text: str) -> None:
    """Specials are written in the hexadecimal form, which every server accepts."""
    assert str(DN(((AVA("cn", value),),))) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"cn=Weber\, Keller", r"cn=Weber\2C Keller"),  # Samba; OpenLDAP
        (r"cn=Weber\, Keller", r"cn=Weber\2c Keller"),
        (r"cn=a\+b", r"cn=a\2Bb"),
        (r"cn=\#a", r"cn=\23a"),
        (r"cn=\ a\ ", r"cn=\20a\20"),
        (r"cn=a\=b", "cn=a=b"),
        (r"cn=M\C3\BCller", "cn=Müller"),
        ("cn=#0C0161", "cn=a"),
        ("cn=#040161 ,dc=x", "cn=a,dc=x"),
        ("CN=Alice,OU=People", "cn=alice,ou=people"),
        ("cn = alice , ou = people", "cn=alice,ou=people"),
        ("cn=a+uid=b,dc=x", "uid=b+cn=a,dc=x"),
        ("cn=ÄRGER", "cn=ärger"),
    ],
)
def test_spellings_of_one_name_are_equal(one: str, other: str) -> None:
    """Two spellings that all directories take for one name are one name and one key."""
    for matching in NameMatching:
        names = [DN.parse(each, matching) for each in (one, other)]
        assert names[0] == names[1]
        assert len(set(names)) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cn=Mu\u0308ller", "cn=M\u00fcller"),  # decomposed; composed
        ("cn=Alice  B", "cn=alice b"),
        (r"cn=\20alice", "cn=alice"),
        ("2.5.4.3=alice", "cn=alice"),
        ("commonName=alice", "cn=alice"),
        ("userid=alice", "0.9.2342.19200300.100.1.1=alice"),
        ("cn=ﬁrma", "cn=firma"),  # a ligature
        ("cn=Kim ²", "cn=kim 2"),
        ("cn=Ａ\u00a0Ｂ", "cn=a b"),  # full width; a space that does not break
        ("cn=\u212b", "cn=å"),  # the sign of a unit
        ("cn=Ǆ", "cn=dž"),
    ],
)
def test_only_openldap_prepares_names(one: str, other: str) -> None:
    """What one directory keeps apart is one name in the other's DNs alone, also as a parent."""
    exact = [DN.parse(each) for each in (one, other)]
    prepared = [DN.parse(each, NameMatching.PREPARED) for each in (one, other)]
    assert exact[0] != exact[1]
    assert prepared[0] == prepared[1]
    assert prepared[0].child("cn", "x") == prepared[1].child("cn", "x")
    assert prepared[0].child("cn", "x").parent == prepared[1]
    assert not exact[0].child("cn", "x").is_under(exact[1])
    assert [each.matched(NameMatching.PREPARED) for each in exact] == prepared
    assert prepared[0].matched(NameMatching.PREPARED) is prepared[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cn=a", "cn=b"),
        ("cn=a", "uid=a"),
        ("cn=a,dc=x", "cn=a"),
        ("cn=a,dc=x", "cn=a,dc=y"),
        ("cn=a,dc=x", "dc=x,cn=a"),
        (r"cn=a\,dc=x", "cn=a,dc=x"),
        ("cn=a+uid=b", "cn=a,uid=b"),
        ("cn=a+uid=b", "cn=a"),
        ("cn=a b", "cn=ab"),
        ("cn=straße", "cn=strasse"),  # as OpenLDAP has it, against RFC 4518
        ("cn=™", "cn=tm"),
        ("cn=Ⅳ", "cn=iv"),
        ("cn=a\tb", "cn=a b"),
        ("cn=Ⲁ", "cn=ⲁ"),  # letters that are younger than the servers' tables
        ("cn=𝐚", "cn=a"),
        ("cn=\uf900", "cn=\u8c48"),
        ("cn=i̇", "cn=İ"),
    ],
)
def test_names_of_two_entries_differ(one: str, other: str) -> None:
    """What differs in more than spelling is not equal, whatever the directory."""
    for matching in NameMatching:
        assert DN.parse(one, matching) != DN.parse(other, matching)


def test_a_name_equals_no_text() -> None:
    """A name is compared with names alone."""
    assert DN.parse("cn=a") != "cn=a"
    assert {DN.parse("cn=a"): 1}.get("cn=a") is None  # type: ignore[call-overload]  # that is the point


@given(VALUES, st.booleans())
def test_equal_names_have_equal_hashes(value: str, upper: bool) -> None:
    """A name is found in a dictionary by any spelling that is equal to it."""
    one = BASE.child("cn", value)
    other = BASE.child("CN", value.upper() if upper else value.lower())
    assume(one == other)
    assert {one: True}[other]


@pytest.mark.parametrize("text", ["", " ", "  "])
def test_empty_text_is_the_root(text: str) -> None:
    """The root's name has no RDN, and is its own parent."""
    root = DN.parse(text)
    assert root.rdns == ()
    assert str(root) == ""
    assert root.parent == root


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("cn=", ""),
        ("cn= a b ", "a b"),
        (r"cn=a\  ", "a "),
        (r"cn=a\20 ", "a "),
        (r"cn=\20 \20", "   "),
        (r"cn=\20", " "),
        (r"cn=\C3\A4", "ä"),
        (r"cn=\\", "\\"),
        (r"cn=\"a\"", '"a"'),
        ("cn=a#b", "a#b"),
        ("cn=a=b=c", "a=b=c"),
        ("cn=#0C03414243", "ABC"),
        ("cn=#0402c3a4", "ä"),
        ("cn=#130161", "a"),
        ("cn=#160161", "a"),
        ("cn=#140161", "a"),
        ("cn=#047f" + "61" * 127, "a" * 127),
    ],
)
def test_values_are_read_as_rfc_4514_says(text: str, value: str) -> None:
    """Escapes are undone, spaces count where they are escaped, BER strings are decoded."""
    assert _value(text) == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("alice", "expected '='"),
        ("=alice", "an attribute type"),
        ("cn", "expected '='"),
        ("cn=a,", "an attribute type"),
        (",cn=a", "an attribute type"),
        ("cn=a,,dc=x", "an attribute type"),
        ("cn=a+", "an attribute type"),
        ("cn=a+b", "expected '='"),
        ("c n=a", "expected '='"),
        ("c_n=a", "expected '='"),
        ("cn=a;dc=x", "no unescaped ;"),
        ('cn="a"', 'no unescaped "'),
        ("cn=<a>", "no unescaped <"),
        ("cn=a>", "no unescaped >"),
        ("cn=a\\", "an escaped character"),
        (r"cn=a\2", "an escaped character"),
        (r"cn=a\x", "an escaped character"),
        (r"cn=\C3", "UTF-8"),
        (r"cn=\FF\FE", "UTF-8"),
        ("cn=#", "the BER encoding"),
        ("cn=#04", "the BER encoding"),
        ("cn=#0400", "the BER encoding"),
        ("cn=#040261", "the BER encoding"),
        ("cn=#020161", "the BER encoding"),
        ("cn=#0481" + "80" + "61" * 128, "the BER encoding"),
        ("cn=#0400" + "61" * 128, "the BER encoding"),
        ("cn=#0402" + "61" * 130, "the BER encoding"),
        ("cn=#0402c328", "UTF-8"),
        ("cn=#xyz", "hexadecimal digits"),
        ("cn=#041", "hexadecimal digits"),
    ],
)
def test_what_is_no_name_is_refused(text: str, reason: str) -> None:
    """Malformed text raises ValueError with the text and the reason."""
    with pytest.raises(ValueError, match="is not a DN") as caught:
        DN.parse(text)
    assert reason in str(caught.value)
    assert repr(text) in str(caught.value)


@given(st.text(max_size=30) | st.text(alphabet='cn=,+\\"#;a0F ', max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever comes, parsing ends with a name or with ValueError."""
    try:
        dn = DN.parse(text)
    except ValueError:
        return
    assert DN.parse(str(dn)) == dn


@pytest.mark.parametrize("attribute", ["", "c n", "1cn", "cn=x", "cn,dc", "cn;lang-de", "1..2"])
def test_child_refuses_what_is_no_attribute(attribute: str) -> None:
    """An attribute type cannot smuggle in another RDN."""
    with pytest.raises(ValueError, match="is not an attribute type"):
        BASE.child(attribute, "a")


def test_child_refuses_an_empty_value() -> None:
    """An RDN without a value names nothing."""
    with pytest.raises(ValueError, match="needs a value for 'cn'"):
        BASE.child("cn", "")


def test_representation_names_the_type() -> None:
    """A name in a log is told apart from text."""
    assert repr(DN.parse("cn=a\\,b,dc=x")) == r"DN('cn=a\\2Cb,dc=x')"


@given(DNS, DNS)
def test_is_under_is_the_suffix_relation(upper: DN, lower: DN) -> None:
    """A name is under each of its own endings, and under no other."""
    whole = DN(lower.rdns + upper.rdns)
    assert whole.is_under(upper)
    assert whole.is_under(DN(()))
    assert upper.is_under(whole) == (not lower.rdns)


@pytest.mark.parametrize(
    ("name", "base", "under"),
    [
        ("uid=a,OU=People,dc=example,dc=org", "ou=people,dc=example,dc=org", True),
        ("ou=people,dc=example,dc=org", "ou=people,dc=example,dc=org", True),
        ("dc=example,dc=org", "ou=people,dc=example,dc=org", False),
        (r"uid=a\,ou=people,dc=example,dc=org", "ou=people,dc=example,dc=org", False),
        ("uid=a,ou=xpeople,dc=example,dc=org", "ou=people,dc=example,dc=org", False),
        ("uid=a,ou=people,dc=example,dc=com", "ou=people,dc=example,dc=org", False),
    ],
)
def test_is_under_compares_whole_rdns(name: str, base: str, under: bool) -> None:
    """Text that merely ends alike is not below."""
    assert DN.parse(name).is_under(DN.parse(base)) is under


@pytest.mark.parametrize(
    ("first", "second", "ancestor"),
    [
        ("ou=a,dc=x,dc=org", "ou=b,dc=x,dc=org", "dc=x,dc=org"),
        ("ou=a,dc=x", "ou=c,OU=A,dc=x", "ou=a,dc=x"),
        ("ou=c,ou=a,dc=x", "ou=a,dc=x", "ou=a,dc=x"),
        ("ou=a,dc=x", "ou=a,dc=x", "ou=a,dc=x"),
        ("ou=a,dc=x", "ou=a,dc=y", None),
        ("", "ou=a,dc=y", None),
    ],
)
def test_common_ancestor_is_the_lowest(first: str, second: str, ancestor: str | None) -> None:
    """Both names are under it, and nothing below it has that property."""
    found = common_ancestor(DN.parse(first), DN.parse(second))
    assert found == (None if ancestor is None else DN.parse(ancestor))


def test_a_letter_is_compared_the_same_wherever_it_stands() -> None:
    """A capital sigma ends no word here: str.lower() would make another letter of it."""
    assert DN.parse("cn=ΟΔΟΣ") == DN.parse("cn=οδοσ")


@pytest.mark.parametrize("depth", [1, 120, 1000, 20_000])
def test_a_name_may_be_deep(depth: int) -> None:
    """No directory has such an entry, but a member may be any text."""
    name = DN.parse(",".join(["cn=x"] * depth))
    assert len(name.rdns) == depth
    assert DN.parse(str(name)) == name


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_compares_names_though_a_thread_of_its_parent_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`functools.cached_property` would make it wait for ever before Python 3.12."""
    begun, may_end, compute = threading.Event(), threading.Event(), names._rdn_key

    def slow(rdn: RDN, matching: NameMatching) -> frozenset[tuple[str, str]]:
        if threading.current_thread() is thread:
            begun.set()
            may_end.wait(20)
        return compute(rdn, matching)

    thread = threading.Thread(target=lambda: DN.parse("cn=parent").key)
    monkeypatch.setattr(names, "_rdn_key", slow)
    thread.start()
    assert begun.wait(20)
    child = os.fork()
    if not child:
        signal.alarm(10)
        os._exit(0 if DN.parse("cn=child") == DN.parse("CN=Child") else 1)
    _, status = os.waitpid(child, 0)
    may_end.set()
    thread.join()
    assert status == 0


@given(DNS, DNS)
def test_a_subtree_is_the_same_relation(base: DN, name: DN) -> None:
    """For names as text, which are parsed only where their ends do not tell."""
    below = DN((*name.rdns, *base.rdns))
    for each in (base, name, below):
        for text in (str(each), str(each).upper(), str(each).replace(",", ", ")):
            try:
                parsed = DN.parse(text)
            except ValueError:
                continue
            assert Subtree(base).holds(text) == parsed.is_under(base)


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        ("OU=People,DC=example,DC=org", True),
        ("uid=alice,OU=PEOPLE,dc=example,dc=org", True),
        (r"cn=a\,ou=people,dc=example,dc=org", False),
        (r"cn=a\\,ou=people,dc=example,dc=org", True),
        ("cn=ä,organizationalUnitName=people,dc=example,dc=org", True),
        ("uid=alice,ou=otherpeople,dc=example,dc=org", False),
        ("xou=people,dc=example,dc=org", False),
        ("dc=example,dc=org", False),
        ("", False),
        ("is not a name", True),
    ],
)
def test_a_subtree_holds_names_below(text: str, inside: bool) -> None:
    """A comma that is escaped ends no RDN; text that is not a name is for the reader to reject."""
    assert Subtree(BASE.matched(NameMatching.PREPARED)).holds(text) is inside
    assert Subtree(DN(())).holds(text)
