"""What is in the directory at the end, seen at each server, by ldapdb and without it."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ldapdb import LDAPDatabase
from soak.checker import Final, State, is_of_time
from soak.world import EVERYBODY, policy_text
from support.cluster import Cluster, Contents, Replica

__all__ = ["look"]

_POLICY = ("remoteappallowhome", "remoteappallowview", "remoteappvolume")
_LIMITS = ("remoteappnotbefore", "remoteappnotafter")


def look(cluster: Cluster, limits: dict[str, Any]) -> tuple[Final, list[str]]:
    """Look at all servers, which are in step; say also where they differ."""
    contents = [server.contents() for server in cluster.servers]
    states = tuple(_state(each, cluster.consumer.base_dn) for each in contents)
    faults = [
        each
        for server, state in zip(cluster.servers, states)
        for each in _seen_by_ldapdb(cluster, server, state, limits)
    ]
    return Final(states, tuple(faults)), list(_differences(contents))


def _state(contents: Contents, base: str) -> State:
    grants = {dn: each for dn, each in contents.items() if dn.endswith(f",ou=grants,{base}")}
    registered = {
        dn: each for dn, each in contents.items() if dn.endswith(f",ou=applications,{base}")
    }
    faults = [*_wrong_grants(grants, contents), *_wrong_applications(registered)]
    images = [image for each in registered.values() for image in _texts(each, "remoteappimage")]
    return State(frozenset(_held(grants, contents)), frozenset(images), frozenset(faults))


Entry = dict[str, frozenset[bytes]]


def _texts(entry: Entry, attribute: str) -> list[str]:
    return sorted(value.decode() for value in entry.get(attribute, ()))


def _is(entry: Entry, object_class: str) -> bool:
    return object_class in [name.lower() for name in _texts(entry, "objectclass")]


def _policy(entry: Entry) -> str:
    flags = [_texts(entry, name) == ["TRUE"] for name in _POLICY[:2]]
    volume = _texts(entry, _POLICY[2])
    return policy_text(flags[0], flags[1], volume[0] if volume else None)


def _people(entry: Entry, contents: Contents) -> Iterator[str]:
    """Name a group's members, and those of groups in it."""
    for dn in _texts(entry, "member"):
        member = contents.get(dn.lower(), {})
        if "uid" in member:
            yield from _texts(member, "uid")
        else:
            yield from _people(member, contents)


def _held(grants: Contents, contents: Contents) -> Iterator[tuple[str, str, str]]:
    for entry in grants.values():
        for image in _texts(entry, "remoteappimage"):
            for name in _people(entry, contents):
                yield name, image, _policy(entry)


def _wrong_grants(grants: Contents, contents: Contents) -> Iterator[str]:
    said = Counter(
        (tuple(_texts(each, "remoteappimage")), *(each.get(name) for name in (*_POLICY, *_LIMITS)))
        for each in grants.values()
    )
    for what, number in said.items():
        if number > 1:
            yield f"{number} entries grant {what}"
    for dn, entry in grants.items():
        if not _is(entry, "remoteappgrant") or not _texts(entry, "remoteappimage"):
            yield f"{dn} is no whole grant: {entry}"
        for member in _texts(entry, "member"):
            if member.lower() not in contents:
                yield f"{dn} has a member that is not there: {member}"


def _wrong_applications(applications: Contents) -> Iterator[str]:
    for dn, entry in applications.items():
        if not _is(entry, "remoteappapplication") or len(_texts(entry, "remoteappimage")) != 1:
            yield f"{dn} is no whole application: {entry}"


def _differences(contents: list[Contents]) -> Iterator[str]:
    for number, other in enumerate(contents[1:], 1):
        for dn in sorted({*contents[0], *other}):
            here, there = contents[0].get(dn, {}), other.get(dn, {})
            for name in sorted({*here, *there}):
                if here.get(name) != there.get(name):
                    yield (
                        f"{dn} {name} differs: server 0 has {_texts(here, name)}, "
                        f"server {number} has {_texts(there, name)}"
                    )


class _Warnings(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def _seen_by_ldapdb(
    cluster: Cluster, server: Replica, state: State, limits: dict[str, Any]
) -> Iterator[str]:
    """Let ldapdb read all that a server has: the same, and nothing left out."""
    handler = _Warnings()
    logger = logging.getLogger("ldapdb")
    logger.addHandler(handler)
    now = time.monotonic()
    valid = {
        image
        for image in state.registered
        for begins, ends in [limits.get(image, (None, None))]
        if (begins is None or begins <= now) and (ends is None or now <= ends)
    }
    wanted = {key for key in state.held if key[1] in valid}
    with LDAPDatabase(**cluster.database_kwargs(uri=server.uri, write_uri=server.uri)) as each:
        told = {
            (user.name, accounting.application.image, _told(accounting))
            for user in each.list_users()
            for accounting in each.get_accounting_for_user(user)
        }
        names = {user.name for user in each.list_users()}
    logger.removeHandler(handler)
    if told != wanted:
        yield f"ldapdb at {server.uri} tells {sorted(told ^ wanted)} otherwise"
    if names != set(EVERYBODY):
        yield f"ldapdb at {server.uri} lists {sorted(names)}"
    yield from (each for each in handler.said if not is_of_time(each))


def _told(accounting: Any) -> str:
    policy = accounting.application_policy
    parts = policy.volume_source, policy.volume_target, policy.volume_mode
    volume = ":".join(parts) if policy.volume_source else None
    return policy_text(policy.allow_home, policy.allow_view, volume)
