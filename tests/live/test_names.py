"""Which names are the same, as the server decides and as ldapdb does."""
# ruff: noqa: RUF001 -- letters that look like others are the point

from __future__ import annotations

import unicodedata
from contextlib import closing
from pathlib import Path

import pytest

from ldapdb.migrate.comparing import compare
from ldapdb.migrate.importing import apply, make_plan
from ldapdb.migrate.sources import open_source
from ldapdb.model import Policy, Window
from ldapdb.protocol.dn import DN
from ldapdb.store import Store
from ldapdb.store.linting import Linting
from ldapdb.vendors import VENDORS
from support import Directory
from support.moving import csv_file, row

pytestmark = pytest.mark.live("openldap", "389ds", "ad", stock=True)

by_schema = pytest.mark.live(
    "openldap", "389ds", "ad", reason="how grants are written is no matter of who is in them"
)

IMAGE = "simphony/mayavi:0.5"
# Values that some directory takes for one, or that a library would.
PAIRS = [
    *((capital, capital.lower()) for capital in "AZÀÞĀŁŸŽΆΩЁЯȘẞԱͰⲀǅ"),
    *((unicodedata.normalize("NFD", each), each) for each in "éßÅçő한"),
    ("²", "2"), ("２", "2"), ("ﬁ", "fi"), ("™", "tm"), ("™", "TM"), ("Ⅳ", "iv"), ("ⓐ", "a"),
    ("Ⓐ", "a"), ("ª", "a"), ("𝐚", "a"), ("ß", "ss"), ("ſ", "s"), ("Σ", "ς"), ("σ", "ς"),
    ("ı", "i"), ("İ", "i"), ("\u212a", "k"), ("\u212b", "å"), ("µ", "μ"), ("Ｊ", "ｊ"),
    ("\ufb00", "ff"), ("\uf900", "\u8c48"), ("豈", "豈"), ("\u00ad", "-"), ("\u200b", " "),
    ("  ", " "), ("\t", " "), ("\u00a0", " "), ("\u3000", " "), ("\u2028", " "),
]  # fmt: skip


def volumes(store: Store, *names: str) -> dict[str, list[str]]:
    """Return the volumes that the host is told for some users."""
    found = {}
    for name in names:
        user = store.get_user(name)
        assert user is not None
        told = store.list_accountings(user)
        found[name] = sorted(str(each.application_policy.volume_source) for each in told)
    return found


def reviewed(store: Store) -> dict[str, list[str]]:
    """Return the volumes that a report shows for all users with a right."""
    found = {
        each.user.name: sorted(str(right.policy.volume_source) for right in each.rights)
        for each in store.review().people
    }
    return {name: volumes for name, volumes in found.items() if volumes}


@by_schema
def test_equal_names_are_one_entry(directory: Directory) -> None:
    """What ldapdb calls equal is one entry to the server; OpenLDAP's rule is known whole.

    Of each pair, one name is added and the other one searched for.
    """
    [vendor] = [each for each in VENDORS if each.name == directory.vendor]
    base = DN.parse(directory.unit("names"), vendor.name_matching)
    wrong, missed = [], []
    for number, pair in enumerate(PAIRS):
        one, other = (base.child("ou", f"n{number}{each}x") for each in reversed(pair))
        directory._new(one, {"objectClass": ["organizationalUnit"]})
        are_one = directory.exists(str(other))
        if one == other and not are_one:
            wrong.append(pair)
        elif are_one and one != other:
            missed.append(pair)
    assert wrong == []
    assert directory.vendor != "openldap" or missed == [("𝐚", "a"), ("İ", "i")]


@by_schema
def test_groups_alike_are_two(directory: Directory) -> None:
    """Their members have what their own group is granted, in host, who and report alike.

    OpenLDAP holds one entry of such names.
    """
    directory.application(IMAGE)
    users = {name: directory.person(name) for name in ("hanako", "taro")}
    directory.group("Section 2", users["hanako"])
    wide = "cn=Section ２," + directory.groups_base
    if directory.vendor != "openldap":
        wide = directory.group("Section ２", users["hanako"])
    directory.add_members(wide, users["taro"])
    narrow = wide.replace("２", "2")
    for name, group in (("narrow", narrow), ("wide", wide)):
        directory.granted(name, images=[IMAGE], members=[group], volume=f"/{name}:/data:ro")
    both = ["/narrow", "/wide"]
    expected = {"hanako": both, "taro": both if directory.vendor == "openldap" else ["/wide"]}
    with closing(Store(directory.settings())) as store:
        assert volumes(store, "hanako", "taro") == expected
        assert reviewed(store) == expected
        shown = {each.user.name for each in store.who(IMAGE).holders}
        assert shown == {"hanako", "taro"}


@by_schema
def test_users_alike_are_two(directory: Directory, tmp_path: Path) -> None:
    """Granting, importing, comparing and listing takes neither for the other."""
    names = ["kimtwo"] if directory.vendor == "openldap" else ["kimtwo", "kimsquare"]
    directory.application(IMAGE)
    for name, rdn in zip(names, ("cn=Kim Two 2", "cn=Kim Two ²")):
        directory.person(name, rdn=rdn)
    rows = [
        row(name, IMAGE, allow_common="1", volume_source="/both", volume_target="/data",
            volume_mode="ro")
        for name in names
    ]  # fmt: skip
    source = csv_file(tmp_path / "rights.csv", rows)
    with closing(Store(directory.settings())) as store:
        store.grant_several([IMAGE], Policy.of(volume="/pair:/data:ro"), Window(), users=names)
        assert volumes(store, *names) == {name: ["/pair"] for name in names}
        plan = make_plan(store, open_source(source))
        assert plan.merged == []
        assert list(apply(store, plan)) == [len(names)]
        assert reviewed(store) == {name: ["/both", "/pair"] for name in names}
        assert make_plan(store, open_source(source)).is_done
        [*differences] = compare(store, open_source(source)).differences
        assert all(not each.missing for each in differences)
    for watch in (False, True):
        database = directory.open(watch=watch)
        assert {user.name for user in database.list_users()} == set(names)


@pytest.mark.live("openldap", "389ds", reason="Active Directory keeps no member that is no entry")
def test_a_member_by_another_spelling(directory: Directory) -> None:
    """A member counts, and is an entry, exactly where the server says so.

    For 389 Directory Server the names below are nobody's: host, who, report and lint agree.
    """
    directory.application(IMAGE)
    directory.person("petra")
    directory.person("jorg", rdn="cn=Jörg  K")
    spellings = [f"userid=petra,{directory.users_base}", f"cn=Jo\u0308rg K,{directory.users_base}"]
    for number, spelling in enumerate(spellings):
        directory.granted(f"g{number}", images=[IMAGE], members=[spelling], volume="/x:/data:ro")
    is_one = directory.vendor == "openldap"
    has = ["/x"] if is_one else []
    with closing(Store(directory.settings())) as store:
        assert volumes(store, "petra", "jorg") == {"petra": has, "jorg": has}
        assert reviewed(store) == ({"petra": has, "jorg": has} if is_one else {})
    with closing(Linting(directory.settings())) as linting:
        found = [each.text for each in linting.lint() if each.kind == "dangling"]
    assert len(found) == (0 if is_one else 2)
