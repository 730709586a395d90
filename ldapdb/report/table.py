"""A review as a table for a spreadsheet: a row for each right."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from ldapdb.report.document import NOT_FOUND, Document, in_words

__all__ = ["table"]

_COLUMNS = ("USER", "USER DN", "IMAGE", "POLICY", "STATE", "FROM", "UNTIL", "THROUGH", "CHANGE")
# What a spreadsheet would take for a formula (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def table(document: Document) -> str:
    """Write CSV (RFC 4180); what was lost since the last review has a row too.

    The ways of a right are parted by ``|``, the entries on a way by ``>``. A cell that a
    spreadsheet would take for a formula begins with a quote: names are anybody's text, and
    reviews are read in spreadsheets.
    """
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(_COLUMNS)
    for row in _rows(document):
        rows.writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in row])
    return text.getvalue()


def _rows(document: Document) -> Iterator[Sequence[str]]:
    changes = document["since"]["changes"] if document["since"] else []
    kinds = {(each["dn"], each["image"]): each["kind"] for each in changes}
    through = [_through(document, right) for right in document["rights"]]
    listed = set()
    for user in document["users"]:
        for number in user["rights"]:
            right = document["rights"][number]
            listed.add((user["dn"], right["image"]))
            yield (
                user["name"],
                user["dn"],
                right["image"],
                in_words(right["policy"]),
                NOT_FOUND if user["obstacle"] else right["state"],
                right["from"] or "",
                right["until"] or "",
                through[number],
                kinds.get((user["dn"], right["image"]), ""),
            )
    for each in changes:
        if each["kind"] == "lost" and (each["dn"], each["image"]) not in listed:
            yield each["name"], each["dn"], each["image"], each["before"], "", "", "", "", "lost"


def _through(document: Document, right: Document) -> str:
    return " | ".join(
        " > ".join(document["entries"][entry]["dn"] for entry, _ in document["ways"][way])
        for way in right["ways"]
    )
