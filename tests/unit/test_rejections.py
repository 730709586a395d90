"""What a server's rejection of a login means, in words."""

from __future__ import annotations

import pytest

from ldapdb.rejections import MUST_CHANGE, meaning_of

AD = "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {}, v1db1"


@pytest.mark.parametrize(
    ("code", "said", "policy", "meaning"),
    [
        (7, "", None, "kind of login"),
        (8, "Transport encryption required.", None, "demands TLS"),
        (13, "", None, "demands TLS"),
        (19, "Exceed password retry limit. Please try later.", None, "locked"),
        (32, "", None, "no such account"),
        (34, "", None, "bind_dn"),
        (48, "", None, "kind of login"),
        (49, "", None, "check bind_dn and its password"),
        (50, "", None, "does not allow this account to log in"),
        (53, "Account inactivated. Contact system administrator.", None, "inactivated"),
        (49, "", 0, "password has expired"),
        (49, "", 1, "locked the account"),
        (49, "", MUST_CHANGE, "changes its password"),
        (53, "", 1, "inactivated"),
        (49, "", 3, "check bind_dn and its password"),
        (0, "", MUST_CHANGE, "changes its password"),
        (49, AD.format("525"), None, "no such account"),
        (49, AD.format("52e"), None, "check bind_dn and its password"),
        (49, AD.format("530"), None, "at this time"),
        (49, AD.format("531"), None, "from here"),
        (49, AD.format("532"), None, "password has expired"),
        (49, AD.format("533"), None, "disabled the account"),
        (49, AD.format("701"), None, "account has expired"),
        (49, AD.format("773"), None, "changes its password"),
        (49, AD.format("775"), None, "locked the account"),
        (49, AD.format("0"), None, "check bind_dn and its password"),
        (53, AD.format("533"), None, "inactivated"),
    ],
)
def test_each_rejection_has_its_meaning(
    code: int, said: str, policy: int | None, meaning: str
) -> None:
    found = meaning_of(code, said, policy)
    assert found is not None
    assert meaning in found.text


@pytest.mark.parametrize(("code", "policy"), [(0, None), (0, 0), (0, 1), (51, None), (52, None)])
def test_other_answers_are_no_rejection(code: int, policy: int | None) -> None:
    """Success within a grace period, and a server that is busy."""
    assert meaning_of(code, "", policy) is None


@pytest.mark.parametrize("code", [7, 8, 13, 32, 34, 48])
def test_rejections_before_the_password_lock_nothing(code: int) -> None:
    meaning = meaning_of(code)
    assert meaning is not None
    assert not meaning.is_judged
