"""What OpenLDAP may have besides: locks by ppolicy, members by dynlist, further classes."""

from __future__ import annotations

import subprocess

import pytest

from support import Private
from support.openldap import PPOLICY

pytestmark = pytest.mark.live("openldap", reason="overlays and schema at run time are OpenLDAP's")

IMAGE = "simphony/mayavi:0.5"

DYNLIST = """
dn: cn=module{0},cn=config
changetype: modify
add: olcModuleLoad
olcModuleLoad: dynlist

dn: olcOverlay=dynlist,olcDatabase={1}mdb,cn=config
changetype: add
objectClass: olcOverlayConfig
objectClass: olcDynListConfig
olcOverlay: dynlist
olcDynListAttrSet: groupOfURLs memberURL member
"""


def configure(directory: Private, ldif: str, *options: str) -> None:
    """Change cn=config as the user that the server runs as."""
    command = ["ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", directory.server.socket_uri, *options]
    done = subprocess.run(command, input=ldif, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_who_is_locked_for_good_is_not_found(private: Private) -> None:
    """Too many wrong passwords, which anybody can type, take nobody's applications away."""
    alice, bob = private.person("alice"), private.person("bob")
    private.person("carol")
    assert len(private.open().list_users()) == 3  # without the overlay, nobody is left out
    configure(private, PPOLICY)
    private.change(alice, "add: pwdAccountLockedTime", "pwdAccountLockedTime: 000001010000Z")
    private.change(bob, "add: pwdAccountLockedTime", "pwdAccountLockedTime: 20261124000000Z")
    database = private.open()
    assert sorted(user.name for user in database.list_users()) == ["bob", "carol"]
    assert database.get_user(user_name="alice") is None


def test_dynamic_groups_count_where_the_server_makes_their_members(
    private: Private,
) -> None:
    """A filter on member finds those whom a memberURL finds."""
    schema = private.server._slapd.schema / "dyngroup.ldif"
    configure(private, schema.read_text(encoding="utf-8"), "-a")
    configure(private, DYNLIST)
    private.person("alice", attributes={"title": ["engineer"]})
    private.person("bob")
    engineers = f"cn=engineers,{private.groups_base}"
    private.add(
        f"dn: {engineers}\nobjectClass: groupOfURLs\ncn: engineers\n"
        f"memberURL: ldap:///{private.users_base}??sub?(title=engineer)\n"
    )
    private.application(IMAGE)
    private.granted("engineers", images=[IMAGE], members=[engineers])
    database = private.open(groups_filter="(|(objectClass=groupOfNames)(objectClass=groupOfURLs))")
    held = {
        name: [
            each.application.image
            for each in database.get_accounting_for_user(database.get_user(user_name=name))
        ]
        for name in ("alice", "bob")
    }
    assert held == {"alice": [IMAGE], "bob": []}


def test_groups_of_members_count(private: Private) -> None:
    """The class of RFC 2307bis, which may be empty; slapd has it where somebody loaded it."""
    configure(
        private,
        "dn: cn=rfc2307bis,cn=schema,cn=config\nobjectClass: olcSchemaConfig\ncn: rfc2307bis\n"
        "olcObjectClasses: ( 1.1.1 NAME 'groupOfMembers' SUP top STRUCTURAL MUST cn MAY member )\n",
        "-a",
    )
    alice = private.person("alice")
    staff = f"cn=staff,{private.groups_base}"
    private.add(f"dn: {staff}\nobjectClass: groupOfMembers\ncn: staff\n")
    private.application(IMAGE)
    private.granted("staff", images=[IMAGE], members=[staff])
    user = private.open().get_user(user_name="alice")
    assert private.open().get_accounting_for_user(user) == []
    private.add_members(staff, alice)
    (accounting,) = private.open().get_accounting_for_user(user)
    assert accounting.application.image == IMAGE
