"""Imports point downwards only: the pure core knows no server, the edges are edges.

Read from the sources with ast, so that an import inside a function counts as well.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import ldap3
import pytest

import ldapdb
from ldapdb import vendors
from ldapdb.vendors import Vendor

PACKAGE = Path(ldapdb.__file__).parent

# From the bottom up: a module may import what stands before it, and nothing else of ours.
PURE = (
    "errors",
    "protocol",
    "wellformed",
    "syntaxes",
    "model",
    "moments",
    "naming",
    "entries",
    "accounts",
    "matching",
    "notation",
    "stock",
    "vendors",
    "modifying",
    "failover",
    "rejections",
    "shared",
    "attempts",
    "garbage",
    "tagged",
    "cache",
)
SHELL = ("secrecy", "settings", "client", "watch", "store")
EDGES = (
    "report",
    "interface",
    "database",
    "embedded",
    "demo",
    "engine",
    "migrate",
    "cli",
    "__main__",
)
ORDER = (*PURE, *SHELL, *EDGES)

# All that the pure core needs of other people's code. No socket, no time, no environment.
PURE_NEEDS = {
    "__future__",
    "base64",
    "binascii",
    "cachetools",
    "collections",
    "contextlib",
    "copy",
    "dataclasses",
    "datetime",
    "enum",
    "fractions",
    "functools",
    "gc",
    "hashlib",
    "json",
    "logging",
    "math",
    "os",  # for its hooks around a fork; that none reads the environment is tested below
    "re",
    "shlex",
    "threading",
    "typing",
    "unicodedata",
    "uuid",
    "weakref",
}

# Who alone may import what.
RESERVED = {
    "cachetools": {"cache", "tagged", "store"},
    "click": {"cli", "__main__"},
    "docker": {"engine"},
    "gssapi": {"client"},
    "jinja2": {"report"},
    "ldap3": {"client"},
    "pyasn1": {"client"},
    "pydantic": {"settings"},
    "pydantic_settings": {"settings"},
    "remoteappmanager": {"database"},
    "rich": {"cli", "__main__"},
    "select": {"client"},
    "socket": {"client", "embedded"},
    "sqlalchemy": {"migrate"},
    "ssl": {"client"},
    "subprocess": {"cli", "embedded"},
}


@dataclass(frozen=True)
class Import:
    """One imported module, and where: ``ldapdb`` modules by the name of their part."""

    where: str
    module: str

    @property
    def part(self) -> str:
        """The part of ldapdb that is imported, or ''."""
        return self.module.split(".")[1] if self.module.startswith("ldapdb.") else ""

    @property
    def top(self) -> str:
        """The top-level package."""
        return self.module.split(".")[0]


def _imports(source: str, where: str) -> Iterator[Import]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (Import(where, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{where} has a relative import"
            module = node.module or ""
            if module != "ldapdb":
                yield Import(where, module)
                continue
            for alias in node.names:
                name = {"LDAPDatabase": "database"}.get(alias.name, alias.name)
                yield Import(where, "ldapdb" if name == "__version__" else f"ldapdb.{name}")


def _sources() -> dict[str, list[Path]]:
    """Group the source files by the part of ldapdb that they are of."""
    parts: dict[str, list[Path]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        part = path.relative_to(PACKAGE).with_suffix("").parts[0]
        parts.setdefault(part, []).append(path)
    return parts


SOURCES = _sources()
IMPORTS = {
    part: [
        each
        for path in paths
        for each in _imports(path.read_text(encoding="utf-8"), str(path.relative_to(PACKAGE)))
    ]
    for part, paths in SOURCES.items()
}


def _names_used(part: str) -> set[str]:
    """Return every attribute and name that a part's sources mention."""
    names = set()
    for path in SOURCES[part]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute):
                names.add(node.attr)
            elif isinstance(node, ast.Name):
                names.add(node.id)
    return names


