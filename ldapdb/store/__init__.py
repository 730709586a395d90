"""The use cases, free of the host: who may start what, and changes to that.

A :class:`Store` keeps the caches, gives every call one deadline, and holds the order of
writes in which a crash leaves nothing half-done. Reads go through the caches; whatever
decides about a write is read from the directory, because a grant to the place where a user
was a minute ago would be lost without a word.
"""

from ldapdb.store.writes import Store

__all__ = ["Store"]
