"""The line of ``description`` in directories that keep their schema: written, read, refused."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ldapdb.entries import (
    ALLOW_HOME,
    ALLOW_VIEW,
    APPLICATION_CLASS,
    DESCRIPTION,
    GRANT_ATTRIBUTES,
    GRANT_CLASS,
    GROUP_CLASS,
    IMAGE,
    LICENSE,
    MEMBER,
    NOT_AFTER,
    NOT_BEFORE,
    POLICY_ATTRIBUTES,
    VOLUME,
    grant_attributes,
    is_application,
    is_grant,
    read_grant,
    read_images,
)
from ldapdb.errors import InvalidValue, SettingsError
from ldapdb.model import Grant, Policy, Window
from ldapdb.protocol import filters
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import OBJECT_CLASS, Entry, Modification, Operation
from ldapdb.stock import KEYS, StockNotation

MAYAVI = "simphony/mayavi:0.5"
PARAVIEW = "registry.example.org:5000/simphony/paraview:5.11"
DIGEST = "simphony/lattice@sha256:" + "9f" * 32
IPV6 = "[2001:db8::1]:5000/a"
NAME = "cn=x,ou=grants,dc=example,dc=org"
OURS = (APPLICATION_CLASS, GRANT_CLASS)
SECRET = "S3cret-pa55"
STOCK = StockNotation(licences=True)


def _entry(*descriptions: str | bytes, **attributes: list[str]) -> Entry:
    """Make a plain group as a directory sends it."""
    made: dict[str, list[bytes]] = {
        OBJECT_CLASS.lower(): [b"top", b"groupOfNames"],
        DESCRIPTION: [each if isinstance(each, bytes) else each.encode() for each in descriptions],
    }
    for name, values in attributes.items():
        made[name.lower()] = [value.encode() for value in values]
    return Entry(NAME, made)


def _read(*descriptions: str | bytes, **attributes: list[str]) -> Entry:
    return STOCK.read(_entry(*descriptions, **attributes))


def _written(object_class: str, said: dict[str, list[str]]) -> str:
    """Return the line of a new entry."""
    classes, attributes = STOCK.new(object_class, said)
    assert classes == []
    (line,) = attributes[DESCRIPTION]
    return line


def _grant(*descriptions: str) -> Grant:
    entry = _read(*descriptions)
    assert is_grant(entry)
    return read_grant(entry)


def _refusal(*descriptions: str | bytes) -> str:
    """Return why a line gives nothing."""
    with pytest.raises(InvalidValue) as caught:
        read_grant(_read(*descriptions))
    assert SECRET not in str(caught.value)
    return str(caught.value)


# -- what goes out comes back ---------------------------------------------------------------

# Text that may stand in front of the host, rich in what means something to a shell.
TEXT = st.text(
    st.characters(
        exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="<>", codec="utf-8"
    )
    | st.sampled_from(" '\"\\=$`!#*;&|~\xa0\u3000äöüß🦊"),
    min_size=1,
    max_size=12,
)
PATHS = TEXT.filter(lambda text: ":" not in text).map("/{}".format)
POLICIES = st.builds(
    Policy.of,
    app_license=st.none() | TEXT | st.sampled_from(["27000@licence.example.org", "home=TRUE"]),
    allow_home=st.booleans(),
    allow_view=st.booleans(),
    volume=st.none() | st.builds("{}:{}:{}".format, PATHS, PATHS, st.sampled_from(["ro", "rw"])),
    allow_startup_data=st.booleans(),
)
MOMENTS = st.none() | st.integers(0, 4 * 10**9).map(float)
WINDOWS = st.builds(Window, MOMENTS, MOMENTS)
IMAGES = st.lists(st.sampled_from(["a", MAYAVI, PARAVIEW, DIGEST, IPV6]), min_size=1, unique=True)


@settings(max_examples=300)
@given(POLICIES, WINDOWS, IMAGES)
def test_a_grant_survives(policy: Policy, window: Window, images: list[str]) -> None:
    """What is written is read back as it was meant, whatever stands in the licence."""
    line = _written(GRANT_CLASS, grant_attributes(images, policy, window))
    grant = _grant(line)
    assert grant == Grant(DN.parse(NAME), tuple(images), policy, window)


@pytest.mark.parametrize(
    "licence",
    [
        "27000@licence.example.org",
        "two words",
        " at both ends ",
        "it's",
        'say "yes"',
        "'",
        '"',
        "\\",
        "a\\ b\\",
        "a=b=c",
        "grant home=TRUE",
        "' home=TRUE view='TRUE",
        "Schlüssel für Größe",
        "# no comment",
        "$HOME `id`",
        "\xa0",
        "a\u3000b",
        "🦊",
    ],
)
def test_a_licence_survives(licence: str) -> None:
    """Blanks, quotes, backslashes, equals signs and letters of all kinds are its own."""
    policy = Policy.of(app_license=licence)
    line = _written(GRANT_CLASS, grant_attributes([MAYAVI], policy, Window()))
    assert _grant(line).policy == policy


@pytest.mark.parametrize("image", ["a", MAYAVI, PARAVIEW, DIGEST, IPV6])
def test_an_application_survives(image: str) -> None:
    """An application is its image."""
    entry = _read(_written(APPLICATION_CLASS, {IMAGE: [image]}))
    assert is_application(entry)
    assert not is_grant(entry)
    assert entry.value(IMAGE) == image


def test_every_attribute_has_its_key() -> None:
    """Nothing that decides about access is left unsaid."""
    assert set(KEYS.values()) == {IMAGE, *POLICY_ATTRIBUTES} == set(GRANT_ATTRIBUTES[1:])
    assert len(set(KEYS.values())) == len(KEYS)
    assert all(re.fullmatch(r"[a-z-]+", key) for key in KEYS)


def test_a_line_never_changes_its_form() -> None:
    """Every release writes, and finds by its value, the line that an earlier one wrote."""
    policy = Policy.of(
        app_license="my licence", allow_home=True, allow_startup_data=True, volume="/d:/mnt/d:ro"
    )
    said = grant_attributes([MAYAVI, "a"], policy, Window(0.0, 2.5e9))
    assert _written(GRANT_CLASS, said) == (
        "remoteapp grant image=simphony/mayavi:0.5 image=a license='my licence' home=TRUE "
        "startup-data=TRUE volume=/d:/mnt/d:ro not-before=19700101000000.0Z "
        "not-after=20490322042640.0Z"
    )
    assert _written(APPLICATION_CLASS, {IMAGE: ["a"]}) == "remoteapp application image=a"


def test_other_descriptions_of_a_new_entry_stay() -> None:
    """A description for people is written beside the line."""
    _, written = STOCK.new(GRANT_CLASS, {IMAGE: ["a"], DESCRIPTION: ["Engineers"]})
    assert written == {DESCRIPTION: ["Engineers", "remoteapp grant image=a"]}


def test_other_attributes_of_a_new_entry_stay() -> None:
    """Members stand where they always stand; no class of ours is asked for."""
    said = {**grant_attributes(["a"], Policy(allow_view=True), Window()), MEMBER: ["uid=a"]}
    assert STOCK.new(GRANT_CLASS, said) == (
        [],
        {MEMBER: ["uid=a"], DESCRIPTION: ["remoteapp grant image=a view=TRUE"]},
    )


# -- what an administrator may type ---------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "remoteapp grant image=a home=TRUE",
        "remoteapp grant home=TRUE image=a",
        "RemoteApp Grant IMAGE=a Home=true",
        "  remoteapp   grant\timage=a\thome=True  ",
        "remoteapp\tgrant image=a home=TRUE",
        "remoteapp\ngrant\nimage=a\nhome=TRUE\n",
        "remoteapp grant 'image=a' \"home=TRUE\"",
        "remoteapp grant image='a' home=\"TRUE\"",
        "remoteapp grant image=a home=TRUE view=FALSE startup-data=false",
        "remoteapp grant image=a home=TRUE license=",
    ],
)
def test_a_line_may_be_typed_in_many_ways(line: str) -> None:
    """Order, capitals, blanks and quotes are no matter; what is false or empty is absent."""
    grant = _grant(line)
    assert grant.images == ("a",)
    assert grant.policy == Policy(allow_home=True)
    assert grant.window == Window()


def test_a_line_says_all_that_attributes_say() -> None:
    """Images, policy and window are read from one line."""
    grant = _grant(
        f"remoteapp grant image={MAYAVI} image={PARAVIEW} license=27000@licence.example.org "
        "view=TRUE volume='/data set:/work:rw' startup-data=TRUE "
        "not-before=19700101000010Z not-after=19700101010020+0100"
    )
    assert grant.images == (MAYAVI, PARAVIEW)
    assert grant.window == Window(10.0, 20.0)
    assert grant.policy == Policy.of(
        app_license="27000@licence.example.org",
        allow_view=True,
        volume="/data set:/work:rw",
        allow_startup_data=True,
    )


@pytest.mark.parametrize("roles", ["application grant", "grant application", "GRANT Application"])
def test_one_entry_may_be_application_and_grant(roles: str) -> None:
    """One group per application is the smallest set-up that can be made by hand."""
    entry = _read(f"remoteapp {roles} image={MAYAVI} home=TRUE")
    assert is_application(entry)
    assert is_grant(entry)
    assert entry.value(IMAGE) == MAYAVI
    assert read_grant(entry).policy == Policy(allow_home=True)


@pytest.mark.parametrize(("role", "object_class"), list(zip(["application", "grant"], OURS)))
def test_a_line_has_the_roles_it_names(role: str, object_class: str) -> None:
    """Neither role comes with the other."""
    entry = _read(f"remoteapp {role} image=a")
    assert [each for each in OURS if entry.has_class(each)] == [object_class]
    assert entry.has_class("groupOfNames")


# -- what gives nothing ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ("", "must go on with application or grant"),
        ("image=a grant", "must go on with application or grant"),
        ("users", "must go on with application or grant"),
        ("grants image=a", "must go on with application or grant"),
        (": grant image=a", "must go on with application or grant"),
        ("gr''ant image=a", "must have grant without quotes"),
        ('application "grant" image=a', "must have application and grant without quotes"),
        ("appl\\ication image=a", "must have application without quotes"),
        ("grant grant image=a", "must go on with application or grant, or each of them once"),
        ("application grant Application image=a", "each of them once"),
        ("grant image=a colour=red", "word 4 of the .* is none of image=, license=, home=, view="),
        ("grant image=a not_after=20200101000000Z", "word 4 of the .* is none of"),
        ("application grant image=a remoteAppAllowHome=TRUE", "word 5 of the .* is none of"),
        ("grant image=a not-after =20200101000000Z", "word 4 .*not-before=, not-after="),
        ("grant image=a 'not-after =20200101000000Z'", "word 4 of the .* is none of"),
        ("grant image=a not-after: 20200101000000Z", "word 4 of the .* is none of"),
        ("grant image=a home", "word 4 of the .* is none of"),
        ("grant image=a grant", "word 4 of the .* is none of"),
        ("grant image=a =TRUE", "word 4 of the .* is none of"),
        ("grant image=a ''", "word 4 of the .* is none of"),
        ("grant image=a # home=TRUE", "word 4 of the .* is none of"),
        (f"grant image=a license=my {SECRET}", "word 5 .* values with spaces must be quoted"),
        (f"grant image=a license=my {SECRET}=x", "word 5 .* values with spaces must be quoted"),
        (f"grant license={SECRET} image=a image={SECRET} x", "word 6 of the .* is none of"),
        ("grant image=a; home=TRUE", "no value of remoteAppImage .*'a;'"),
        (f"grant image=a license='{SECRET}", "is not quoted well: No closing quotation"),
        (f'grant image=a license="{SECRET}', "is not quoted well: No closing quotation"),
        (f"grant image=a license={SECRET}\\", "is not quoted well: No escaped character"),
        ("grant image=a home=yes", "home is 'yes' and must be TRUE or FALSE"),
        ("grant image=a home=1", "home is '1' and must be TRUE or FALSE"),
        ("grant image=a home=", "home is '' and must be TRUE or FALSE"),
        ("grant image=a VIEW=' TRUE'", "VIEW is ' TRUE' and must be TRUE or FALSE"),
        ("grant image=a startup-data=TRUE=", "startup-data is 'TRUE=' and must be TRUE or FALSE"),
        ("grant image=a home=TRUE home=TRUE", "says home= twice"),
        ("grant image=a home=TRUE HOME=FALSE", "says HOME= twice"),
        ("grant image=a volume=/a:/b:ro volume=/a:/b:rw", "says volume= twice"),
        (f"grant image=a license=x license={SECRET}", "says license= twice"),
        (
            "grant image=a not-after=20200101000000Z not-after=20990101000000Z",
            "says not-after= twice",
        ),
        ("grant image=a volume=/data", "must be source:target:mode"),
        ("grant image=a volume=", "must be source:target:mode"),
        ("grant image=a not-after=2027", "'2027' is not a time"),
        ("grant image=a not-before=", "'' is not a time"),
        ("grant home=TRUE", "no value of remoteAppImage"),
        ("grant image=", "no value of remoteAppImage"),
        ("grant image=a image=b image=a", "says image= twice"),
        ("application image=a image=a", "says image= twice"),
        ("grant image=''b''c IMAGE=b\"c\"", "must have the image without quotes inside it"),
        ("grant image=a home='TRUE license=S3cret-pa55'", "home= .* goes on with another key"),
        ("grant image=a 'volume=/a:/b:ro license=S3cret-pa55'", "goes on with another key"),
        ("grant 'image=a license=S3cret-pa55'", "goes on with another key"),
        ('grant image=rem""ote', "must have the image without quotes inside it"),
        ('grant image=simphony/"mayavi":0.5', "must have the image without quotes inside it"),
        ("grant image=simphony\\/mayavi:0.5", "must have the image without quotes inside it"),
        (f"grant image=a license='{SECRET}<'", "the licence must not contain '<'"),
        (f"grant image=a license='{SECRET}\n'", r"the licence must not contain '\\n'"),
        ("grant image='<b>'", "no value of remoteAppImage .*'<b>'"),
    ],
)
def test_an_unclear_line_gives_nothing(rest: str, reason: str) -> None:
    """What is not understood might have narrowed the grant: it says why, and gives nothing."""
    message = _refusal(f"remoteapp {rest}")
    assert re.search(reason, message), message


def test_of_two_lines_none_is_chosen() -> None:
    """Two lines contradict each other or mean two grants, which one entry cannot carry."""
    line = "remoteapp grant image=a"
    assert _refusal(line, f"{line} home=TRUE") == (
        "description has 2 lines of remoteapp and may have one"
    )
    assert "has 2 lines" in _refusal(line, "RemoteApp users of the north")


def test_a_bad_image_among_good_ones_is_left_out() -> None:
    """As with attributes: the other images of the line stay granted."""
    entry = _read("remoteapp grant image=a image=Bad image=b")
    assert read_images(entry) == (("a", "b"), ("Bad",))
    assert read_grant(entry).images == ("a", "b")


def test_an_error_names_the_line_and_every_key() -> None:
    """Whoever mends the line learns where it stands and what it may have."""
    message = _refusal(f"remoteapp grant image=a licence={SECRET}")
    assert message.startswith("word 4 of the remoteapp line of description is none of ")
    assert all(f"{key}=" in message for key in KEYS)


WHITE = ["\xa0", "\u2003", "\u3000", "\x0b", "\x0c", "\x1c", "\x85", "\u2028"]


@pytest.mark.parametrize("space", WHITE)
def test_a_space_of_another_kind_hides_no_limit(space: str) -> None:
    """What looks like a space and ends no word in a shell makes the line unreadable."""
    for rest in ("not-after=20200101000000Z grant", "x grant", "grant"):
        message = _refusal(f"remoteapp{space}{rest} image=a home=TRUE")
        assert message == (
            "the remoteapp line of description must have a plain space after remoteapp"
        )
    for line in (
        f"remoteapp grant{space}image=a",
        f"remoteapp grant image=a home=TRUE{space}not-after=20200101000000Z",
    ):
        assert _refusal(line)


@pytest.mark.parametrize(
    "line",
    [
        b"remoteapp grant image=a license=m\xfcller",
        b" RemoteApp grant image=a \xff",
        b"remoteapp\xff",
    ],
)
def test_a_line_that_is_no_text_gives_nothing(line: bytes) -> None:
    """Whose octets are not UTF-8 cannot be named in a modify: it is refused, as attributes are."""
    assert _refusal(line) == "description is not UTF-8"
    assert _refusal(line, "remoteapp grant image=a") == "description is not UTF-8"


@pytest.mark.parametrize(
    "rest",
    [
        f"image=a licence={SECRET}",
        f"image=a license={SECRET} license={SECRET}",
        f"image=a license={SECRET} home=maybe",
        f"image=a license={SECRET} colour=red",
        f"image=a license={SECRET} volume=x",
        f"image=a license={SECRET} not-after=x",
        f"image=Bad license={SECRET}",
        f"license={SECRET}",
        f"image=a license='{SECRET}' '",
        f"image=a license=my {SECRET}",
        f"image=a license=my {SECRET}=x",
        f"image=a license={SECRET}\\<",
        f"{SECRET} image=a",
    ],
)
def test_a_licence_is_in_no_error(rest: str) -> None:
    """The log tells what is wrong of a line, and nothing that was bought."""
    assert _refusal(f"remoteapp grant {rest}")


# -- no wider grant -------------------------------------------------------------------------

# Free text that begins like a line; whatever comes out, no right that is not spelled out.
PIECES = st.sampled_from(
    [
        *("remoteapp", "application", "grant", "image=a", "image=b", "home=TRUE", "home=FALSE"),
        *("view=TRUE", "startup-data=TRUE", "volume=/a:/b:ro", "volume=/a:/b:rw", "license=x"),
        *("not-after=20200101000000Z", "not-before=20990101000000Z", "colour=red", "users"),
        *("'", '"', "\\", "=", "#", "license='a b'", "", "\xa0", "\n"),
    ]
)
LINES = st.lists(PIECES, max_size=8).map(" ".join).map("remoteapp grant {}".format)


@settings(max_examples=400)
@given(LINES | st.text(max_size=30).map("remoteapp grant image=a {}".format) | st.text(max_size=30))
def test_any_description_is_read_or_refused(line: str) -> None:
    """Whatever stands there, reading it ends with a grant, with none or with InvalidValue."""
    try:
        entry = _read(line)
        grant = read_grant(entry) if is_grant(entry) else None
    except InvalidValue:
        return
    if grant is not None:
        upper = line.upper()
        assert not grant.policy.allow_home or "HOME=TRUE" in upper.replace("'", "")
        assert not grant.policy.allow_view or "VIEW=TRUE" in upper.replace("'", "")
        assert (grant.window.not_after is None) is ("not-after" not in line.lower())


def _rights(grant: Grant) -> set[object]:
    """Name all that a grant allows, images and volume and licence among it."""
    policy = grant.policy
    flags = ("allow_home", "allow_view", "allow_startup_data", "allow_common")
    given_rights: set[object] = {name for name in flags if getattr(policy, name)}
    given_rights |= {("image", image) for image in grant.images}
    given_rights |= {(what, getattr(policy, what)) for what in ("volume", "app_license")}
    return given_rights - {("volume", None), ("app_license", None)}


@settings(max_examples=300)
@given(POLICIES, WINDOWS, IMAGES, st.booleans(), st.data())
def test_no_word_that_is_taken_away_widens_a_grant(
    policy: Policy, window: Window, images: list[str], both: bool, data: st.DataObject
) -> None:
    """What is lost of a line takes rights away, or the line gives nothing.

    Except for a limit of time, which is lost with its word as it is with its attribute.
    """
    line = _written(GRANT_CLASS, grant_attributes(images, policy, window))
    if both:
        line = line.replace("grant", "application grant", 1)
    whole = _grant(line)
    words = shlex.split(line)
    limits = [word for word in words if word.startswith(("not-before=", "not-after="))]
    gone = data.draw(st.sampled_from([at for at, word in enumerate(words) if word not in limits]))
    rest = shlex.join(words[:gone] + words[gone + 1 :])
    try:
        entry = _read(rest)
        if not is_grant(entry):
            return
        part = read_grant(entry)
    except InvalidValue:
        return
    assert _rights(part) < _rights(whole) or words[gone] == "application"
    assert part.images == tuple(image for image in images if f"image={image}" != words[gone])
    assert part.window == whole.window


@given(POLICIES, WINDOWS, IMAGES, st.data())
def test_no_line_that_is_cut_off_gives_a_right_that_it_did_not(
    policy: Policy, window: Window, images: list[str], data: st.DataObject
) -> None:
    """A directory that cuts a description short gives no right beyond what it said.

    An image, a licence or a path that is cut in two is another one, whichever was meant.
    """
    line = _written(GRANT_CLASS, grant_attributes(images, policy, window))
    whole = _grant(line)
    try:
        entry = _read(line[: data.draw(st.integers(0, len(line)))])
        part = read_grant(entry) if is_grant(entry) else None
    except InvalidValue:
        return
    if part is not None:
        flags = ("allow_home", "allow_view", "allow_startup_data", "allow_common")
        for flag in flags:
            assert getattr(part.policy, flag) <= getattr(whole.policy, flag)


# -- other text, other attributes -----------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "Engineers of the north",
        "remoteapplication grant image=a home=TRUE",
        "remoteapp: grant image=a home=TRUE",
        "a remoteapp grant image=a home=TRUE",
        "'remoteapp' grant image=a",
        "re\xadmoteapp grant image=a",
        b"\xff\xfe remoteapp grant",
        "it's quoted badly",
    ],
)
def test_other_descriptions_are_left_alone(text: str | bytes) -> None:
    """What does not begin with the mark is nobody's business, and in nobody's way."""
    entry = _read(text)
    assert not is_grant(entry)
    assert not is_application(entry)
    assert entry.attributes[DESCRIPTION] == _entry(text).attributes[DESCRIPTION]
    both = _read(text, "remoteapp grant image=a")
    assert read_grant(both).images == ("a",)


def test_a_group_without_a_description_is_a_group() -> None:
    """Nothing is said, nothing is granted, even where the classes may not be read."""
    for entry in (Entry(NAME, {}), _entry()):
        assert not is_grant(STOCK.read(entry))
        assert not is_application(STOCK.read(entry))


def test_attributes_of_the_schema_are_ignored() -> None:
    """In this mode the line decides alone: what it does not say is not granted."""
    others: dict[str, list[str]] = {
        OBJECT_CLASS: ["groupOfNames", "REMOTEAPPGRANT", APPLICATION_CLASS, GROUP_CLASS],
        IMAGE: ["b"],
        ALLOW_HOME: ["TRUE"],
        ALLOW_VIEW: ["TRUE"],
        "remoteAppAllowStartupData": ["TRUE"],
        "remoteAppVolume": ["/a:/b:rw"],
        LICENSE: [SECRET],
        NOT_BEFORE: ["20200101000000Z"],
        NOT_AFTER: ["20200101000000Z"],
    }
    entry = _read("Engineers", **others)
    assert not is_grant(entry)
    assert not is_application(entry)
    assert entry.has_class(GROUP_CLASS)
    assert entry.values(IMAGE) == []

    entry = _read("remoteapp grant image=a view=FALSE", **others)
    assert not is_application(entry)
    assert read_grant(entry) == Grant(DN.parse(NAME), ("a",), Policy(), Window())


def test_images_are_exchanged_in_the_line_and_all_else_that_it_says_stays() -> None:
    entry = STOCK.read(_entry("other words", "remoteapp grant image=a image=b home=TRUE"))
    removal, addition = STOCK.with_images(entry, ["b", "c"])
    assert removal == Modification(
        Operation.DELETE, DESCRIPTION, ("remoteapp grant image=a image=b home=TRUE",)
    )
    [line] = addition.values
    again = read_grant(STOCK.read(_entry(line)))
    assert again == Grant(DN.parse(NAME), ("b", "c"), Policy(allow_home=True), Window())


def test_what_else_an_entry_has_stays() -> None:
    """Reading adds to an entry, and changes nothing that others read of it."""
    raw = _entry("remoteapp grant image=a", member=["uid=a,dc=x"], cn=["x"])
    before = {name: list(values) for name, values in raw.attributes.items()}
    entry = STOCK.read(raw)
    assert entry.dn == raw.dn
    for name in (MEMBER, "cn", DESCRIPTION):
        assert entry.values(name) == raw.values(name)
    assert raw.attributes == before


# -- asking ---------------------------------------------------------------------------------


def test_two_attributes_are_enough() -> None:
    """The line and the classes say everything; our schema is not needed."""
    assert STOCK.attributes == (OBJECT_CLASS, DESCRIPTION)
    assert not STOCK.needs_schema


def _finds(asked: filters.Filter, line: str) -> bool:
    """Answer a filter of substrings as caseIgnoreSubstringsMatch does (RFC 4517, 4.2.13)."""
    alternatives = re.findall(r"\(description=([^()]*)\)", str(asked))
    assert alternatives
    for alternative in alternatives:
        parts = [
            re.sub(r"\\([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), part)
            for part in alternative.split("*")
        ]
        pattern = ".*".join(re.escape(part) for part in parts)
        if re.fullmatch(pattern, line.strip(), re.IGNORECASE | re.DOTALL):
            return True
    return False


def _parts(asked: filters.Filter) -> list[str]:
    """Return the two parts of a filter for many images."""
    found = re.fullmatch(r"\(&(\([^()]*\))(\(\|.*\))\)", str(asked))
    assert found
    return [found[1], found[2]]


@given(POLICIES, WINDOWS, IMAGES, st.sampled_from(OURS))
def test_what_is_written_is_found(
    policy: Policy, window: Window, images: list[str], object_class: str
) -> None:
    """Every line is found by its mark, and by each of its images."""
    line = _written(object_class, grant_attributes(images, policy, window))
    assert _finds(STOCK.carrying(object_class), line)
    for image in images:
        assert _finds(STOCK.of_images(object_class, [image]), line)
        assert _finds(STOCK.of_images(object_class, ["zzz", image]), line)
        asked = STOCK.of_images(object_class, [image, *map(str, range(9))])
        assert all(_finds(filters.parse(part), line) for part in _parts(asked))
    assert not _finds(STOCK.of_images(object_class, ["zzz"]), line)


QUOTED = st.lists(
    st.sampled_from([*"abc/:", "remoteapp", "''", '""', "'a'", '"b"', "\\a"]),
    min_size=1,
    max_size=6,
).map("".join)


@settings(max_examples=300)
@given(QUOTED, QUOTED)
def test_whatever_gives_access_is_found(one: str, other: str) -> None:
    """A grant that is read can be revoked: its line is found by each of its images."""
    line = f"remoteapp grant license={one} image={other}"
    try:
        grant = _grant(line)
    except InvalidValue:
        return
    for image in grant.images:
        assert _finds(STOCK.of_images(GRANT_CLASS, [image]), line)


def test_images_are_asked_for_by_what_is_in_the_line() -> None:
    """One image, some, and so many that only lines are looked at that have the role in them."""
    assert str(STOCK.carrying(GRANT_CLASS)) == "(description=remoteapp*)"
    assert str(STOCK.of_images(GRANT_CLASS, ["a"])) == "(description=remoteapp*a*)"
    assert str(STOCK.of_images(GRANT_CLASS, ["a", "b*)("])) == (
        r"(|(description=remoteapp*a*)(description=remoteapp*b\2a\29\28*))"
    )
    nine = [f"image{number}" for number in range(9)]
    assert str(STOCK.of_images(GRANT_CLASS, nine)).count("(description=") == 9
    for object_class, role in ((GRANT_CLASS, "grant"), (APPLICATION_CLASS, "application")):
        first, images = _parts(STOCK.of_images(object_class, [*nine, "a"]))
        assert first == f"(description=remoteapp*{role}*)"
        assert images.startswith("(|(description=remoteapp*image0*)")
        assert images.count("(description=") == 10


# -- taking away ----------------------------------------------------------------------------


def _replaced(line: str, modifications: list[Modification]) -> str | None:
    """Return the new line of a modify that deletes exactly the old value, or None."""
    removal, *additions = modifications
    assert removal == Modification(Operation.DELETE, DESCRIPTION, (line,))
    if not additions:
        return None
    (addition,) = additions
    assert addition.operation is Operation.ADD
    assert addition.attribute == DESCRIPTION
    (new,) = addition.values
    return new


@pytest.mark.parametrize(
    ("line", "image", "left"),
    [
        ("remoteapp grant image=a image=b", "a", "remoteapp grant image=b"),
        ("remoteapp grant image=a image=b", "b", "remoteapp grant image=a"),
        ("RemoteApp  Grant IMAGE=a image=aa", "a", "remoteapp grant image=aa"),
        ("remoteapp grant image=a image=b image=c", "b", "remoteapp grant image=a image=c"),
        ("remoteapp grant image=a image=b", "c", "remoteapp grant image=a image=b"),
        (
            (
                'remoteapp grant home=true view=FALSE not-after=20990101000000Z license="my key" '
                "image=a image=b"
            ),
            "a",
            (
                "remoteapp grant image=b license='my key' home=TRUE view=FALSE "
                "not-after=20990101000000Z"
            ),
        ),
        (
            "remoteapp grant application image=a image=b home=TRUE",
            "a",
            "remoteapp grant image=b home=TRUE",  # which registers no image that was not registered
        ),
    ],
)
def test_an_image_is_taken_out_of_the_line(line: str, image: str, left: str) -> None:
    """One modify: the old line by its exact value, the new one with all the rest."""
    entry = _read("Engineers", line, member=["uid=a"])
    assert _replaced(line, STOCK.without_image(entry, image)) == left


@given(POLICIES, WINDOWS, IMAGES.filter(lambda images: len(images) > 1))
def test_without_an_image_the_rest_is_the_same(
    policy: Policy, window: Window, images: list[str]
) -> None:
    """Policy, window and the other images of a grant stay as they were."""
    line = _written(GRANT_CLASS, grant_attributes(images, policy, window))
    new = _replaced(line, STOCK.without_image(_read(line), images[0]))
    assert new is not None
    assert _grant(new) == Grant(DN.parse(NAME), tuple(images[1:]), policy, window)


@pytest.mark.parametrize(
    ("line", "object_class", "left"),
    [
        ("remoteapp grant image=a home=TRUE", GRANT_CLASS, None),
        ("remoteapp grant image=a image=b", GRANT_CLASS, None),
        ("RemoteApp  application  image=a", APPLICATION_CLASS, None),
        (
            (
                "remoteapp application grant image=a home=TRUE license='my key' volume=/a:/b:ro "
                "not-after=20990101000000Z"
            ),
            GRANT_CLASS,
            "remoteapp application image=a",
        ),
        (
            "remoteapp grant application image=a home=TRUE license='my key' volume=/a:/b:ro",
            APPLICATION_CLASS,
            "remoteapp grant image=a license='my key' home=TRUE volume=/a:/b:ro",
        ),
    ],
)
def test_a_role_is_taken_off(line: str, object_class: str, left: str | None) -> None:
    """The line goes, or says the other role with what that one needs; the group stays."""
    entry = _read("Engineers", line, member=["uid=a"])
    assert _replaced(line, STOCK.without_class(entry, object_class)) == left


@given(POLICIES, WINDOWS, IMAGES)
def test_without_the_application_the_grant_is_the_same(
    policy: Policy, window: Window, images: list[str]
) -> None:
    """Whoever takes the register's role off a grant takes nothing from its members."""
    line = _written(GRANT_CLASS, grant_attributes(images, policy, window))
    both = line.replace("grant", "application grant", 1)
    new = _replaced(both, STOCK.without_class(_read(both), APPLICATION_CLASS))
    assert new == line


