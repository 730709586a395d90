"""Names of the entries that ldapdb makes: pure functions of what the entries say.

Concurrent processes meet in one entry, and collide over one entry, because they derive one
name. Hand-made entries may have any name; nothing reads meaning out of one, but who made it.
"""

from __future__ import annotations

import hashlib
import re

from ldapdb.model import Policy, Window, policy_half

__all__ = ["account_name", "application_cn", "grant_cn", "is_made_here"]

# Active Directory allows a cn of 64 characters and no more.
_LONGEST_CN = 64
_HASH_DIGITS = 16
# What `grant_cn` ends with, and what `ldapdb lint` calls an entry that it looks at.
_MADE_HERE = re.compile(rf".+~[0-9a-f]{{{_HASH_DIGITS}}}(\.[0-9]+)?|ldapdb-lint-[0-9a-f]+")


def application_cn(image: str) -> str:
    """Derive the ``cn`` of an application's entry from its image.

    The image itself where it is short and lower-case; otherwise a readable start and a
    hash of the exact image, because directories compare ``cn`` without regard to case.
    ``~`` occurs in no image, so that the two forms never meet.
    """
    if len(image) <= _LONGEST_CN and image == image.lower():
        return image
    return _readable(image, hashlib.sha256(image.encode()).hexdigest()[:_HASH_DIGITS])


def grant_cn(image: str, policy: Policy, window: Window, attempt: int = 1) -> str:
    """Derive the ``cn`` of a grant's entry from what it grants.

    Concurrent grants of one policy meet in one entry because they derive one name.

    Parameters
    ----------
    image, policy, window
        What the entry grants.
    attempt : int
        From 2 on, another name: for when the entry of that name was changed by hand and
        no longer says what its name says.
    """
    suffix = policy_half(image, policy, window)
    return _readable(image, suffix if attempt == 1 else f"{suffix}.{attempt}")


def is_made_here(cn: str) -> bool:
    """Tell whether a grant's name is of the form that ldapdb gives, whatever it grants by now."""
    return _MADE_HERE.fullmatch(cn.lower()) is not None


def account_name(cn: str, unique: str) -> str:
    r"""Derive a group's sAMAccountName, which no other account of the domain may have.

    Users, computers and groups share one name space in Active Directory, and an entry keeps
    its account name when it is renamed: a name that were a pure function of the ``cn`` would
    refuse a new entry on account of one that has been renamed.

    Parameters
    ----------
    cn : str
        The entry's.
    unique : str
        A few letters or digits that no other name has.

    References
    ----------
    [MS-SAMR], section 3.1.1.6: no ``" / \ [ ] : ; | = , + * ? < >``, nor ``@``.
    """
    readable = "".join(char if char.isalnum() or char in "._-~" else "-" for char in cn)
    return f"{readable[: _LONGEST_CN - len(unique) - 1]}-{unique}"


def _readable(image: str, suffix: str) -> str:
    return f"{image.lower()[: _LONGEST_CN - len(suffix) - 1]}~{suffix}"
