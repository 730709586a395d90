"""What a server's rejection of a login means, in words.

Result codes are those of RFC 4511, section 4.1.9; the errors of a password policy those of
draft-behera-ldap-password-policy-10, section 6.2; the numbers behind ``data`` are Windows
error codes, which Active Directory and Samba put into the diagnostic message of code 49.
Measured with OpenLDAP 2.5.13, 389 Directory Server 2.3.1 and Samba AD DC 4.17.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

__all__ = ["MUST_CHANGE", "Meaning", "meaning_of"]

SUCCESS, INVALID_CREDENTIALS = 0, 49
UNWILLING = 53  # 389 DS calls an inactivated account locked, in its policy's response
MUST_CHANGE = 2  # changeAfterReset: logged in, and nothing else is allowed


@dataclass(frozen=True)
class Meaning:
    """What a rejection means.

    Parameters
    ----------
    text : str
        What the server does, and what to do; follows its name in a message.
    is_judged : bool
        Whether the server has judged the account or its password, so that sending the
        password again may lock the account.
    """

    text: str
    is_judged: bool = True


_WRONG = Meaning("rejected the login; check bind_dn and its password")
_EXPIRED = Meaning("says that the account's password has expired; set a new password")
_LOCKED = Meaning(
    "has locked the account after too many wrong passwords; unlock it, or wait until the "
    "directory does"
)
_RESET = Meaning(
    "demands that the account changes its password first, because an administrator has set it; "
    "change it once by hand, or turn that rule off for this account"
)
_DISABLED = Meaning("has disabled the account; enable it")

_MEANINGS = {
    7: Meaning("does not know this kind of login; see bind", is_judged=False),
    8: Meaning(
        "demands TLS or a stronger login; use ldaps:// or set start_tls = true, or see bind",
        is_judged=False,
    ),
    13: Meaning("demands TLS; use ldaps:// or set start_tls = true", is_judged=False),
    19: Meaning(
        "rejected the login because of its password policy; the account is probably locked after "
        "too many wrong passwords: unlock it"
    ),
    32: Meaning("knows no such account; check bind_dn", is_judged=False),
    34: Meaning("takes bind_dn for no DN; check bind_dn", is_judged=False),
    48: Meaning("does not allow this kind of login; see bind and bind_dn", is_judged=False),
    INVALID_CREDENTIALS: _WRONG,
    50: Meaning("does not allow this account to log in; see the directory's access rules"),
    UNWILLING: Meaning(
        "is unwilling to let this account log in; it is probably inactivated (locked by an "
        "administrator) or disabled: activate it"
    ),
}
_BY_POLICY = {0: _EXPIRED, 1: _LOCKED, MUST_CHANGE: _RESET}
_BY_DATA = {
    "525": Meaning("knows no such account; check bind_dn"),
    "52e": _WRONG,
    "530": Meaning("does not allow the account to log in at this time; see its logon hours"),
    "531": Meaning("does not allow the account to log in from here; see its workstations"),
    "532": _EXPIRED,
    "533": _DISABLED,
    "701": Meaning("says that the account has expired; see its accountExpires"),
    "773": _RESET,
    "775": _LOCKED,
}
_DATA = re.compile(r"AcceptSecurityContext error, data ([0-9a-f]+)", re.IGNORECASE)


def meaning_of(code: int, said: str = "", policy: Optional[int] = None) -> Optional[Meaning]:
    """Return what a server's answer to a login means.

    Parameters
    ----------
    code : int
        The result code.
    said : str
        The diagnostic message.
    policy : int, optional
        The error in the password policy's response, if there is one.

    Returns
    -------
    Meaning or None
        None if the login was accepted, or the answer is not about the login: the server may be
        busy, or broken.
    """
    if code == SUCCESS:
        return _RESET if policy == MUST_CHANGE else None
    if policy in _BY_POLICY and code != UNWILLING:
        return _BY_POLICY[policy]
    data = _DATA.search(said) if code == INVALID_CREDENTIALS else None
    known = _BY_DATA.get(data.group(1).lower()) if data else None
    return known or _MEANINGS.get(code)
