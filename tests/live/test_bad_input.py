"""Bad input: a clear error, nothing lost, nothing injected."""

from __future__ import annotations

from typing import Any

import pytest

from ldapdb import errors
from support import Another, Directory
from support.alone import alone

pytestmark = pytest.mark.live("openldap", "389ds", "ad", stock=True)

IMAGE = "simphony/mayavi:0.5"

# What breaks filters, DNs and LDIF, and what the world is called like.
NAMES = [
    "a,b",
    "a+b",
    'a"b',
    "a\\b",
    "#a",
    "a#b",
    "a;b",
    "a=b",
    "a*b",
    "*",
    "a(b)c",
    "a)(uid=*",
    "a b",
    "Jürgen Müller",
    "李小龍",
    "🦊 fox",
    "a/b",
    "a@example.org",
    "ß",
    "a\\2ab",
]


# Attributes that take any text: account names of Active Directory, and 389's uid, do not.
FREE = {"openldap": "displayName", "389ds": "displayName", "ad": "userPrincipalName"}


@pytest.mark.parametrize("name", NAMES)
def test_names_with_metacharacters_round_trip_and_inject_nothing(
    directory: Directory, name: str
) -> None:
    directory.person("bystander")
    directory.person(name)
    round_trip(directory, name)


@pytest.mark.parametrize("name", NAMES)
def test_names_of_another_attribute_round_trip_and_inject_nothing(
    directory: Directory, name: str
) -> None:
    """So that no name of the table is left untried anywhere."""
    attribute = FREE[directory.vendor]
    directory.person("bystander", attributes={attribute: ["bystander"]})
    directory.person("somebody", attributes={attribute: [name]})
    round_trip(directory, name, user_name_attribute=attribute)


def round_trip(directory: Directory, name: str, **settings: Any) -> None:
    """Find somebody by name and by id, give him something and take it away."""
    database = directory.open(**settings)
    user = database.get_user(user_name=name)
    assert user.name == name
    assert database.get_user(id=user.id) == user
    database.create_application(IMAGE)
    mapping_id = database.grant_access(IMAGE, name, False, False, None)
    fresh = directory.open(**settings)
    (accounting,) = fresh.get_accounting_for_user(fresh.get_user(user_name=name))
    assert accounting.id == mapping_id
    assert fresh.get_accounting_for_user(fresh.get_user(user_name="bystander")) == []
    fresh.revoke_access_by_id(mapping_id)
    assert fresh.get_accounting_for_user(user) == []


@pytest.mark.parametrize("name", NAMES)
def test_groups_with_metacharacters_in_their_names_count(directory: Directory, name: str) -> None:
    group = directory.group(name, directory.person("alice"))
    directory.application(IMAGE)
    directory.granted("grant", images=[IMAGE], members=[group])
    database = directory.open()
    assert len(database.get_accounting_for_user(database.get_user(user_name="alice"))) == 1


@pytest.mark.parametrize("name", ["", " ", "*", "a*", "nobody)(|(uid=*", "\\", "\0", "x" * 5000])
def test_names_that_nobody_has_find_nobody(directory: Directory, name: str) -> None:
    directory.person("alice")
    assert directory.open().get_user(user_name=name) is None


@pytest.mark.parametrize(
    ("volume", "said"),
    [
        ("/a:/b", "3 parts between colons, and not 2"),
        ("/a:/b:ro:x", "and not 4"),
        ("a:/b:ro", "source 'a'"),
        ("/a:b:ro", "target 'b'"),
        ("/a:/b:rx", "mode 'rx'"),
        ("", "and not 1"),
        ("/a<:/b:ro", "source"),
    ],
)
def test_a_bad_volume_is_a_value_error_that_names_the_part(
    directory: Directory, volume: str, said: str
) -> None:
    directory.person("alice")
    directory.application(IMAGE)
    with pytest.raises(ValueError, match=said):
        directory.open().grant_access(IMAGE, "alice", False, False, volume)


@pytest.mark.parametrize(
    "image", ["", "UPPER", "a b", "<img onerror=x>", "a\n", "a:", "/a", "a//b", "ü", "a@sha256:1"]
)
def test_what_is_no_image_reference_is_refused(directory: Directory, image: str) -> None:
    directory.person("alice")
    database = directory.open()
    with pytest.raises(ValueError, match="Docker reference"):
        database.create_application(image)
    with pytest.raises(ValueError, match="Docker reference"):
        database.grant_access(image, "alice", False, False, None)
    assert database.list_applications() == []


