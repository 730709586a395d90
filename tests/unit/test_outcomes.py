"""What is said of changes of several things that are broken off."""

from __future__ import annotations

from typing import Union

import pytest

from ldapdb.errors import AccessDenied
from ldapdb.model import Policy, User
from ldapdb.protocol.dn import DN
from ldapdb.store.groups import Group
from ldapdb.store.outcomes import Left, Revoked, carry_out

IMAGE = "simphony/mayavi:0.5"
ALICE, BOB = (
    User(number, name, DN.parse(f"uid={name},dc=example"))
    for number, name in enumerate(("alice", "bob"))
)


@pytest.mark.parametrize("error", [AccessDenied("no", server="ldap://x"), KeyboardInterrupt()])
def test_what_else_is_lost_is_told_though_a_later_write_fails(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """The outcome that says so is lost with the error."""
    office = DN.parse("cn=office,dc=example")

    def write(image: str, member: Union[User, Group]) -> Revoked:
        if member is BOB:
            raise error
        return Revoked(image, member, (Policy(),), (Left(office, (office,)),))

    with pytest.raises(type(error), match=r"revoked before that: 1 of 2; not revoked: .* 'bob'"):
        carry_out([IMAGE], [ALICE, BOB], write, "revoked")
    [said] = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"alice leaves '{office}', which ldapdb did not make, for {IMAGE}: ")
