"""Failures of directory and settings: told apart, never taken for a "no"."""

from __future__ import annotations

import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ldapdb import LDAPDatabase, errors
from support import Another, Private
from support.waiting import eventually

pytestmark = pytest.mark.live(
    "openldap", reason="each test stops, freezes or sets up a server of its own"
)


def test_four_mistakes_have_four_messages(private: Private) -> None:
    """Wrong password, wrong base, no server; the missing schema has a test of its own."""
    good = private.database_kwargs()
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"bind_password": "hunter2"}, errors.CredentialsRejected, "bind_dn"),
        ({"base_dn": "ou=nowhere,dc=example,dc=org"}, errors.BaseNotFound, "base_dn"),
        ({"uri": "ldap://127.0.0.1:1"}, errors.DirectoryUnavailable, "cannot be reached"),
        ({"base_dn": "dc=other"}, errors.BaseNotFound, "base_dn"),
    ]
    for change, kind, said in wrong:
        with pytest.raises(kind, match=said) as caught:
            LDAPDatabase(**{**good, **change})
        assert "hunter2" not in str(caught.value)
        assert good["bind_password"] not in str(caught.value)


def test_a_directory_without_our_schema_is_told_so(another_directory: Another) -> None:
    told = pytest.raises(errors.SchemaMissing, match=r"schema\.ldif")
    with another_directory(schema=False) as bare, told:
        bare.open()


def test_a_missing_users_base_names_its_setting(private: Private) -> None:
    database = private.open(users_base="ou=nowhere,dc=example,dc=org")
    with pytest.raises(errors.BaseNotFound, match="users_base"):
        database.get_user(user_name="alice")


def test_unreachable_is_never_no(private: Private) -> None:
    private.person("alice")
    database = private.open(cache_ttl_seconds=0, cache_max_stale_seconds=0)
    alice = database.get_user(user_name="alice")
    private.server.halt(signal.SIGKILL)
    for ask in (
        lambda: database.get_user(user_name="alice"),
        lambda: database.get_user(user_name="nobody"),
        lambda: database.get_user(id=alice.id),
        lambda: database.get_accounting_for_user(alice),
        database.list_users,
        database.list_applications,
        lambda: database.grant_access("a/b", "alice", False, False, None),
        lambda: database.create_application("a/b"),
    ):
        with pytest.raises(errors.DirectoryUnavailable):
            ask()


@pytest.mark.lengthy
def test_good_answers_serve_through_an_outage_and_the_server_is_taken_back(
    sample: Private,
) -> None:
    database = sample.open(cache_ttl_seconds=0.05)
    alice = database.get_user(user_name="alice")
    before = database.get_accounting_for_user(alice)
    assert database.get_user(user_name="nobody") is None
    sample.server.halt(signal.SIGKILL)
    time.sleep(0.1)
    assert database.get_user(user_name="alice") == alice
    assert database.get_accounting_for_user(alice) == before
    with pytest.raises(errors.DirectoryUnavailable):
        database.get_user(user_name="nobody")
    assert database.cache_info()["accountings"].stale == 1
    sample.server.run()
    assert eventually(lambda: database.get_user(user_name="nobody") is None)


def test_a_server_that_restarts_between_two_calls_is_not_noticed(sample: Private) -> None:
    database = sample.open(cache_ttl_seconds=0)
    assert database.get_user(user_name="alice").name == "alice"
    sample.server.halt()
    sample.server.run()
    assert database.get_user(user_name="alice").name == "alice"


def test_the_next_server_is_used_while_the_first_is_down(sample: Private) -> None:
    database = sample.open(uri=f"ldap://127.0.0.1:1,{sample.server.uri}")
    assert database.get_user(user_name="alice").name == "alice"


def test_external_over_the_socket_needs_no_password(private: Private) -> None:
    private.person("alice")
    database = private.open(
        uri=private.server.socket_uri, bind="external", bind_dn=None, bind_password=None
    )
    assert database.get_user(user_name="alice").name == "alice"


