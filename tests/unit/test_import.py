"""What importing ldapdb brings along, and what it offers."""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import ldapdb

PARENT = Path(ldapdb.__file__).parents[1]
# Needs libraries that the host does not have.
ADMINISTRATORS = ("ldapdb.cli", "ldapdb.__main__")
EDGES = {"ldapdb.database", "ldapdb.demo", "ldapdb.embedded"}
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(ldapdb.__path__, "ldapdb.")
    if not f"{module.name}.".startswith(tuple(f"{each}." for each in ADMINISTRATORS))
)
CORE = [
    name
    for name in MODULES
    if (name.count(".") == 1 and name not in EDGES) or name.startswith("ldapdb.protocol.")
]


def _loaded_by(statement: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after a statement.

    The host is made absent, because what it brings along is not ours.
    """
    program = (
        "import json, sys\n"
        "sys.modules['remoteappmanager'] = None\n"
        "before = set(sys.modules)\n"
        f"{statement}\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in set(sys.modules) - before})))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=PARENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(json.loads(run.stdout))


def test_the_package_itself_brings_nothing() -> None:
    """The host may read ``ldapdb.__version__`` without paying for ldap3."""
    loaded = _loaded_by("import ldapdb; ldapdb.__version__")
    assert "ldapdb" in loaded
    assert not loaded & {"ldap3", "pyasn1", "pydantic", "pydantic_settings", "cachetools"}


def test_the_host_s_class_brings_what_the_host_has() -> None:
    """The class needs the three core dependencies; nothing of the administrator's."""
    loaded = _loaded_by("import ldapdb; ldapdb.LDAPDatabase")
    assert {"ldap3", "cachetools", "pydantic_settings"} <= loaded
    foreign = {
        "docker",
        "click",
        "rich",
        "remoteappmanager",
        "pytest",
        "hypothesis",
        "requests",
    }
    assert not loaded & foreign


def test_all_is_what_can_be_imported() -> None:
    """A star import gives the names of ``__all__``, the class that is imported late among them."""
    namespace: dict[str, object] = {}
    exec("from ldapdb import *", namespace)
    assert set(namespace) - {"__builtins__"} == set(ldapdb.__all__)
    public = {name for name in vars(ldapdb) if not name.startswith("_")}
    modules = {name.split(".")[1] for name in (*MODULES, *ADMINISTRATORS)}
    assert public - modules - {"annotations", "TYPE_CHECKING", "Any"} <= set(ldapdb.__all__)


def test_the_class_is_the_database_s() -> None:
    """``database_class = "ldapdb.LDAPDatabase"`` names the class of ``database``."""
    from ldapdb.database import LDAPDatabase

    assert ldapdb.LDAPDatabase is LDAPDatabase


def test_other_names_are_refused() -> None:
    """A misspelled class is an AttributeError that names it."""
    with pytest.raises(AttributeError, match="module 'ldapdb' has no attribute 'LdapDatabase'"):
        _ = ldapdb.LdapDatabase


def test_the_version_is_a_version() -> None:
    """Three numbers, as Keep a Changelog has them."""
    assert [part.isdecimal() for part in ldapdb.__version__.split(".")] == [True] * 3


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_is_public(name: str) -> None:
    """``__all__`` has what can be imported, once, and the module says what it is for."""
    module = importlib.import_module(name)
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, each) for each in module.__all__)
    assert module.__doc__


@pytest.mark.parametrize("name", CORE)
def test_a_core_module_hides_what_is_not_public(name: str) -> None:
    """What a module of the core defines is in ``__all__`` or begins with an underscore."""
    module = importlib.import_module(name)
    defined = {
        each
        for each, value in vars(module).items()
        if not each.startswith("_") and getattr(value, "__module__", None) == name
    }
    type_variables = {"K", "V"}
    assert defined - type_variables <= set(module.__all__)
