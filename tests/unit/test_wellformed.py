"""What text is let through to the host, and what is not."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ldapdb.errors import InvalidValue
from ldapdb.wellformed import check_image, check_text, escaped, one_line, parse_volume

DIGEST = "sha256:9f1d6b0c5a7e42d38b64e0c1f7a92d5536c8be14d07f3a2b9e6150c4d8a7b3f2"


@pytest.mark.parametrize(
    "image",
    [
        "a",
        "simphony/mayavi",
        "simphony/mayavi:0.5",
        "simphony/jupyter:LTS-2023",
        "simphony/jupyter:_x.y-z",
        "a:" + "T" * 128,
        "localhost/a",
        "localhost:5000/a:1",
        "registry.example.org:5000/cad/freecad:0.21",
        "Registry.Example.ORG/a",
        "192.168.1.1:5000/a",
        "[2001:db8::1]:5000/a:1",
        "[2001:db8::1]/a",
        "xn--n3h.com/my-image",
        "sub-dom1.foo.com/bar/baz/quux",
        "a.b/c__d/e_f/g---h.i",
        f"simphony/lattice@{DIGEST}",
        f"simphony/lattice:1.0@{DIGEST}",
        f"a@sha512:{'0' * 128}",
        "a@a+b.c:" + "0" * 32,
        "a" * 255,
        "a/" * 127 + "a",
        "a" * 255 + ":tag",
    ],
)
def test_docker_references_are_images(image: str) -> None:
    """What Docker can pull is returned as it is."""
    assert check_image(image) == image


@pytest.mark.parametrize(
    "image",
    [
        "",
        " ",
        " a",
        "a ",
        "a\n",
        "a:1\n",
        "\na",
        "a\0",
        "A",
        "Simphony",
        "simphony/Mayavi",
        "localhost:5000/Simphony/mayavi",
        "a//b",
        "/a",
        "a/",
        "-a",
        "a-",
        "_a",
        "a___b",
        "a..b",
        "a._b",
        ":tag",
        "a:",
        "a:.tag",
        "a:-tag",
        "a:" + "T" * 129,
        "a:1:2",
        "a:1/b:2:3",
        "a@",
        f"@{DIGEST}",
        "a@sha256:" + "0" * 31,
        "a@sha256:" + "g" * 64,
        f"a@{DIGEST}@{DIGEST}",
        f"a@{DIGEST}:tag",
        "http://example.org/a",
        "user@example.org/a",
        "example.org:port/a",
        "[2001:db8::1]",
        "[fe80::1%eth0]:5000/a",
        "<script>alert(1)</script>",
        'a"onload="alert(1)',
        "a'b",
        "a&b",
        "a:<b>",
        "a:1;rm",
        "../../etc/passwd",
        "ä",
        "\u0430",  # Cyrillic
        "a:\uff11",  # a full-width digit
    ],
)
def test_other_text_is_no_image(image: str) -> None:
    """Everything else is refused with the text, the HTML of a mischief-maker first of all."""
    with pytest.raises(InvalidValue, match="is not a Docker reference") as caught:
        check_image(image)
    assert repr(image) in str(caught.value)


@pytest.mark.parametrize("image", ["a" * 256, "a/" * 128 + "a", "a" * 256 + ":tag"])
def test_a_name_beyond_docker_s_limit_is_refused(image: str) -> None:
    """A name has 255 characters at the most, its tag not counted."""
    with pytest.raises(InvalidValue, match="Docker allows 255"):
        check_image(image)


@pytest.mark.parametrize("start", ["a" * 50_000, "a-" * 25_000, "a." * 25_000, "a/" * 25_000])
def test_a_hostile_value_takes_no_time(start: str) -> None:
    """Long text that nearly is an image is refused like any other."""
    with pytest.raises(InvalidValue):
        check_image(start + "!")


@given(st.text(alphabet="abA01._-/:@[]<>\n é", max_size=20))
def test_an_image_is_plain_ascii(image: str) -> None:
    """Nothing that is let through means anything in HTML, in a shell or in a path."""
    try:
        check_image(image)
    except InvalidValue:
        return
    assert image.isascii()
    assert not set(image) & set(" \n\0<>\"'&;$`\\~")
    assert ".." not in image
    assert not image.startswith(("/", "."))


@given(st.text(max_size=8))
@example("")
@example("Jürgen O'Connor")
@example("a\nb")
@example("<b>")
@example("a\u2028b")
@example("a\u2029b")
@example("a\x85")
@example("\ud800")
def test_text_is_refused_for_what_would_harm_the_host(text: str) -> None:
    """Text is returned as it is, unless it is empty, breaks a line or opens a tag."""
    harmful = not text or any(
        char in "<>" or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in text
    )
    if not harmful:
        assert check_text(text, "name") == text
        return
    with pytest.raises(InvalidValue, match="the name"):
        check_text(text, "name")


def test_refused_text_names_the_character() -> None:
    """The error says what the text is and which character is in the way."""
    with pytest.raises(InvalidValue, match=r"the user name 'a<b' must not contain '<'"):
        check_text("a<b", "user name")
    with pytest.raises(InvalidValue, match="the licence is empty"):
        check_text("", "licence")


@pytest.mark.parametrize("char", ["<", "\n", "\u2028"])
def test_a_secret_is_not_quoted(char: str) -> None:
    """The error tells the character in the way, and of a licence nothing else."""
    with pytest.raises(InvalidValue) as caught:
        check_text(f"S3cret{char}", "licence", secret=True)
    assert str(caught.value) == f"the licence must not contain {char!r}"
    assert check_text("S3cret", "licence", secret=True) == "S3cret"


PATHS = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters=":<>"),
    max_size=10,
).map("/".__add__)


@given(PATHS, PATHS, st.sampled_from(["ro", "rw"]))
def test_a_volume_is_taken_apart(source: str, target: str, mode: str) -> None:
    """Its parts come back as they are, spaces and umlauts too."""
    assert parse_volume(f"{source}:{target}:{mode}") == (source, target, mode)


@given(st.text(alphabet="/a:row <\n", max_size=16))
def test_any_text_is_a_volume_or_refused(text: str) -> None:
    """What is taken apart is nothing but its parts."""
    try:
        parts = parse_volume(text)
    except InvalidValue:
        return
    assert ":".join(parts) == text


@pytest.mark.parametrize(
    ("volume", "reason"),
    [
        ("", r"'' must .* and not 1"),
        ("/data", r"and not 1"),
        ("/data:/work", r"source:target:mode.* and not 2"),
        ("/data:/work:ro:", r"and not 4"),
        ("/a:/b:ro:z", r"and not 4"),
        ("data:/work:ro", "source 'data' in 'data:/work:ro' must be an absolute path"),
        (":/work:ro", "source '' .* must be an absolute path"),
        ("/data:work:ro", "target 'work' .* must be an absolute path"),
        ("/data::ro", "target '' .* must be an absolute path"),
        (" /data:/work:ro", "must be an absolute path"),
        ("/data:/work:", "mode '' .* must be 'ro' or 'rw'"),
        ("/data:/work:RO", "mode 'RO' .* must be 'ro' or 'rw'"),
        ("/data:/work:ro\n", "mode .* must be 'ro' or 'rw'"),
        ("/data:/work:ro,z", "mode 'ro,z' .* must be 'ro' or 'rw'"),
        ("/da\nta:/work:ro", "the volume's source .* must not contain"),
        ("/data:/<b>:ro", "the volume's target .* must not contain '<'"),
    ],
)
def test_a_bad_volume_is_refused_by_its_part(volume: str, reason: str) -> None:
    """The error names the part that is wrong."""
    with pytest.raises(InvalidValue, match=reason):
        parse_volume(volume)


@given(st.text())
@example("a\nb\x1b[31m\0\u2028\u2029\x85\udc80")
@example("ümlaut\xa0日本")
def test_anybody_s_text_is_shown_in_one_line(text: str) -> None:
    """Nothing in it ends a line or steers a terminal, and what is harmless stays as it is."""
    shown = escaped(text)
    assert len(shown.splitlines()) <= 1
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cs", "Zl", "Zp"}
    shown.encode()
    if not {unicodedata.category(char) for char in text} & {"Cc", "Cs", "Zl", "Zp"}:
        assert shown == text


def test_a_line_is_short_where_it_is_one_of_a_log() -> None:
    """Elsewhere it is whole."""
    text = "x" * 999 + "\n" * 5
    assert one_line(text) == "x" * 999 + r"\n… (1004 characters)"
    assert escaped(text) == "x" * 999 + r"\n" * 5
    assert one_line(text[:1000]) == "x" * 999 + r"\n"
