"""What README tells an administrator to type works, and does what README says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from support import Private

pytestmark = [
    pytest.mark.live("openldap", reason="README shows OpenLDAP's LDIF; docs/ has the others'"),
    pytest.mark.slow,
]

README = Path(__file__).resolve().parents[2] / "README.md"
IMAGE = "simphony/notebook:1.0"


def test_granting_by_hand_works_as_described(sample: Private) -> None:
    blocks = re.findall(r"```ldif\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 5
    register, give, take, limit, carry = blocks

    def holders(**settings: Any) -> set[str]:
        database = sample.open(**settings)
        return {
            user.name
            for user in database.list_users()
            for each in database.get_accounting_for_user(user)
            if each.application.image == IMAGE
        }

    sample.add(register)
    assert holders() == {"carol"}
    sample.server.ldapmodify(give)
    given = holders()
    assert {"carol", "bob", "alice"} <= given  # alice is in cfd-team
    sample.server.ldapmodify(take)
    assert holders() == given - {"carol"}
    sample.server.ldapmodify(limit)
    assert holders() == given - {"carol"}
    before = holders(grants_base="dc=example,dc=org")
    sample.server.ldapmodify(carry)
    assert holders() == before
    assert holders(grants_base="dc=example,dc=org") > before
