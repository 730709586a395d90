"""Short words for what tests put into a directory, the same for every vendor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Optional
from urllib.parse import urlsplit

from proxy import Operations, Proxy

from ldapdb.protocol.dn import DN
from ldapdb.settings import Settings, load
from support import ldif
from support.contents import Contents, Entries
from support.policy import CLASSES, Flag, Said
from support.servers import Server


class Directory:
    """A directory, and what is kept in it by whom.

    Subclasses say how people and groups are written on their vendor.

    Parameters
    ----------
    server : Server
        A running server.
    contents : Contents
        What is in it.
    stock : bool
        Whether policy is kept in ``description``, without our schema.
    """

    person_naming = "uid"
    group_class = "groupOfNames"
    # Structural class below our own two.
    policy_class = "groupOfNames"
    # Attributes that another entry of the same making has with other values.
    made_up: frozenset[str] = frozenset()

    def __init__(self, server: Server, contents: Contents, *, stock: bool = False) -> None:
        self.server = server
        self.stock = stock
        self.vendor = server.vendor
        self.suffix = server.suffix
        self.users_base = server.users_base
        self.groups_base = server.groups_base
        self.base_dn = server.base_dn
        self.quirk: Callable[[str], bool] = lambda key: False  # noqa: ARG005 -- a test's own server has none
        self._contents = contents
        self._open = ExitStack()
        self._proxy: Optional[Proxy] = None

    # --- the tree

    def add_tree(self) -> None:
        """Add what every test expects, and nobody in it."""
        bases = [self.suffix, self.users_base, self.groups_base, self.base_dn]
        bases += [f"ou={name},{self.base_dn}" for name in ("applications", "grants")]
        missing = [dn for dn in bases if self._contents.lacks(dn)]
        for dn in missing:
            self._branch(DN.parse(dn))
        if missing:
            self._contents.keep()

    def close(self) -> None:
        """Close what was opened."""
        self._open.close()
        self._proxy = None

    def exists(self, dn: str) -> bool:
        return self._contents.has(dn)

    def entries(self) -> Entries:
        """Read all that is in it, without what it makes up itself."""
        return self._contents.entries(without=self.made_up)

    def clear(self) -> None:
        """Remove everybody and everything but the base tree."""
        self._contents.sweep()
        self.add_tree()

    def below(self, dn: str) -> list[str]:
        """List the entries below another one."""
        return [each for each in self._contents.dns() if each.lower().endswith(f",{dn.lower()}")]

    # --- entries

    def person(
        self,
        name: str,
        *,
        rdn: Optional[str] = None,
        parent: Optional[str] = None,
        attributes: Optional[ldif.Values] = None,
    ) -> str:
        """Add a person who logs in as `name`.

        Parameters
        ----------
        rdn : str, optional
            The whole RDN, such as ``cn=Alice B``, or its attribute only, with `name` as value.
        parent : str, optional
            The entry above; by default users_base.
        attributes : mapping, optional
            Further attributes.
        """
        dn = _below(parent or self.users_base, rdn or self.person_naming, name)
        return self._new(dn, {**self._person(name), **(attributes or {})})

    def dn_of(self, name: str) -> str:
        """Return the DN that a person of that name gets."""
        return str(_below(self.users_base, self.person_naming, name))

    def group(self, name: str, *members: str, parent: Optional[str] = None) -> str:
        dn = _below(parent or self.groups_base, "cn", name)
        return self._new(dn, self._group(self.group_class, name, members))

    def unit(self, name: str, parent: Optional[str] = None) -> str:
        dn = _below(parent or self.users_base, "ou", name)
        return self._new(dn, {"objectClass": ["organizationalUnit"]})

    def application(self, image: str, name: str = "", *, parent: Optional[str] = None) -> str:
        dn = _below(parent or f"ou=applications,{self.base_dn}", "cn", name or image)
        return self._new(dn, self._saying(Said([image]), "application", name or image))

    def granted(
        self,
        name: str,
        *,
        images: Sequence[str],
        members: Sequence[str] = (),
        licence: Optional[str] = None,
        home: Flag = None,
        view: Flag = None,
        startup_data: Flag = None,
        volume: Optional[str] = None,
        not_before: Optional[str] = None,
        not_after: Optional[str] = None,
        raw: Optional[ldif.Values] = None,
        object_class: Optional[str] = None,
        parent: Optional[str] = None,
    ) -> str:
        """Add a grant as an administrator would by hand; text is written as it is.

        Parameters
        ----------
        raw : mapping, optional
            Further attributes.
        object_class : str, optional
            Structural class, where it matters.
        parent : str, optional
            The entry above; by default grants_base.
        """
        said = Said(images, licence, home, view, startup_data, volume, not_before, not_after)
        attributes = self._saying(said, "grant", name, members, object_class)
        dn = _below(parent or f"ou=grants,{self.base_dn}", "cn", name)
        return self._new(dn, {**attributes, **(raw or {})})

    def carry(self, dn: str, *roles: str, images: Sequence[str], home: Flag = None) -> None:
        """Let a group that is there already be an ``application``, a ``grant`` or both."""
        said = Said(images, home=home)
        if self.stock:
            self._modify(dn, ("add", "description", [said.line(*roles)]))
            return
        classes = ("add", "objectClass", [CLASSES[role] for role in roles])
        self._carry(dn, classes, [("add", *pair) for pair in said.attributes().items()])

    def restate(self, dn: str, *, images: Sequence[str], home: Flag = None) -> None:
        """Change by hand what a grant says, to exactly this."""
        said = Said(images, home=home)
        if self.stock:
            self._modify(dn, ("replace", "description", [said.line("grant")]))
            return
        none: list[str] = []
        self._modify(
            dn,
            *(("replace", *pair) for pair in said.attributes().items()),
            *(("replace", name, none) for name in said.absent()),
        )

    def add_members(self, group: str, *members: str) -> None:
        self._modify(group, ("add", "member", members))

    def remove_member(self, group: str, member: str) -> None:
        self._modify(group, ("delete", "member", [member]))

    def rename_person(self, dn: str, name: str, newsuperior: Optional[str] = None) -> str:
        """Give a person another name to log in with and the RDN that goes with it."""
        new = _below(newsuperior or str(DN.parse(dn).parent), self.person_naming, name)
        self.move(dn, str(DN(new.rdns[:1])), newsuperior)
        return str(new)

    # --- LDIF

    def add(self, text: str) -> None:
        """Add entries, as LDIF."""
        self.server.ldapmodify(text, "-a")

    def change(self, dn: str, *lines: str) -> None:
        """Change an entry by lines of LDIF."""
        body = "".join(f"{each}\n" for each in lines)
        self.server.ldapmodify(f"{ldif.line('dn', dn)}changetype: modify\n{body}")

    def delete(self, dn: str) -> None:
        self._contents.delete(dn)

    def move(self, dn: str, newrdn: str, newsuperior: Optional[str] = None) -> None:
        self._contents.rename(dn, newrdn, newsuperior)

    def _modify(self, dn: str, *steps: ldif.Step) -> None:
        self._contents.modify(dn, steps)

    def _new(self, dn: DN, attributes: ldif.Values) -> str:
        """Add an entry, with the values of its RDN among its attributes."""
        whole = {name: list(values) for name, values in attributes.items()}
        for ava in dn.rdns[0]:
            values = whole.setdefault(ava.attribute.lower(), [])
            if ava.value not in values:
                values.append(ava.value)
        self._contents.add(str(dn), whole)
        return str(dn)

    def _branch(self, dn: DN) -> None:
        if dn.rdns[0][0].attribute.lower() == "dc":
            self._new(dn, {"objectClass": ["dcObject", "organization"], "o": ["Example"]})
        else:
            self._new(dn, {"objectClass": ["organizationalUnit"]})

    # --- how the vendor writes it

    def _person(self, name: str) -> dict[str, list[str]]:
        return {"objectClass": ["inetOrgPerson"], "uid": [name], "cn": [name], "sn": [name]}

    def _group(self, object_class: str, name: str, members: Sequence[str]) -> dict[str, list[str]]:  # noqa: ARG002 -- others need the name
        return {"objectClass": [object_class], "member": list(members)}

    def _carry(self, dn: str, classes: ldif.Step, attributes: Sequence[ldif.Step]) -> None:
        self._modify(dn, classes, *attributes)

    def _saying(
        self,
        said: Said,
        role: str,
        name: str,
        members: Sequence[str] = (),
        object_class: Optional[str] = None,
    ) -> dict[str, list[str]]:
        if self.stock:
            group = self._group(self.group_class, name, members)
            return {**group, "description": [said.line(role)]}
        group = self._group(object_class or self.policy_class, name, members)
        group["objectClass"].append(CLASSES[role])
        return {**group, **said.attributes()}

    # --- ldapdb

    def database_kwargs(self, *, counted: bool = False, **settings: Any) -> dict[str, Any]:
        """Return the settings with which ldapdb uses this directory.

        Parameters
        ----------
        counted : bool
            Whether what it sends is seen by :meth:`operations`.
        """
        notation = {"schema": "stock", "licences_in_description": "true"} if self.stock else {}
        through = {"uri": self.proxy().uri} if counted else {}
        return {**self.server.database_kwargs(), **notation, **through, **settings}

    def settings(self, *, counted: bool = False, **settings: Any) -> Settings:
        return load(**self.database_kwargs(counted=counted, **settings))

    def open(self, database_class: Any = None, *, counted: bool = False, **settings: Any) -> Any:
        """Open a database, which is closed at the test's end."""
        if database_class is None:
            from ldapdb import LDAPDatabase as database_class  # noqa: N813
        database = database_class(**self.database_kwargs(counted=counted, **settings))
        self._open.callback(database.close)
        return database

    @contextmanager
    def operations(self) -> Iterator[Operations]:
        """Collect the operations that reach the server from what was opened as counted."""
        with self.proxy().operations() as seen:
            yield seen

    def proxy(self) -> Proxy:
        """Return what stands between the server and what was opened as counted."""
        if self._proxy is None:
            address = urlsplit(self.server.uri)
            assert address.hostname is not None
            self._proxy = Proxy(address.hostname, address.port or 389)
            self._open.callback(self._proxy.close)
        return self._proxy


def _below(parent: str, rdn: str, name: str) -> DN:
    """Name an entry by its whole RDN, or by the attribute and a value."""
    if "=" in rdn:
        return DN((*DN.parse(rdn).rdns, *DN.parse(parent).rdns))
    return DN.parse(parent).child(rdn, name)
