"""Real directories with short words for what tests put into them, and hosts that call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ldapdb.embedded import EmbeddedDirectory

PEOPLE = """
dn: dc=example,dc=org
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: ou=people,dc=example,dc=org
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=org
objectClass: organizationalUnit
ou: groups

dn: ou=remoteapp,dc=example,dc=org
objectClass: organizationalUnit
ou: remoteapp

dn: ou=applications,ou=remoteapp,dc=example,dc=org
objectClass: organizationalUnit
ou: applications

dn: ou=grants,ou=remoteapp,dc=example,dc=org
objectClass: organizationalUnit
ou: grants
"""


@dataclass
class Directory(EmbeddedDirectory):
    """A private slapd with short words for what tests put into it."""

    sample: bool = False
    databases: list[Any] = field(default_factory=list)

    def add(self, ldif: str) -> None:
        self.ldapmodify(ldif, "-a")

    def add_tree(self) -> None:
        self.add(PEOPLE)

    def dn_of(self, name: str) -> str:
        return f"uid={name},{self.users_base}"

    def person(self, name: str) -> str:
        self.add(
            f"dn: {self.dn_of(name)}\nobjectClass: inetOrgPerson\n"
            f"uid: {name}\ncn: {name}\nsn: {name}\n"
        )
        return self.dn_of(name)

    def group(self, name: str, *members: str) -> str:
        dn = f"cn={name},{self.groups_base}"
        lines = "".join(f"member: {member}\n" for member in members)
        self.add(f"dn: {dn}\nobjectClass: groupOfNames\ncn: {name}\n{lines}")
        return dn

    def application(self, image: str, name: str = "") -> str:
        dn = f"cn={name or image},ou=applications,{self.base_dn}"
        self.add(
            f"dn: {dn}\nobjectClass: remoteAppGroup\nobjectClass: remoteAppApplication\n"
            f"cn: {name or image}\nremoteAppImage: {image}\n"
        )
        return dn

    def granted(self, name: str, *lines: str, object_class: str = "remoteAppGroup") -> str:
        dn = f"cn={name},ou=grants,{self.base_dn}"
        rest = "".join(f"{line}\n" for line in lines)
        self.add(
            f"dn: {dn}\nobjectClass: {object_class}\nobjectClass: remoteAppGrant\n"
            f"cn: {name}\n{rest}"
        )
        return dn

    def change(self, dn: str, *lines: str) -> None:
        self.ldapmodify(f"dn: {dn}\nchangetype: modify\n" + "".join(f"{line}\n" for line in lines))

    def open(self, database_class: Any = None, **settings: Any) -> Any:
        if database_class is None:
            from ldapdb import LDAPDatabase as database_class  # noqa: N813
        database = database_class(**{**self.database_kwargs(), **settings})
        self.databases.append(database)
        return database

    def stop(self) -> None:
        for database in self.databases:
            database.close()
        self.databases.clear()
        super().stop()

    @contextmanager
    def operations(self) -> Iterator[list[str]]:
        """Collect the operations that reach the server, by the server's own log."""
        seen: list[str] = []
        start = self.log_file.stat().st_size
        yield seen
        with self.log_file.open("rb") as log:
            log.seek(start)
            for line in log.read().decode(errors="replace").splitlines():
                words = line.split()
                seen += (
                    [word for word in words if word in {"SRCH", "ADD", "MOD", "DEL", "BIND", "CMP"}]
                    if not any(part in line for part in (" RESULT ", " attr=", " mech="))
                    else []
                )


@dataclass(frozen=True)
class Host:
    """A generation of the host: what it imports, and how it calls."""

    name: str
    database_class: Any
    interfaces: Any
    exceptions: Any

    @property
    def has_licence(self) -> bool:
        return self.name == "2.2"

    def arguments(
        self,
        image: str,
        user: str,
        *,
        home: bool = False,
        view: bool = False,
        volume: str | None = None,
    ) -> dict[str, Any]:
        """Arguments of grant_access and revoke_access, in the order of the interface."""
        if self.has_licence:
            return {
                "app_name": image,
                "user_name": user,
                "app_license": "",
                "allow_home": home,
                "allow_view": view,
                "volume": volume,
                "allow_startup_data": False,
            }
        return {
            "app_name": image,
            "user_name": user,
            "allow_home": home,
            "allow_view": view,
            "volume": volume,
        }
