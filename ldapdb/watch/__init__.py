"""Changes of a directory as they happen.

A :class:`Source` is one way of learning of them: RFC 4533 where the server has it, DirSync on
Active Directory, and asking again and again where a directory allows nothing better. It
yields :class:`Batch` after batch and remembers, from one connection to the next, where to go
on. A :class:`Watch` is the thread that keeps a source connected.

What a change means for users and grants is none of this package's business.
"""

from ldapdb.watch.protocol import Batch, Change, Scope, Source
from ldapdb.watch.sources import sources_for
from ldapdb.watch.thread import State, Watch, WatchInfo

__all__ = ["Batch", "Change", "Scope", "Source", "State", "Watch", "WatchInfo", "sources_for"]
