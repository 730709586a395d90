"""Names of servers: looked up within the deadline, with every address tried.

What answers for names is replaced in a process of its own; the sockets are real.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from support import Private

pytestmark = pytest.mark.live(
    "openldap", reason="how ldapdb looks names up is no matter of the vendor; one must answer"
)

_CHILD = """
import json, socket, sys, threading, time

given = json.load(sys.stdin)
real, asked = socket.getaddrinfo, []

def getaddrinfo(host, port, *arguments, flags=0, **options):
    if flags & socket.AI_NUMERICHOST:
        return real(host, port, *arguments, flags=flags, **options)
    asked.append(host)
    addresses = given["names"].get(host)
    if addresses is None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    if addresses == "hang":
        threading.Event().wait()
    return [each for address in addresses for each in real(address, port, *arguments, **options)]

socket.getaddrinfo = getaddrinfo
from ldapdb import LDAPDatabase

def ask(results):
    began = time.monotonic()
    try:
        with LDAPDatabase(**given["settings"]) as database:
            said = database.get_user(user_name="alice").name
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    results.append((said, time.monotonic() - began))

results = []
threads = [threading.Thread(target=ask, args=(results,)) for _ in range(given["callers"])]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
json.dump({"results": results, "asked": asked}, sys.stdout)
"""


def _ask(names: dict[str, Any], callers: int = 1, **settings: Any) -> Any:
    """Ask for alice, in a process where names have these addresses."""
    given = {"names": names, "callers": callers, "settings": settings}
    done = subprocess.run(
        [sys.executable, "-c", _CHILD],
        input=json.dumps(given),
        stdout=subprocess.PIPE,
        text=True,
        timeout=20,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port of 127.0.0.2 that lets callers wait without end."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.2", 0))
        listener.listen(0)
        crowd = [socket.socket() for _ in range(4)]
        for each in crowd:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for each in crowd:
            each.close()


@pytest.mark.lengthy
def test_a_look_up_that_hangs_costs_no_more_than_the_deadline() -> None:
    """All who wait for one name wait for one look-up."""
    said = _ask(
        {"ldap.example.org": "hang"},
        callers=5,
        uri="ldap://ldap.example.org",
        base_dn="dc=x",
        connect_timeout_seconds=0.5,
        operation_timeout_seconds=1,
    )
    assert said["asked"] == ["ldap.example.org"]
    for message, seconds in said["results"]:
        assert message.startswith("DirectoryUnavailable: ")
        assert "looking up the name 'ldap.example.org' took too long" in message
        assert seconds < 2


@pytest.mark.slow
def test_the_next_server_is_used_while_the_first_one_s_name_hangs(private: Private) -> None:
    private.person("alice")
    said = _ask(
        {"ldap.example.org": "hang"},
        **private.database_kwargs(uri=f"ldap://ldap.example.org {private.server.uri}"),
        allow_plaintext=True,
    )
    assert said["results"][0][0] == "alice"


@pytest.mark.parametrize("first", ["127.0.0.3", "::1"])
def test_the_next_address_of_a_name_is_tried(private: Private, first: str) -> None:
    """Where nothing listens on the first one."""
    private.person("alice")
    said = _ask(
        {"ldap.example.org": [first, "127.0.0.1"]},
        **private.database_kwargs(uri=f"ldap://ldap.example.org:{private.server.port}"),
        allow_plaintext=True,
    )
    assert said["results"][0][0] == "alice"


@pytest.mark.slow
def test_an_address_that_hangs_leaves_time_for_the_next(private: Private, deaf: int) -> None:
    private.person("alice")
    private.server.halt()
    private.server.port = deaf
    private.server.run()
    settings = private.database_kwargs(
        uri=f"ldap://ldap.example.org:{deaf}",
        allow_plaintext=True,
        connect_timeout_seconds=1,
        operation_timeout_seconds=2,
    )
    ((name, seconds),) = _ask({"ldap.example.org": ["127.0.0.2", "127.0.0.1"]}, **settings)[
        "results"
    ]
    assert name == "alice"
    assert 0.5 < seconds < 2  # it was tried, for half of the time to connect
    ((message, _),) = _ask({"ldap.example.org": ["127.0.0.2", "127.0.0.3"]}, **settings)["results"]
    assert message.startswith("DirectoryUnavailable: ")
    assert "127.0.0.2: timed out; 127.0.0.3: " in message


def test_localhost_is_this_machine_whatever_answers_for_the_name(private: Private) -> None:
    """A password may go there in clear (RFC 6761, section 6.3)."""
    settings = private.database_kwargs(uri=f"ldap://localhost:{private.server.port}")
    private.person("alice")
    said = _ask({"localhost": ["192.0.2.1", "127.0.0.1"]}, **settings)
    assert said["results"][0][0] == "alice"
    said = _ask({"localhost": ["192.0.2.1"]}, **settings)
    assert "it has no address here" in said["results"][0][0]


def test_a_name_that_is_not_there_is_named(private: Private) -> None:
    said = _ask({}, **private.database_kwargs(uri="ldaps://ldap.invalid"))["results"][0][0]
    assert "name 'ldap.invalid' was not found" in said


def test_an_answer_is_heard_and_silence_is_not(private: Private) -> None:
    """So that a slow answer can be told from a server that says nothing."""
    import signal

    from ldapdb.client.deadline import Deadline
    from ldapdb.client.session import Session
    from ldapdb.errors import DeadlineExceeded

    session = Session(private.server.uri, private.settings(), Deadline(5))
    absent = f"cn=nobody,{private.server.suffix}"
    session.delete(Deadline(5), absent)
    assert session.heard
    private.server.signal(signal.SIGSTOP)
    try:
        with pytest.raises(DeadlineExceeded):
            session.delete(Deadline(0.2), absent)
        assert not session.heard
    finally:
        private.server.signal(signal.SIGCONT)
        session.drop()


def test_pages_that_nobody_takes_end_the_connection(private: Private) -> None:
    """The next page is under way, and whoever used the connection next would be sent it."""
    from ldapdb.client.deadline import Deadline
    from ldapdb.client.session import Session
    from ldapdb.protocol import filters
    from ldapdb.protocol.codec import SUBTREE, Page, Search

    for number in range(7):
        private.person(f"person{number}")
    everybody = Search(private.suffix, SUBTREE, filters.present("uid"), ("uid",), Page(2))
    session = Session(private.server.uri, private.settings(), Deadline(5))
    taken = [len(entries) for entries, _, _ in session.pages(Deadline(5), everybody)]
    assert taken == [2, 2, 2, 1]
    assert session.is_usable(session.used_at)
    pages = session.pages(Deadline(5), everybody)
    assert len(next(pages)[0]) == 2
    pages.close()
    assert not session.is_usable(session.used_at)
    assert session.strategy.connection.socket.fileno() == -1
