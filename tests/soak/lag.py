"""Measures which servers lack what others have, and since when.

How long a change is under way is nothing that a client promises or can help. So the check
takes it as it was: by ``contextCSN``, and by each entry and its ``entryCSN``, because a server's
context may be ahead of its entries for a while, and OpenLDAP 2.5.13 now and then for good.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Optional

from ldap3.core.exceptions import LDAPException

from soak.journal import Journal
from support.cluster import Cluster, Replica, Version, Versions

__all__ = ["LagMonitor"]

_LOOK_SECONDS = 0.2
# So late a change may be elsewhere without being worth a note; see history.LAG_SECONDS.
_BEHIND_SECONDS = 0.5
_REMEMBERED = 5000
# What another server showed counts for so long; it may have been killed since.
_FRESH_SECONDS = 1.0


class LagMonitor:
    """Notes in a journal when a server is behind, and when it has caught up.

    Parameters
    ----------
    cluster : Cluster
        The servers.
    journal : Journal
        Where it is noted, as a fault of kind ``behind``.
    """

    def __init__(self, cluster: Cluster, journal: Journal) -> None:
        self._journal = journal
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        # What was seen first where does not matter: each change of any provider, and when.
        self._seen: dict[bytes, deque[tuple[bytes, float]]] = {}
        self._entries: dict[str, tuple[float, Versions]] = {}
        self._first_seen: dict[tuple[str, Version], float] = {}
        self._threads = [
            threading.Thread(target=self._watch, args=(server,)) for server in cluster.servers
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _watch(self, server: Replica) -> None:
        target, behind = f"lag of {server.uri}", False
        while not self._stopped.wait(_LOOK_SECONDS):
            began = time.monotonic()
            try:
                context = {csn.split(b"#")[2]: csn for csn in server.context()}
                entries = server.versions(server.base_dn)
            except LDAPException:
                continue
            lacking = self._lacks_since(context, began), self._old_since(server, entries, began)
            since = min(filter(None, lacking), default=None)
            if since is not None and not behind and began - since > _BEHIND_SECONDS:
                behind = True
                self._journal.note("fault", kind="behind", target=target, since=since)
            elif since is None and behind:
                behind = False
                self._journal.note("over", target=target)
        if behind:
            self._journal.note("over", target=target)

    def _lacks_since(self, context: dict[bytes, bytes], began: float) -> Optional[float]:
        """Return when the first change was seen that a server lacks; None if it has all."""
        with self._lock:
            for provider, csn in context.items():
                known = self._seen.setdefault(provider, deque(maxlen=_REMEMBERED))
                if not known or csn > known[-1][0]:
                    known.append((csn, began - _LOOK_SECONDS))
            lacking = [
                next(at for csn, at in known if csn > context.get(provider, b""))
                for provider, known in self._seen.items()
                if known[-1][0] > context.get(provider, b"")
            ]
        return min(lacking, default=None)

    def _old_since(self, server: Replica, entries: Versions, now: float) -> Optional[float]:
        """Return when the first version of an entry was seen that a server lacks.

        Where two servers made different things of the same changes, each lacks the other's.
        """
        with self._lock:
            self._entries[server.uri] = now, entries
            for version in entries.items():
                self._first_seen.setdefault(version, now - _LOOK_SECONDS)
            lacking = [
                self._first_seen[dn, version]
                for uri, (at, others) in self._entries.items()
                if uri != server.uri and now - at < _FRESH_SECONDS
                for dn, version in others.items()
                if version != entries.get(dn) and version[0] >= entries.get(dn, (b"", 0))[0]
            ]
        return min(lacking, default=None)
