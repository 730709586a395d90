"""What an entry says, and that what it does not say clearly gives nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ldapdb import entries
from ldapdb.entries import (
    ALLOW_HOME,
    ALLOW_STARTUP_DATA,
    ALLOW_VIEW,
    APPLICATION_CLASS,
    GRANT_ATTRIBUTES,
    GRANT_CLASS,
    GROUP_CLASS,
    IMAGE,
    LICENSE,
    NOT_AFTER,
    NOT_BEFORE,
    POLICY_ATTRIBUTES,
    VOLUME,
    grant_attributes,
    is_application,
    is_grant,
    read_application,
    read_grant,
    read_identifier,
    read_images,
    read_user,
    without_class,
)
from ldapdb.errors import InvalidValue
from ldapdb.model import Policy, User, Window
from ldapdb.protocol.dn import DN, NameMatching
from ldapdb.protocol.entry import OBJECT_CLASS, Entry, Modification, Operation
from ldapdb.syntaxes import IdentifierForm

UUID = b"00112233-4455-6677-8899-aabbccddeeff"
NUMBER = 0x00112233445566778899AABBCCDDEEFF
MAYAVI = "simphony/mayavi:0.5"

DECIDING = (ALLOW_HOME, ALLOW_VIEW, ALLOW_STARTUP_DATA, VOLUME, NOT_BEFORE, NOT_AFTER, LICENSE)
FORMS = st.sampled_from(IdentifierForm)


def _entry(dn: str = "cn=x,dc=example,dc=org", /, **attributes: Any) -> Entry:
    """Make an entry; values may be text, octets or a list of either."""
    made: dict[str, list[bytes]] = {}
    for name, given_values in attributes.items():
        values = given_values if isinstance(given_values, list) else [given_values]
        made[name.lower()] = [
            value.encode() if isinstance(value, str) else value for value in values
        ]
    return Entry(dn, made)


def _grant_entry(**attributes: Any) -> Entry:
    return _entry(**{IMAGE: MAYAVI, **attributes})


def _rights(policy: Policy) -> set[str]:
    """Name what a policy allows beyond starting the image."""
    flags = ("allow_home", "allow_view", "allow_startup_data", "allow_common")
    return {name for name in flags if getattr(policy, name)}


# -- names ----------------------------------------------------------------------------------


def test_no_name_stands_twice() -> None:
    """Every constant of the module is public, and no two are the same name."""
    constants = {
        name: value
        for name, value in vars(entries).items()
        if name.isupper() and isinstance(value, (str, tuple))
    }
    assert set(constants) <= {*entries.__all__, "OBJECT_CLASS"}
    names = [value.lower() for value in constants.values() if isinstance(value, str)]
    assert len(set(names)) == len(names)


def test_a_grant_is_read_whole() -> None:
    """What is asked of a server for a grant is all that decides about it."""
    assert set(GRANT_ATTRIBUTES) == {OBJECT_CLASS, IMAGE, *DECIDING}
    assert set(POLICY_ATTRIBUTES) == set(DECIDING)


# -- entries --------------------------------------------------------------------------------


def test_attributes_are_found_without_regard_to_case() -> None:
    """Attribute names are case-insensitive; servers answer in their own spelling."""
    entry = _entry(remoteAppImage=["a", "b"])
    assert entry.values("REMOTEAPPIMAGE") == ["a", "b"]
    assert entry.values("remoteAppVolume") == []


def test_a_single_value_is_the_only_one() -> None:
    """None where there is none; an error, and no guess, where there are several."""
    assert _entry(cn="Jürgen").value("cn") == "Jürgen"
    assert _entry().value("cn") is None
    with pytest.raises(InvalidValue, match="cn has 2 values and may have one"):
        _entry(cn=["a", "b"]).value("cn")


def test_octets_that_are_no_text_are_refused() -> None:
    """A value that is not UTF-8 is an error that names the attribute."""
    with pytest.raises(InvalidValue, match="cn is not UTF-8"):
        _entry(cn=b"\xff").values("cn")


@pytest.mark.parametrize("spelling", [b"remoteAppGrant", b"REMOTEAPPGRANT", b"remoteappgrant"])
def test_classes_are_compared_without_regard_to_case(spelling: bytes) -> None:
    """A class is recognised in any spelling, and by its whole name."""
    entry = _entry(objectClass=[b"top", spelling])
    assert is_grant(entry)
    assert not is_application(entry)
    assert entry.has_class("TOP")
    assert not entry.has_class("remoteApp")


def test_one_entry_may_be_application_and_grant() -> None:
    """The two classes say two things, and either may be absent."""
    both = _entry(objectClass=[APPLICATION_CLASS, GRANT_CLASS])
    assert is_application(both)
    assert is_grant(both)
    neither = _entry(objectClass=[GROUP_CLASS])
    assert not is_application(neither)
    assert not is_grant(neither)
    assert not is_grant(_entry())


# -- users ----------------------------------------------------------------------------------


def _read_user(entry: Entry, *attributes: str) -> User:
    return read_user(entry, attributes or ("uid",), "entryUUID", IdentifierForm.UUID_TEXT)


def test_a_user_has_the_directory_s_spelling() -> None:
    """Name, id and place are the entry's own."""
    user = _read_user(_entry("uid=Alice,dc=x", uid="Alice", entryuuid=UUID))
    assert user == User(NUMBER, "Alice", DN(()))
    assert user.dn == DN.parse("uid=alice,dc=x")


