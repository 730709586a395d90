"""remoteappmanager's configuration for SystemUserSpawner: every process is the user's own.

The user's process reads this file, and whatever it can read the user can read. So there is no
secret in it: the directory's server, or a replica, runs on this machine, and the kernel tells it
whose process asks (ldif/openldap/per-user.ldif). docs/deployment.md explains every line.
"""

import os

database_class = "ldapdb.LDAPDatabase"
database_kwargs = {
    "uri": "ldapi://%2Frun%2Fslapd%2Fldapi",
    "bind": "external",
    "base_dn": "ou=remoteapp,dc=example,dc=org",
    "users_base": "ou=people,dc=example,dc=org",
    "groups_base": "ou=groups,dc=example,dc=org",
    "user_name_attribute": "uid",
    "read_only": True,
}

# An administrator's process is the administrator's own, and so is this file, mode 0600.
writer_password = os.path.expanduser("~/.remoteapp-writer.pw")
if os.path.exists(writer_password):
    database_kwargs.update(
        uri="ldaps://ldap1.example.org",
        ca_file="/etc/remoteapp/ca.pem",
        bind="simple",
        bind_dn="cn=remoteapp-writer,ou=services,dc=example,dc=org",
        bind_password_file=writer_password,
        read_only=False,
    )
auto_user_creation = False
