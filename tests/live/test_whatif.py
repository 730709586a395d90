"""``ldapdb whatif``: what it says is what an LDIF brings about, once it is applied."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from ldapdb import errors, ldif_text
from ldapdb.embedded import SUFFIX
from ldapdb.store import Store
from ldapdb.store.effects import Effect, Effects, effects_of
from ldapdb.store.planning import PlannedStore
from support import Directory

pytestmark = pytest.mark.live("openldap", "389ds", "ad", stock=True)

IMAGE, OTHER, THIRD = "simphony/mayavi:0.5", "simphony/other:1", "simphony/third:1"
EXAMPLES = 25


def told(directory: Directory, text: str, **settings: Any) -> Effects:
    return effects_of(directory.settings(**settings), ldif_text.parse(text.encode()))


def said(found: Iterable[Effect]) -> set[tuple[str, ...]]:
    # Somebody of several names may be told by any of them.
    return {(each.kind, str(each.user.dn), each.image, str(each.policy)) for each in found}


def held(directory: Directory) -> dict[str, tuple[str, str, str]]:
    """Look up what everybody may start who logs in: DN, image and policy, by mapping id."""
    found = {}
    with closing(Store(directory.settings())) as store:
        # Some may log in by a further name alone.
        names = {"alice", "bob", "eve", "new", "zoe"} | {each.name for each in store.list_users()}
        for name in names:
            try:
                user = store.get_user(name)
            except errors.AmbiguousName:
                continue
            if user is not None:
                for each in store.list_accountings(user):
                    policy = str(each.application_policy)
                    found[each.id] = str(user.dn), each.application.image, policy
    return found


def difference(
    before: dict[str, tuple[str, str, str]], after: dict[str, tuple[str, str, str]]
) -> set[tuple[str, ...]]:
    lost = {("revoked", *before[each]) for each in before.keys() - after.keys()}
    return lost | {("granted", *after[each]) for each in after.keys() - before.keys()}


def company(directory: Directory) -> dict[str, str]:
    """Put in people, groups in groups, and grants."""
    dns = {name: directory.person(name) for name in ("alice", "bob", "carol", "dave")}
    dns["inner"] = directory.group("inner", dns["alice"], dns["bob"])
    dns["dept"] = directory.unit("dept", directory.groups_base)
    dns["outer"] = directory.group("outer", dns["inner"], parent=dns["dept"])
    dns["team"] = directory.group("team", dns["carol"])
    for image in (IMAGE, OTHER):
        dns[image] = directory.application(image)
    dns["nested"] = directory.granted("nested", images=[IMAGE], members=[dns["outer"]])
    dns["both"] = directory.granted(
        "both", images=[IMAGE, OTHER], members=[dns["carol"], dns["team"]], home="TRUE"
    )
    return dns


def record(dn: str, *lines: str) -> str:
    return "".join(f"{line}\n" for line in (f"dn: {dn}", *lines, ""))


def modify(dn: str, *lines: str) -> str:
    return record(dn, "changetype: modify", *lines)


def scenarios(dns: dict[str, str]) -> dict[str, str]:
    """Write changes of every kind."""
    dave, bob = f"member: {dns['dave']}", f"member: {dns['bob']}"
    return {
        "a member joins": modify(dns["inner"], "add: member", dave, "-"),
        "a member leaves": modify(dns["inner"], "delete: member", bob, "-"),
        "a group leaves": modify(dns["outer"], "replace: member", dave, "-"),
        "an application goes": record(dns[OTHER], "changetype: delete"),
        "a grant goes": record(dns["nested"], "changetype: delete"),
        "a group goes": record(dns["inner"], "changetype: delete"),
        "a user goes": record(dns["carol"], "changetype: delete"),
        "a group is renamed": record(
            dns["team"], "changetype: modrdn", "newrdn: cn=crew", "deleteoldrdn: 1"
        ),
        "a branch is renamed": record(
            dns["dept"], "changetype: modrdn", "newrdn: ou=division", "deleteoldrdn: 1"
        ),
        "a group is moved": record(
            dns["team"],
            "changetype: moddn",
            "newrdn: cn=team",
            "deleteoldrdn: 1",
            f"newsuperior: {dns['dept']}",
        ),
    }


@pytest.mark.slow
@pytest.mark.parametrize("what", scenarios(defaultdict(str)))
def test_what_is_told_comes_about(directory: Directory, what: str) -> None:
    """By everybody's rights before and after the LDIF is applied with ldapmodify."""
    text = scenarios(company(directory))[what]
    before = directory.entries()
    found = told(directory, text)
    assert directory.entries() == before
    had = held(directory)
    directory.server.ldapmodify(text)
    assert difference(had, held(directory)) == said(found.effects)


# --- at random

PEOPLE = [f"uid={name},ou=people,{SUFFIX}" for name in ("alice", "bob", "carol", "dave", "eve")]
GROUPS = [f"cn=inner,ou=groups,{SUFFIX}", f"cn=team,ou=groups,{SUFFIX}"]
GROUPS += [f"cn=outer,ou=dept,ou=groups,{SUFFIX}", f"cn=new,ou=groups,{SUFFIX}"]
GRANTS = [f"cn={name},ou=grants,ou=remoteapp,{SUFFIX}" for name in ("nested", "both", "new")]
APPLICATIONS = [
    f"cn={name},ou=applications,ou=remoteapp,{SUFFIX}" for name in (IMAGE, OTHER, THIRD)
]
HOLDERS = GROUPS + GRANTS
IMAGES = st.sampled_from([IMAGE, OTHER, THIRD])
MEMBERS = st.lists(st.sampled_from(PEOPLE + HOLDERS), min_size=1, max_size=2, unique=True)


