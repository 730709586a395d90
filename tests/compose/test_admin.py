"""The profile ``admin``: grants made and taken away in a web page, by clicking."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional
from urllib.parse import quote

import pytest

from compose.stack import Stack
from ldapdb import LDAPDatabase
from ldapdb.model import Grant, Policy, Window
from ldapdb.settings import load
from ldapdb.store import Store
from support.browser import Browser
from support.waiting import eventually

if TYPE_CHECKING:
    from selenium.webdriver.remote.webelement import WebElement

pytestmark = [pytest.mark.compose("admin"), pytest.mark.slow]

IMAGE = "simphony/notebook:1.0"
BASE = "ou=remoteapp,dc=example,dc=org"
WRITER = "cn=remoteapp-writer,ou=services,dc=example,dc=org"
PEOPLE = "ou=people,dc=example,dc=org"
_WIDTH = 1100


@pytest.fixture(scope="module")
def stack(site: Path, composer_of: dict[str, list[str]]) -> Iterator[Stack]:
    with Stack(site, composer_of["v2"], "openldap", "client", "admin") as started:
        yield started


@pytest.fixture(scope="module")
def settings(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    ca_file = stack.save_ca(tmp_path_factory.mktemp("ca") / "ca.pem")
    return stack.database_kwargs("OPENLDAP_PORT", ca_file)


@pytest.fixture(scope="module")
def database(settings: dict[str, Any]) -> Iterator[Any]:
    with LDAPDatabase(**settings) as opened:
        yield opened


class Pages:
    """phpLDAPadmin's pages, and what a person does on them."""

    def __init__(self, browser: Browser, stack: Stack, pictures: Optional[Path]) -> None:
        self._driver = browser.driver
        self._address = f"http://127.0.0.1:{stack.ports['ADMIN_PORT']}/phpldapadmin/cmd.php"
        self._pictures = pictures

    def open(self, command: str, **arguments: str) -> None:
        wanted = "".join(f"&{name}={quote(value)}" for name, value in arguments.items())
        self._driver.get(f"{self._address}?cmd={command}&server_id=1{wanted}")

    def on(self, selector: str, act: Callable[[WebElement], None]) -> None:
        """Wait for an element of the page, which is made piece by piece, and do something to it."""

        def done() -> bool:
            act(self._driver.find_element("css selector", selector))
            return True

        assert self._eventually(done), selector

    def fill(self, selector: str, text: str) -> None:
        def type_it(field: WebElement) -> None:
            field.clear()
            field.send_keys(text)

        self.on(selector, type_it)

    def clear(self, selector: str) -> None:
        self.on(selector, lambda field: field.clear())

    def click(self, selector: str) -> None:
        self.on(selector, lambda element: element.click())

    def choose(self, attribute: str, value: str) -> None:
        self.click(f'[name="new_values[{attribute}][]"] option[value="{value}"]')

    def says(self, text: str) -> bool:
        """Wait until the page says something."""
        return self._eventually(
            lambda: text in self._driver.find_element("css selector", "body").text
        )

    def _eventually(self, holds: Callable[[], object]) -> bool:
        """Ask until it holds; while another page takes the place of one, nothing can be told."""
        from selenium.common.exceptions import WebDriverException

        def told() -> object:
            with contextlib.suppress(WebDriverException):
                return holds()
            return False

        return eventually(told)

    def picture(self, name: str) -> None:
        """Keep a picture of the whole page for the documentation, if they are asked for."""
        if self._pictures:
            self._driver.set_window_size(_WIDTH, 100)  # the page is as high as the window at least
            height = self._driver.execute_script("return document.documentElement.scrollHeight")
            self._driver.set_window_size(_WIDTH, height)
            self._driver.execute_script("window.scrollTo(0, 0)")
            self._driver.save_screenshot(str(self._pictures / f"{name}.png"))

    def log_in(self, name: str, password: str, said: str) -> None:
        """Log in until the page says what it is to say: it may be made anew under one's hands."""

        def tried() -> bool:
            self.open("login_form")
            self.fill("input[name=login]", name)
            self.fill("input[name=login_pass]", password)
            self.click("input[name=submit]")
            return self.says(said)

        assert eventually(tried, 25), said


