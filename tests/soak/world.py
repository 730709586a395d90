"""Who and what there is in a soak, and which worker writes what."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any, Optional

from ldapdb import LDAPDatabase
from support.cluster import Cluster
from support.contents import Contents
from support.openldap import OpenLDAPDirectory

__all__ = ["EVERYBODY", "OWN", "SHARED", "Key", "keys_of", "policy_text", "prepare", "settings_of"]

WORKERS = 8
SHARED = ("shared/first:1", "shared/second:1", "shared/third:1")
# Two images in one entry that was made by hand. Only the first is ever revoked.
BOTH = ("both/goes:1", "both/stays:1")
THROUGH_GROUP = "group/held:1"
ENDING, ENDED, BEGINNING = "time/ending:1", "time/ended:1", "time/beginning:1"
FIXED = (BOTH[1], THROUGH_GROUP, ENDING, ENDED, BEGINNING)
REGISTERED = (*SHARED, *BOTH, THROUGH_GROUP, ENDING, ENDED, BEGINNING)
# Home, view, volume.
POLICIES: tuple[tuple[bool, bool, Optional[str]], ...] = (
    (False, False, None),
    (True, False, None),
    (True, True, "/data/shared:/data:ro"),
)

OPERATION_SECONDS = 3.0
# User, image, policy.
Key = tuple[str, str, str]


def people_of(worker: int) -> tuple[str, str]:
    """Name the two people whom a worker grants to; nobody else does."""
    return f"w{worker}-first", f"w{worker}-second"


EVERYBODY = tuple(name for worker in range(WORKERS) for name in people_of(worker))
# Each worker's image that it registers and removes, for its first person alone.
OWN = tuple(f"own/worker-{worker}:1" for worker in range(WORKERS))


def policy_text(home: bool, view: bool, volume: Optional[str]) -> str:
    """Write a policy as journals have it."""
    return f"{'home ' * home}{'view ' * view}{volume or ''}".strip() or "plain"


POLICY_OF = {policy_text(*policy): policy for policy in POLICIES}
PLAIN = policy_text(*POLICIES[0])


def keys_of(worker: int) -> list[Key]:
    """List what a worker grants and revokes, besides what is in its own image."""
    first, second = people_of(worker)
    shared = [
        (name, image, policy)
        for name in (first, second)
        for image in SHARED
        for policy in POLICY_OF
    ]
    return [*shared, (first, BOTH[0], PLAIN)]


def own_key(worker: int) -> Key:
    """Name what a worker grants in the image that it registers and removes."""
    return people_of(worker)[0], OWN[worker], PLAIN


def settings_of(worker: int, cluster: dict[str, Any]) -> dict[str, Any]:
    """Return a worker's settings: with a cache or without, with old answers or without.

    Two of those with a cache follow changes, one of them with old answers.
    """
    return {
        **cluster,
        "operation_timeout_seconds": OPERATION_SECONDS,
        "connect_timeout_seconds": 1,
        "cache_ttl_seconds": 0.5 if worker % 2 else 0,
        "cache_negative_ttl_seconds": 0.5 if worker % 2 else 0,
        "cache_max_stale_seconds": 3 if worker % 4 > 1 else 0,
        "watch": worker in (5, 7),
    }


def prepare(cluster: Cluster) -> dict[str, Any]:
    """Put everybody into the directory, and return what a journal begins with.

    The entries of the shared images are there from the start: two providers that make one
    entry at the same moment keep one of the two, which is OpenLDAP's to decide.
    """
    provider = cluster.providers[0]
    directory = OpenLDAPDirectory(provider, Contents(provider))
    people = [directory.person(name) for name in EVERYBODY]
    staff = directory.group("staff", *people)
    for image in REGISTERED:
        directory.application(image, image.replace("/", "-").replace(":", "-"))
    now = time.time()
    ends, begins = now + 25, now + 35
    first = [directory.dn_of(people_of(worker)[0]) for worker in range(WORKERS)]
    directory.granted("both", images=BOTH, members=first)
    directory.granted("group", images=[THROUGH_GROUP], members=[staff])
    directory.granted("ending", images=[ENDING], members=people, not_after=_stamp(ends))
    directory.granted("ended", images=[ENDED], members=people, not_after=_stamp(now - 5))
    directory.granted("beginning", images=[BEGINNING], members=people, not_before=_stamp(begins))
    with LDAPDatabase(**cluster.database_kwargs(uri=provider.uri)) as database:
        for image in SHARED:
            for policy in POLICIES:
                database.grant_access(image, EVERYBODY[0], *policy)
                database.revoke_access(image, EVERYBODY[0], *policy)
    directory.close()
    offset = time.monotonic() - time.time()
    held = [(people_of(worker)[0], BOTH[0], PLAIN) for worker in range(WORKERS)]
    held += [(name, image, PLAIN) for name in EVERYBODY for image in FIXED if image != BOTH[1]]
    held += [(people_of(worker)[0], BOTH[1], PLAIN) for worker in range(WORKERS)]
    return {
        "held": held,
        "registered": REGISTERED,
        "limits": {
            ENDING: [None, int(ends) + offset],
            ENDED: [None, int(now - 5) + offset],
            BEGINNING: [int(begins) + offset, None],
        },
    }


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), timezone.utc).strftime("%Y%m%d%H%M%S.0Z")
