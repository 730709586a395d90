"""ldap3 makes every operation, and no answer takes more memory or time than it may."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from ldap3.utils.log import (
    BASIC,
    OFF,
    set_library_log_activation_level,
    set_library_log_detail_level,
)
from proxy import Proxy

from ldapdb import LDAPDatabase, errors
from ldapdb.protocol import ber
from ldapdb.protocol.codec import END_TAG, read_opened, split
from ldapdb.protocol.entry import Entry
from support import Directory, Private

LARGEST = 1 << 26
MEGABYTE = 1 << 20
SECONDS = 1.0
# Decoding goes on for a moment after the deadline, on a machine that does something else as well.
ALLOWANCE = 4.0
# What the interpreter, ldapdb and ldap3 take is 60 of these.
MEGABYTES = 600

# ldap3's names for what the proxy counts.
_LOGGED = re.compile(r"BASIC:(?:start )?(ADD|MODIFY|DELETE|BIND|SEARCH|EXTENDED) operation")
_COUNTED = {
    "ADD": "ADD",
    "MOD": "MODIFY",
    "DEL": "DELETE",
    "BIND": "BIND",
    "SRCH": "SEARCH",
    "EXT": "EXTENDED",
}


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """Collect the operations that ldap3's own log has."""
    found: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.extend(_LOGGED.findall(record.getMessage()))

    logger, handler = logging.getLogger("ldap3"), Handler()
    level, logger.level = logger.level, logging.DEBUG
    logger.addHandler(handler)
    set_library_log_activation_level(logging.DEBUG)
    set_library_log_detail_level(BASIC)
    yield found
    set_library_log_detail_level(OFF)
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.mark.live("openldap", "389ds", "ad", stock=True)
def test_ldap3_makes_every_operation(directory: Directory, logged: list[str]) -> None:
    """Its debug log has each operation that reaches the server."""
    directory.person("alice")
    logged.clear()  # the administrator's
    with directory.operations() as seen:
        database = directory.open(counted=True, cache_ttl_seconds=0)
        database.create_application("simphony/client:1")
        [user] = [each for each in database.list_users() if each.name == "alice"]
        granted = "simphony/client:1", "alice", True, False, "/a:/b:ro"
        database.grant_access(*granted)
        assert len(database.get_accounting_for_user(user)) == 1
        database.revoke_access(*granted)
        database.remove_application(app_name="simphony/client:1")
    counted = Counter(_COUNTED[each] for each in seen)
    assert {"BIND", "SEARCH", "ADD", "MODIFY", "DELETE"} <= set(counted)
    assert counted == Counter(logged)


# --- hostile answers


def _message(number: int, operation: bytes) -> bytes:
    return ber.sequence(ber.integer(number), operation)


def _entry(*attributes: bytes) -> bytes:
    name = ber.element(b"uid=alice,ou=people,dc=example,dc=org")
    return ber.sequence(name, ber.sequence(*attributes), tag=0x64)


def a_huge_message(number: int) -> bytes:
    values = ber.element(ber.element(b"x" * 200 * MEGABYTE), ber.SET)
    return _message(number, _entry(ber.sequence(ber.element(b"uid"), values)))


def many_small_values(number: int) -> bytes:
    values = ber.element(b"\x04\x00" * 15 * MEGABYTE, ber.SET)
    return _message(number, _entry(ber.sequence(ber.element(b"uid"), values)))


def many_values_of_one_octet(number: int) -> bytes:
    values = ber.element(b"\x04\x01x" * 15 * MEGABYTE, ber.SET)
    return _message(number, _entry(ber.sequence(ber.element(b"uid"), values)))


def many_entries(number: int) -> bytes:
    return _message(number, _entry()) * 2_000_000


def many_references(number: int) -> bytes:
    return _message(number, ber.sequence(ber.element(b""), tag=0x73)) * 6_000_000


def many_attributes(number: int) -> bytes:
    each = b"".join(
        ber.sequence(ber.element(b"a%d" % one), ber.element(b"", ber.SET)) for one in range(10_000)
    )
    return _message(number, _entry(each)) * 400