@pytest.mark.parametrize("name", ["<b>", "a\tb", "a\x7fb"])
def test_names_that_the_host_must_not_show_are_left_out_on_read(
    directory: Directory, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    directory.person("alice")
    directory.person(name)
    database = directory.open()
    assert [user.name for user in database.list_users()] == ["alice"]
    assert database.get_user(user_name=name) is None
    assert "user name" in caplog.text
    with pytest.raises(ValueError, match="user name"):
        database.grant_access(IMAGE, name, False, False, None)


@pytest.mark.parametrize("name", ["<b>", "a\tb", "a\x7fb"])
def test_names_of_another_attribute_that_must_not_be_shown_are_left_out(
    directory: Directory, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where no account could be called so."""
    attribute = FREE[directory.vendor]
    directory.person("alice", attributes={attribute: ["alice"]})
    directory.person("somebody", attributes={attribute: [name]})
    database = directory.open(user_name_attribute=attribute)
    assert [user.name for user in database.list_users()] == ["alice"]
    assert database.get_user(user_name=name) is None
    assert "user name" in caplog.text


def test_applications_that_the_host_must_not_show_are_left_out_on_read(
    directory: Directory, caplog: pytest.LogCaptureFixture
) -> None:
    directory.application(IMAGE)
    directory.application("<img onerror=alert(1)>", name="html")
    assert [each.image for each in directory.open().list_applications()] == [IMAGE]
    assert "cn=html" in caplog.text.lower()


def test_two_entries_with_one_name_are_an_error_that_names_both(directory: Directory) -> None:
    dns = [directory.person("alice"), directory.person("ALICE", rdn="cn=Alice B")]
    database = directory.open()
    with pytest.raises(errors.AmbiguousName) as caught:
        database.get_user(user_name="alice")
    for dn in dns:
        assert dn.lower() in str(caught.value).lower()
    assert database.list_users() == []


@pytest.mark.live("openldap", reason="the server's limit is its own")
def test_a_truncated_search_is_an_error_and_never_a_short_list(another_directory: Another) -> None:
    access = "olcAccess: to * by * read\nolcSizeLimit: 5\n"
    with another_directory(access=access) as small:
        for number in range(8):
            small.person(f"user{number}")
        database = small.open(bind_dn=None, bind_password=None)
        for _ in range(2):
            with pytest.raises(errors.IncompleteResult, match="size limit"):
                database.list_users()


@pytest.mark.live("389ds", reason="the attributes of its limits are its own")
def test_a_truncated_search_of_389_is_an_error_too() -> None:
    """Whichever limit ends it; what no limit ends is whole."""
    with alone("389ds") as small:
        rule = '(targetattr="*")(version 3.0; acl "r"; allow (read,search) userdn="ldap:///all";)'
        small.change(small.suffix, "add: aci", f"aci: {rule}")
        for limit in ("nsSizeLimit", "nsPagedSizeLimit", "nsLookThroughLimit"):
            small.person(limit, attributes={"userPassword": ["reads-only"], limit: ["5"]})
        for number in range(8):
            small.person(f"user{number}")
        for limit, page_size, said in (
            ("nsSizeLimit", 500, "size limit"),
            ("nsPagedSizeLimit", 500, "size limit"),
            ("nsLookThroughLimit", 500, "administrative limit"),
            ("nsLookThroughLimit", 2, "administrative limit"),
            # These two count each page by itself.
            ("nsSizeLimit", 2, ""),
            ("nsPagedSizeLimit", 2, ""),
        ):
            account: Any = {"bind_dn": small.dn_of(limit), "bind_password": "reads-only"}
            database = small.open(**account, page_size=page_size)
            for _ in range(2):
                if said:
                    with pytest.raises(errors.IncompleteResult, match=said):
                        database.list_users()
                else:
                    assert len(database.list_users()) == 11


def test_one_image_at_two_entries_is_one_application(
    directory: Directory, caplog: pytest.LogCaptureFixture
) -> None:
    directory.application(IMAGE, name="first")
    directory.application(IMAGE, name="second")
    database = directory.open()
    assert [each.image for each in database.list_applications()] == [IMAGE]
    assert "is registered by" in caplog.text
    with pytest.raises(errors.Exists):
        database.create_application(IMAGE)


def test_a_page_size_smaller_than_the_list_loses_nobody(directory: Directory) -> None:
    for number in range(23):
        directory.person(f"user{number}")
    assert len(directory.open(page_size=5).list_users()) == 23


def test_dangling_members_are_harmless(directory: Directory) -> None:
    alice = directory.person("alice")
    group = directory.group("staff", alice, f"uid=gone,{directory.users_base}")
    directory.application(IMAGE)
    directory.granted("grant", images=[IMAGE], members=[group, "cn=gone"])
    database = directory.open()
    (accounting,) = database.get_accounting_for_user(database.get_user(user_name="alice"))
    with pytest.raises(errors.HeldThroughGroup):
        database.revoke_access_by_id(accounting.id)


def test_arguments_of_wrong_types_are_told_as_such(directory: Directory) -> None:
    database: Any = directory.open()
    assert database.get_user(id="not a number") is None