def test_where_no_line_is_none_is_taken_away() -> None:
    """A group that says nothing of ours has nothing to lose."""
    entry = _read("Engineers")
    for object_class in OURS:
        assert STOCK.without_class(entry, object_class) == []


def test_a_line_that_cannot_be_read_is_not_rewritten() -> None:
    """What was not understood is not thrown away: an administrator mends it."""
    for line in ("remoteapp grant image=a colour=red", "remoteapp grant 'image=a"):
        raw: Any = _entry(line)
        with pytest.raises(InvalidValue):
            STOCK.read(raw)


def test_a_line_begins_where_searches_for_it_look() -> None:
    """A line break before the mark would hide a grant from those who revoke it."""
    assert not is_grant(StockNotation().read(_entry("\nremoteapp grant image=a")))


def test_what_could_not_be_read_is_not_written() -> None:
    """A path with a space and an equals sign is one; another key in it is refused at once."""
    path = "/data dir=1:/b =:ro"
    said = {IMAGE: ["a"], VOLUME: [path]}
    assert _grant(_written(GRANT_CLASS, said)).policy.volume == path
    with pytest.raises(InvalidValue, match="license="):
        StockNotation().new(GRANT_CLASS, {IMAGE: ["a"], VOLUME: ["/a license=x:/b:ro"]})