def test_the_reader_sees_every_import() -> None:
    """Imports in functions, under conditions and of submodules are seen."""
    source = (
        "import os.path, ldap3\n"
        "from ldapdb import errors, LDAPDatabase, __version__\n"
        "from ldapdb.store import Store\n"
        "def f():\n    if x:\n        from ldapdb.client.call import Call\n"
    )
    seen = {each.module for each in _imports(source, "x.py")}
    assert seen == {
        "os.path",
        "ldap3",
        "ldapdb",
        "ldapdb.errors",
        "ldapdb.database",
        "ldapdb.store",
        "ldapdb.client.call",
    }
    assert {each.part for each in _imports(source, "x.py")} == {
        *("", "errors", "database", "store", "client"),
    }


def test_every_module_has_its_layer() -> None:
    """A new module is put into the order above before it is used."""
    assert set(SOURCES) - {"__init__"} == set(ORDER)


@pytest.mark.parametrize("part", ORDER)
def test_imports_point_downwards(part: str) -> None:
    """A module imports nothing of ours that stands above it."""
    allowed = {"", part, *ORDER[: ORDER.index(part)]}
    wrong = [each for each in IMPORTS[part] if each.part not in allowed]
    assert not wrong


def test_the_top_is_imported_by_nobody_below() -> None:
    """The package itself imports the host's class alone, and only when it is asked for."""
    assert {each.part for each in IMPORTS["__init__"]} == {"", "database"}
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    at_import = {
        node.module for node in tree.body if isinstance(node, ast.ImportFrom) and node.module
    }
    assert at_import <= {"__future__", "typing"}


def test_the_core_needs_no_more_than_is_said() -> None:
    """What the core no longer imports is taken off the list above."""
    assert {each.top for part in PURE for each in IMPORTS[part]} - {"ldapdb"} == PURE_NEEDS


@pytest.mark.parametrize("part", PURE)
def test_the_core_is_pure(part: str) -> None:
    """A core module opens no socket, asks no clock and reads no environment."""
    foreign = {each.top for each in IMPORTS[part]} - {"ldapdb"}
    assert foreign <= PURE_NEEDS
    assert not _names_used(part) & {"environ", "getenv", "open"}
    assert not _asks_the_clock(part)


def _asks_the_clock(part: str) -> bool:
    """Tell whether a part calls ``datetime.now`` or its kin (``now`` as an argument is fine)."""
    return any(
        isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today")
        for path in SOURCES[part]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    )


@pytest.mark.parametrize("module", RESERVED)
def test_what_is_reserved_is_imported_there_alone(module: str) -> None:
    """ldap3 stays in the connection, the host in the database, and so on."""
    importers = {
        part for part, imports in IMPORTS.items() for each in imports if each.top == module
    }
    assert importers <= RESERVED[module]


