"""What whatif says it cannot tell."""

from __future__ import annotations

import pytest

from ldapdb.protocol.ldif import parse
from ldapdb.store.doubts import doubts_of


def doubts(text: str, *, links_follow: bool = False) -> list[str]:
    changes = [change for _, change in parse(text.encode())]
    return list(doubts_of(changes, links_follow=links_follow))


@pytest.mark.parametrize("name", ["memberURL", "nsRoleDN", "aci", "ntSecurityDescriptor;x-a"])
def test_what_the_directory_works_rights_out_of_is_a_doubt(name: str) -> None:
    [said] = doubts(f"dn: cn=a\nchangetype: modify\nreplace: {name}\n{name}: x\n-\n")
    assert "cannot be told" in said
    [said] = doubts(f"dn: cn=a\ncn: a\n{name}: x\n")
    assert "'cn=a'" in said


@pytest.mark.parametrize(
    "going",
    [
        "dn: cn=a\nchangetype: delete\n",
        "dn: cn=a\nchangetype: modrdn\nnewrdn: cn=b\ndeleteoldrdn: 1\n",
    ],
)
def test_whoever_comes_where_somebody_went_is_a_doubt(going: str) -> None:
    """But where the directory keeps members in step with names."""
    coming = "dn: cn=a\ncn: a\n"
    assert len(doubts(f"{going}\n{coming}")) == 1
    assert doubts(f"{going}\n{coming}", links_follow=True) == []
    assert doubts(going) == doubts(coming) == []
