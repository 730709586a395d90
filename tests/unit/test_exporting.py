"""What is written of an entry that is moved to another directory."""

from __future__ import annotations

from ldapdb.migrate.exporting import _attributes
from ldapdb.protocol.dn import DN
from ldapdb.protocol.entry import Entry


def test_members_that_come_in_parts_are_asked_for_and_what_is_made_up_is_left_out() -> None:
    """Active Directory sends 1,500 members at a time, beside an attribute without any."""
    asked = []

    def values(dn: DN, attribute: str) -> list[bytes]:
        asked.append((str(dn), attribute))
        return [b"cn=a", b"cn=b"]

    entry = Entry(
        "CN=staff,DC=example",
        {
            "cn": [b"staff"],
            "member": [],
            "member;range=0-0": [b"cn=a"],
            "description;lang-de": [b"Leute"],
            "objectguid": [b"\0"],
        },
    )
    assert _attributes(entry, values) == {
        "cn": [b"staff"],
        "member": [b"cn=a", b"cn=b"],
        "description;lang-de": [b"Leute"],
    }
    assert asked == [("CN=staff,DC=example", "member")]
