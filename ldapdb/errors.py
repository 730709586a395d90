"""The errors of ldapdb, split by what the caller can do about them.

::

    LDAPDBError
    ├── SettingsError               mend a setting (also a ValueError)
    │   ├── CredentialsRejected      mend bind_dn, bind_password
    │   ├── CertificateRefused      mend ca_file, the server's certificate or the name in uri
    │   ├── BaseNotFound            mend base_dn, users_base …, or create the entry
    │   └── SchemaMissing           load ldif/ into the directory
    ├── DirectoryUnavailable        try later: no server answered
    │   └── DeadlineExceeded        try later: one answered too slowly
    ├── IncompleteResult            raise the server's limits; the answer would be a part
    ├── AccessDenied                ask for rights
    │   └── ReadOnly                write elsewhere
    ├── AmbiguousName               two entries have one name; rename one
    ├── HeldThroughGroup            revoke at the group that is named
    ├── InvalidValue                mend the argument (also a ValueError)
    ├── NotFound                    accept the absence
    ├── Exists                      accept the presence
    ├── UnsupportedOperation        users belong to the directory
    └── UnexpectedResult            a result code that nobody expected here
        ├── NoSuchEntry             32
        ├── EntryExists             68
        ├── ValueExists             20
        ├── NoSuchValue             16
        └── ObjectClassViolation    65

This module knows neither ldap3 nor the host: ``connection`` turns ldap3's errors into
these, ``database`` turns some of these into the host's.
"""

from __future__ import annotations

from typing import Optional

__all__ = [
    "AccessDenied",
    "AmbiguousName",
    "BaseNotFound",
    "CertificateRefused",
    "CredentialsRejected",
    "DeadlineExceeded",
    "DirectoryUnavailable",
    "EntryExists",
    "Exists",
    "HeldThroughGroup",
    "IncompleteResult",
    "InvalidValue",
    "LDAPDBError",
    "NoSuchEntry",
    "NoSuchValue",
    "NotFound",
    "ObjectClassViolation",
    "ReadOnly",
    "SchemaMissing",
    "SettingsError",
    "UnexpectedResult",
    "UnsupportedOperation",
    "ValueExists",
]


class LDAPDBError(Exception):
    """The root of all errors that ldapdb raises on purpose.

    Parameters
    ----------
    message : str
        What happened, where, and what to do. It stands alone in the host's log.
    server : str, optional
        URI of the server that answered, where one did.
    dn : str, optional
        The entry concerned, as RFC 4514 text.
    result_code : int, optional
        LDAP result code (RFC 4511, appendix A), where the server gave one.

    Attributes
    ----------
    answer_lost : bool
        Whether an earlier answer to the same write was lost: it may have been made, and what
        is complained of may be its own doing.
    logged : bool
        Whether the log has it already, because the same failure was met before. Raising it again
        costs nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        server: Optional[str] = None,
        dn: Optional[str] = None,
        result_code: Optional[int] = None,
    ) -> None:
        super().__init__(message)
        self.server = server
        self.dn = dn
        self.result_code = result_code
        self.answer_lost = False
        self.logged = False

    def restated(
        self, message: str, kind: Optional[type[LDAPDBError]] = None, *, dn: Optional[str] = None
    ) -> LDAPDBError:
        """Return the same error in other words.

        Parameters
        ----------
        message : str
            The words.
        kind : type, optional
            Its class, if that is to be another one.
        dn : str, optional
            The entry concerned, if that is to be another one.
        """
        error = (kind or type(self))(
            message, server=self.server, dn=dn or self.dn, result_code=self.result_code
        )
        error.answer_lost, error.logged = self.answer_lost, self.logged
        return error


class SettingsError(LDAPDBError, ValueError):
    """A setting is wrong, unknown or contradicts another one."""


class CredentialsRejected(SettingsError):
    """The directory rejected the login: the account, its password, or how it was sent.

    Attributes
    ----------
    judged : bool
        Whether the server has judged the password, and may lock the account if it gets it again.
    """

    judged = False


class CertificateRefused(SettingsError):
    """The server's TLS certificate could not be verified."""


class BaseNotFound(SettingsError):
    """A search base of the settings names no entry that the account can see."""


class SchemaMissing(SettingsError):
    """The directory does not know the remoteApp attributes and classes."""


class DirectoryUnavailable(LDAPDBError):
    """No server could be reached, or the one that was reached broke off."""


class DeadlineExceeded(DirectoryUnavailable):
    """The call's total time was over before a server had answered."""


class IncompleteResult(LDAPDBError):
    """The server ended a search at one of its limits (result codes 3, 4, 11)."""


class AccessDenied(LDAPDBError):
    """The account has no right to do this (result code 50)."""


class ReadOnly(AccessDenied):
    """The connection may not write: by setting, or because the server is a consumer."""


class AmbiguousName(LDAPDBError):
    """One user name matches more than one entry."""


class HeldThroughGroup(LDAPDBError):
    """The user holds the grant through a group only, so it cannot be taken from him alone."""


class InvalidValue(LDAPDBError, ValueError):
    """An argument is not of the form that it must have."""


class NotFound(LDAPDBError):
    """The user or application named does not exist."""


class Exists(LDAPDBError):
    """The application exists already."""


class UnsupportedOperation(LDAPDBError):
    """The directory's users are read-only here."""


class UnexpectedResult(LDAPDBError):
    """The server answered with a result code that nothing here accounts for."""


class NoSuchEntry(UnexpectedResult):
    """The entry does not exist, or the account may not see it (32)."""


class EntryExists(UnexpectedResult):
    """An entry of that DN exists already (68)."""


class ValueExists(UnexpectedResult):
    """The attribute has that value already (20)."""


class NoSuchValue(UnexpectedResult):
    """The attribute does not have that value (16)."""


class ObjectClassViolation(UnexpectedResult):
    """The change would leave the entry without what its classes demand (65)."""
