"""Each directory's page, typed out command by command on a server of that kind.

The blocks marked ``bash`` of ``docs/<page>.md`` are run in one shell, from an empty directory
to the grant that ldapdb shows, then the revocation; and on another server the set-up without
our schema. Only what names this machine is changed: where the server is, and what it is called.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import pytest
from _pytest.mark import ParameterSet

from ldapdb import LDAPDatabase
from ldapdb.embedded import EmbeddedDirectory
from ldapdb.errors import AccessDenied, LDAPDBError
from support.servers import server_class

ROOT = Path(__file__).resolve().parents[2]
LDIF = ROOT / "ldif"

# What is typed where a page asks for a password; Active Directory wants several kinds of signs.
PASSWORD = "Typed-4-the-page"
IMAGES = ("simphony/notebook:1.0", "simphony/mayavi:0.5")


# -- pages ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """A fenced block and the headings that it stands under."""

    headings: tuple[str, ...]
    language: str
    text: str


@dataclass(frozen=True)
class Page:
    """A page's blocks, in order."""

    blocks: tuple[Block, ...]

    @classmethod
    def read(cls, name: str) -> Page:
        text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
        headings: list[str] = []
        found = []
        for level, title, language, body in re.findall(
            r"^(#+) ([^\n]+)$|^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
        ):
            if level:
                headings[len(level) - 1 :] = [title]
            else:
                found.append(Block(tuple(headings), language, body))
        return cls(tuple(found))

    def of(self, language: str, heading: str = "") -> list[str]:
        """Return the blocks in a language under a heading that has these words."""
        return [
            block.text
            for block in self.blocks
            if block.language == language and heading in " / ".join(block.headings)
        ]

    @property
    def phases(self) -> tuple[str, str, str]:
        """What is typed to grant, to revoke, and to undo it all.

        Each is a shell of its own, and so begins with the page's first block, which only
        sets names.
        """
        later = [self.of("bash", each) for each in ("Revoking", "Undoing")]
        others = chain(*later, self.of("bash", "Without extending"))
        without = set(others)
        granting = [text for text in self.of("bash") if text not in without]
        revoking, undoing = (granting[0] + "".join(each) for each in later)
        return "".join(granting), revoking, undoing

    @property
    def writer(self) -> str:
        """The DN of the account that writes, which is told as the reader's is."""
        found = re.search(r'^bind_dn = "(.*)"$', self.of("toml")[0], re.MULTILINE)
        assert found is not None
        return found[1].replace("remoteapp-reader", "remoteapp-writer")

    @property
    def stock(self) -> str:
        """What is typed instead where the schema stays as it is, with somebody to try it with."""
        setting_up, *granting = self.of("bash", "Without extending")
        before = [block.text for block in self.blocks if len(block.headings) == 1]
        names = [text for text in before if text in self.of("bash")] or self.of("bash")[:1]
        people = self.of("bash", "A first grant")[0]
        return "".join([*names, setting_up, people, *granting])


# -- servers --------------------------------------------------------------------------------


class Bench(Protocol):
    """A fresh server, and a shell beside it that has the files of ``ldif/``."""

    uri: str
    passwords: tuple[str, ...]  # what the page asks for, in that order

    def type(self, script: str, *lines: str) -> None:
        """Run commands, with lines for what they ask for."""


class OpenLDAPBench:
    """A private slapd as Debian's package sets one up, without our schema."""

    def __init__(self, directory: EmbeddedDirectory, folder: Path) -> None:
        self._directory = directory
        self._folder = folder
        self.uri = directory.uri
        self.passwords: tuple[str, ...] = (directory.password, PASSWORD, PASSWORD)
        directory.ldapmodify("dn: dc=example,dc=org\nobjectClass: domain\ndc: example\n", "-a")
        shutil.copytree(LDIF, folder)

    def type(self, script: str, *lines: str) -> None:
        _run(
            [
                "bash",
                "-euo",
                "pipefail",
                "-c",
                script.replace("ldapi:///", self._directory.socket_uri),
            ],
            "".join(f"{line}\n" for line in lines),
            self._folder,
        )


def _run(command: list[str], text: str, folder: Path) -> None:
    done = subprocess.run(
        command, input=text.encode(), capture_output=True, check=False, cwd=folder
    )
    assert done.returncode == 0, (done.stderr + done.stdout).decode(errors="replace")