def test_a_password_file_serves_and_must_be_private(private: Private, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(private.server.password + "\n")
    file.chmod(0o600)
    assert private.open(bind_password=None, bind_password_file=file).list_users() == []
    file.chmod(0o644)
    with pytest.raises(errors.SettingsError, match="chmod 600"):
        private.open(bind_password=None, bind_password_file=file)


def test_nothing_is_left_open_after_close(sample: Private) -> None:
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    threads = threading.active_count()
    with sample.open() as database:
        database.list_users()
        assert len(list(Path("/proc/self/fd").iterdir())) > descriptors
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
    assert threading.active_count() == threads


def test_a_forked_child_opens_its_own_connection(sample: Private) -> None:
    import os

    database = sample.open(cache_ttl_seconds=0)
    database.get_user(user_name="alice")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if database.get_user(user_name="bob").name == "bob" else 1
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with sample.logged() as seen:
        assert database.get_user(user_name="alice").name == "alice"
    assert seen == ["SRCH"]


@pytest.mark.lengthy
def test_one_call_has_one_deadline_however_many_searches_it_makes(sample: Private) -> None:
    """Accounting by name finds the user and his grants within one deadline."""
    database = sample.open(
        cache_ttl_seconds=0,
        cache_max_stale_seconds=60,
        operation_timeout_seconds=1,
        connect_timeout_seconds=1,
    )
    alice = database.get_user(user_name="alice")
    before = database.get_accounting_for_user(alice)
    sample.server.signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        assert database.get_accounting_for_user(alice) == before
        assert time.monotonic() - began < 1.5
    finally:
        sample.server.signal(signal.SIGCONT)


@pytest.mark.lengthy
def test_a_hung_server_leaves_time_for_the_next_one(
    another_directory: Another,
) -> None:
    """Also where connections to it are waiting to be used again."""
    access = "olcAccess: to * by * read\n"
    with (
        another_directory(sample=True, access=access) as first,
        another_directory(sample=True, access=access) as second,
    ):
        database = first.open(
            uri=f"{first.server.uri} {second.server.uri}",
            bind_dn=None,
            bind_password=None,
            cache_ttl_seconds=0,
            operation_timeout_seconds=2,
            connect_timeout_seconds=0.5,
        )
        assert database.get_user(user_name="alice").name == "alice"
        first.server.signal(signal.SIGSTOP)
        try:
            began = time.monotonic()
            assert database.get_user(user_name="bob").name == "bob"
            assert time.monotonic() - began < 2
            began = time.monotonic()
            assert database.get_user(user_name="carol").name == "carol"
            assert time.monotonic() - began < 0.5  # the first one is left alone
        finally:
            first.server.signal(signal.SIGCONT)


def test_a_part_of_the_answer_on_another_server_is_an_error(private: Private) -> None:
    """The other server is not asked, and the rest is not taken for the whole."""
    private.person("alice")
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        foreign.settimeout(0.2)
        port = foreign.getsockname()[1]
        private.add(
            f"dn: ou=branch,{private.users_base}\nobjectClass: referral\n"
            "objectClass: extensibleObject\nou: branch\n"
            f"ref: ldap://127.0.0.1:{port}/ou=branch,dc=example,dc=org\n"
        )
        database = private.open()
        for ask in (lambda: database.get_user(user_name="carol"), database.list_users):
            with pytest.raises(errors.IncompleteResult, match="referral"):
                ask()
        with pytest.raises(socket.timeout):
            foreign.accept()


@pytest.mark.lengthy
def test_a_child_forked_during_a_load_does_not_wait_for_it(sample: Private) -> None:
    import os

    database = sample.open(operation_timeout_seconds=3, connect_timeout_seconds=1)
    sample.server.signal(signal.SIGSTOP)
    loading = threading.Thread(target=database.get_user, kwargs={"user_name": "bob"})
    loading.start()
    time.sleep(0.2)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.alarm(10)
            time.sleep(0.5)  # until the parent has let the server go on
            status = 0 if database.get_user(user_name="bob").name == "bob" else 1
        finally:
            os._exit(status)
    sample.server.signal(signal.SIGCONT)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    loading.join()


def test_an_attribute_that_comes_back_under_another_name_is_an_error(
    sample: Private,
) -> None:
    """``userid`` finds people whose attribute comes back as ``uid``."""
    database = sample.open(user_name_attribute="userid")
    for ask in (lambda: database.get_user(user_name="alice"), database.list_users):
        with pytest.raises(errors.SettingsError, match="user_name_attribute"):
            ask()
