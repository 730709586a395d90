"""Granting within a time: the last word about a member counts."""

from __future__ import annotations

from collections.abc import Sequence

from ldapdb.client import Call
from ldapdb.errors import LDAPDBError, NoSuchEntry, NoSuchValue
from ldapdb.model import Grant, Policy, Window
from ldapdb.protocol.dn import DN
from ldapdb.store.grants import Grants
from ldapdb.store.memberships import Memberships

__all__ = ["grant_within"]

_ATTEMPTS = 5


def grant_within(
    call: Call,
    grants: Grants,
    memberships: Memberships,
    image: str,
    policy: Policy,
    window: Window,
    member: DN,
    naming: Sequence[tuple[str, str]],
    now: float,
) -> tuple[tuple[Window, ...], tuple[Grant, ...]]:
    """Give a member an image in a window, and at no other time as far as our entries name it.

    A group of a company's that carries a grant, and a grant that is a member of another, may
    give more than that: nobody is taken out.

    Parameters
    ----------
    naming : sequence of (str, str)
        Attributes, and the values in them, that name the member.
    now : float
        Seconds since the epoch: what is over by then is left as it is.

    Returns
    -------
    tuple of Window, tuple of Grant
        When else the member had it, which is over with this; and entries which go on giving
        it at other times, since somebody else made them or they give more than this.
    """

    def beyond() -> list[tuple[Grant, str, str]]:
        return [
            each
            for each in grants.naming(call, image, naming)
            if each[0].policy == policy
            and not window.covers(each[0].window)
            and not each[0].window.is_over(now)
        ]

    # Looked for before the member is added, so that of two who state different times at once
    # neither takes away what the other adds.
    found = beyond() if window != Window() else []
    kept = {
        grant.dn: grant
        for grant, _, _ in found
        if not grants.is_ours(grant) or memberships.is_named(call, grant.dn)
    }
    before = [each for each in found if each[0].dn not in kept]
    grants.add_member(call, image, policy, window, member)
    replaced = {each[0].window for each in before}
    for _ in range(_ATTEMPTS):
        gone: list[LDAPDBError] = []
        for grant, attribute, value in before:
            try:
                grants.remove_member(call, grant.dn, attribute, value)
            except (NoSuchEntry, NoSuchValue) as error:  # it may have been renamed
                gone.append(error)
        if not gone:
            break
        # By which name, nobody knows; those of others keep theirs, or grant more than this.
        before = [
            each
            for each in beyond()
            if each[0].window in replaced and each[0].images == (image,) and each[0].dn not in kept
        ]
    else:
        raise gone[-1]
    if replaced:
        # Somebody who stated another time meanwhile may have taken this one for an old one.
        grants.add_member(call, image, policy, window, member)
    return tuple(sorted(replaced, key=str)), tuple(kept.values())