def test_a_licence_is_written_by_permission() -> None:
    """It is read, and goes on while a line is shortened; no new line has one."""
    careful = StockNotation()
    said = {IMAGE: ["a", "b"], LICENSE: ["KEY"]}
    entry = careful.read(_entry(_written(GRANT_CLASS, said)))
    assert entry.values(LICENSE) == ["KEY"]
    for write in (
        lambda: careful.new(GRANT_CLASS, said),
        lambda: careful.with_images(entry, ["c"]),
        lambda: careful.require_licence_allowed("KEY"),
    ):
        with pytest.raises(SettingsError, match="licences_in_description") as refused:
            write()
        assert "KEY" not in str(refused.value)
    assert "license=KEY" in careful.without_image(entry, "b")[-1].values[0]
    careful.require_licence_allowed(None)
    STOCK.require_licence_allowed("KEY")


def test_a_line_with_an_option_is_unreadable() -> None:
    """Other descriptions may have one; beside a line without one, the two contradict."""
    line, other = b"remoteapp grant image=a/b:1", b"une description"
    beside = {"description;lang-fr": [other], "remoteappimage;x-a": [b"c/d:1"]}
    read = StockNotation().read(Entry("cn=g", {"description": [line], **beside}))
    assert read.values("remoteAppImage") == ["a/b:1"]
    doubled = {"description": [line], "description;x-a": [line]}
    for said in ({"description;lang-fr": [line]}, doubled):
        with pytest.raises(InvalidValue, match=r"must not have options|has 2 lines"):
            StockNotation().read(Entry("cn=g", said))