@pytest.mark.parametrize(
    ("rdn", "names", "own"),
    [
        ("uid=Zoe", ["alice", "Zoe"], "Zoe"),
        ("userid=  ZOE", ["alice", "zoe"], "zoe"),
        ("uid=a\u00b2", ["a\u00b2", "a2"], "a\u00b2"),
        ("cn=z+uid=zoe", ["alice", "zoe"], "zoe"),
        ("cn=zoe", ["zoe"], "zoe"),
        ("cn=zoe", ["zoe", "bob", "alice"], "alice"),
        ("cn=zoe", ["alice", "Zoe"], "Zoe"),
        ("uid=gone", ["b", "a"], "a"),
    ],
)
def test_own_name_follows_from_entry(rdn: str, names: list[str], own: str) -> None:
    """It is the value in the RDN, else the only one, else the first in sorted order."""
    matching = NameMatching.PREPARED  # which knows userid, and ignores the spaces
    read = [
        _read_user(replace(_entry(f"{rdn},dc=x", uid=several, entryuuid=UUID), matching=matching))
        for several in (names, names[::-1])
    ]
    assert [user.name for user in read] == [own, own]
    assert read[0].login_names == read[1].login_names
    assert sorted(read[0].login_names) == sorted(names)


def test_login_names_have_ranks() -> None:
    """The own name is in the first attribute that the entry has; others follow with ranks."""
    attributes = ("uid", "cn", "mail")
    entry = _entry(cn=["zoe", "anna"], mail=[b"\xff", b" ", "zoe", "a@b"], entryuuid=UUID)
    user = _read_user(entry, *attributes)
    assert (user.rank, user.name) == (1, "anna")
    assert user.aliases == ((1, "zoe"), (2, "a@b"), (2, "zoe"))
    assert user.login_names == ("anna", "zoe", "a@b")


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"entryuuid": UUID}, "uid is absent or may not be read"),
        ({"uid": "alice"}, "entryUUID has 0 values and must have one"),
        ({"uid": "alice", "entryuuid": [UUID, UUID]}, "entryUUID has 2 values"),
        ({"uid": "alice", "entryuuid": b"no uuid"}, "entryUUID is not a uuid"),
        ({"uid": "alice", "entryuuid": UUID[:-1]}, "entryUUID is not a uuid"),
        ({"uid": "", "entryuuid": UUID}, "the user name is empty"),
        ({"uid": "<b>", "entryuuid": UUID}, "the user name '<b>' must not contain '<'"),
        ({"uid": b"\xff", "entryuuid": UUID}, "uid is not UTF-8"),
    ],
)
def test_an_unreadable_user_says_why(attributes: dict[str, Any], reason: str) -> None:
    """A person without a well-formed name or identifier is refused with the reason."""
    with pytest.raises(InvalidValue, match=reason):
        _read_user(_entry(**attributes))


# S-1-5-21-…-1104, and the group 513 of the same domain.
SID = bytes.fromhex("0105000000000005150000000102030405060708090a0b0c50040000")
DOMAIN_USERS = SID[:-4] + bytes.fromhex("01020000")