def _modules_of_ldap3(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        elif isinstance(node, ast.Import):
            found.update(each.name for each in node.names)
    return {each for each in found if each.partition(".")[0] == "ldap3"}


def _private_names(text: str) -> set[str]:
    """List private attributes, and private methods that are defined."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        name = getattr(node, "attr", None) or getattr(node, "name", None) or ""
        if name.startswith("_") and not name.startswith("__"):
            found.add(name)
    return found


def test_inner_ldap3_is_used_once() -> None:
    """Another release may change what is private: one module would have to follow."""
    folder = Path(ldap3.__file__).parent
    theirs = set()
    for name in ("strategy/base", "strategy/sync", "core/server", "core/tls"):
        theirs |= _private_names((folder / f"{name}.py").read_text(encoding="utf-8"))
    for path in SOURCES["client"]:
        used = _private_names(path.read_text(encoding="utf-8")) & theirs
        inner = _modules_of_ldap3(path) - {"ldap3", "ldap3.core.exceptions"}
        if path.name == "strategy.py":
            assert used == {"_get_response", "_outstanding", "_start_listen"}
            assert inner
        else:
            assert (path.name, used, inner) == (path.name, set(), set())


def test_the_environment_is_read_by_the_settings() -> None:
    """Settings are read once at the edge; the private server asks for PATH besides.

    And a shell says in the environment what it wants completed.
    """
    readers = {part for part in SOURCES if _names_used(part) & {"environ", "getenv", "getenvb"}}
    assert readers <= {"settings", "embedded", "cli"}
    commands = [path.name for path in SOURCES["cli"] if "os.environ" in path.read_text("utf-8")]
    assert commands == ["completion.py"]


def test_nothing_but_the_records_asks_for_the_vendor() -> None:
    """What differs is a field of a record; who compares names forgets the next directory."""
    asking = {
        str(path.relative_to(PACKAGE)): found
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name != "vendors.py" and (found := _asks_for_the_vendor(path.read_text("utf-8")))
    }
    kinds = "store/checking/kinds"
    assert asking == {
        f"{kinds}/__init__.py": {"vendor.name"},
        f"{kinds}/active_directory.py": {"ACTIVE_DIRECTORY"},
        f"{kinds}/ds389.py": {"DS389"},
        f"{kinds}/openldap.py": {"OPENLDAP"},
    }


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from ldapdb.vendors import OPENLDAP", {"OPENLDAP"}),
        ("from ldapdb import vendors\nvendors.VENDORS[2]", {"VENDORS"}),
        ("vendor == 'ad'", {"ad"}),
        ("kind in ('389ds', 'openldap')", {"389ds", "openldap"}),
        ("said = {'ad': 1}", {"ad"}),
        ("{each: 'ad' for each in some}", set()),
        ("title != 'Active Directory'", {"Active Directory"}),
        ("profile.vendor.name == said", {"vendor.name"}),
        ("table[vendor.title]", {"vendor.title"}),
        ("{each.vendor.name: each for each in some}", {"vendor.name"}),
        ("table.get(vendor.name)", {"vendor.name"}),
        ("said.startswith(vendor.title)", {"vendor.title"}),
        ("match said:\n    case 'ad': pass", {"ad"}),
        ("f'users on {vendor.title}'", set()),
        ("vendor: Literal['auto', 'ad']", set()),
        ("title = vendor.title\nrecognise(entry, 'auto')", set()),
    ],
)
def test_whoever_asks_for_the_vendor_is_seen(code: str, found: set[str]) -> None:
    """By name, by title, by a table of them, or by the record itself; to tell it is fine."""
    if code.startswith("match") and sys.version_info < (3, 10):
        pytest.skip("3.9 has no match, so that nothing can be hidden in one")
    assert _asks_for_the_vendor(code) == found


def _asks_for_the_vendor(code: str) -> set[str]:
    """List the records, names and titles of directories that code decides by."""
    records = {name for name, value in vars(vendors).items() if isinstance(value, Vendor)}
    spelt = {word for each in vendors.VENDORS for word in (each.name, each.title)}
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module == "ldapdb.vendors":
            found |= {each.name for each in node.names} & {*records, "VENDORS"}
        elif isinstance(node, ast.Attribute):
            found |= {node.attr} & {*records, "VENDORS"}
        for part in filter(None, _deciding(node)):
            for each in ast.walk(part):
                if isinstance(each, ast.Constant) and each.value in spelt:
                    found.add(str(each.value))
                elif isinstance(each, ast.Attribute) and each.attr in ("name", "title"):
                    of = each.value
                    owner = of.attr if isinstance(of, ast.Attribute) else getattr(of, "id", "")
                    found |= {f"vendor.{each.attr}"} if owner == "vendor" else set()
    return found


def _deciding(node: ast.AST) -> list[Optional[ast.AST]]:
    """List the parts of a node of which the value decides what comes of it."""
    parts: list[Optional[ast.AST]] = []
    if isinstance(node, ast.Compare):
        parts = [node]
    elif isinstance(node, ast.Dict):
        parts = [*node.keys]
    elif isinstance(node, ast.DictComp):
        parts = [node.key]
    elif isinstance(node, ast.Subscript) and getattr(node.value, "id", "") != "Literal":
        parts = [node.slice]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        parts = [*node.args] if node.func.attr in ("get", "startswith", "endswith") else []
    elif type(node).__name__ in ("Match", "match_case"):  # from Python 3.10
        parts = [getattr(node, "subject", None), getattr(node, "pattern", None)]
    return parts
