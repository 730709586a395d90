"""Reviews as files: what is in them, what is never in them, and what is no review."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest

from ldapdb import errors
from ldapdb import report as reports
from ldapdb.model import Application, Grant, Policy, User, Window
from ldapdb.protocol.dn import DN
from ldapdb.store.explaining import Link, Reason, Way
from ldapdb.store.holders import Reached
from ldapdb.store.reviewing import Review, Reviewed
from support.reviews import AT, made_review

BASE = DN.parse("dc=example,dc=org")
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
SECRET = "KEY-4711-SECRET"
DAY = 86400.0


def right(image: str, policy: Policy, *windows: Window) -> Reached:
    """Make a right that comes by a grant for each window."""
    grants = tuple(
        Grant(DN.parse(f"cn=g{number}"), (image,), policy, window)
        for number, window in enumerate(windows or (Window(),))
    )
    ways = tuple(Way((Link(grant.dn, "member"),), grant) for grant in grants)
    return Reached(image, policy, grants, ways)


def review(*people: tuple[Any, ...], at: float = AT, reasons: tuple[Reason, ...] = ()) -> Review:
    """Make a review of people: id, name, rights."""
    reviewed = tuple(
        Reviewed(User(number, name, BASE.child("cn", name)), "", rights)
        for number, name, *rights_ in people
        for rights in [tuple(rights_)]
    )
    images = {each.image for who in reviewed for each in who.rights if each.image != "gone:1"}
    apps = tuple(Application(0, image, BASE) for image in sorted(images))
    return Review(apps, reviewed, reasons, ("ldap://x",), BASE, "cn=me", at)


def rows(document: reports.Document) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(reports.table(document))))


def test_a_right_says_whether_it_holds_and_until_when() -> None:
    ends, over = Window(None, AT + DAY), Window(None, AT - DAY)
    coming = Window(AT + 2 * DAY, AT + 9 * DAY)
    said = {
        "always": right("a:1", Policy(), ends, Window()),
        "longest": right("b:1", Policy(), ends, Window(None, AT + 3 * DAY), over),
        "over": right("c:1", Policy(), over),
        "coming": right("d:1", Policy(), over, coming),
        "gone": right("gone:1", Policy()),
    }
    document = reports.write(review((1, "alice", *said.values())))
    told = {
        each["image"]: (each["state"], each["from"], each["until"]) for each in document["rights"]
    }
    assert told == {
        "a:1": ("now", None, None),
        "b:1": ("now", None, "2026-05-31T20:26:40Z"),
        "c:1": ("expired", None, "2026-05-27T20:26:40Z"),
        "d:1": ("not begun", "2026-05-30T20:26:40Z", "2026-06-06T20:26:40Z"),
        "gone:1": ("not registered", None, None),
    }


def test_a_document_survives_being_written_and_read() -> None:
    document = reports.write(made_review(50, 20, (1, 9)))
    assert reports.read(json.dumps(document), "x.json") == document
    assert len(document["rights"]) < sum(len(each["rights"]) for each in document["users"])


def test_a_licence_key_is_in_no_form_of_a_review() -> None:
    before = review((1, "alice", right("a:1", Policy.of(app_license=SECRET))))
    after = review((1, "alice", right("a:1", Policy.of(app_license=SECRET + "2"))))
    document = reports.with_changes(reports.write(before), reports.write(after))
    for text in (json.dumps(document), reports.table(document), reports.page(document)):
        assert "licensed" in text
        assert SECRET not in text
        assert "another licence" in text or text.startswith("USER")
    ids = {each["id"] for each in document["rights"]}
    assert not any(each in reports.page(document) for each in ids)


def test_changes_are_what_a_user_has_gained_lost_or_has_otherwise() -> None:
    home, plain = Policy.of(allow_home=True), Policy()
    ends = Window(None, AT + 2 * DAY)
    before = reports.write(
        review(
            (1, "alice", right("a:1", home), right("b:1", plain), right("same:1", plain)),
            (2, "bob", right("b:1", plain), right("ends:1", plain, ends)),
            (3, "carol", right("a:1", plain)),
        )
    )
    after = reports.write(
        review(
            (1, "renamed", right("a:1", plain), right("c:1", plain), right("same:1", plain)),
            (
                2,
                "bob",
                right("b:1", plain, Window(None, AT + 9 * DAY)),
                right("ends:1", plain, ends),
            ),
            at=AT + 3 * DAY,
        )
    )
    found = [
        (each.kind, each.name, each.image, each.before, each.after)
        for each in reports.compare(before, after)
    ]
    assert found == [
        ("changed", "bob", "b:1", "plain", "plain, until 2026-06-06 20:26:40 UTC"),
        ("lost", "bob", "ends:1", "plain, until 2026-05-30 20:26:40 UTC", ""),
        ("lost", "carol", "a:1", "plain", ""),
        ("changed", "renamed", "a:1", "home", "plain"),
        ("lost", "renamed", "b:1", "plain", ""),
        ("gained", "renamed", "c:1", "", "plain"),
    ]
    assert reports.compare(after, after) == []
    told = [
        (row["USER"], row["IMAGE"], row["CHANGE"])
        for row in rows(reports.with_changes(before, after))
    ]
    assert ("carol", "a:1", "lost") in told
    assert ("renamed", "same:1", "") in told
    assert [each for each in told if each[1] == "ends:1"] == [("bob", "ends:1", "lost")]


def test_whom_the_host_does_not_find_holds_nothing() -> None:
    found = review((1, "alice", right("a:1", Policy())))
    hidden = Reviewed(found.people[0].user, "the name belongs to 2 entries", found.people[0].rights)
    before, after = reports.write(found), reports.write(review())
    twice = {**before, "users": [{**before["users"][0], "obstacle": hidden.obstacle}]}
    assert [each.kind for each in reports.compare(before, twice)] == ["lost"]
    assert reports.compare(twice, after) == []
    assert rows(twice)[0]["STATE"] == "not found"


def test_a_spreadsheet_takes_no_name_for_a_formula() -> None:
    document = reports.write(review((1, "=cmd|' /C calc'!A0", right("a:1", Policy()))))
    [row] = rows(document)
    assert row["USER"] == "'=cmd|' /C calc'!A0"
    assert row["USER DN"].startswith("cn=")


def test_the_page_holds_names_as_text_and_runs_its_own_script_alone() -> None:
    reasons = (Reason("dangling", EVIL),)
    document = reports.write(review((1, EVIL, right("a:1", Policy())), reasons=reasons))
    html = reports.page(reports.with_changes(reports.write(review()), document))
    assert "<img" not in html
    assert html.count("<script") == html.count("</script>") == 2
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\';' in html
    assert not re.search(r"https?://|unsafe-inline|\son[a-z]+=\"|style=\"", html)
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert data is not None
    assert json.loads(data[1])["users"][0][0] == EVIL


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "its format is not 'ldapdb-review'"),
        ('{"format": "ldapdb-review", "version": 2}', "version 2"),
        ('{"format": "ldapdb-review", "version": 1}', "broken review (KeyError"),
    ],
)
def test_what_is_no_review_is_said_in_one_line(text: str, says: str) -> None:
    with pytest.raises(errors.InvalidValue) as caught:
        reports.read(text, "last.json")
    said = str(caught.value)
    assert said.startswith("last.json ")
    assert says in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("users", 0, "rights"), [99]),
        (("users", 0, "rights"), [-1]),
        (("users", 0, "rights"), [True]),
        (("users", 0, "id"), "1"),
        (("users", 0, "dn"), None),
        (("users", 0), []),
        (("users",), None),
        (("rights", 0, "until"), 5),
        (("rights", 0, "state"), None),
        (("rights", 0, "policy"), {}),
        (("at",), None),
    ],
)
def test_a_review_that_was_changed_by_hand_is_refused(where: tuple[Any, ...], value: Any) -> None:
    document = json.loads(json.dumps(reports.write(review((1, "alice", right("a:1", Policy()))))))
    *path, last = where
    place = document
    for each in path:
        place = place[each]
    place[last] = value
    with pytest.raises(errors.InvalidValue, match="broken review"):
        reports.read(json.dumps(document), "last.json")
