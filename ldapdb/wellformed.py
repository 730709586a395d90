"""What text is well-formed: names, image references, volumes, and lines that are shown.

The host puts names, images and licences into HTML unescaped. What these checks refuse is
refused on write and left out on read, so that it never reaches the host. Logs and terminals
are shown anybody's text in one line.
"""

from __future__ import annotations

import re
import unicodedata

from ldapdb.errors import InvalidValue

__all__ = ["check_image", "check_text", "escaped", "one_line", "parse_volume"]

# The grammar of an image reference as Docker's distribution/reference package states it:
# [domain/]path[:tag][@digest].
_DOMAIN_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
_DOMAIN = rf"(?:{_DOMAIN_LABEL}(?:\.{_DOMAIN_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PATH_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_IMAGE = re.compile(
    rf"(?P<name>(?:{_DOMAIN}/)?{_PATH_PART}(?:/{_PATH_PART})*)(?::{_TAG})?(?:@{_DIGEST})?"
)
_LONGEST_IMAGE_NAME = 255

_VOLUME_PARTS = 3

# What ends a line, or tells a terminal what to do; a lone surrogate cannot be printed at all.
_UNPRINTED = ("Cc", "Cs", "Zl", "Zp")
# Characters of anybody's text in a log line.
_LONGEST_TEXT = 1000


def check_text(text: str, what: str, *, secret: bool = False) -> str:
    """Refuse text that the host must not be shown.

    Parameters
    ----------
    text : str
        A user name, a licence or a path.
    what : str
        What it is, for the error.
    secret : bool
        Whether the error must not quote it.

    Returns
    -------
    str
        The same text.

    Raises
    ------
    InvalidValue
        If it is empty, or has a control character, a line separator, ``<`` or ``>``.
    """
    if not text:
        raise InvalidValue(f"the {what} is empty")
    if text.isascii() and text.isprintable() and "<" not in text and ">" not in text:
        return text  # nearly all, and a list of users has a hundred thousand
    for char in text:
        if char in "<>" or unicodedata.category(char) in _UNPRINTED:
            quoted = "" if secret else f" {text!r}"
            raise InvalidValue(f"the {what}{quoted} must not contain {char!r}")
    return text


def check_image(image: str) -> str:
    """Refuse what is not a Docker image reference.

    Parameters
    ----------
    image : str
        For example ``registry.example.org:5000/cad/freecad:0.21``.

    Returns
    -------
    str
        The same reference.

    Raises
    ------
    InvalidValue
        If it does not follow the reference grammar, or its name is longer than the 255
        characters that Docker allows.
    """
    match = _IMAGE.fullmatch(image)
    if match is None:
        capitals = _IMAGE.fullmatch(image.lower()) is not None
        why = "; its name must not have capitals, its tag may" if capitals else ""
        raise InvalidValue(
            f"the image {image!r} is not a Docker reference such as 'registry/name:tag'{why}"
        )
    if len(match["name"]) > _LONGEST_IMAGE_NAME:
        raise InvalidValue(
            f"the image's name has {len(match['name'])} characters; "
            f"Docker allows {_LONGEST_IMAGE_NAME}: {image!r}"
        )
    return image


def parse_volume(volume: str) -> tuple[str, str, str]:
    """Take ``source:target:mode`` apart.

    Parameters
    ----------
    volume : str
        Two absolute paths and ``ro`` or ``rw``.

    Returns
    -------
    tuple of str
        Source on the machine that runs the container, target in it, mode.

    Raises
    ------
    InvalidValue
        Naming the part that is wrong.
    """
    parts = volume.split(":")
    if len(parts) != _VOLUME_PARTS:
        raise InvalidValue(
            f"the volume {volume!r} must be source:target:mode, such as /data:/mnt/data:ro: "
            f"{_VOLUME_PARTS} parts between colons, and not {len(parts)}"
        )
    source, target, mode = parts
    for part, path in (("source", source), ("target", target)):
        if not path.startswith("/"):
            raise InvalidValue(
                f"the volume's {part} {path!r} in {volume!r} must be an absolute path"
            )
        check_text(path, f"volume's {part}")
    if mode not in ("ro", "rw"):
        raise InvalidValue(f"the volume's mode {mode!r} in {volume!r} must be 'ro' or 'rw'")
    return source, target, mode


def escaped(text: str) -> str:
    r"""Make one line of what may be anybody's text: a line break would forge another.

    Parameters
    ----------
    text : str
        As a directory, a database or a person wrote it.

    Returns
    -------
    str
        The same, with ``\n`` for a line break and so on for all that steers a terminal.
    """
    if text.isprintable():
        return text
    return "".join(
        ascii(char)[1:-1] if unicodedata.category(char) in _UNPRINTED else char for char in text
    )


def one_line(text: str) -> str:
    """Make one short line of what may be anybody's text: nor may it fill a log.

    Parameters
    ----------
    text : str
        As for :func:`escaped`.

    Returns
    -------
    str
        Its first thousand characters, escaped, and how many it has if it has more.
    """
    if len(text) > _LONGEST_TEXT:
        text = f"{text[:_LONGEST_TEXT]}… ({len(text)} characters)"
    return escaped(text)
