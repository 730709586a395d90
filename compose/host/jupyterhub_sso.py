"""JupyterHub's configuration with SSO log-in (OpenID Connect); users are still the directory's.

For JupyterHub 1.0 with oauthenticator 0.12. docs/deployment.md explains every line.
"""

import pwd
import re
from pathlib import Path

from tornado.web import HTTPError

c = get_config()  # noqa: F821 -- JupyterHub brings it

# Which claim names the user, by what remoteappmanager's configuration says in user_name_attribute.
CLAIM_OF = {
    "uid": "preferred_username",
    "mail": "email",
    "userPrincipalName": "upn",
}
USER_NAME_ATTRIBUTE = "uid"
NAME = re.compile(r"[a-z0-9][.a-z0-9_+-]*(@[a-z0-9][.a-z0-9-]*)?", re.ASCII | re.IGNORECASE)


def user_name(claims):
    """Name the user as the directory does, or refuse the log-in with a page that says why.

    An address that the provider has not verified is anybody's claim.
    """
    claim = CLAIM_OF[USER_NAME_ATTRIBUTE]
    name = claims.get(claim)
    if not name:
        raise HTTPError(403, "single sign-on does not say who you are: no claim %s", claim)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise HTTPError(403, "single sign-on gives you a name that is none here: %r", name)
    if USER_NAME_ATTRIBUTE == "mail" and claims.get("email_verified") is not True:
        raise HTTPError(403, "single sign-on has not verified your address %s", name)
    return name


c.JupyterHub.authenticator_class = "oauthenticator.generic.GenericOAuthenticator"
c.GenericOAuthenticator.login_service = "single sign-on"
c.GenericOAuthenticator.client_id = "simphony-remote"
c.GenericOAuthenticator.client_secret = Path("/etc/jupyterhub/oidc-secret").read_text().strip()
c.GenericOAuthenticator.oauth_callback_url = "https://remote.example.org/hub/oauth_callback"
c.GenericOAuthenticator.authorize_url = "https://login.example.org/authorize"
c.GenericOAuthenticator.token_url = "https://login.example.org/token"  # noqa: S105 -- an address
c.GenericOAuthenticator.userdata_url = "https://login.example.org/userinfo"
c.GenericOAuthenticator.scope = ["openid", "profile", "email"]
c.GenericOAuthenticator.username_key = user_name
c.GenericOAuthenticator.tls_verify = True
c.Authenticator.admin_users = {"renate"}
# root, nobody and the accounts of services: no person, whatever the provider says.
c.Authenticator.blacklist = {
    each.pw_name for each in pwd.getpwall() if each.pw_uid < 1000 or each.pw_uid == 65534
}

c.JupyterHub.ssl_cert = "/etc/jupyterhub/cert.pem"
c.JupyterHub.ssl_key = "/etc/jupyterhub/key.pem"

# One of the two spawners, with the configuration that is safe for it.
c.JupyterHub.spawner_class = "remoteappmanager.jupyterhub.spawners.VirtualUserSpawner"
c.VirtualUserSpawner.config_file_path = "/etc/jupyterhub/remoteappmanager_virtual.py"
c.VirtualUserSpawner.workspace_dir = "/var/lib/remoteapp"
# c.JupyterHub.spawner_class = "remoteappmanager.jupyterhub.spawners.SystemUserSpawner"
# c.SystemUserSpawner.config_file_path = "/etc/jupyterhub/remoteappmanager_system.py"
