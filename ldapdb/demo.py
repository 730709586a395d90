"""The demo: the host's sequence of calls on a private directory, told as it happens."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from ldapdb import LDAPDatabase
from ldapdb.embedded import EmbeddedDirectory
from ldapdb.errors import LDAPDBError
from ldapdb.model import Accounting

__all__ = ["play"]

_TTL_SECONDS = 2.0
_PATIENCE_SECONDS = 20.0
_IMAGE = "simphony/openfoam:v2212"


def play(*, keep: bool, as_json: bool, say: Callable[[str], Any]) -> None:
    """Play the demo.

    Parameters
    ----------
    keep : bool
        Leave the directory running, in the foreground, until SIGINT or SIGTERM.
    as_json : bool
        With `keep`: print one JSON object as soon as the directory answers, nothing else.
    say : callable
        Prints a line.
    """
    signal.signal(signal.SIGTERM, _terminate)
    try:
        with EmbeddedDirectory() as directory:
            if as_json:
                say(json.dumps(_description(directory)))
                sys.stdout.flush()
            else:
                _tell(directory, say)
            if keep:
                if not as_json:
                    _tell_settings(directory, say)
                _wait_for_signal()
    except KeyboardInterrupt:
        if not keep:
            raise
    if not as_json:
        say("The directory is stopped and its folder removed.")


def _terminate(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _wait_for_signal() -> None:
    while True:
        signal.pause()


def _description(directory: EmbeddedDirectory) -> dict[str, Any]:
    return {
        "database_kwargs": directory.database_kwargs(),
        "admin": {
            "uri": directory.uri,
            "bind_dn": directory.admin_dn,
            "bind_password": directory.password,
        },
        "base_dn": directory.base_dn,
        "users_base": directory.users_base,
        "groups_base": directory.groups_base,
    }


def _tell_settings(directory: EmbeddedDirectory, say: Callable[[str], Any]) -> None:
    say("\nThe directory stays until Ctrl-C. To use it from another terminal:\n")
    for name, value in directory.database_kwargs().items():
        say(f"  export LDAPDB_{name.upper()}='{value}'")
    say("\n  ldapdb user show alice\n")
    sys.stdout.flush()


def _tell(directory: EmbeddedDirectory, say: Callable[[str], Any]) -> None:
    say(f"A private OpenLDAP runs at {directory.uri}, in {directory.folder}.")
    say("It has our schema, and a company of 60 people from ldif/sample.ldif.\n")
    kwargs = {**directory.database_kwargs(), "cache_ttl_seconds": _TTL_SECONDS}
    with LDAPDatabase(**kwargs) as database:
        _tell_log_in(database, say)
        _tell_grant(database, say)
        _tell_revocation(database, directory, say)
        _tell_cache(database, say)


def _tell_log_in(database: Any, say: Callable[[str], Any]) -> None:
    say("alice logs in. The host asks: get_user(user_name='Alice')")
    alice = database.get_user(user_name="Alice")
    say(f"  {alice.name}, as the directory spells her; id {alice.id}")
    say("What may she start? get_accounting_for_user(alice), with what cannot be used named")
    say("in the log:")
    _show(database.get_accounting_for_user(alice), say)
    say(f"The directory has {len(database.list_applications())} applications in all.\n")


def _tell_grant(database: Any, say: Callable[[str], Any]) -> None:
    say(f"carol has nothing. An administrator grants her {_IMAGE}:")
    identifier = database.grant_access(_IMAGE, "carol", True, False, "/data/cases:/cases:ro")
    again = database.grant_access(_IMAGE, "carol", True, False, "/data/cases:/cases:ro")
    say(f"  mapping id {identifier}; granted again: {'the same' if again == identifier else again}")
    _show(database.get_accounting_for_user(database.get_user(user_name="carol")), say)
    database.revoke_access_by_id(identifier)
    left = database.get_accounting_for_user(database.get_user(user_name="carol"))
    say(f"  and revoked by that id, at once: {len(left)} left\n")


def _tell_revocation(
    database: Any, directory: EmbeddedDirectory, say: Callable[[str], Any]
) -> None:
    say("bob has two applications, both through groups in groups:")
    bob = database.get_user(user_name="bob")
    before = database.get_accounting_for_user(bob)
    _show(before, say)
    say("The directory's administrator takes him out of his group, with ldapmodify:")
    change = (
        f"dn: cn=design-office,{directory.groups_base}\nchangetype: modify\n"
        f"delete: member\nmember: uid=bob,{directory.users_base}\n"
    )
    say("".join(f"  {line}\n" for line in change.splitlines()).rstrip())
    began = time.monotonic()
    directory.ldapmodify(change)
    seen = len(database.get_accounting_for_user(bob))
    say(f"  after {_since(began)} the cache still says {seen} (its TTL is {_TTL_SECONDS:g} s)")
    while len(database.get_accounting_for_user(bob)) == len(before):
        if time.monotonic() - began > _PATIENCE_SECONDS:
            raise LDAPDBError("the cache did not turn over; this is a defect, please report it")
        time.sleep(0.05)
    left = database.get_accounting_for_user(bob)
    say(f"  after {_since(began)} it has turned over: {len(left)} left\n")


def _tell_cache(database: Any, say: Callable[[str], Any]) -> None:
    say("What the caches did:")
    for name, info in database.cache_info().items():
        say(f"  {name:17} {info.hits:3} hits, {info.misses:2} loads, {info.failures} failures")


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.1f} s"


def _show(accountings: list[Accounting], say: Callable[[str], Any]) -> None:
    for each in accountings:
        policy = each.application_policy
        words = [
            word
            for word, said in (("home", policy.allow_home), ("view", policy.allow_view))
            if said
        ]
        if policy.volume_source:
            words.append(f"{policy.volume_source} at {policy.volume_target}")
        say(f"  {each.application.image:45.45} {', '.join(words) or 'nothing else'}")
