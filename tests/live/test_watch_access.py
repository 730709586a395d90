"""The account that ldif/ makes for reading is told of changes, by the best way there is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ldapdb import errors
from ldapdb.watch import State
from support.benches import ALICE, BENCHES, IMAGE, OK, READER, Bench, grant_lines, on, opened
from support.hiding import hide
from support.servers import Column
from support.waiting import eventually
from support.watched import server_that_tells


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """A fresh server that tells of changes, without our schema."""
    vendor: str = request.param
    with server_that_tells(Column(vendor, stock=True)) as server:
        yield BENCHES[vendor](server)


def application_lines(bench: Bench, name: str) -> list[str]:
    image = IMAGE if name == "app" else f"simphony/{name}:1"
    return [
        *(f"dn: cn={name},ou=applications,ou=remoteapp,{bench.suffix}", "changetype: add"),
        *("objectClass: groupOfNames", f"cn: {name}", f"member: {bench.dn(ALICE)}"),
        *("objectClass: remoteAppApplication", f"remoteAppImage: {image}"),
    ]


# On Active Directory loading the schema takes ten seconds; what an account there is not told of
# has a test in test_watch_sources.py.
@on("openldap", "389ds")
def test_the_reader_of_ldif_is_told_of_changes(bench: Bench) -> None:
    """Its rights and limits are enough; also to see what is not there any more."""
    bench.set_up()
    assert bench.admin.change(*application_lines(bench, "app")) == OK
    assert bench.admin.change(*grant_lines(bench, "lab")) == OK
    with opened(bench, READER, watch=True, cache_ttl_seconds=3600) as database:
        assert eventually(lambda: database.watch_info().state is State.LIVE)
        assert database.watch_info().mechanism == "content synchronisation"
        alice = database.get_user(user_name=ALICE)
        assert len(database.get_accounting_for_user(alice)) == 1
        grant = f"cn=lab,ou=grants,ou=remoteapp,{bench.suffix}"
        assert bench.admin.change(f"dn: {grant}", "changetype: delete") == OK
        assert eventually(lambda: not database.get_accounting_for_user(alice), 3)
        assert bench.admin.change(*grant_lines(bench, "lab")) == OK
        assert eventually(lambda: database.get_accounting_for_user(alice), 3)
        assert database.watch_info().state is State.LIVE


@on("openldap", "389ds")
def test_rights_that_were_lost_are_no_revocation(bench: Bench) -> None:
    """Nor when an application comes: what was there is remembered, and nobody sees it now."""
    bench.set_up()
    tree = f"ou=remoteapp,{bench.suffix}"
    assert bench.admin.change(*application_lines(bench, "app")) == OK
    assert bench.admin.change(*grant_lines(bench, "lab")) == OK
    with opened(bench, READER, watch=True, cache_ttl_seconds=3600) as database:
        assert eventually(lambda: database.watch_info().state is State.LIVE)
        alice, store = database.get_user(user_name=ALICE), database._store
        assert store.list_accountings(alice)
        hide(bench, f"ou=grants,{tree}")
        assert bench.admin.change(*application_lines(bench, "more")) == OK
        assert eventually(lambda: len(store.list_applications()) == 2, 3)
        with pytest.raises(errors.AccessDenied, match="grants"):
            store.list_accountings(alice)
