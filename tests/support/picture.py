"""Make report.png and home.png in docs/images: ``PYTHONPATH=tests python -m support.picture``."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

from servers.machine import CHECKOUT
from standin.home_page import serving

from ldapdb import report as reports
from ldapdb.embedded import EmbeddedDirectory
from ldapdb.model import Policy
from ldapdb.settings import load
from ldapdb.store import Store
from ldapdb.store.explaining import Reason
from support.browser import Browser, browser_at
from support.reviews import made_review

_IMAGES = CHECKOUT / "docs" / "images"
_GRANTED = "simphony/notebook:1.1"
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
    """Write the pictures."""
    with tempfile.TemporaryDirectory() as folder, browser_at(Path(folder)) as browser:
        _show_report(browser, Path(folder))
        _show_home(browser, Path(folder))


def _show_report(browser: Browser, folder: Path) -> None:
    """Show a review beside an earlier one."""
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
    page = folder / "review.html"
    page.write_text(reports.page(reports.with_changes(before, now)), encoding="utf-8")
    browser.driver.set_window_size(1400, 1000)
    browser.open_file(page)
    browser.driver.save_screenshot(str(_IMAGES / "report.png"))


def _show_home(browser: Browser, folder: Path) -> None:
    """Show carol what docs/tutorial.md has granted her."""
    with EmbeddedDirectory() as directory:
        kwargs = directory.database_kwargs()
        with closing(Store(load(**kwargs))) as store:
            store.create_application(_GRANTED)
            store.grant(_GRANTED, "carol", Policy.of(allow_home=True))
        configuration = folder / "remoteappmanager.py"
        configuration.write_text(
            f"database_class = 'ldapdb.LDAPDatabase'\ndatabase_kwargs = {kwargs!r}\n"
        )
        with serving(configuration) as address:
            browser.driver.set_window_size(900, 330)
            browser.driver.get(f"{address}user/carol/")
            browser.driver.save_screenshot(str(_IMAGES / "home.png"))


if __name__ == "__main__":
    main()