def new_person(dn: str, name: str) -> str:
    names = dict.fromkeys((name, dn.partition(",")[0][4:]))
    lines = ["objectClass: inetOrgPerson", "cn: x", "sn: x", *(f"uid: {each}" for each in names)]
    return record(dn, "changetype: add", *lines)


def new_holder(dn: str, role: str, image: str, members: list[str]) -> str:
    lines = ["changetype: add", *(f"member: {each}" for each in members)]
    if not role:
        return record(dn, *lines, "objectClass: groupOfNames")
    classes = ["objectClass: remoteAppGroup", f"objectClass: {role}"]
    return record(dn, *lines, *classes, f"remoteAppImage: {image}")


def step(how: str, attribute: str, values: Iterable[str]) -> list[str]:
    return [f"{how}: {attribute}", *(f"{attribute}: {each}" for each in values), "-"]


def other_class(dn: str, how: str, role: str, image: list[str]) -> str:
    image_too = step(how, "remoteAppImage", image) if image or how == "delete" else []
    return modify(dn, *step(how, "objectClass", [role]), *image_too)


def new_name(dn: str, name: str, deletes: int, above: str) -> str:
    rdn = f"{dn.partition('=')[0]}={name or dn.partition(',')[0].partition('=')[2]}"
    lines = ["changetype: modrdn", f"newrdn: {rdn}", f"deleteoldrdn: {deletes}"]
    return record(dn, *lines, *([f"newsuperior: {above}"] if above else []))


POLICIES = [
    ("remoteAppAllowHome", ["TRUE"]),
    ("remoteAppAllowHome", []),
    ("remoteAppImage", [THIRD]),
    ("remoteAppImage", [IMAGE, OTHER]),
    ("remoteAppNotAfter", ["20200102030405.0Z"]),
    ("remoteAppNotAfter", ["20990102030405.0Z"]),
    ("remoteAppNotBefore", ["20990102030405.0Z"]),
]
any_of = st.sampled_from
HOW = any_of(["add", "delete", "replace"])
ROLE = any_of(["remoteAppGrant", "remoteAppApplication"])
DEPT = f"ou=dept,ou=groups,{SUFFIX}"
EVERYTHING = [*PEOPLE, *HOLDERS, *APPLICATIONS, DEPT]
MEMBERSHIP = st.builds(
    lambda dn, how, members: modify(dn, *step(how, "member", members)),
    any_of(HOLDERS), HOW, MEMBERS,
)  # fmt: skip
CHANGES = (
    MEMBERSHIP
    | MEMBERSHIP
    | st.builds(new_person, any_of(PEOPLE), any_of(["alice", "bob", "eve", "Eve"]))
    | st.builds(new_holder, any_of(GROUPS), st.just(""), IMAGES, MEMBERS)
    | st.builds(new_holder, any_of(GRANTS + APPLICATIONS), ROLE, IMAGES, MEMBERS)
    | st.builds(
        lambda dn, said: modify(dn, *step("replace", *said)), any_of(GRANTS), any_of(POLICIES)
    )
    | st.builds(other_class, any_of(HOLDERS + APPLICATIONS), any_of(["add", "delete"]), ROLE,
                st.lists(IMAGES, max_size=1))
    | st.builds(
        lambda dn, how, name: modify(dn, *step(how, "uid", [name])),
        any_of(PEOPLE), HOW, any_of(["alice", "bob", "zoe"]),
    )
    | any_of(EVERYTHING).map(lambda dn: record(dn, "changetype: delete"))
    | st.builds(new_name, any_of(EVERYTHING), any_of(["", "new", "eve", "team"]),
                st.integers(0, 1), any_of(["", "", DEPT, f"ou=groups,{SUFFIX}"]))
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.live(
    "openldap", reason="what random changes do to entries is told by the same code everywhere"
)
def test_random_changes_bring_about_what_is_told(directory: Directory) -> None:
    """Whether each fits the directory, and what all that do bring about, applied in reality."""

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
    )
    @given(st.lists(CHANGES, min_size=1, max_size=6))
    def hold(drawn: list[str]) -> None:
        directory.clear()
        company(directory)
        fitting, fits = [], []
        with closing(PlannedStore(directory.settings())) as store:
            for text in drawn:
                [(_, change)] = ldif_text.parse(text.encode())
                try:
                    store.apply(change)
                except errors.LDAPDBError:
                    fits.append(False)
                else:
                    fits.append(True)
                    fitting.append(text)
        found = told(directory, "".join(fitting))
        had = held(directory)
        assert [applies(directory, text) for text in drawn] == fits
        now = {each for each in said(found.effects) if each[0] != "changed"}
        assert difference(had, held(directory)) == now

    hold()


def applies(directory: Directory, text: str) -> bool:
    try:
        directory.server.ldapmodify(text)
    except errors.LDAPDBError:
        return False
    return True
