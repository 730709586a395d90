"""LDAP result codes, and the errors of ours that they become."""

from __future__ import annotations

from typing import Optional

from ldapdb import errors
from ldapdb.wellformed import one_line

__all__ = ["NO_SUCH_OBJECT", "SUCCESS", "WIRE_ERRORS", "quoted", "result_error"]

SUCCESS, NO_SUCH_OBJECT = 0, 32
_LIFT_SIZE_LIMIT = (
    "lift the limit for this account (OpenLDAP: olcLimits with size.soft, size.hard and "
    "size.prtotal unlimited, see ldif/openldap/access.ldif; 389 DS: nsSizeLimit of its entry)"
)
# RFC 4511, appendix A: what each result code asks of the caller. The text follows
# "the directory at <server> ".
_RESULTS: dict[int, tuple[type[errors.LDAPDBError], str]] = {
    1: (errors.AccessDenied, "refused the operation; the account may not be allowed to ask"),
    3: (errors.IncompleteResult, "ended the search at its time limit; index what it searches"),
    4: (errors.IncompleteResult, f"ended the search at its size limit; {_LIFT_SIZE_LIMIT}"),
    # Of an operation. OpenLDAP answers an anonymous write so; a login has its own meanings.
    8: (
        errors.AccessDenied,
        "demands a stronger login for that; see bind, or use ldaps:// or set start_tls = true",
    ),
    10: (errors.ReadOnly, "is a read-only consumer; set write_uri to the provider"),
    11: (errors.IncompleteResult, "ended the search at an administrative limit; lift it"),
    13: (errors.CredentialsRejected, "demands TLS; use ldaps:// or set start_tls = true"),
    16: (errors.NoSuchValue, "says that the attribute has no such value"),
    17: (errors.SchemaMissing, "does not know an attribute; load the schema from ldif/"),
    20: (errors.ValueExists, "says that the attribute has this value already"),
    NO_SUCH_OBJECT: (errors.NoSuchEntry, "has no such entry, or hides it from this account"),
    48: (errors.CredentialsRejected, "does not allow this kind of bind; see bind and bind_dn"),
    49: (errors.CredentialsRejected, "rejected the login; check bind_dn and its password"),
    50: (
        errors.AccessDenied,
        (
            "gives this account no right to do that; to write, set bind_dn to an account that may, "
            "such as the writer of ldif/services.ldif, with its password; ldif/ has access rules"
        ),
    ),
    51: (errors.DirectoryUnavailable, "is too busy"),
    52: (errors.DirectoryUnavailable, "is shutting down or not ready"),
    53: (errors.AccessDenied, "is unwilling to do that; it may be read-only"),
    65: (errors.ObjectClassViolation, "says that the entry would break its object classes"),
    68: (errors.EntryExists, "has an entry of that DN already"),
}

# What a socket raises, and the reading of an answer that is none (BrokenAnswer is a ValueError).
WIRE_ERRORS = (OSError, ValueError)


def result_error(
    code: int, server: str, doing: str, dn: Optional[str], said: Optional[str]
) -> errors.LDAPDBError:
    """Turn a result code into our error."""
    kind, text = _RESULTS.get(code, (errors.UnexpectedResult, f"answered with result code {code}"))
    return kind(
        f"the directory at {server} {text} ({doing}; result code {code}).{quoted(said)}",
        server=server,
        dn=dn,
        result_code=code,
    )


def quoted(said: Optional[str]) -> str:
    """Quote a server's diagnostic message, which may hold what a client sent, or anything."""
    # Active Directory ends it with a NUL.
    said = said.strip("\0 \t\r\n") if said else ""
    return f' It said: "{one_line(said)}"' if said else ""