class MachineBench:
    """A server in a small Debian of its own, with the files of ``ldif/`` in a folder there."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.uri: str = server.uri
        self.passwords: tuple[str, ...] = (PASSWORD, PASSWORD)
        shutil.copytree(LDIF, server.scratch / "ldif")

    def type(self, script: str, *lines: str) -> None:
        self._server.tool(
            *("bash", "-euo", "pipefail", "-c", f"cd /tmp/ldif\n{script}"),
            input="".join(f"{line}\n" for line in lines),
        )


@pytest.fixture
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """A fresh server of a vendor, without our schema, and where its page is typed."""
    with server_class(request.param)(schema=False) as server:
        if request.param == "openldap":
            yield OpenLDAPBench(server, tmp_path / "ldif")
        else:
            yield MachineBench(server)


# -- ldapdb ---------------------------------------------------------------------------------


@dataclass
class Settings:
    """The page's settings in a file, with this server's address and a password in a file."""

    page: Page
    folder: Path
    uri: str

    def write(self, *, stock: bool) -> Path:
        own, without = self.page.of("toml")
        lines = without.splitlines() if stock else []
        named = {line.partition(" = ")[0] for line in lines}
        lines += [line for line in own.splitlines() if line.partition(" = ")[0] not in named]
        secret = self.folder / "reader.pw"
        secret.touch(mode=0o600)
        secret.write_text(PASSWORD, encoding="utf-8")
        local = {"uri": self.uri, "bind_password_file": str(secret)}
        path = self.folder / "ldapdb.toml"
        path.write_text(
            "".join(
                f'{name} = "{local[name]}"\n'
                if (name := line.partition(" = ")[0]) in local
                else f"{line}\n"
                for line in lines
            ),
            encoding="utf-8",
        )
        return path


def _shown(settings: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Run the command that the page ends with."""
    pytest.importorskip("click", reason="the command line's libraries are an extra")
    from ldapdb.cli import run

    capsys.readouterr()
    assert run(["--config-file", str(settings), "user", "show", "alice"]) == 0
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    return shown


def _has(whole: Any, part: Any) -> bool:
    """Tell whether all that a page shows is there; what it leaves out may be too."""
    if isinstance(part, dict):
        return all(name in whole and _has(whole[name], value) for name, value in part.items())
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(_has, whole, part))
    return bool(whole == part)


def _page(name: str, vendor: str) -> ParameterSet:
    return pytest.param(
        name, vendor, marks=pytest.mark.live(vendor, reason="each page is about one"), id=name
    )


PAGES = pytest.mark.parametrize(
    ("name", "bench"),
    [_page("openldap", "openldap"), _page("389ds", "389ds"), _page("active-directory", "ad")],
    indirect=["bench"],
)


@PAGES
def test_the_page_leads_from_nothing_to_a_grant_and_back(
    name: str,
    bench: Bench,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What a page says to type is accepted, and ldapdb shows what the page says it shows."""
    page = Page.read(name)
    granting, revoking, undoing = page.phases
    settings = Settings(page, tmp_path, bench.uri)

    bench.type(granting, *bench.passwords)
    path = settings.write(stock=False)
    (promised,) = page.of("json")
    assert _has(_shown(path, capsys), json.loads(promised))

    bench.type(revoking)
    assert _shown(path, capsys)["accounting"] == []

    bench.type(undoing)
    with pytest.raises(LDAPDBError):
        LDAPDatabase(config_file=settings.write(stock=False))


@PAGES
def test_the_page_leads_to_a_grant_without_our_schema(
    name: str,
    bench: Bench,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On a server that never had it: the reader sees the grant, and the writer makes another."""
    page = Page.read(name)
    settings = Settings(page, tmp_path, bench.uri)
    bench.type(page.stock, *bench.passwords)
    path = settings.write(stock=True)
    (held,) = _shown(path, capsys)["accounting"]
    assert held["image"] == IMAGES[1]
    assert held["policy"]["allow_view"] is True
    assert held["policy"]["allow_home"] is False

    with closing(LDAPDatabase(config_file=path)) as reader:
        with pytest.raises(AccessDenied):
            reader.create_application(IMAGES[0])
        with pytest.raises(AccessDenied):
            reader.revoke_access(IMAGES[1], "alice", False, True, None)
    with closing(LDAPDatabase(config_file=path, bind_dn=page.writer)) as writer:
        writer.create_application(IMAGES[0])
        writer.grant_access(IMAGES[0], "alice", True, False, None)
        writer.revoke_access(IMAGES[1], "alice", False, True, None)
    (held,) = _shown(path, capsys)["accounting"]
    assert held["image"] == IMAGES[0]
