"""The tree of errors: as it is drawn, and with what a caller needs to act."""

from __future__ import annotations

import copy
import pickle

import pytest

from ldapdb import errors
from ldapdb.errors import LDAPDBError, SettingsError


def _drawn() -> dict[str, str]:
    """Read the tree in the module's docstring as parents by child."""
    parents: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if "── " not in line and line.strip() != "LDAPDBError":
            continue
        text = line.lstrip(" │├└─")
        depth = (len(line) - len(text) - 4) // 4
        name = text.split()[0]
        above[depth:] = [name]
        if depth:
            parents[name] = above[depth - 1]
    return parents


def _all_classes() -> list[type[LDAPDBError]]:
    return [getattr(errors, name) for name in errors.__all__]


def test_docstring_draws_the_tree_that_there_is() -> None:
    """The drawing has every class in its place."""
    real = {
        each.__name__: each.__bases__[0].__name__
        for each in _all_classes()
        if each is not LDAPDBError
    }
    assert _drawn() == real


def test_all_names_every_error() -> None:
    """Every class of the module is public."""
    defined = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert set(errors.__all__) == defined
    assert errors.__all__ == sorted(errors.__all__)


@pytest.mark.parametrize("kind", _all_classes())
def test_every_error_carries_what_is_known(kind: type[LDAPDBError]) -> None:
    """An error says which server, which entry and which result code, and its message alone."""
    error = kind("it broke", server="ldap://one", dn="cn=a", result_code=51)
    assert str(error) == "it broke"
    assert (error.server, error.dn, error.result_code) == ("ldap://one", "cn=a", 51)


def test_what_is_not_known_is_none() -> None:
    """An error without a server, an entry or a code says so."""
    error = LDAPDBError("it broke")
    assert (error.server, error.dn, error.result_code) == (None, None, None)


@pytest.mark.parametrize("kind", _all_classes())
def test_every_error_can_be_copied(kind: type[LDAPDBError]) -> None:
    """A copy, which the cache raises, and a pickle have all that the error has."""
    error = kind("it broke", server="ldap://one", dn="cn=a", result_code=51)
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(twin) is kind
        assert str(twin) == "it broke"
        assert (twin.server, twin.dn, twin.result_code) == ("ldap://one", "cn=a", 51)


@pytest.mark.parametrize("kind", [SettingsError, errors.InvalidValue, errors.BaseNotFound])
def test_wrong_values_are_value_errors_as_well(kind: type[LDAPDBError]) -> None:
    """Whoever catches ValueError catches a wrong setting and a wrong argument."""
    assert issubclass(kind, ValueError)


@pytest.mark.parametrize(
    "kind", [errors.DirectoryUnavailable, errors.NotFound, errors.AccessDenied, errors.NoSuchEntry]
)
def test_what_the_directory_says_is_no_value_error(kind: type[LDAPDBError]) -> None:
    """A directory that is down or refuses is never taken for a wrong argument."""
    assert not issubclass(kind, ValueError)


def test_an_outage_is_never_an_absence() -> None:
    """Neither "down" nor "incomplete" is a kind of "not there"."""
    for absence in (errors.NotFound, errors.NoSuchEntry, errors.BaseNotFound):
        for outage in (errors.DirectoryUnavailable, errors.IncompleteResult):
            assert not issubclass(outage, absence)
            assert not issubclass(absence, outage)
