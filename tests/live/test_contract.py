"""The host's interface, for each generation of the host, on a real directory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ldapdb import errors
from support import Directory, Host

pytestmark = pytest.mark.live("openldap", "389ds", "ad", stock=True)

IMAGE = "simphony/mayavi:0.5"


def kind(host: Host, name: str) -> type[Exception]:
    """The host's exception of that name, or ours without a host."""
    source: Any = host.exceptions or errors
    found: type[Exception] = getattr(source, name)
    return found


@pytest.fixture
def database(directory: Directory, host: Host) -> Any:
    directory.person("alice")
    directory.person("bob")
    return directory.open(host.database_class)


def test_the_class_satisfies_the_interface_that_is_installed(database: Any, host: Host) -> None:
    """The host accepts the object as a database of its own kind."""
    if host.interfaces is not None:
        assert isinstance(database, host.interfaces.ABCDatabase)


def test_a_user_is_found_by_name_in_any_case_and_spelled_as_the_directory_does(
    database: Any,
) -> None:
    assert database.get_user(user_name="ALICE").name == "alice"


def test_an_unknown_user_is_none(database: Any) -> None:
    assert database.get_user(user_name="nobody") is None
    assert database.get_user(id=4711) is None
    assert database.get_user(id=-1) is None


def test_a_user_is_found_again_by_the_text_of_his_id(database: Any) -> None:
    """The host sends ids through URLs: str(id) must survive int()."""
    alice = database.get_user(user_name="alice")
    assert database.get_user(id=int(str(alice.id))) == alice
    assert database.get_user(id=str(alice.id)) == alice


@pytest.mark.parametrize("arguments", [{}, {"user_name": "alice", "id": 1}])
def test_get_user_takes_strictly_one_argument(database: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="and not both"):
        database.get_user(**arguments)


def test_users_are_listed(database: Any) -> None:
    assert sorted(user.name for user in database.list_users()) == ["alice", "bob"]


def test_users_are_never_written(database: Any, host: Host) -> None:
    with pytest.raises(kind(host, "UnsupportedOperation")):
        database.create_user("carol")
    with pytest.raises(kind(host, "UnsupportedOperation")):
        database.remove_user(user_name="alice")


def test_an_application_is_made_listed_and_removed(database: Any, host: Host) -> None:
    created = database.create_application(IMAGE)
    assert [(each.id, each.image) for each in database.list_applications()] == [(created, IMAGE)]
    assert int(str(created)) == created
    with pytest.raises(kind(host, "Exists"), match="mayavi"):
        database.create_application(IMAGE)
    database.remove_application(app_name=IMAGE)
    assert database.list_applications() == []


def test_an_application_is_removed_by_id(database: Any) -> None:
    database.remove_application(id=database.create_application(IMAGE))
    assert database.list_applications() == []


def test_removing_an_absent_application_does_nothing(database: Any) -> None:
    database.remove_application(app_name=IMAGE)
    database.remove_application(id=12345)


def test_removing_an_application_takes_its_grants_along(database: Any, host: Host) -> None:
    database.create_application(IMAGE)
    database.grant_access(**host.arguments(IMAGE, "alice"))
    database.remove_application(app_name=IMAGE)
    database.create_application(IMAGE)
    assert database.get_accounting_for_user(database.get_user(user_name="alice")) == []


def test_a_grant_is_accounted_with_the_types_that_the_host_demands(
    database: Any, host: Host
) -> None:
    """One field of a wrong type would cost the host the whole list."""
    database.create_application(IMAGE)
    arguments = host.arguments(IMAGE, "alice", home=True, volume="/data:/mnt/data:ro")
    mapping_id = database.grant_access(*arguments.values())
    alice = database.get_user(user_name="alice")
    (accounting,) = database.get_accounting_for_user(alice)
    assert accounting.id == mapping_id
    assert type(mapping_id) is str
    assert len(mapping_id) == 32
    assert mapping_id.isalnum()
    assert accounting.user == alice
    assert accounting.application.image == IMAGE
    policy = accounting.application_policy
    assert policy.allow_home is True
    assert policy.allow_view is False
    assert policy.allow_common is True
    assert (policy.volume_source, policy.volume_target, policy.volume_mode) == (
        "/data",
        "/mnt/data",
        "ro",
    )
    if host.has_licence:
        assert policy.app_license is None
        assert policy.allow_startup_data is False
    hash((alice, accounting, policy, accounting.application))


def test_policy_fields_come_in_the_order_of_the_generation(database: Any, host: Host) -> None:
    import dataclasses

    database.create_application(IMAGE)
    database.grant_access(**host.arguments(IMAGE, "alice"))
    (accounting,) = database.get_accounting_for_user(SimpleNamespace(name="alice"))
    fields = [each.name for each in dataclasses.fields(accounting.application_policy)]
    common = ["allow_home", "allow_view", "allow_common"]
    common += ["volume_source", "volume_target", "volume_mode"]
    whole = ["app_license", *common, "allow_startup_data"]
    assert fields == (whole if host.has_licence else common)


