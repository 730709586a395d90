"""Hiding entries from the account that reads, as an administrator's rule may."""

from __future__ import annotations

from typing import Any

from support.benches import OK, READER

__all__ = ["hide", "sid_of_reader"]


def hide(bench: Any, base: str) -> None:
    """Hide from the reader what is below an entry, and leave that entry to be seen."""
    reader = bench.dn(READER)
    if bench.vendor == "openldap":
        rule = f'{{0}}to dn.children="{base}" by dn.exact="{reader}" none by * break'
        change = f"changetype: modify\nadd: olcAccess\nolcAccess: {rule}\n"
        done = bench.as_root("ldapmodify", text=f"dn: olcDatabase={{1}}mdb,cn=config\n{change}")
        assert done.returncode == OK
    elif bench.vendor == "389ds":
        rdn = "uid" if base.startswith("ou=people") else "cn"
        rule = (
            f'(target="ldap:///{rdn}=*,{base}")(targetattr="*")(version 3.0; acl "hidden"; '
            f'deny (all) userdn="ldap:///{reader}";)'
        )
        lines = (f"dn: {base}", "changetype: modify", "add: aci", f"aci: {rule}")
        assert bench.admin.change(*lines) == OK
    else:
        rule = f"--sddl=(D;;LC;;;{sid_of_reader(bench)})"
        bench.server.tool("samba-tool", "dsacl", "set", f"--objectdn={base}", rule)


def sid_of_reader(bench: Any) -> str:
    """Return by what Active Directory knows the reader in its rules."""
    shown: str = bench.server.tool("samba-tool", "user", "show", READER, "--attributes=objectSid")
    return shown.partition("objectSid: ")[2].split()[0]
