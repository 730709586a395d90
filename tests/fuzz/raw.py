"""Entries as no administrator would write them, and as a broken server may send them."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from ldapdb.entries import (
    ALLOW_HOME,
    ALLOW_STARTUP_DATA,
    ALLOW_VIEW,
    APPLICATION_CLASS,
    DESCRIPTION,
    GRANT_CLASS,
    IMAGE,
    LICENSE,
    MEMBER,
    MEMBER_UID,
    NOT_AFTER,
    NOT_BEFORE,
    OBJECT_SID,
    PRIMARY_GROUP_ID,
    VOLUME,
)
from ldapdb.protocol.entry import OBJECT_CLASS

MEGABYTE = 1_000_000
HUGE = [
    b"a" * MEGABYTE,
    b"a" * MEGABYTE + b"!",
    b"a." * (MEGABYTE // 2),
    b"a-" * (MEGABYTE // 2),
    b"a/" * (MEGABYTE // 2) + b"A",
    b"[" + b":" * MEGABYTE,
    b"/" * MEGABYTE + b":/b:ro",
    b"9" * MEGABYTE,
    b"20990101000000." + b"9" * MEGABYTE + b"Z",
    b"cn=" + b"\\41" * (MEGABYTE // 3),
    b"cn=x," * 20_000 + b"dc=org",
    b"\xff" * MEGABYTE,
    b"remoteapp grant image=a " + b"view=TRUE " * 50_000,
    b"remoteapp grant image=a " + b"license=" + b"'\"" * 200_000,
]
ODD = [
    b"", b" ", b"\0", b"\n", b"\r\nERROR forged", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"*",
    b")(uid=*", b"<script>", b"\xef\xac\x80", b"\xef\xbc\xb4RUE", b"\xd9\xa1", b"true", b"TRUE ",
    b" TRUE", b"TRUE\0", b"True", b"1", b"yes", b"TRUE\n", b"-1", b"1_0", b"+7", b"0x10", b"1e3",
    "\u2028".encode(), b"a:b:c:d", b"{", b"a" * 300,
]  # fmt: skip
GOOD = {
    IMAGE: [b"a", b"b/c:1", b"simphony/mayavi:0.5", b"a@sha256:" + b"0" * 64],
    LICENSE: [b"1234", b"27000@licence.example.org", "clé".encode()],
    ALLOW_HOME: [b"TRUE", b"FALSE"],
    ALLOW_VIEW: [b"TRUE", b"FALSE"],
    ALLOW_STARTUP_DATA: [b"TRUE", b"FALSE"],
    VOLUME: [b"/a:/b:ro", b"/a:/b:rw", b"/a b:/c d:ro"],
    NOT_BEFORE: [b"20200101000000Z", b"2098010100+0130", b"20200101000000.9Z"],
    NOT_AFTER: [b"20201231235959Z", b"20991231235959.5Z", b"209912312359-01"],
}
TIMES = [
    b"20200230000000Z", b"20201231235960Z", b"20201231240000Z", b"00000101000000Z",
    b"99991231235959-2300", b"00010101000000+2300", b"2020", b"20200101000000", b"20200101000000z",
    b"20200101000000+9999", b"20200101000000,5Z", b"20200101000000.Z", b"2020010100.5Z",
]  # fmt: skip
NEAR = {
    IMAGE: [b"A", b"a:", b"a b", b"a//b", b"a\n", b"a<b>"],
    LICENSE: [b"1\n2", b"<b>"],
    ALLOW_HOME: [b"true", b"True", b"TRUE ", b" TRUE", b"TRUE\n", b"1", b"yes", b"FALSE "],
    ALLOW_VIEW: [b"true", b"TRUE\0", b"\xef\xbc\xb4RUE", b"TRUEFALSE"],
    ALLOW_STARTUP_DATA: [b"true", b"T", b"TRUE\r"],
    VOLUME: [b"/a:/b", b"/a:/b:RW", b"/a:/b:rw ", b"a:/b:rw", b"/a:b:rw", b"/a:/b:rw:ro", b"::"],
    NOT_BEFORE: TIMES,
    NOT_AFTER: TIMES,
}
OURS = [c.encode() for c in (GRANT_CLASS, APPLICATION_CLASS)]
CLASSES = [*OURS, GRANT_CLASS.upper().encode(), b"groupOfNames", b"top", b"remoteAppGrantX"]
DNS = [
    "cn=x,ou=grants,ou=remoteapp,dc=example,dc=org", "CN=a\\2Cb+uid=c,dc=example,dc=org", "",
    "cn=", "cn=#0401ff", "cn=#04", "nonsense", "cn=\\", "cn=x,,dc=org", "cn=\0,dc=org",
    "cn=x\nERROR forged,dc=org", "cn=\\ff,dc=org", "1.2.3.=x", "cn=" + "y" * 100_000,
    "dc=org," * 5000 + "dc=org", "cn=x;dc=org", "cn=\u2028,dc=org",
]  # fmt: skip
SOUND_WORDS = [
    *("home=TRUE", "home=FALSE", "view=true", "startup-data=TRUE", "volume=/a:/b:ro"),
    *("volume='/a b:/c:rw'", "license=x", "license='home=TRUE'", "IMAGE=b/c:1"),
    *("not-after=20201231235959Z", "not-before=20980101000000Z"),
]
ODD_WORDS = [
    *("remoteapp", "application", "grant", "image=a", "view='TRUE", "home=TRUE\\", "image="),
    *("home=yes", "view=1", "startup-data=", "volume=/a:/b", "view='TRUE '", "home=", "volume="),
    *("not-after=", "not-after=never", "=", "'", '"', "\\", "#", "\n", "\u00a0", "\u3000", "\0"),
    *(
        "\ufeff",
        "colour=red",
        "home=TRUE=FALSE",
        "license='a home=TRUE",
        "volume='/a:/b:rw home=TRUE'",
    ),
]


@st.composite
def _line(draw: st.DrawFn) -> str:
    """Draw a line that is sound but for a word or two."""
    words = draw(st.lists(st.sampled_from(SOUND_WORDS), max_size=4, unique=True))
    for odd in draw(st.lists(st.sampled_from(ODD_WORDS), max_size=2)):
        words.insert(draw(st.integers(0, len(words))), odd)
    start = draw(
        st.sampled_from(["remoteapp grant image=a"] * 6 + ["remoteapp grant", "remoteapp"])
    )
    return " ".join([start, *words])


MORE_TEXTS: list[list[bytes]] = [
    *([[]] * 40), [b"\xff"], [b"remoteapp grant image=a \xff"], [HUGE[-2]], [HUGE[-1]],
]  # fmt: skip


def _damaged(good: Sequence[bytes], near: Sequence[bytes] = ()) -> st.SearchStrategy[list[bytes]]:
    """Draw values of which at least one is not as it must be, or too many, or none."""
    wrong = st.sampled_from([*near, *near, *ODD]) | st.binary(max_size=12)
    several = st.lists(wrong | st.sampled_from(good), min_size=2, max_size=3)
    huge = st.sampled_from(HUGE)
    many = st.sampled_from([1, 3000]).map(lambda count: [b"%d" % n for n in range(count)])
    return st.integers(0, 39).flatmap(
        lambda n: wrong.map(lambda v: [v]) if n < 20 else several if n < 36
        else huge.map(lambda v: [v]) if n < 38 else many if n < 39 else st.just([])
    )  # fmt: skip


OPTIONS = [";lang-de", ";x-;y", ";range=0-0", ";binary"]


@st.composite
def _attribute(
    draw: st.DrawFn, name: str, good: Sequence[bytes], near: Sequence[bytes] = (), *, sound: bool
) -> tuple[str, list[bytes]]:
    """Draw an attribute as the server gives it: its name, in any case, and its values."""
    spelled = draw(st.sampled_from([name, name, name.upper(), name.lower(), name.swapcase()]))
    if sound:
        return spelled, [draw(st.sampled_from(good))]
    if draw(st.integers(0, 3)) == 0:
        return spelled + draw(st.sampled_from(OPTIONS)), [draw(st.sampled_from(good))]
    return spelled, draw(_damaged(good, near))


@st.composite
def grants(draw: st.DrawFn) -> tuple[str, dict[str, list[bytes]]]:
    """Draw a DN and attributes with the names that a server gave them.

    Most are sound: what is damaged in many places gives nothing, whatever one place does.
    """
    damaged = draw(st.sets(st.sampled_from([*GOOD, OBJECT_CLASS, MEMBER, "dn"]), max_size=2))
    classes = [CLASSES[2:4], [], ODD] if OBJECT_CLASS in damaged else [OURS, OURS[:1]]
    attributes = {OBJECT_CLASS: draw(st.sampled_from(classes))}
    for name, good in GOOD.items():
        if name == IMAGE or name in damaged or draw(st.booleans()):
            sound = name not in damaged
            given, values = draw(_attribute(name, good, NEAR.get(name, ()), sound=sound))
            attributes[given] = values
    if draw(st.booleans()):
        lines = draw(st.lists(_line(), min_size=1, max_size=draw(st.sampled_from([1, 1, 1, 2]))))
        texts = [line.encode() for line in lines]
        attributes[DESCRIPTION] = texts + draw(st.sampled_from(MORE_TEXTS))
    if draw(st.booleans()):
        dns = [dn.encode() for dn in DNS]
        for name, some in ((MEMBER, dns), (MEMBER_UID, [b"alice", b"Bob"])):
            given, values = draw(_attribute(name, some, sound=MEMBER not in damaged))
            attributes[given] = values
    return draw(st.sampled_from(DNS if "dn" in damaged else DNS[:2])), attributes


IDENTIFIERS = [
    b"7a0b1c2d-0000-103f-8000-0123456789ab", b"7a0b1c2d-0000103f-80000123-456789ab",
    b"0123456789abcdef", b"1000", b"{7a0b1c2d-0000-103f-8000-0123456789ab}",
    b"urn:uuid:7a0b1c2d-0000-103f-8000-0123456789ab", b"7a0b1c2d0000103f80000123456789ab",
    b" 1000", b"1_000", b"01000", b"-5", b"+1000", b"1000 ", b"\xd9\xa1\xd9\xa0",
]  # fmt: skip
SIDS = [
    b"\x01\x05" + b"\0" * 6 + b"\x15\0\0\0" * 5, b"\x01\x02" + b"\0" * 6 + b"\x20\0\0\0" * 2,
    b"\x01", b"", b"\x01\xff" + b"\0" * 100,
]  # fmt: skip


@st.composite
def people(draw: st.DrawFn, name: str, identifier: str) -> tuple[str, dict[str, list[bytes]]]:
    """Draw a person's entry, with the name and the identifier in given attributes."""
    sound: list[tuple[str, list[bytes], list[bytes]]] = [
        (name, [b"alice", b"Bob", "zoë".encode()], []),
        (identifier, IDENTIFIERS, []),
        (OBJECT_SID, SIDS[:2], SIDS[2:]),
        (PRIMARY_GROUP_ID, [b"513"], [b"51_3", b" 513", b"-513", b"+513", b"4294967296"]),
    ]
    damaged = draw(st.sets(st.integers(0, 3), max_size=1))
    absent = draw(st.sets(st.integers(0, 9), max_size=1))
    attributes = {}
    for number, (attribute, good, near) in enumerate(sound):
        if number not in absent:
            given, values = draw(_attribute(attribute, good, near, sound=number not in damaged))
            attributes[given] = values
    return draw(st.sampled_from([DNS[0], DNS[0], DNS[0], *DNS])), attributes
