"""Profiles: one file of settings for several directories."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ldapdb.errors import SettingsError
from ldapdb.settings import ENVIRONMENT_PREFIX, load
from ldapdb.settings.sources import list_profiles

FILE = """
base_dn = "ou=remoteapp,dc=x"
page_size = 300
cache_ttl_seconds = 30

[profiles.prod]
uri = ["ldaps://one", "ldaps://two"]
page_size = 200

[profiles.test]
uri = "ldaps://test"
"""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith(ENVIRONMENT_PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a file with two profiles, that everybody may read."""
    path = tmp_path / "ldapdb.toml"
    path.write_text(FILE)
    path.chmod(0o644)
    return path


def _complaint(**keywords: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        load(**keywords)
    return str(caught.value)


def test_a_profile_counts_before_the_rest_of_its_file(file: Path) -> None:
    """What the profile does not say, the file's top-level keys do."""
    settings = load(config_file=file, profile="prod")
    assert settings.profile == "prod"
    assert settings.uri == ("ldaps://one", "ldaps://two")
    assert settings.page_size == 200
    assert settings.cache_ttl_seconds == 30
    assert load(config_file=file, profile="test").uri == ("ldaps://test",)


def test_keywords_and_the_environment_count_before_a_profile(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    monkeypatch.setenv("LDAPDB_PAGE_SIZE", "100")
    assert load(config_file=file, profile="prod").page_size == 100
    assert load(config_file=file, profile="prod", page_size=50).page_size == 50


def test_a_profile_is_named_by_keyword_environment_or_file(
    monkeypatch: pytest.MonkeyPatch, file: Path
) -> None:
    """The first of these that names one decides, as with all settings."""
    file.write_text('profile = "test"\n' + FILE)
    assert load(config_file=file).uri == ("ldaps://test",)
    monkeypatch.setenv("LDAPDB_PROFILE", "prod")
    assert load(config_file=file).page_size == 200
    assert load(config_file=file, profile="test").page_size == 300


def test_no_profile_is_none_of_them(file: Path) -> None:
    """Nothing of a profile counts unless it is named."""
    assert "uri: is not set" in _complaint(config_file=file)
    assert load(config_file=file, uri="ldaps://own").page_size == 300


def test_an_unknown_profile_names_those_there_are(file: Path) -> None:
    message = _complaint(config_file=file, profile="pord")
    assert message == (
        f"profile 'pord': config_file {str(file)!r} has no [profiles.pord]; there is: "
        "'prod', 'test'"
    )
    file.write_text("page_size = 300\n")
    assert "there is: none" in _complaint(config_file=file, profile="prod")


def test_a_profile_without_a_name_is_refused(file: Path) -> None:
    """As a shell passes a variable that is not set: it would choose the top of the file."""
    message = _complaint(config_file=file, profile="")
    assert message == "profile: is empty; name one, or leave it out"


def test_a_profile_without_a_file_says_what_to_set() -> None:
    message = _complaint(uri="ldaps://one", base_dn="dc=x", profile="prod")
    assert message == "profile 'prod': is a table of config_file, which is not set; set it"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[profiles.prod]\npage_siez = 1\n", "unknown setting 'page_siez' in the profile 'prod'"),
        ("[profiles.prod]\nprofile = 'x'\n", "profile: stands in [profiles.prod]"),
        ("[profiles.prod]\nconfig_file = 'x'\n", "config_file: stands in [profiles.prod]"),
        ("[profiles.prod]\n[profiles.prod.profiles.x]\n", "unknown setting 'profiles'"),
        ("[profiles]\nprod = 5\n", "profiles are tables"),
        ("profiles = 'prod'\n", "profiles are tables"),
        ("[[profiles.prod]]\npage_size = 1\n", "profiles are tables"),
    ],
)
def test_a_wrong_profile_is_explained(file: Path, text: str, complaint: str) -> None:
    file.write_text(text)
    assert complaint in _complaint(config_file=file, profile="prod")


@pytest.mark.parametrize("name", ["5", "[1]", "true"])
def test_a_profile_must_be_named_by_text(file: Path, name: str) -> None:
    file.write_text(f"profile = {name}\n{FILE}")
    assert "profile: must be a name" in _complaint(config_file=file)


def test_a_profile_at_the_wrong_place_is_not_printed(file: Path) -> None:
    """It may have a password, and then the file must be private."""
    file.write_text("[profile.prod]\nbind_password = 'hunter2'\n")
    assert "chmod 600" in _complaint(config_file=file)
    file.chmod(0o600)
    message = _complaint(config_file=file)
    assert "tables [profiles.NAME]" in message
    assert "hunter2" not in message


def test_a_password_in_any_profile_makes_the_file_a_secret(file: Path) -> None:
    """Also in one that is not chosen: the others can read it all the same."""
    file.write_text(FILE + 'bind_dn = "cn=reader,dc=x"\nbind_password = "hunter2"\n')
    message = _complaint(config_file=file, profile="prod")
    assert "chmod 600" in message
    assert "hunter2" not in message
    file.chmod(0o600)
    assert load(config_file=file, profile="prod").bind_password is None
    assert load(config_file=file, profile="test").password() == "hunter2"


def test_the_profiles_of_a_file_can_be_listed(file: Path) -> None:
    assert list_profiles(file) == ["prod", "test"]
    file.write_text("page_size = 300\n")
    assert list_profiles(file) == []
