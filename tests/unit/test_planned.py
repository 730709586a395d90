"""What a planned call does in the place of a real one."""

from __future__ import annotations

import pytest

from ldapdb.client import Call
from ldapdb.client.planned import PlannedCall, PlannedDirectory
from ldapdb.settings import load

# What the server is asked as ever. What it answers ahead is taken up by the searches; whether
# anything at all is to be seen of a branch is no matter of a few changes.
AS_EVER = {"ask_ahead", "deadline", "root_dse", "sees_below", "uris", "who_am_i"}


def test_whatever_reads_or_writes_entries_is_planned() -> None:
    """A new operation is planned too, or what it does not see is decided on."""
    said = {name for kind in Call.__mro__ for name in vars(kind)}
    public = {name for name in said if not name.startswith("_")}
    assert public - set(vars(PlannedCall)) == AS_EVER


def test_nothing_is_ever_sent() -> None:
    """Whatever gets past the plan is stopped before it gets to a server."""
    settings = load(uri="ldap://127.0.0.1:9", base_dn="dc=x", users_base="dc=x", groups_base="dc=x")
    directory = PlannedDirectory(settings)
    with pytest.raises(NotImplementedError):
        directory.write(directory.call(settings.uri), lambda *_: None)
