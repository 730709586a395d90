"""What is logged of servers while a command runs is said at its end, unless the error says it."""

from __future__ import annotations

import logging

import pytest

from ldapdb.cli.holding import HeldBack

POOL = logging.getLogger("ldapdb.client.pool")


def test_what_another_server_made_good_is_said_at_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with HeldBack():
        POOL.warning("%s is down", "a")
        logging.getLogger("ldapdb.store").warning("at once")
        assert caplog.messages == ["at once"]
    assert caplog.messages == ["at once", "a is down"]
    POOL.warning("later")
    assert caplog.messages[-1] == "later"


def test_what_an_error_says_is_not_said_twice(caplog: pytest.LogCaptureFixture) -> None:
    with HeldBack() as held:
        POOL.warning("a is down")
        logging.getLogger("ldapdb.client.directory").error("no server is left")
        held.drop()
    assert caplog.messages == []


def test_whoever_looks_on_is_told_at_once(caplog: pytest.LogCaptureFixture) -> None:
    with HeldBack() as held:
        held.release()
        POOL.warning("a is down")
        assert caplog.messages == ["a is down"]
    assert caplog.messages == ["a is down"]
