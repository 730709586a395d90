"""How a connection authenticates: the settings in ldap3's words."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import ldap3

from ldapdb.errors import SettingsError
from ldapdb.settings import Settings

__all__ = ["credentials"]


def credentials(settings: Settings, uri: str) -> dict[str, Any]:
    """Say how to bind, as keywords of ldap3's ``Connection``.

    Parameters
    ----------
    settings : Settings
        What to authenticate with.
    uri : str
        The server; Kerberos has a ticket for each by its name.

    Raises
    ------
    SettingsError
        If the password cannot be read, or a package is missing.
    """
    method = settings.authentication
    if method == "simple":
        return {
            "authentication": ldap3.SIMPLE,
            "user": settings.bind_dn,
            "password": settings.password(),
        }
    if method == "external":
        return {"authentication": ldap3.SASL, "sasl_mechanism": ldap3.EXTERNAL,
                "sasl_credentials": ""}  # fmt: skip
    if method == "gssapi":
        try:
            import gssapi  # noqa: F401, PLC0415 -- an extra; ldap3 fails without saying so
        except ImportError:
            raise SettingsError(
                "bind: gssapi needs the package gssapi; run: pip install 'ldapdb-remoteapp[gssapi]'"
            ) from None
        return {
            "authentication": ldap3.SASL,
            "sasl_mechanism": ldap3.KERBEROS,
            # The name that uri has, and none that DNS makes of it.
            "sasl_credentials": (urlsplit(uri).hostname,),
        }
    return {"authentication": ldap3.ANONYMOUS}
