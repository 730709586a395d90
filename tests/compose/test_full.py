"""A volume without room: writes are refused, and nothing that was written is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compose.stack import Stack
from ldapdb import LDAPDatabase
from ldapdb.errors import DirectoryUnavailable, LDAPDBError

pytestmark = pytest.mark.compose("openldap")

FULL = Path(__file__).with_name("full.yaml")
BALLAST = "/var/lib/slapd/ballast"
MANY = 400


@pytest.fixture
def stack(site: Path, composer_of: dict[str, list[str]]) -> Iterator[Stack]:
    with Stack(site, composer_of["v2"], "openldap", "client", files=[FULL]) as started:
        yield started


def granted(database: Any) -> set[str]:
    alice = database.get_user(user_name="alice")
    return {each.id for each in database.get_accounting_for_user(alice)}


def iter_grants(database: Any, acknowledged: set[str]) -> Iterator[str]:
    """Grant one image after the other, and note what is acknowledged until one is refused."""
    for number in range(MANY):
        image = f"simphony/full:{number}-{'x' * 100}"
        database.create_application(image)
        acknowledged.add(database.grant_access(image, "alice", True, False, None))
        yield image


def test_a_full_volume_refuses_writes_and_loses_nothing(stack: Stack, tmp_path: Path) -> None:
    """What was acknowledged is there while it is full, after a restart, and when there is room."""
    kwargs = stack.database_kwargs("OPENLDAP_PORT", stack.save_ca(tmp_path / "ca.pem"))
    database = LDAPDatabase(**kwargs)
    acknowledged = granted(database)
    stack.run("openldap", "dd", "if=/dev/zero", f"of={BALLAST}", "bs=4k")
    with pytest.raises(LDAPDBError) as refused:
        list(iter_grants(database, acknowledged))
    assert not isinstance(refused.value, DirectoryUnavailable)
    assert granted(database) == acknowledged

    stack.container("openldap").restart(timeout=2)
    stack.wait_healthy()
    assert granted(database) == acknowledged

    assert stack.run("openldap", "rm", BALLAST)[0] == 0
    database.create_application("simphony/room:1")
    acknowledged.add(database.grant_access("simphony/room:1", "alice", True, False, None))
    assert granted(database) == acknowledged
    database.close()