@pytest.mark.parametrize(
    ("attributes", "group"),
    [
        ({"objectsid": SID, "primarygroupid": "513"}, DOMAIN_USERS),
        ({"objectsid": SID}, None),
        ({"primarygroupid": "513"}, None),
        ({"objectsid": [SID, SID], "primarygroupid": "513"}, None),
        ({}, None),
    ],
)
def test_a_user_s_group_by_number_is_read(attributes: dict[str, Any], group: bytes | None) -> None:
    """Active Directory keeps one group of each user in two attributes; what is hidden is none."""
    user = _read_user(_entry(uid="alice", entryuuid=UUID, **attributes))
    assert user.primary_group == group


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"objectsid": SID, "primarygroupid": "users"}, "objectSid or primaryGroupID: "),
        ({"objectsid": SID, "primarygroupid": "51_3"}, "objectSid or primaryGroupID: "),
        ({"objectsid": SID, "primarygroupid": "-1"}, "-1 is not the number of an account"),
        ({"objectsid": b"S-1-5-21", "primarygroupid": "513"}, "not a security identifier"),
        ({"objectsid": SID, "primarygroupid": ["513", "514"]}, "primaryGroupID has 2 values"),
    ],
)
def test_an_unclear_group_by_number_is_refused(attributes: dict[str, Any], reason: str) -> None:
    """A user whose groups cannot be told is left out, with the reason."""
    with pytest.raises(InvalidValue, match=reason):
        _read_user(_entry(uid="alice", entryuuid=UUID, **attributes))


def test_identifiers_are_read_in_their_form() -> None:
    """An identifier may be text, octets or a number."""
    entry = _entry(uidnumber="1000", objectguid=bytes.fromhex("33221100554477668899aabbccddeeff"))
    assert read_identifier(entry, "uidNumber", IdentifierForm.INTEGER) == 1000
    assert read_identifier(entry, "objectGUID", IdentifierForm.UUID_BYTES_LE) == NUMBER
    entry = _entry(nsuniqueid="00112233-44556677-8899aabb-ccddeeff")
    assert read_identifier(entry, "nsUniqueId", IdentifierForm.HEXADECIMAL) == NUMBER


# -- applications ---------------------------------------------------------------------------


def test_an_application_is_its_image() -> None:
    """Image, id and place are the entry's own."""
    entry = _entry("cn=mayavi,dc=x", entryuuid=UUID, **{IMAGE: MAYAVI})
    application = read_application(entry, "entryUUID", IdentifierForm.UUID_TEXT)
    assert (application.id, application.image) == (NUMBER, MAYAVI)
    assert application.dn == DN.parse("cn=mayavi,dc=x")


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({}, "remoteAppImage is absent or may not be read"),
        ({IMAGE: ["a", "b"]}, "remoteAppImage has 2 values and may have one"),
        ({IMAGE: "<script>"}, "'<script>' is not a Docker reference"),
        ({IMAGE: "a", "entryuuid": []}, "entryUUID has 0 values"),
        ({IMAGE: b"\xff"}, "remoteAppImage is not UTF-8"),
    ],
)
def test_an_unreadable_application_says_why(attributes: dict[str, Any], reason: str) -> None:
    """An entry that is no single well-formed image is refused with the reason."""
    entry = _entry(**{"entryuuid": UUID, **attributes})
    with pytest.raises(InvalidValue, match=reason):
        read_application(entry, "entryUUID", IdentifierForm.UUID_TEXT)


@pytest.mark.parametrize("read", [_read_user, read_grant])
def test_an_entry_with_a_broken_name_is_refused(read: Callable[[Entry], Any]) -> None:
    """A server that sends what is no DN names no entry."""
    entry = _entry("cn=x,,", uid="alice", entryuuid=UUID, **{IMAGE: MAYAVI})
    with pytest.raises(InvalidValue, match="'cn=x,,' is not a DN"):
        read(entry)


# -- grants ---------------------------------------------------------------------------------


