"""Granting within a time: the last word about a member counts."""

from __future__ import annotations

from collections.abc import Sequence

from ldapdb.connection import Call
from ldapdb.dn import DN
from ldapdb.errors import NoSuchEntry
from ldapdb.model import Grant, Policy, Window
from ldapdb.store.grants import Grants

__all__ = ["grant_within"]

_ATTEMPTS = 5


def grant_within(
    call: Call,
    grants: Grants,
    image: str,
    policy: Policy,
    window: Window,
    member: DN,
    memberships: Sequence[tuple[str, str]],
    now: float,
) -> tuple[Window, ...]:
    """Give a member an image in a window, and at no other time as far as it is named itself.

    Parameters
    ----------
    memberships : sequence of (str, str)
        Attributes, and the values in them, that name the member.
    now : float
        Seconds since the epoch: what is over by then is left as it is.

    Returns
    -------
    tuple of Window
        When else the member had it, which is over with this.
    """

    def beyond() -> list[tuple[Grant, str, str]]:
        return [
            each
            for each in grants.naming(call, image, memberships)
            if each[0].policy == policy
            and not window.covers(each[0].window)
            and not each[0].window.is_over(now)
        ]

    # Looked for before the member is added, so that of two who state different times at once
    # neither takes away what the other adds.
    before = beyond() if window != Window() else []
    grants.add_member(call, image, policy, window, member)
    replaced = {each[0].window for each in before}
    for _ in range(_ATTEMPTS):
        gone: list[NoSuchEntry] = []
        for grant, attribute, value in before:
            # What else the entry grants stays, through entries of its own.
            for other in grant.images:
                if other != image:
                    grants.add_member(call, other, policy, grant.window, member)
            try:
                grants.remove_member(call, grant, attribute, value)
            except NoSuchEntry as error:  # it may have been renamed
                gone.append(error)
        if not gone:
            break
        before = [each for each in beyond() if each[0].window in replaced]
    else:
        raise gone[-1]
    if replaced:
        # Somebody who stated another time meanwhile may have taken this one for an old one.
        grants.add_member(call, image, policy, window, member)
    return tuple(sorted(replaced, key=str))
