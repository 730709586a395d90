"""What has changed from one review to the next: who has gained or lost what."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ldapdb.report.document import NOW, Document, in_words

__all__ = ["Change", "compare", "with_changes"]


@dataclass(frozen=True)
class Change:
    """A user's right to an image, now and at the time of the last review.

    Parameters
    ----------
    kind : str
        ``gained``, ``lost`` or ``changed``: policy or expiry.
    name, dn : str
        The user's; of now, unless he is gone.
    image : str
        Which.
    before, after : str
        Under which policy, until when; empty if not at all.
    """

    kind: str
    name: str
    dn: str
    image: str
    before: str
    after: str


# What one user holds of one image: the ids of policies, each until when, and in words.
_Held = dict[tuple[str, str], str]


def compare(before: Document, after: Document) -> list[Change]:
    """List the changes, by user and image.

    Users are told apart by their id, which a new name or place does not change. What counts is
    what the host let them start at the time of each review.
    """
    old, new = _holding(before), _holding(after)
    people = {user["id"]: user for document in (before, after) for user in document["users"]}
    changes = []
    for key in old.keys() | new.keys():
        had, has = old.get(key, {}), new.get(key, {})
        if had.keys() != has.keys():
            user = people[key[0]]
            kind = "changed" if had and has else "gained" if has else "lost"
            was, becomes = _in_words(had), _in_words(has)
            if was == becomes:
                becomes += " (another licence)"
            changes.append(Change(kind, user["name"], user["dn"], key[1], was, becomes))
    return sorted(changes, key=lambda each: (each.name.lower(), each.dn, each.image))


def with_changes(before: Document, after: Document) -> Document:
    """Return a review with what has changed since another."""
    changes = [asdict(each) for each in compare(before, after)]
    since = {"at": before["at"], "base_dn": before["base_dn"], "changes": changes}
    return {**after, "since": since}


def _holding(document: Document) -> dict[tuple[int, str], _Held]:
    rights = [_said(right) if right["state"] == NOW else None for right in document["rights"]]
    held: dict[tuple[int, str], _Held] = {}
    for user in document["users"]:
        for number in () if user["obstacle"] else user["rights"]:
            right = rights[number]
            if right is not None:
                image, policy, words = right
                held.setdefault((user["id"], image), {})[policy] = words
    return held


def _said(right: Document) -> tuple[str, tuple[str, str], str]:
    until = right["until"] or ""
    words = in_words(right["policy"])
    if until:
        words += f", until {until.replace('T', ' ').replace('Z', ' UTC')}"
    return right["image"], (right["id"], until), words


def _in_words(held: _Held) -> str:
    return "; ".join(sorted(held.values()))