def test_a_grant_says_what_its_attributes_say() -> None:
    """Images, policy and window are read from one entry."""
    grant = read_grant(
        _grant_entry(
            remoteAppImage=[MAYAVI, "simphony/paraview:5.11"],
            remoteAppLicense="27000@licence.example.org",
            remoteAppAllowHome="TRUE",
            remoteAppAllowView="FALSE",
            remoteAppAllowStartupData="TRUE",
            remoteAppVolume="/data:/work:rw",
            remoteAppNotBefore="19700101000010Z",
            remoteAppNotAfter="19700101010020+0100",
        )
    )
    assert grant.dn == DN.parse("cn=x,dc=example,dc=org")
    assert grant.images == (MAYAVI, "simphony/paraview:5.11")
    assert grant.window == Window(10.0, 20.0)
    assert grant.policy == Policy.of(
        app_license="27000@licence.example.org",
        allow_home=True,
        volume="/data:/work:rw",
        allow_startup_data=True,
    )


def test_what_is_absent_gives_nothing() -> None:
    """An image alone is a grant without a right, a volume or a time limit."""
    grant = read_grant(_grant_entry())
    assert grant.policy == Policy()
    assert grant.window == Window()


def test_false_is_the_same_as_absent() -> None:
    """FALSE and no value are one policy."""
    said = _grant_entry(
        remoteAppAllowHome="FALSE", remoteAppAllowView="FALSE", remoteAppAllowStartupData="FALSE"
    )
    assert read_grant(said).policy == read_grant(_grant_entry()).policy


@pytest.mark.parametrize("attribute", [ALLOW_HOME, ALLOW_VIEW, ALLOW_STARTUP_DATA])
@pytest.mark.parametrize("value", ["true", "True", "1", "YES", "", " TRUE", "TRUE ", b"\xff"])
def test_an_unclear_boolean_gives_nothing(attribute: str, value: Any) -> None:
    """Only TRUE and FALSE are booleans (RFC 4517, section 3.3.3)."""
    with pytest.raises(InvalidValue, match=attribute):
        read_grant(_grant_entry(**{attribute: value}))


@pytest.mark.parametrize("attribute", [NOT_BEFORE, NOT_AFTER])
@pytest.mark.parametrize(
    "given_attributes",
    [
        {"{};lang-de": "20200101000000Z"},
        {"{};x-a": "20200101000000Z", "{}": "20990101000000Z"},
        {"{};x-a": []},
        {"{}": []},
    ],
)
def test_a_limit_of_another_form_is_not_taken_for_none(
    attribute: str, given_attributes: dict[str, Any]
) -> None:
    """An option, or no value, is not what we write, but somebody set a limit."""
    named = {name.format(attribute): values for name, values in given_attributes.items()}
    with pytest.raises(
        InvalidValue, match=f"{attribute} (must not have options|is there without a value)"
    ):
        read_grant(_grant_entry(**named))


@pytest.mark.parametrize("attribute", [NOT_BEFORE, NOT_AFTER])
@pytest.mark.parametrize("value", ["", "2026", "20261124041005", "never", b"\xff"])
def test_an_unclear_time_gives_nothing(attribute: str, value: Any) -> None:
    """A limit that cannot be read does not become no limit."""
    with pytest.raises(InvalidValue, match=attribute):
        read_grant(_grant_entry(**{attribute: value}))


@pytest.mark.parametrize("fraction", ["", ".0", ".25", ",75"])
def test_a_window_never_grows_by_rounding(fraction: str) -> None:
    """Fractions of a second narrow the window to whole seconds, which we can write back."""
    time = f"19700101000010{fraction}Z"
    window = read_grant(_grant_entry(remoteAppNotBefore=time, remoteAppNotAfter=time)).window
    assert window == Window(10.0 if fraction in ("", ".0") else 11.0, 10.0)
    written = grant_attributes(["a"], Policy(), window)
    assert read_grant(_entry(**written)).window == window


@pytest.mark.parametrize("value", ["", "/data", "/data:/work", "data:/work:ro", b"\xff"])
def test_an_unclear_volume_gives_nothing(value: Any) -> None:
    """A volume that cannot be read does not become no volume."""
    with pytest.raises(InvalidValue):
        read_grant(_grant_entry(remoteAppVolume=value))


@pytest.mark.parametrize("value", ["a\nb", "<b>", b"\xff"])
def test_an_unclear_licence_gives_nothing(value: Any) -> None:
    """A licence that the host must not be shown does not become no licence, nor is it quoted."""
    with pytest.raises(InvalidValue) as caught:
        read_grant(_grant_entry(remoteAppLicense=value))
    assert repr(value) not in str(caught.value)


