"""A review as one HTML file that loads nothing: for auditors, and for those who print it."""

from __future__ import annotations

import base64
import calendar
import hashlib
import json
import time
from collections import Counter
from importlib import resources
from typing import Any, Optional

from ldapdb.report.document import NOT_FOUND, NOW, Document, in_words

__all__ = ["page"]

_SOON_DAYS = 30
_MOMENT = "%Y-%m-%dT%H:%M:%SZ"
# Lines of a list in the page's head; the JSON and the CSV have all.
_MOST = 2000

# Ends of elements and of lines must not be in the text of a script element (WHATWG HTML,
# "Restrictions for contents of script elements"; JSON takes the escapes for the same).
_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def page(document: Document) -> str:
    """Write the page.

    It may run the script and have the style that are in it, by their hashes, and nothing
    else: whatever a name in the directory holds stays text, twice.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 -- extra cli
    from markupsafe import Markup  # noqa: PLC0415 -- comes with jinja2

    environment = Environment(
        loader=PackageLoader("ldapdb.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = _part("page.css"), _part("page.js")
    data = json.dumps(_data(document), ensure_ascii=False, separators=(",", ":"))
    return environment.get_template("page.html.j2").render(
        document=document,
        summary=_summary(document),
        most=_MOST,
        style=Markup(style),  # noqa: S704 -- our own files
        script=Markup(script),  # noqa: S704 -- as above
        style_hash=_hash(style),
        script_hash=_hash(script),
        data=Markup(data.translate(_ESCAPES)),  # noqa: S704 -- escaped for where it stands
    )


def _part(name: str) -> str:
    return (resources.files("ldapdb.report") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Name a script or a style for the policy (W3C, Content Security Policy Level 3)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _summary(document: Document) -> dict[str, Any]:
    """Count what stands on top."""
    rights, soon = document["rights"], _soon(document)
    now = [right["state"] == NOW for right in rights]
    ends = [
        held and (end := _seconds(right["until"])) is not None and end <= soon
        for held, right in zip(now, rights)
    ]
    users = held = ending = 0
    used: set[str] = set()
    for user in document["users"]:
        mine = [] if user["obstacle"] else [each for each in user["rights"] if now[each]]
        users += bool(mine)
        held += len(mine)
        ending += sum(ends[each] for each in mine)
        used.update(rights[each]["image"] for each in mine)
    changes = document["since"]["changes"] if document["since"] else []
    kinds = Counter(each["kind"] for each in changes)
    return {
        "users": users,
        "images": len(document["applications"]),
        "used": len(used),
        "held": held,
        "ending": ending,
        "days": _SOON_DAYS,
        "changes": {kind: kinds[kind] for kind in ("gained", "lost", "changed")},
    }


def _data(document: Document) -> dict[str, Any]:
    """Cut down to what the table shows: no ids, which a licence key has a share in."""
    return {
        "soon": _soon(document),
        "states": [NOW, "not begun", "expired", "not registered", NOT_FOUND],
        "users": [[each["name"], each["dn"], each["obstacle"]] for each in document["users"]],
        "held": [each["rights"] for each in document["users"]],
        "rights": [
            [
                right["image"],
                in_words(right["policy"]),
                right["state"],
                right["from"],
                right["until"],
                _seconds(right["until"]),
                right["ways"],
            ]
            for right in document["rights"]
        ],
        "ways": document["ways"],
        "entries": [
            [each["dn"], each.get("not_before"), each.get("not_after")]
            for each in document["entries"]
        ],
    }


def _soon(document: Document) -> int:
    return (_seconds(document["at"]) or 0) + _SOON_DAYS * 86400


def _seconds(moment: Optional[str]) -> Optional[int]:
    """Read a document's moment as seconds since the epoch."""
    return None if moment is None else calendar.timegm(time.strptime(moment, _MOMENT))
