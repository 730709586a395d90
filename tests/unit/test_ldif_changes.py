"""LDIF change records: what is written can be read, and what cannot be read is said by line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldapdb.errors import InvalidValue
from ldapdb.protocol.dn import DN, NameMatching
from ldapdb.protocol.entry import Modification, Operation
from ldapdb.protocol.ldif import (
    Add,
    Change,
    Delete,
    Modify,
    Rename,
    Step,
    matched,
    parse,
    step_of,
    write,
)

DN_A, DN_B = DN.parse("cn=a,dc=example,dc=org"), DN.parse("ou=b,dc=example,dc=org")
ATTRIBUTES = st.sampled_from(["cn", "member", "description;lang-de"])
VALUES = st.binary(max_size=12) | st.text(max_size=12).map(
    lambda text: text.encode(errors="replace")
)
TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
NAMES = st.lists(TEXT, min_size=1, max_size=3).map(
    lambda values: DN.parse(",".join(str(DN(()).child("cn", each)) for each in values))
)
STEPS = st.builds(
    lambda operation, attribute, values: Step(operation, attribute, tuple(values)),
    st.sampled_from(Operation), ATTRIBUTES, st.lists(VALUES, min_size=1, max_size=3),
)  # fmt: skip
CHANGES = (
    st.builds(
        Add, NAMES, st.dictionaries(ATTRIBUTES, st.lists(VALUES, min_size=1), min_size=1)
    )
    | st.builds(lambda dn, steps: Modify(dn, tuple(steps)), NAMES, st.lists(STEPS, min_size=1))
    | st.builds(Delete, NAMES)
    | st.builds(
        lambda dn, rdn, deletes, above: Rename(dn, rdn.rdns[0], deletes, above),
        NAMES, NAMES, st.booleans(), st.none() | NAMES,
    )
)  # fmt: skip


def read(text: str) -> list[Change]:
    return [change for _, change in parse(text.encode())]


@given(st.lists(CHANGES, max_size=4), st.text(max_size=20))
def test_what_is_written_is_read_again(changes: list[Change], comment: str) -> None:
    text = write(changes, comment)
    assert read(text) == changes
    assert all(char == "\n" or char >= " " for char in text)


def test_each_kind_of_change_is_written_as_ldapmodify_takes_it() -> None:
    renames = [
        Rename(DN_A, DN.parse("cn=c+sn=d").rdns[0]),
        Rename(DN_A, DN_A.rdns[0], deletes_old=False, superior=DN_B),
    ]
    changes: list[Change] = [
        Add(DN_A, {"objectClass": [b"person"], "cn": [b"a", b" b", "ü".encode(), b"", b"x "]}),
        Modify(
            DN_A,
            (
                Step(Operation.ADD, "member", (b"cn=x",)),
                Step(Operation.DELETE, "description"),
                Step(Operation.REPLACE, "sn", (b"<y", b":z", b"a:<b")),
            ),
        ),
        Delete(DN.parse("cn=ü,dc=x")),
        *renames,
    ]
    assert write(changes, "made by\na test\x07") == (
        "# made by\n# a test\nversion: 1\n\n"
        "dn: cn=a,dc=example,dc=org\nchangetype: add\nobjectClass: person\n"
        "cn: a\ncn:: IGI=\ncn:: w7w=\ncn: \ncn:: eCA=\n\n"
        "dn: cn=a,dc=example,dc=org\nchangetype: modify\nadd: member\nmember: cn=x\n-\n"
        "delete: description\n-\nreplace: sn\nsn:: PHk=\nsn:: Ono=\nsn: a:<b\n-\n\n"
        "# cn=ü,dc=x\ndn:: Y249w7wsZGM9eA==\nchangetype: delete\n\n"
        "dn: cn=a,dc=example,dc=org\nchangetype: modrdn\nnewrdn: cn=c+sn=d\ndeleteoldrdn: 1\n\n"
        "dn: cn=a,dc=example,dc=org\nchangetype: modrdn\nnewrdn: cn=a\ndeleteoldrdn: 0\n"
        "newsuperior: ou=b,dc=example,dc=org\n"
    )
    assert read(write(changes)) == changes
    assert [str(each.new_dn) for each in renames] == [
        "cn=c+sn=d,dc=example,dc=org",
        "cn=a,ou=b,dc=example,dc=org",
    ]


def test_nothing_is_written_for_nothing() -> None:
    assert write([]) == ""
    assert write([], "nothing") == "# nothing\n"


def test_a_modification_of_ours_becomes_a_step() -> None:
    given_ = Modification(Operation.ADD, "cn", ("ü",))
    assert step_of(given_) == Step(Operation.ADD, "cn", ("ü".encode(),))


def test_what_people_and_tools_write_is_read() -> None:
    """Folded lines, comments, other line ends, plain UTF-8, entries, and no dash at the end."""
    text = (
        "# a comment\n that goes on\nversion: 1\n\n\n"
        "dn: cn=long,dc=exam\r\n ple,dc=org\r\nobjectClass: person\r\nObjectclass:top\r\n"
        "# between\ncn:  ü\ndescription::  YQ==\n\n\n"
        "DN: cn=a,dc=example,dc=org\nchangeType: MODIFY\nAdd: member\nMember: cn=x\n"
    )
    assert parse(text.encode()) == [
        (
            6,
            Add(
                DN.parse("cn=long,dc=example,dc=org"),
                {
                    "objectClass": [b"person", b"top"],
                    "cn": ["ü".encode()],
                    "description": [b"a"],
                },
            ),
        ),
        (15, Modify(DN_A, (Step(Operation.ADD, "member", (b"cn=x",)),))),
    ]
    assert parse(b"") == []
    assert parse(b"version: 1\ndn: cn=a\nchangetype: delete") == [(2, Delete(DN.parse("cn=a")))]


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        (" cn: a", 1, "continues no line"),
        ("dn: cn=a\ncn", 2, "attribute: value"),
        ("dn: cn=a\nü: a", 2, "attribute: value"),
        ("dn: cn=a\ncn:< file:///etc/passwd", 2, "URL"),
        ("dn: cn=a\ncn:: !!", 2, "base64"),
        ("version: 2\n\ndn: cn=a", 1, "version"),
        ("cn: a", 1, "begin with dn:"),
        ("dn: a", 1, "not a DN"),
        ("dn:: /w==\ncn: a", 1, "UTF-8"),
        ("dn: cn=a", 1, "nothing follows"),
        ("# x\n\ndn: cn=a\nchangetype: modify", 4, "nothing follows"),
        ("dn: cn=a\nchangetype: add", 2, "nothing follows"),
        ("dn: cn=a\ncontrol: 1.2.3\nchangetype: delete", 2, "control"),
        ("dn: cn=a\nchangetype: increment\ncn: a", 2, "changetype"),
        ("dn: cn=a\nchangetype: add\ncn: a\n-", 4, "dash"),
        ("dn: cn=a\nchangetype: delete\ncn: a", 3, "nothing may follow"),
        ("dn: cn=a\nchangetype: modify\nincrement: uidNumber\nuidNumber: 1\n-", 3, "none of add"),
        ("dn: cn=a\nchangetype: modify\nadd: m ember\n-", 3, "not an attribute"),
        ("dn: cn=a\nchangetype: modify\nadd: cn\nsn: a\n-", 4, "only values of cn"),
        ("dn: cn=a\nchangetype: modify\nadd: cn\n-", 3, "no value"),
        ("dn: cn=a\nchangetype: modrdn\nnewrdn: cn=b", 3, "must follow"),
        ("dn: cn=a\n2.5.4.31: cn=b", 2, "write its name"),
        ("dn: cn=a\nchangetype: modify\ndelete: 2.5.4.31\n-", 3, "write its name"),
        ("dn: cn=a\nchangetype: modrdn\ndeleteoldrdn: 1\nnewrdn: cn=b", 3, "must follow"),
        (
            "dn: cn=a\nchangetype: modrdn\nnewrdn: cn=b\nnewrdn: cn=b\ndeleteoldrdn: 1",
            3,
            "must follow",
        ),
        ("dn: cn=a\nchangetype: modrdn\nnewrdn: cn=b,cn=c\ndeleteoldrdn: 1", 3, "one RDN"),
        ("dn: cn=a\nchangetype: modrdn\nnewrdn: cn=b\ndeleteoldrdn: 2", 4, "0 or 1"),
    ],
)
def test_what_cannot_be_read_is_refused_by_line(text: str, line: int, why: str) -> None:
    with pytest.raises(InvalidValue, match=f"line {line}: .*{why}"):
        parse(text.encode())


def test_attributes_that_say_who_somebody_is_are_read_by_each_of_their_names() -> None:
    """Otherwise a new login name would be overlooked."""
    [(_, add)] = parse(b"dn: cn=a\nuserid: alice\ncommonName;lang-de: A\n")
    assert add == Add(DN.parse("cn=a"), {"uid": [b"alice"], "cn;lang-de": [b"A"]})


@pytest.mark.parametrize(
    "change",
    [
        Delete(DN.parse("cn=a")),
        Rename(DN.parse("cn=a"), DN.parse("cn=b").rdns[0]),
        Rename(DN.parse("cn=a"), DN.parse("cn=b").rdns[0], superior=DN.parse("ou=c")),
    ],
)
def test_names_of_changes_get_a_rule(change: Change) -> None:
    """All names in it are compared as the directory does."""
    after = matched(change, NameMatching.PREPARED)
    assert after == change
    assert after.dn.matching is NameMatching.PREPARED
    if isinstance(after, Rename):
        assert after.new_dn.matching is NameMatching.PREPARED