def many_referrals(number: int) -> bytes:
    result = ber.integer(10, ber.ENUMERATED), ber.element(b""), ber.element(b"")
    referrals = ber.element(b"\x04\x00" * 15 * MEGABYTE, 0xA3)
    return _message(number, ber.sequence(*result, referrals, tag=END_TAG))


def _instead(data: bytes, answer: Callable[[int], bytes]) -> bytes:
    """Answer searches so, and nothing else."""
    first = split(data, LARGEST)[0][0]
    return answer(first.number) if first.tag in (0x64, END_TAG) else data


_CLIENT = """
import json, re, sys, time
from pathlib import Path
from ldapdb import LDAPDatabase
database = LDAPDatabase(**json.loads(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
began = time.monotonic()
try:
    error = str(database.get_user(user_name="alice"))
except Exception as raised:
    error = f"{type(raised).__name__}: {raised}"
seconds = time.monotonic() - began
# Not getrusage, whose peak is that of the parent process where it was larger.
peak = re.search("VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]
print(json.dumps([seconds, int(peak) // 1024, error]))
"""


@pytest.mark.lengthy
@pytest.mark.live("openldap", reason="an answer that is made up is nobody's")
@pytest.mark.parametrize(
    "answer",
    [
        a_huge_message,
        many_small_values,
        many_values_of_one_octet,
        many_entries,
        many_references,
        many_attributes,
        many_referrals,
    ],
)
def test_hostile_answers_are_bounded(private: Private, answer: Callable[[int], bytes]) -> None:
    """The call fails in time, within a few hundred megabytes, and says which setting decides."""
    private.person("alice")
    proxy = Proxy("127.0.0.1", private.server.port)
    settings = private.database_kwargs(uri=proxy.uri, operation_timeout_seconds=SECONDS)
    with subprocess.Popen(
        [sys.executable, "-c", _CLIENT, json.dumps(settings)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdout is not None
        assert client.stdin is not None
        assert client.stdout.readline() == "ready\n"
        proxy.tamper = lambda data: _instead(data, answer)
        client.stdin.write("\n")
        client.stdin.flush()
        seconds, megabytes, error = json.loads(client.stdout.readline())
    proxy.close()
    assert error.startswith(("DirectoryUnavailable: ", "DeadlineExceeded: ")), error
    assert seconds < SECONDS + ALLOWANCE, error
    assert megabytes < MEGABYTES, error


# --- a root DSE that is not as it should be


def _refer_root_dse(data: bytes) -> bytes:
    """Put a reference to another server in front of the root DSE."""
    opened = [each for each in split(data, LARGEST)[0] if each.is_entry]
    entries = [(each.number, read_opened(each)) for each in opened]
    numbers = [number for number, each in entries if isinstance(each, Entry) and not each.dn]
    reference = ber.sequence(ber.element(b"ldap://192.0.2.1/"), tag=0x73)
    return b"".join(_message(number, reference) for number in numbers) + data


@pytest.mark.live("openldap", reason="what is made up on the way is nobody's")
@pytest.mark.parametrize(
    ("tamper", "error", "said"),
    [
        (_refer_root_dse, errors.IncompleteResult, "elsewhere (ldap://192.0.2.1/)"),
        (
            lambda data: data.replace(b"cn=Subschema", b"cn_Subschema"),
            errors.UnexpectedResult,
            "says in its root DSE what is not valid",
        ),
    ],
    ids=["referral", "malformed name"],
)
def test_broken_root_dse_is_named(
    private: Private, tamper: Callable[[bytes], bytes], error: type[errors.LDAPDBError], said: str
) -> None:
    """It is one error at the start, and not a search for what the root DSE would tell."""
    proxy = Proxy("127.0.0.1", private.server.port)
    proxy.tamper = tamper
    try:
        with pytest.raises(error, match=re.escape(said)):
            LDAPDatabase(**private.database_kwargs(uri=proxy.uri))
    finally:
        proxy.close()
