"""The directory as operations with a deadline.

A :class:`Directory` keeps a bounded pool of bound connections to the servers of one
setting. A :class:`Call` is one public call of ldapdb on it: every search, add, modify and
delete of that call shares one deadline, reconnecting and failover included. Result codes
become errors of ``errors`` here and nowhere else.

ldap3 is the client, and used here alone, against its defaults: no referrals, no schema, no
name checks, verified TLS, and a deadline for every octet (``strategy``).
"""

from ldapdb.client.answers import EVERYTHING, ROOT_DSE, RootDSE
from ldapdb.client.call import Call
from ldapdb.client.deadline import Deadline
from ldapdb.client.directory import Directory
from ldapdb.client.logins import LOGINS
from ldapdb.client.stream import Stream

__all__ = [
    "EVERYTHING",
    "LOGINS",
    "ROOT_DSE",
    "Call",
    "Deadline",
    "Directory",
    "RootDSE",
    "Stream",
]
