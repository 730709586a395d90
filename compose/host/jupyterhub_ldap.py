"""JupyterHub's configuration with LDAP log-in: people type the directory's password.

For JupyterHub 1.0 with jupyterhub-ldapauthenticator 1.3.2. docs/deployment.md explains every line.
"""

import pwd
import ssl

import ldap3
from ldapauthenticator import LDAPAuthenticator

c = get_config()  # noqa: F821 -- JupyterHub brings it


class VerifyingLDAPAuthenticator(LDAPAuthenticator):
    """Check the server's certificate, which release 1.3.2 leaves out.

    Without that, whoever stands between the hub and the directory learns every password.
    """

    def get_connection(self, userdn, password):
        """Log in as a person; it raises where the directory refuses."""
        tls = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file="/etc/remoteapp/ca.pem")
        server = ldap3.Server(
            self.server_address,
            port=self.server_port,
            use_ssl=self.use_ssl,
            tls=tls,
            connect_timeout=5,
            get_info=ldap3.NONE,
        )
        return ldap3.Connection(
            server,
            user=userdn,
            password=password,
            auto_bind=ldap3.AUTO_BIND_NO_TLS,  # it is ldaps://, TLS from the first byte on
            auto_referrals=False,
            receive_timeout=5,
        )


c.JupyterHub.authenticator_class = VerifyingLDAPAuthenticator
c.LDAPAuthenticator.server_address = "ldap1.example.org"
c.LDAPAuthenticator.server_port = 636
c.LDAPAuthenticator.use_ssl = True
c.LDAPAuthenticator.bind_dn_template = "uid={username},ou=people,dc=example,dc=org"
c.LDAPAuthenticator.escape_userdn = True
c.LDAPAuthenticator.valid_username_regex = r"(?ai)[a-z][.a-z0-9_-]*\Z"
c.Authenticator.admin_users = {"renate"}
# root, nobody and the accounts of services: no person, whatever the directory has.
c.Authenticator.blacklist = {
    each.pw_name for each in pwd.getpwall() if each.pw_uid < 1000 or each.pw_uid == 65534
}

# By address, where user_name_attribute is "mail": an entry is looked up, and its DN logs in.
# c.LDAPAuthenticator.bind_dn_template = []
# c.LDAPAuthenticator.escape_userdn = False
# c.LDAPAuthenticator.valid_username_regex = r"(?ai)[a-z0-9][.a-z0-9_+-]*@[a-z0-9][.a-z0-9-]*\Z"
# c.LDAPAuthenticator.lookup_dn = True
# c.LDAPAuthenticator.user_search_base = "ou=people,dc=example,dc=org"
# c.LDAPAuthenticator.user_attribute = "mail"
# c.LDAPAuthenticator.lookup_dn_user_dn_attribute = "mail"
# c.LDAPAuthenticator.lookup_dn_search_user = "cn=remoteapp-reader,ou=services,dc=example,dc=org"
# c.LDAPAuthenticator.lookup_dn_search_password = open("/etc/jupyterhub/reader.pw").read().strip()

# By UPN on Active Directory, where user_name_attribute is "userPrincipalName".
# c.LDAPAuthenticator.bind_dn_template = "{username}"
# c.LDAPAuthenticator.valid_username_regex = r"(?ai)[a-z0-9][.a-z0-9_-]*@[a-z0-9][.a-z0-9-]*\Z"

c.JupyterHub.ssl_cert = "/etc/jupyterhub/cert.pem"
c.JupyterHub.ssl_key = "/etc/jupyterhub/key.pem"

# One of the two spawners, with the configuration that is safe for it.
c.JupyterHub.spawner_class = "remoteappmanager.jupyterhub.spawners.VirtualUserSpawner"
c.VirtualUserSpawner.config_file_path = "/etc/jupyterhub/remoteappmanager_virtual.py"
c.VirtualUserSpawner.workspace_dir = "/var/lib/remoteapp"
# c.JupyterHub.spawner_class = "remoteappmanager.jupyterhub.spawners.SystemUserSpawner"
# c.SystemUserSpawner.config_file_path = "/etc/jupyterhub/remoteappmanager_system.py"
