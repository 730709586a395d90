"""Make docs/images/report.png: ``PYTHONPATH=tests python -m support.picture``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from servers.machine import CHECKOUT

from ldapdb import report as reports
from ldapdb.store.explaining import Reason
from support.browser import browser_at
from support.reviews import made_review

_REASONS = (
    Reason(
        "unreadable",
        "'cn=solver,ou=grants,ou=remoteapp,dc=example,dc=org' gives nothing: the volume "
        "'/data/solver' is not of the form source:target:mode",
    ),
    Reason(
        "dangling",
        "the member 'uid=m.keller,ou=people,dc=example,dc=org' of "
        "'cn=team-3,ou=groups,dc=example,dc=org' is no entry",
    ),
)


def main() -> None:
    """Write the picture."""
    now = reports.write(made_review(480, 24, (3, 9), _REASONS))
    before = reports.write(made_review(480, 24, (3, 9)))
    before["at"] = "2026-02-27T08:00:00Z"
    rights = before["rights"]
    for number, user in enumerate(before["users"][:12]):
        first, *others = user["rights"]
        if number % 4 == 1:
            user["rights"] = others
        elif number % 4 == 2:
            same = (
                each
                for each, right in enumerate(rights)
                if right["image"] == rights[first]["image"]
            )
            user["rights"] = [next(each for each in same if each != first), *others]
    with tempfile.TemporaryDirectory() as folder, browser_at(Path(folder)) as browser:
        page = Path(folder) / "review.html"
        page.write_text(reports.page(reports.with_changes(before, now)), encoding="utf-8")
        browser.driver.set_window_size(1400, 1000)
        browser.open_file(page)
        browser.driver.save_screenshot(str(CHECKOUT / "docs" / "images" / "report.png"))


if __name__ == "__main__":
    main()