@pytest.mark.parametrize("attribute", DECIDING)
def test_a_doubled_value_gives_nothing(attribute: str) -> None:
    """Of two values none is chosen."""
    with pytest.raises(InvalidValue, match=f"{attribute} has 2 values and may have one"):
        read_grant(_grant_entry(**{attribute: ["TRUE", "FALSE"]}))


def test_unreadable_images_are_told_apart() -> None:
    """A bad image is left out; the others of the entry stay granted."""
    entry = _entry(**{IMAGE: [MAYAVI, "<b>", "A", "a"]})
    assert read_images(entry) == ((MAYAVI, "a"), ("<b>", "A"))
    assert read_grant(entry).images == (MAYAVI, "a")


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        ([], "no value of remoteAppImage is a Docker reference$"),
        (["<b>", "A"], r"no value of remoteAppImage is a Docker reference \(of '<b>', 'A'\)"),
        ([b"\xff"], "remoteAppImage is not UTF-8"),
    ],
)
def test_a_grant_without_an_image_gives_nothing(images: list[Any], reason: str) -> None:
    """What can be started is named or there is no grant."""
    with pytest.raises(InvalidValue, match=reason):
        read_grant(_entry(**{IMAGE: images}))


TIDY = st.sampled_from(
    ["TRUE", "FALSE", "/a:/b:ro", "20260101000000Z", "20990101000000+0000", MAYAVI, "alice", "1000"]
).map(str.encode)
RAW = st.lists(TIDY | st.binary(max_size=20) | st.just(UUID), max_size=3)
NAMES = [name.lower() for name in (*GRANT_ATTRIBUTES, "uid", "entryUUID", "member")]
ENTRIES = st.builds(
    Entry,
    st.sampled_from(["cn=x,dc=y", "", "cn=x,,", "nonsense"]) | st.text(max_size=10),
    st.dictionaries(st.sampled_from(NAMES), RAW),
)


@settings(max_examples=400)
@given(ENTRIES, FORMS)
@example(Entry("cn=\ud800", {IMAGE.lower(): [b"a"]}), IdentifierForm.INTEGER)
def test_any_entry_is_read_or_refused(entry: Entry, form: IdentifierForm) -> None:
    """Whatever a server sends, reading it ends with a value or with InvalidValue."""
    readers: list[Callable[[], Any]] = [
        lambda: read_grant(entry),
        lambda: read_user(entry, ("uid", "cn"), "entryUUID", form),
        lambda: read_application(entry, "entryUUID", form),
    ]
    for read in readers:
        with contextlib.suppress(InvalidValue):
            read()


BOOLEANS = st.sampled_from(["TRUE", "FALSE"])


@given(
    st.fixed_dictionaries(
        {},
        optional={
            ALLOW_HOME: BOOLEANS,
            ALLOW_VIEW: BOOLEANS,
            ALLOW_STARTUP_DATA: BOOLEANS,
            VOLUME: st.sampled_from(["/a:/b:ro", "/a:/b:rw"]),
            LICENSE: st.just("27000@licence.example.org"),
        },
    )
)
def test_no_attribute_that_is_taken_away_widens_a_grant(attributes: dict[str, str]) -> None:
    """What a server hides or loses takes rights away, and adds none."""
    whole = read_grant(_grant_entry(**attributes))
    for hidden in attributes:
        rest = {name: value for name, value in attributes.items() if name != hidden}
        part = read_grant(_grant_entry(**rest))
        assert _rights(part.policy) <= _rights(whole.policy)
        assert part.policy.volume in (None, whole.policy.volume)
        assert part.policy.app_license in (None, whole.policy.app_license)


@given(st.sampled_from([ALLOW_HOME, ALLOW_VIEW, ALLOW_STARTUP_DATA]), st.binary(max_size=6))
@example(ALLOW_HOME, b"TRUE")
def test_only_true_is_true(attribute: str, value: bytes) -> None:
    """No other octets give a right."""
    try:
        rights = _rights(read_grant(_grant_entry(**{attribute: value})).policy)
    except InvalidValue:
        return
    assert bool(rights) is (value == b"TRUE")


# -- writing --------------------------------------------------------------------------------