def test_granting_twice_is_one_grant_with_one_id(database: Any, host: Host) -> None:
    database.create_application(IMAGE)
    first = database.grant_access(*host.arguments(IMAGE, "alice").values())
    second = database.grant_access(**host.arguments(IMAGE, "alice"))
    assert first == second
    assert len(database.get_accounting_for_user(database.get_user(user_name="alice"))) == 1


def test_what_was_granted_can_be_revoked_by_policy_and_by_id(database: Any, host: Host) -> None:
    database.create_application(IMAGE)
    alice = database.get_user(user_name="alice")
    for revoke_by_id in (False, True):
        mapping_id = database.grant_access(**host.arguments(IMAGE, "alice", view=True))
        database.grant_access(**host.arguments(IMAGE, "alice"))
        if revoke_by_id:
            database.revoke_access_by_id(mapping_id)
        else:
            database.revoke_access(*host.arguments(IMAGE, "alice", view=True).values())
        (left,) = database.get_accounting_for_user(alice)
        assert left.application_policy.allow_view is False


def test_another_process_revokes_by_id_what_it_never_saw(
    database: Any, host: Host, directory: Directory
) -> None:
    database.create_application(IMAGE)
    keep = database.grant_access(**host.arguments(IMAGE, "alice"))
    gone = database.grant_access(**host.arguments(IMAGE, "bob"))
    directory.open(host.database_class).revoke_access_by_id(gone)
    fresh = directory.open(host.database_class)
    assert fresh.get_accounting_for_user(fresh.get_user(user_name="bob")) == []
    (left,) = fresh.get_accounting_for_user(fresh.get_user(user_name="alice"))
    assert left.id == keep


@pytest.mark.parametrize("unknown", ["0" * 32, "nonsense", "", "F" * 32, 12345])
def test_revoking_an_unknown_id_does_nothing(database: Any, host: Host, unknown: object) -> None:
    database.create_application(IMAGE)
    database.grant_access(**host.arguments(IMAGE, "alice"))
    database.revoke_access_by_id(unknown)
    assert len(database.get_accounting_for_user(database.get_user(user_name="alice"))) == 1


@pytest.mark.parametrize("method", ["grant_access", "revoke_access"])
def test_unknown_application_or_user_is_not_found_and_named(
    database: Any, host: Host, method: str
) -> None:
    database.create_application(IMAGE)
    with pytest.raises(kind(host, "NotFound"), match="paraview"):
        getattr(database, method)(**host.arguments("simphony/paraview:1", "alice"))
    with pytest.raises(kind(host, "NotFound"), match="nobody"):
        getattr(database, method)(**host.arguments(IMAGE, "nobody"))


def test_our_errors_stay_ours_where_they_are_the_hosts(database: Any, host: Host) -> None:
    with pytest.raises(errors.NotFound) as caught:
        database.grant_access(**host.arguments(IMAGE, "alice"))
    assert not hasattr(caught.value, "reason")  # the host would show it to users


def test_accounting_of_nobody_is_an_empty_list(database: Any) -> None:
    assert database.get_accounting_for_user(None) == []
    assert database.get_accounting_for_user(SimpleNamespace(name="nobody")) == []


def test_accounting_takes_the_hosts_own_object_that_has_a_name_only(
    database: Any, host: Host
) -> None:
    database.create_application(IMAGE)
    database.grant_access(**host.arguments(IMAGE, "alice"))
    (accounting,) = database.get_accounting_for_user(SimpleNamespace(name="alice"))
    assert accounting.user.name == "alice"


def test_the_caller_may_change_the_list_he_got(database: Any, host: Host) -> None:
    database.create_application(IMAGE)
    database.grant_access(**host.arguments(IMAGE, "alice"))
    alice = database.get_user(user_name="alice")
    database.get_accounting_for_user(alice).clear()
    assert len(database.get_accounting_for_user(alice)) == 1


def test_mapping_ids_are_the_same_in_every_process(
    database: Any, host: Host, directory: Directory
) -> None:
    database.create_application(IMAGE)
    mapping_id = database.grant_access(**host.arguments(IMAGE, "alice"))
    other = directory.open(host.database_class)
    (accounting,) = other.get_accounting_for_user(other.get_user(user_name="alice"))
    assert accounting.id == mapping_id


@pytest.mark.parametrize("host", ["2.2"], indirect=True)
def test_a_licence_and_startup_data_are_kept(directory: Directory, host: Host) -> None:
    directory.person("alice")
    database = directory.open(host.database_class)
    database.create_application(IMAGE)
    with_licence = database.grant_access(IMAGE, "alice", "KEY-1", False, False, None, True)
    without = database.grant_access(IMAGE, "alice", "", False, False, None, False)
    assert without == database.grant_access(IMAGE, "alice", None, False, False, None, False)
    accountings = database.get_accounting_for_user(database.get_user(user_name="alice"))
    assert {
        each.id: (each.application_policy.app_license, each.application_policy.allow_startup_data)
        for each in accountings
    } == {with_licence: ("KEY-1", True), without: (None, False)}


def test_the_database_is_a_context_manager(directory: Directory, host: Host) -> None:
    with directory.open(host.database_class) as database:
        assert database.list_users() == []
