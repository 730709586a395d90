"""The directory as operations with a deadline; the only user of ldap3.

A :class:`Directory` keeps a bounded pool of bound connections to the servers of one
setting. A :class:`Call` is one public call of ldapdb on it: every search, add, modify and
delete of that call shares one deadline, reconnecting and failover included. ldap3's
errors and result codes become those of ``errors`` here and nowhere else.

ldap3 is used against its defaults: no referrals, no schema, no name checks, no escaping
of its own, no dereferencing, verified TLS, and every byte under the deadline.
"""

from ldapdb.connection.call import Call, RootDSE
from ldapdb.connection.deadline import Deadline
from ldapdb.connection.directory import Directory
from ldapdb.connection.stream import Message, Stream

__all__ = ["Call", "Deadline", "Directory", "Message", "RootDSE", "Stream"]