@pytest.fixture
def pages(browser: Browser, stack: Stack, request: pytest.FixtureRequest) -> Pages:
    browser.driver.delete_all_cookies()
    folder = request.config.getoption("--pictures")
    return Pages(browser, stack, Path(folder) if folder else None)


def images(database: Any, user: str) -> list[str]:
    found = database.get_accounting_for_user(database.get_user(user_name=user))
    return [each.application.image for each in found]


def granted(settings: dict[str, Any]) -> Grant:
    """Return the grant of the image, with what only the newer releases of the host ask for."""
    with contextlib.closing(Store(load(**settings))) as store:
        (found,) = [each.grant for each in store.list_grants() if IMAGE in each.grant.images]
    return found


def test_an_application_and_a_grant_are_made_and_revoked_by_clicking(
    pages: Pages, stack: Stack, settings: dict[str, Any], database: Any
) -> None:
    """What the page says is done is seen through LDAPDatabase at once."""
    pages.log_in(
        WRITER, stack.read("client", "/secrets/writer.pw"), "Successfully logged into server"
    )

    pages.open("template_engine", container=f"ou=applications,{BASE}")
    pages.click('input[value^="remoteAppApplication:"]')
    pages.fill('[name="new_values[cn][0]"]', "notebook")
    pages.fill('[name="new_values[remoteappimage][0]"]', IMAGE)
    pages.picture("admin-application")
    pages.click("#create_button")
    assert IMAGE not in [each.image for each in database.list_applications()]
    pages.click("input[value=Commit]")
    assert pages.says("Creation successful")
    assert IMAGE in [each.image for each in database.list_applications()]

    pages.open("template_engine", container=f"ou=grants,{BASE}")
    pages.click('input[value^="remoteAppGrant:"]')
    pages.fill('[name="new_values[cn][0]"]', "notebook-home")
    pages.choose("remoteappimage", IMAGE)
    for attribute in ("remoteappallowhome", "remoteappallowstartupdata"):
        pages.choose(attribute, "TRUE")
    limits = {"remoteappnotbefore": "20200101000000.0Z", "remoteappnotafter": "20991231180000.0Z"}
    for attribute, text in {"remoteapplicense": "KEY-1", **limits}.items():
        pages.fill(f'[name="new_values[{attribute}][0]"]', text)
    for name in ("alice", "bob"):
        pages.click(f'input[type=checkbox][value="uid={name},{PEOPLE}"]')
    pages.picture("admin-grant")
    pages.click("#create_button")
    pages.click("input[value=Commit]")
    assert pages.says("Creation successful")
    assert IMAGE in images(database, "alice")
    grant = granted(settings)
    assert grant.policy == Policy(allow_home=True, allow_startup_data=True, app_license="KEY-1")
    assert grant.window == Window(1577836800, 4102423200)
    assert IMAGE in images(database, "bob")

    pages.open("template_engine", dn=f"cn=notebook-home,ou=grants,{BASE}")
    pages.picture("admin-members")
    pages.clear(f'input[value="uid=alice,{PEOPLE}"]')
    pages.click("#create_button")
    pages.click("input[value='Update Object'], input[value=Commit]")
    assert eventually(lambda: IMAGE not in images(database, "alice"))
    assert IMAGE in images(database, "bob")


def test_whoever_only_reads_cannot_grant_in_the_page_either(
    pages: Pages, stack: Stack, database: Any
) -> None:
    """It is the directory that refuses, whatever the page offers."""
    reader = WRITER.replace("writer", "reader")
    pages.log_in(
        reader, stack.read("openldap", "/secrets/reader.pw"), "Successfully logged into server"
    )
    pages.open("template_engine", container=f"ou=applications,{BASE}")
    pages.click('input[value^="remoteAppApplication:"]')
    pages.fill('[name="new_values[cn][0]"]', "refused")
    pages.fill('[name="new_values[remoteappimage][0]"]', "simphony/refused:1.0")
    pages.click("#create_button")
    pages.click("input[value=Commit]")
    assert pages.says("Insufficient access")
    assert "simphony/refused:1.0" not in [each.image for each in database.list_applications()]


def test_a_wrong_password_does_not_get_in(pages: Pages) -> None:
    pages.log_in(WRITER, "wrong", "Failed to Authenticate")
