"""The doctor: looks at all that ldapdb leans on, and says what is wrong and what to do.

Each check is a function that is given a :class:`~ldapdb.store.checking.visiting.Visit`, one
server by itself, and yields :class:`Finding`; what it judges by is apart and pure.
"""

from ldapdb.store.checking.doctor import check
from ldapdb.store.checking.findings import Finding, Level, worst
from ldapdb.store.checking.leaks import Ordinary

__all__ = ["Finding", "Level", "Ordinary", "check", "worst"]
