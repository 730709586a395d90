"""What a change makes of an entry, and by which code a server would refuse it."""

from __future__ import annotations

import pytest

from ldapdb.modifying import (
    RefusedError,
    as_account,
    check_classes,
    check_naming,
    modified,
    named,
    renamed,
)
from ldapdb.protocol.dn import DN, NameMatching
from ldapdb.protocol.entry import Operation
from ldapdb.protocol.ldif import Step
from ldapdb.vendors import ACTIVE_DIRECTORY, DS389, OPENLDAP

EXACT = NameMatching.EXACT
ADD, DELETE, REPLACE = Operation.ADD, Operation.DELETE, Operation.REPLACE
MEMBERS = {"member": [b"cn=a", b"cn=b"], "cn": [b"x"]}
NAME = DN.parse("cn=x,dc=org")


def test_steps_are_made_in_order_on_a_copy() -> None:
    steps = (
        Step(ADD, "Member", (b"cn=c",)),
        Step(DELETE, "member", (b"CN=A",)),
        Step(REPLACE, "sn", (b"s",)),
        Step(REPLACE, "givenName"),
        Step(DELETE, "CN"),
    )
    assert modified(MEMBERS, steps, EXACT) == {"member": [b"cn=b", b"cn=c"], "sn": [b"s"]}
    assert MEMBERS["member"] == [b"cn=a", b"cn=b"]


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (Step(ADD, "member", (b"CN=a",)), 20),
        (Step(ADD, "sn", (b"a", b"A")), 20),
        (Step(REPLACE, "sn", (b"a", b"A")), 20),
        (Step(DELETE, "member", (b"cn=c",)), 16),
        (Step(DELETE, "member", (b"cn=a", b"cn=c")), 16),
        (Step(DELETE, "sn"), 16),
        (Step(DELETE, "sn", (b"a",)), 16),
    ],
)
def test_what_is_so_already_is_refused(step: Step, code: int) -> None:
    with pytest.raises(RefusedError) as refused:
        modified(MEMBERS, [step], EXACT)
    assert refused.value.code == code
    assert refused.value.said


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (Step(ADD, "remoteAppAllowView", (b"true",)), 21),
        (Step(REPLACE, "remoteAppAllowHome", (b"1",)), 21),
        (Step(ADD, "remoteAppNotAfter", (b"2027-01-01",)), 21),
        (Step(ADD, "remoteAppNotBefore", (b"20271301000000Z",)), 21),
        (Step(ADD, "remoteAppVolume", (b"/a:/b:ro", b"/c:/d:ro")), 19),
        (Step(ADD, "RemoteAppLicense", (b"other",)), 19),
        (Step(ADD, "remoteAppAllowVieww", (b"TRUE",)), 65),
        (Step(DELETE, "remoteAppAllowVieww"), 65),
    ],
)
def test_what_no_server_takes_of_our_attributes_is_refused(step: Step, code: int) -> None:
    """Booleans, times, a second value, and names that the schema does not have."""
    with pytest.raises(RefusedError) as refused:
        modified({"remoteapplicense": [b"key"]}, [step], EXACT)
    assert refused.value.code == code
    assert "key" not in refused.value.said


def test_what_servers_take_of_our_attributes_is_taken() -> None:
    """Values are counted when all steps are made."""
    steps = (
        Step(ADD, "remoteAppAllowView", (b"TRUE",)),
        Step(ADD, "remoteAppNotAfter", (b"20270101000000.0Z",)),
        Step(ADD, "remoteAppLicense", (b"new",)),
        Step(DELETE, "remoteAppLicense", (b"old",)),
        Step(ADD, "remoteAppImage", (b"a", b"b")),
    )
    after = modified({"remoteapplicense": [b"old"]}, steps, EXACT)
    assert after["remoteapplicense"] == [b"new"]
    assert after["remoteappimage"] == [b"a", b"b"]


def test_a_rename_changes_the_naming_values() -> None:
    new = DN.parse("cn=y,ou=z,dc=org")
    assert renamed(MEMBERS, NAME, new, deletes_old=True)["cn"] == [b"y"]
    assert renamed(MEMBERS, NAME, new, deletes_old=False)["cn"] == [b"x", b"y"]
    assert renamed({}, NAME, DN.parse("uid=y"), deletes_old=True) == {"uid": [b"y"]}
    assert named({"cn": [b"X"], "sn": []}, NAME) == {"cn": [b"X"]}


def test_a_naming_value_cannot_be_deleted() -> None:
    check_naming({"cn": [b"X", b"y"]}, NAME)
    for attributes in ({"cn": [b"y"]}, {"sn": [b"x"]}):
        with pytest.raises(RefusedError) as refused:
            check_naming(attributes, NAME)
        assert refused.value.code == 67


GRANT = {"objectclass": [b"groupOfNames", b"remoteAppGrant"], "member": [b""]}


@pytest.mark.parametrize(
    "attributes",
    [
        GRANT,
        {"objectclass": [b"groupOfNames"], "member": [b""], "remoteappimage": [b"a"]},
        {"objectclass": [b"remoteAppApplication"], "remoteappimage": [b"a"],
         "remoteappvolume": [b"/a"]},
        {"objectclass": [b"groupOfNames"], "member": [b""], "displayname": [b"a"]},
        {"objectclass": [b"groupOfNames"]},
        {"objectclass": [b"groupOfUniqueNames"], "member": [b"cn=a"]},
    ],
)  # fmt: skip
def test_an_entry_that_breaks_its_classes_is_refused(attributes: dict[str, list[bytes]]) -> None:
    with pytest.raises(RefusedError) as refused:
        check_classes(attributes, OPENLDAP)
    assert refused.value.code == 65


def test_what_a_class_allows_is_not_refused() -> None:
    """What is unknown is for the server to refuse."""
    check_classes({**GRANT, "remoteappimage": [b"a"], "remoteapplicense": [b"k"]}, OPENLDAP)
    check_classes({"objectclass": [b"extensibleObject"], "remoteappimage": [b"a"]}, OPENLDAP)
    check_classes({"objectclass": [b"inetOrgPerson"], "displayname": [b"a"]}, OPENLDAP)
    check_classes({"objectclass": [b"groupOfNames"]}, DS389)
    check_classes({"objectclass": [b"group"], "displayname": [b"a"]}, ACTIVE_DIRECTORY)


def test_a_new_account_gets_what_active_directory_gives_it() -> None:
    domain = bytes([1, 2]) + bytes(6) + bytes(8)
    user = as_account({"objectclass": [b"user"]}, domain, 4711)
    sid = bytes([1, 3]) + bytes(14) + (4711).to_bytes(4, "little")
    assert user == {
        "objectclass": [b"user"],
        "objectcategory": [b"CN=Person"],
        "objectsid": [sid],
        "useraccountcontrol": [b"546"],
        "accountexpires": [b"9223372036854775807"],
        "primarygroupid": [b"513"],
    }
    enabled = as_account({"objectclass": [b"user"], "useraccountcontrol": [b"512"]}, b"", 1)
    assert enabled["useraccountcontrol"] == [b"512"]
    assert "objectsid" not in enabled
    group = as_account({"objectclass": [b"group"]}, domain, 1)
    assert group["objectcategory"] == [b"CN=Group"]
    assert len(group["objectsid"][0]) == 20
    unit = {"objectclass": [b"organizationalUnit"]}
    assert as_account(unit, domain, 1) == unit
