"""The remedies of ``ldapdb check`` for indexes of Active Directory, which a test must not try."""

from __future__ import annotations

import pytest

from ldapdb.embedded import ldif_folder
from ldapdb.store.checking.visiting import Visit
from support import Directory

pytestmark = pytest.mark.live("ad", reason="the others have a list of indexes, and no flags")


def test_an_index_is_one_more_flag_of_the_attribute_s_own_entry(directory: Directory) -> None:
    """Others of its flags keep an attribute from being read; and mail is not called mail there."""
    visit = Visit(directory.settings(), directory.server.uri, ldif_folder())
    try:
        assert "CN=E-mail-Addresses," in visit.kind.add_index("mail")
        # Besides: an index by container (2), a copy with the user (16).
        assert "searchFlags: 3'" in visit.kind.add_index("remoteAppImage")
        assert "searchFlags: 19'" in visit.kind.add_index("postOfficeBox")
    finally:
        visit.close()
