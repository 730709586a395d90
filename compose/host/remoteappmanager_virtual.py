"""remoteappmanager's configuration for VirtualUserSpawner: every process is the hub's account.

Users run nothing of their own in these processes, so a file that only the hub's account may read
is safe from them. docs/deployment.md explains every line.
"""

import os
import sys

# An administrator's process is another program. It alone is given the account that writes.
account = "writer" if os.path.basename(sys.argv[0]) == "remoteappadmin" else "reader"

database_class = "ldapdb.LDAPDatabase"
database_kwargs = {
    "uri": "ldaps://ldap1.example.org ldaps://ldap2.example.org",
    "write_uri": "ldaps://ldap1.example.org",
    "ca_file": "/etc/remoteapp/ca.pem",
    "bind_dn": "cn=remoteapp-" + account + ",ou=services,dc=example,dc=org",
    "bind_password_file": "/etc/remoteapp/" + account + ".pw",
    "base_dn": "ou=remoteapp,dc=example,dc=org",
    "users_base": "ou=people,dc=example,dc=org",
    "groups_base": "ou=groups,dc=example,dc=org",
    "user_name_attribute": "uid",
    "read_only": account == "reader",
}
auto_user_creation = False