POLICIES = st.builds(
    Policy.of,
    app_license=st.none() | st.just("27000@licence.example.org"),
    allow_home=st.booleans(),
    allow_view=st.booleans(),
    volume=st.none() | st.just("/data:/work:ro"),
    allow_startup_data=st.booleans(),
)
WINDOWS = st.builds(
    Window,
    st.none() | st.integers(0, 4 * 10**9).map(float),
    st.none() | st.integers(0, 4 * 10**9).map(float),
)


@given(POLICIES, WINDOWS, st.lists(st.sampled_from(["a", "b", MAYAVI]), min_size=1, unique=True))
def test_a_grant_survives(policy: Policy, window: Window, images: list[str]) -> None:
    """What is written is read back as it was meant."""
    attributes: dict[str, Any] = dict(grant_attributes(images, policy, window))
    grant = read_grant(_entry(**attributes))
    assert grant.images == tuple(images)
    assert grant.policy == policy
    assert grant.window == window


def test_what_is_false_is_not_written() -> None:
    """A grant without rights is an image and nothing else."""
    assert grant_attributes([MAYAVI], Policy(), Window()) == {IMAGE: [MAYAVI]}


def test_written_values_are_those_of_the_schema() -> None:
    """Booleans are TRUE, times are in the form that all directories take."""
    policy = Policy.of(app_license="l", allow_view=True, volume="/a:/b:ro")
    assert grant_attributes(["a"], policy, Window(0.0, 2.5e9)) == {
        IMAGE: ["a"],
        ALLOW_VIEW: ["TRUE"],
        LICENSE: ["l"],
        VOLUME: ["/a:/b:ro"],
        NOT_BEFORE: ["19700101000000.0Z"],
        NOT_AFTER: ["20490322042640.0Z"],
    }


# -- modifications ------------------------------------------------------------------------


def test_a_modification_without_values_removes_the_attribute() -> None:
    """That is the default, and a modification is a value."""
    removal = Modification(Operation.DELETE, IMAGE)
    assert removal.values == ()
    assert removal == Modification(Operation.DELETE, IMAGE, ())


def test_an_entry_without_a_class() -> None:
    entry = Entry("cn=a", {"objectclass": [b"group", b"REMOTEAPPGRANT"], "cn": [b"a"]})
    assert is_grant(entry)
    assert without_class(entry, GRANT_CLASS).attributes == {"objectclass": [b"group"], "cn": [b"a"]}
    assert not is_grant(without_class(Entry("cn=a", {}), GRANT_CLASS))


@pytest.mark.parametrize("attribute", [IMAGE, *POLICY_ATTRIBUTES])
def test_an_option_makes_a_grant_unreadable(attribute: str) -> None:
    """Alone or beside a value without one: it may have been meant to narrow the grant."""
    said = {"remoteappimage": [b"simphony/good:1"], f"{attribute.lower()};lang-fr": [b"TRUE"]}
    with pytest.raises(InvalidValue, match=f"{attribute} must not have options"):
        read_grant(Entry("cn=g", said))


@pytest.mark.parametrize("attribute", POLICY_ATTRIBUTES)
def test_a_policy_without_value_is_unreadable(attribute: str) -> None:
    """An attribute that is there, and says nothing, is not absent."""
    said: dict[str, list[bytes]] = {"remoteappimage": [b"simphony/good:1"], attribute.lower(): []}
    with pytest.raises(InvalidValue, match=f"{attribute} is there without a value"):
        read_grant(Entry("cn=g", said))


def test_names_with_options_are_names() -> None:
    """A search by the attribute finds them."""
    entry = Entry("cn=j", {"uid;lang-fr": [b"jean"], "uid": [b"john"], "uidnumber": [b"7"]})
    assert entry.raw("UID") == [b"jean", b"john"]
    assert entry.texts("uid") == ["jean", "john"]
    with pytest.raises(InvalidValue, match="uid is not UTF-8"):
        Entry("cn=j", {"uid;x-a": [b"\xff"]}).texts("uid")


def test_an_identifier_with_an_option_is_none() -> None:
    """Whose it is cannot be told."""
    entry = Entry("cn=j", {"uidnumber": [b"7"], "uidnumber;x-a": [b"8"]})
    with pytest.raises(InvalidValue, match="uidNumber must not have options"):
        read_identifier(entry, "uidNumber", IdentifierForm.INTEGER)
