"""The settings: where they come from, and what is said of wrong ones."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from ldapdb.errors import SettingsError
from ldapdb.settings import ENVIRONMENT_PREFIX, Settings, load
from ldapdb.settings.private import check_private

SECRET = "S3cret-pa55"
MINIMUM: dict[str, Any] = {"uri": "ldaps://one.example.org", "base_dn": "ou=remoteapp,dc=x"}
SIMPLE: dict[str, Any] = {**MINIMUM, "bind_dn": "cn=reader,dc=x", "bind_password": SECRET}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith(ENVIRONMENT_PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    """Name a TOML file that a test writes."""
    return tmp_path / "ldapdb.toml"


def _complaint(**keywords: Any) -> str:
    """Return what is said of wrong settings."""
    with pytest.raises(SettingsError) as caught:
        load(**keywords)
    message = str(caught.value)
    assert SECRET not in message
    assert message
    return message


# -- sources --------------------------------------------------------------------------------


def test_two_settings_are_enough() -> None:
    """A server and a base suffice; everything else has a default."""
    settings = load(**MINIMUM)
    assert settings.uri == ("ldaps://one.example.org",)
    assert settings.authentication == "anonymous"
    assert settings.write_uris == settings.uri
    assert settings.cache_ttl_seconds == 60
    assert not settings.read_only


def test_nothing_at_all_says_what_is_missing() -> None:
    """What has no default is asked for, with every way to give it."""
    message = _complaint()
    assert "uri: is not set; give it as a keyword, as LDAPDB_URI or in the config_file" in message
    assert "base_dn: is not set; give it as a keyword, as LDAPDB_BASE_DN" in message


def test_sources_have_their_order(monkeypatch: pytest.MonkeyPatch, toml: Path) -> None:
    """A keyword counts before the environment, that before the file, that before the default."""
    toml.write_text("page_size = 300\ncache_ttl_seconds = 30\nconnect_timeout_seconds = 3\n")
    monkeypatch.setenv("LDAPDB_PAGE_SIZE", "200")
    monkeypatch.setenv("LDAPDB_CACHE_TTL_SECONDS", "20")
    settings = load(**MINIMUM, config_file=str(toml), page_size=100)
    assert settings.page_size == 100
    assert settings.cache_ttl_seconds == 20
    assert settings.connect_timeout_seconds == 3
    assert settings.operation_timeout_seconds == 5


def test_the_file_may_say_everything(toml: Path) -> None:
    """The file alone is enough, lists and booleans in TOML's own form."""
    toml.write_text(
        'uri = ["ldaps://one", "ldaps://two"]\nbase_dn = "dc=x"\nnested_groups = false\n'
        f'bind_dn = "cn=reader,dc=x"\nbind_password = "{SECRET}"\n'
    )
    toml.chmod(0o600)  # it has the password
    settings = load(config_file=toml)
    assert settings.uri == ("ldaps://one", "ldaps://two")
    assert settings.nested_groups is False
    assert settings.password() == SECRET


def test_the_environment_may_say_everything(monkeypatch: pytest.MonkeyPatch, toml: Path) -> None:
    """The environment alone is enough, the file's name among it."""
    toml.write_text('users_base = "ou=people,dc=x"\n')
    monkeypatch.setenv("LDAPDB_URI", "ldaps://one, ldaps://two")
    monkeypatch.setenv("LDAPDB_BASE_DN", "dc=x")
    monkeypatch.setenv("ldapdb_read_only", "true")  # names are not case-sensitive
    monkeypatch.setenv("LDAPDB_CONFIG_FILE", str(toml))
    settings = load()
    assert settings.uri == ("ldaps://one", "ldaps://two")
    assert settings.users_base == ("ou=people,dc=x",)
    assert settings.read_only is True


def test_a_keyword_names_the_file_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, toml: Path
) -> None:
    """The order holds for the file's own name as well."""
    toml.write_text("page_size = 300\n")
    monkeypatch.setenv("LDAPDB_CONFIG_FILE", "/nowhere/ldapdb.toml")
    assert load(**MINIMUM, config_file=str(toml)).page_size == 300


def test_none_is_as_if_it_were_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyword that is None hides nothing of the environment."""
    monkeypatch.setenv("LDAPDB_PAGE_SIZE", "200")
    assert load(**MINIMUM, page_size=None, bind_dn=None).page_size == 200


def test_a_dotenv_file_is_none_of_our_business(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The host's own .env in the working directory is not read."""
    (tmp_path / ".env").write_text("LDAPDB_PAGE_SIZE=7\nLDAPDB_NONSENSE=1\n")
    monkeypatch.chdir(tmp_path)
    assert load(**MINIMUM).page_size == 500


def test_settings_are_frozen() -> None:
    """What was decided at the start stays."""
    settings = load(**MINIMUM)
    with pytest.raises(ValidationError, match="frozen"):
        settings.page_size = 1


def test_every_setting_has_a_description() -> None:
    """The descriptions are the reference that the documentation and the errors print."""
    for name, described in Settings.model_fields.items():
        assert described.description, name
        assert described.description.endswith("."), name


# -- unknown names --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("url", "uri"),
        ("base", "base_dn"),
        ("bind_passwd", "bind_password"),
        ("starttls", "start_tls"),
        ("user_base", "users_base"),
        ("cache_ttl", "cache_ttl_seconds"),
        ("BASE_DN", None),
    ],
)
def test_an_unknown_keyword_is_refused(name: str, nearest: str | None) -> None:
    """A misspelled setting is not a default: the nearest one is suggested."""
    message = _complaint(**MINIMUM, **{name: SECRET})
    assert f"unknown setting {name!r} in the keyword arguments" in message
    if nearest is not None:
        assert f"did you mean {nearest!r}?" in message


def test_an_unknown_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelled variable is named as it was written."""
    monkeypatch.setenv("LDAPDB_BIND_PASWORD", SECRET)
    message = _complaint(**MINIMUM)
    assert "unknown setting 'LDAPDB_BIND_PASWORD' in the environment" in message
    assert "did you mean 'bind_password'?" in message


def test_an_unknown_key_of_the_file_is_refused(toml: Path) -> None:
    """A misspelled key is named with its file; so is a table around the settings."""
    toml.write_text(f'bind_paswort = "{SECRET}"\n')
    message = _complaint(**MINIMUM, config_file=str(toml))
    assert f"unknown setting 'bind_paswort' in the file {str(toml)!r}" in message
    assert "did you mean 'bind_password'?" in message
    toml.write_text("[ldapdb]\npage_size = 1\n")
    assert "unknown setting 'ldapdb'" in _complaint(**MINIMUM, config_file=str(toml))


def test_without_a_near_name_the_list_is_pointed_at() -> None:
    """A name that resembles nothing gets no absurd suggestion."""
    message = _complaint(**MINIMUM, zzz=1)
    assert "did you mean" not in message
    assert "`ldapdb settings` lists all" in message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("page_size = ", "config_file"),
        ("page_size = 1\npage_size = 2\n", "config_file"),
        (f'bind_password = "{SECRET}\n', "config_file"),
        (f"bind_password = {SECRET}\n", "config_file"),
    ],
)
def test_a_file_that_is_no_toml_is_refused(toml: Path, text: str, reason: str) -> None:
    """A syntax error names the file and not what is in it."""
    toml.write_text(text)
    message = _complaint(**MINIMUM, config_file=str(toml))
    assert message.startswith(f"{reason} {str(toml)!r}: ")


def test_a_file_that_is_no_text_is_refused(toml: Path) -> None:
    """Octets that are not UTF-8 are an error with the file's name."""
    toml.write_bytes(b"page_size = 1 # \xff\n")
    assert str(toml) in _complaint(**MINIMUM, config_file=str(toml))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A file that was named has to be there; a directory is none."""
    for path in (tmp_path / "none.toml", tmp_path):
        message = _complaint(**MINIMUM, config_file=str(path))
        assert f"config_file {str(path)!r}: there is no such file; create it" in message


# -- wrong values ---------------------------------------------------------------------------

WRONG: list[tuple[str, Any, str]] = [
    ("uri", "http://one", "must begin with ldap://, ldaps:// or ldapi://"),
    ("uri", "one.example.org", "must begin with ldap://, ldaps:// or ldapi://"),
    ("uri", "", "must begin with"),
    ("uri", [], "at least 1"),
    ("uri", 5, "valid tuple"),
    ("uri", ["ldap://one two"], "no spaces"),
    ("uri", [" ldap://one"], "must begin with"),
    ("uri", ["ldap:\t//one"], "must begin with"),
    ("uri", "ldap://", "names no server"),
    ("uri", "ldap:///dc=x", "names no server"),
    ("uri", "ldaps://one:port", "Port"),
    ("uri", "ldaps://one:70000", "Port out of range"),
    ("uri", "ldaps://one/dc=x", "use base_dn for the base"),
    ("uri", "ldaps://one?uid", "use base_dn for the base"),
    ("uri", "ldaps://one#x", "use base_dn for the base"),
    ("uri", "ldaps://[::1", "Invalid IPv6 URL"),
    ("uri", "ldapi:///run/slapd/ldapi", "slashes as %2F"),
    ("uri", "ldapi://", "slashes as %2F"),
    ("uri", "ldaps://one,http://two", "must begin with"),
    ("write_uri", "one", "must begin with"),
    ("schema", "", "'remoteapp' or 'stock'"),
    ("schema", "Stock", "'remoteapp' or 'stock'"),
    ("vendor", "edirectory", "'auto', 'openldap', '389ds' or 'ad'"),
    ("vendor", "389", "'auto', 'openldap', '389ds' or 'ad'"),
    ("vendor", "AD", "'auto', 'openldap', '389ds' or 'ad'"),
    ("bind", "sasl", "'simple', 'anonymous', 'external' or 'gssapi'"),
    ("bind_dn", "reader", "is not a DN"),
    ("bind_dn", "", "is empty"),
    ("bind_password_file", "/nowhere", "there is no such file"),
    ("kerberos_principal", "", "match pattern"),
    ("kerberos_principal", "svc remoteapp@EXAMPLE.ORG", "match pattern"),
    ("keytab_file", "/nowhere", "there is no such file"),
    ("licences_in_description", "perhaps", "valid boolean"),
    ("start_tls", "perhaps", "valid boolean"),
    ("allow_plaintext", "perhaps", "valid boolean"),
    ("ca_file", "/nowhere", "there is no such file"),
    ("client_cert_file", "/", "there is no such file"),
    ("client_key_file", "/nowhere", "there is no such file"),
    ("base_dn", "ou=a,", "is not a DN"),
    ("base_dn", " ", "is empty"),
    ("base_dn", 5, "valid string"),
    ("applications_base", "x", "is not a DN"),
    ("grants_base", "x", "is not a DN"),
    ("group_object_class", "group of names", "not an attribute description"),
    ("users_base", "x", "is not a DN"),
    ("users_base", "", "is empty"),
    ("users_base", ["ou=a,dc=x", "x"], "is not a DN"),
    ("users_base", [""], "is empty"),
    ("users_base", [], "at least 1"),
    ("users_base", "[]", "at least 1"),
    ("users_base", '["ou=a,dc=x"', "is no JSON list of DNs"),
    ("users_base", "[ou=a,dc=x]", "is no JSON list of DNs"),
    ("users_base", ["ou=a,dc=x", 5], "valid string"),
    ("users_base", 5, "valid tuple"),
    ("users_filter", "objectClass=person", "is not a filter"),
    ("users_filter", "(a=b))", "goes on after a complete filter"),
    ("user_name_attribute", "uid=*", "not an attribute description"),
    ("user_name_attribute", "", "not an attribute description"),
    ("user_name_attribute", "uid, mail=", "not an attribute description"),
    ("user_name_attribute", ["uid", "e mail"], "not an attribute description"),
    ("user_name_attribute", '["uid"]', "not an attribute description"),
    ("user_name_attribute", [], "at least 1"),
    ("user_name_attribute", 5, "valid tuple"),
    ("user_id_attribute", "", "not an attribute description"),
    ("groups_base", "x", "is not a DN"),
    ("groups_filter", "(&)", "is not a filter"),
    ("group_member_attribute", "member ", "not an attribute description"),
    ("nested_groups", "deep", "valid boolean"),
    ("cache_ttl_seconds", -1, "greater than or equal to 0"),
    ("cache_ttl_seconds", "1 minute", "valid number"),
    ("cache_ttl_seconds", float("inf"), "finite number"),
    ("cache_negative_ttl_seconds", float("nan"), "finite number"),
    ("cache_max_stale_seconds", -0.5, "greater than or equal to 0"),
    ("cache_max_entries", 0, "greater than or equal to 1"),
    ("connect_timeout_seconds", 0, "greater than 0"),
    ("operation_timeout_seconds", 3601, "less than or equal to 3600"),
    ("page_size", 0, "greater than or equal to 1"),
    ("page_size", 100_001, "less than or equal to 100000"),
    ("page_size", 1.5, "valid integer"),
    ("max_answer_bytes", 1000, "greater than or equal to 1048576"),
    ("max_answer_bytes", 1 << 32, "less than or equal to 2147483648"),
    ("watch", "2", "valid boolean"),
    ("watch_poll_seconds", 0, "greater than 0"),
    ("watch_max_users", -1, "greater than or equal to 0"),
    ("read_only", "", "valid boolean"),
]


def _shown(name: str, value: Any) -> str:
    """Return what an error shows of a wrong value: of several, the one that is wrong."""
    if isinstance(value, list) and value:
        return repr(value[-1])
    if name in ("uri", "user_name_attribute") and isinstance(value, str):
        return repr(value.replace(",", " ").split(" ")[-1])
    return repr(value)


@pytest.mark.parametrize(("name", "value", "remedy"), WRONG)
def test_a_wrong_value_is_explained(name: str, value: Any, remedy: str) -> None:
    """The error names the setting, shows the value, says what is wrong and what it is for."""
    message = _complaint(**{**MINIMUM, name: value})
    assert message.startswith(f"wrong settings: {name}: ")
    assert name.startswith("bind") or _shown(name, value) in message  # perhaps a password
    assert remedy in message
    assert f"({name} is: {(Settings.model_fields[name].description or '').rstrip('.')})" in message


def test_every_setting_that_can_be_wrong_is_tried() -> None:
    """The table above leaves out the file, its profile and the password: they have their own."""
    tried = {name for name, _, _ in WRONG}
    assert set(Settings.model_fields) - tried == {"config_file", "profile", "bind_password"}


def test_wrong_values_of_the_environment_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable is explained by the setting's name."""
    monkeypatch.setenv("LDAPDB_PAGE_SIZE", "many")
    assert "page_size: 'many': " in _complaint(**MINIMUM)


def test_all_that_is_wrong_is_said_at_once() -> None:
    """One start shows every mistake, each setting once."""
    message = _complaint(
        uri=["http://one", "http://two"], base_dn="x", page_size=0, users_filter="("
    )
    for name in ("uri", "base_dn", "page_size", "users_filter"):
        assert message.count(f"{name}: ") == 1


# -- servers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "uris"),
    [
        ("ldaps://one", ("ldaps://one",)),
        ("ldaps://one ldaps://two", ("ldaps://one", "ldaps://two")),
        ("ldaps://one,ldaps://two", ("ldaps://one", "ldaps://two")),
        (" ldaps://one ,\n ldaps://two ", ("ldaps://one", "ldaps://two")),
        (["ldaps://one", "ldaps://two"], ("ldaps://one", "ldaps://two")),
        (("ldaps://two", "ldaps://one"), ("ldaps://two", "ldaps://one")),
        ("ldaps://one:1636/", ("ldaps://one:1636",)),
        ("LDAPS://One.Example.org", ("ldaps://One.Example.org",)),
        ("ldapi://%2Frun%2Fslapd%2Fldapi", ("ldapi://%2Frun%2Fslapd%2Fldapi",)),
        ("ldapi://%2frun%2fa@b", ("ldapi://%2frun%2fa@b",)),
        ("ldaps://[2001:db8::1]:636", ("ldaps://[2001:db8::1]:636",)),
        ("ldaps://192.0.2.1", ("ldaps://192.0.2.1",)),
    ],
)
def test_servers_are_given_in_many_ways(given: Any, uris: tuple[str, ...]) -> None:
    """Text with commas or spaces, or a list; the order and the server's name stay."""
    assert load(**{**MINIMUM, "uri": given}).uri == uris


# -- where users are, and what they are called ----------------------------------------------

PEOPLE, GUESTS = "ou=people,dc=x", "ou=guests,o=A\\, B,dc=x"


@pytest.mark.parametrize(
    ("given", "bases"),
    [
        (PEOPLE, (PEOPLE,)),
        (GUESTS, (GUESTS,)),  # the comma of a DN parts nothing
        ([PEOPLE], (PEOPLE,)),
        ([PEOPLE, GUESTS], (PEOPLE, GUESTS)),
        ((GUESTS, PEOPLE), (GUESTS, PEOPLE)),
        (json.dumps([PEOPLE, GUESTS]), (PEOPLE, GUESTS)),
        (f" [\n{json.dumps(PEOPLE)} ] ", (PEOPLE,)),
    ],
)
def test_users_may_be_below_several_bases(given: Any, bases: tuple[str, ...]) -> None:
    """One DN, a list, or a list as JSON where only text can be given; the order stays."""
    assert load(**MINIMUM, users_base=given).users_base == bases


@pytest.mark.parametrize(
    ("given", "attributes"),
    [
        ("uid", ("uid",)),
        ("uid mail", ("uid", "mail")),
        ("uid,mail", ("uid", "mail")),
        (" uid ,\n mail ", ("uid", "mail")),
        (["mail", "uid"], ("mail", "uid")),
        (("sAMAccountName", "userPrincipalName"), ("sAMAccountName", "userPrincipalName")),
        ("0.9.2342.19200300.100.1.1", ("0.9.2342.19200300.100.1.1",)),
    ],
)
def test_users_may_have_several_names(given: Any, attributes: tuple[str, ...]) -> None:
    """Text with commas or spaces, or a list; the preferred one stays first."""
    assert load(**MINIMUM, user_name_attribute=given).user_name_attribute == attributes


def test_lists_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable holds one, or a list as the reference describes it."""
    monkeypatch.setenv("LDAPDB_USERS_BASE", json.dumps([PEOPLE, GUESTS]))
    monkeypatch.setenv("LDAPDB_USER_NAME_ATTRIBUTE", "uid, mail")
    settings = load(**MINIMUM)
    assert settings.users_base == (PEOPLE, GUESTS)
    assert settings.user_name_attribute == ("uid", "mail")
    monkeypatch.setenv("LDAPDB_USERS_BASE", GUESTS)
    monkeypatch.setenv("LDAPDB_USER_NAME_ATTRIBUTE", "mail")
    settings = load(**MINIMUM)
    assert settings.users_base == (GUESTS,)
    assert settings.user_name_attribute == ("mail",)


def test_a_file_with_a_password_must_be_private(toml: Path) -> None:
    """Without one anybody may read it, as most files below /etc."""
    toml.write_text('bind_dn = "cn=reader,dc=x"\n')
    toml.chmod(0o644)
    settings = load(**MINIMUM, config_file=str(toml), bind_password=SECRET)
    assert settings.password() == SECRET
    toml.write_text(f'bind_dn = "cn=reader,dc=x"\nbind_password = "{SECRET}"\n')
    message = _complaint(**MINIMUM, config_file=str(toml))
    assert f"config_file, which has bind_password, {str(toml)!r}" in message
    assert "chmod 600" in message
    toml.chmod(0o600)
    assert load(**MINIMUM, config_file=str(toml)).password() == SECRET


def test_lists_come_from_the_file(toml: Path) -> None:
    """The file has lists in TOML's own form, or one alone."""
    toml.write_text(
        f'users_base = ["{PEOPLE}", "ou=guests,dc=x"]\nuser_name_attribute = ["uid", "mail"]\n'
    )
    settings = load(**MINIMUM, config_file=toml)
    assert settings.users_base == (PEOPLE, "ou=guests,dc=x")
    assert settings.user_name_attribute == ("uid", "mail")
    toml.write_text(f'users_base = "{PEOPLE}"\nuser_name_attribute = "uid"\n')
    settings = load(**MINIMUM, config_file=toml)
    assert settings.users_base == (PEOPLE,)
    assert settings.user_name_attribute == ("uid",)


def test_a_wrong_list_of_the_environment_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that was meant as a list and is none says so, by the setting's name."""
    monkeypatch.setenv("LDAPDB_USERS_BASE", "[ou=people,dc=x]")
    message = _complaint(**MINIMUM)
    assert "users_base: '[ou=people,dc=x]': is no JSON list of DNs: " in message
    assert "(users_base is: Where users are searched: a DN, or a list of them" in message
    monkeypatch.setenv("LDAPDB_USERS_BASE", '["ou=people,dc=x", 5]')
    assert "users_base: 5: Input should be a valid string" in _complaint(**MINIMUM)


# -- what the directory is and has ----------------------------------------------------------


@pytest.mark.parametrize("schema", ["remoteapp", "stock"])
def test_the_way_of_writing_is_chosen(
    schema: str, monkeypatch: pytest.MonkeyPatch, toml: Path
) -> None:
    """Our classes, or lines of description: by keyword, variable or file."""
    assert load(**MINIMUM).schema == "remoteapp"
    assert load(**MINIMUM, schema=schema).schema == schema
    toml.write_text(f'schema = "{schema}"\n')
    assert load(**MINIMUM, config_file=toml).schema == schema
    monkeypatch.setenv("LDAPDB_SCHEMA", schema)
    assert load(**MINIMUM).schema == schema


@pytest.mark.parametrize("vendor", ["auto", "openldap", "389ds", "ad"])
def test_the_vendor_can_be_named(vendor: str) -> None:
    """The server is asked, or the administrator says what it is."""
    assert load(**MINIMUM, vendor=vendor).vendor == vendor


# -- writes ---------------------------------------------------------------------------------


def test_writes_go_elsewhere_where_it_is_said() -> None:
    """The provider is named apart from the consumers."""
    settings = load(**MINIMUM, write_uri="ldaps://provider ldaps://second")
    assert settings.write_uris == ("ldaps://provider", "ldaps://second")


# -- plain text -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri",
    [
        "ldap://one.example.org",
        "LDAP://one.example.org",
        "Ldap://one.example.org",
        "ldap://192.0.2.1",
        "ldap://[2001:db8::1]",
        "ldap://localhost.example.org",
        "ldap://127.0.0.1.example.org",
        "ldap://0.0.0.0",
        "ldaps://one ldap://two",
    ],
)
@pytest.mark.parametrize("name", ["uri", "write_uri"])
def test_no_password_goes_out_in_clear(name: str, uri: str) -> None:
    """A simple bind to another machine needs TLS, however its address is spelled."""
    message = _complaint(**{**SIMPLE, name: uri})
    assert message.startswith("wrong settings: uri: 'ldap://")
    assert "would carry the password in clear; use ldaps://, or set start_tls = true" in message


@pytest.mark.parametrize(
    "uri",
    [
        "ldap://localhost",
        "ldap://LOCALHOST:1389",
        "ldap://127.0.0.1",
        "ldap://127.8.9.10:389",
        "ldap://[::1]",
        "ldapi://%2Frun%2Fldapi",
        "ldaps://one",
    ],
)
def test_plain_text_may_stay_on_the_machine(uri: str) -> None:
    """What does not leave the machine, or is encrypted, needs nothing."""
    assert load(**{**SIMPLE, "uri": uri}).authentication == "simple"


# Whether plain text reaches a server in each of these, and so needs TLS or a permission.
_WAYS = {
    "ldap://one": True,
    "ldap://127.0.0.1": False,
    "ldaps://one": False,
    "ldapi://%2Fldapi": False,
    "ldaps://one ldap://two": True,
    "ldapi://%2Fldapi ldap://one": True,
    "ldaps://one ldap://[::1]": False,
}


@pytest.mark.parametrize("start_tls", [False, True])
@pytest.mark.parametrize("allow_plaintext", [False, True])
@pytest.mark.parametrize("bind", ["simple", "anonymous", "gssapi"])
@pytest.mark.parametrize("write_uri", [None, *_WAYS])
@pytest.mark.parametrize("uri", _WAYS)
def test_a_password_goes_out_in_clear_only_where_that_is_allowed(
    uri: str, write_uri: str | None, bind: str, allow_plaintext: bool, start_tls: bool
) -> None:
    """Every way to connect, to read and to write."""
    log_in = SIMPLE if bind == "simple" else MINIMUM
    given = {
        **log_in,
        "uri": uri,
        "write_uri": write_uri,
        "bind": bind,
        "allow_plaintext": allow_plaintext,
        "start_tls": start_tls,
    }
    uris = f"{uri} {write_uri or ''}"
    in_clear = _WAYS[uri] or _WAYS.get(write_uri or "", False)
    if bind == "gssapi" and "ldapi://" in uris:
        assert "Kerberos has tickets for names" in _complaint(**given)
    elif start_tls and "ldap://" not in uris:
        assert "start_tls: is for ldap://" in _complaint(**given)
    elif bind == "simple" and in_clear and not (start_tls or allow_plaintext):
        assert "would carry the password in clear" in _complaint(**given)
    else:
        assert load(**given).authentication == bind


@pytest.mark.parametrize("more", [{"start_tls": True}, {"allow_plaintext": True}])
def test_plain_text_can_be_allowed_or_made_tls(more: dict[str, Any]) -> None:
    """Both remedies that the error names are remedies."""
    assert load(**{**SIMPLE, "uri": "ldap://one", **more}).password() == SECRET


@pytest.mark.parametrize("bind", ["anonymous", "gssapi"])
def test_without_a_password_plain_text_is_no_matter(bind: str) -> None:
    """Nothing is given away where no password is sent."""
    assert load(uri="ldap://one", base_dn="dc=x", bind=bind).authentication == bind


# -- contradictions -------------------------------------------------------------------------


@pytest.fixture
def pem(tmp_path: Path) -> str:
    """Name a file that is there."""
    path = tmp_path / "some.pem"
    path.write_text("PEM")
    path.chmod(0o600)
    return str(path)


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        ({"bind": "simple"}, "bind: simple needs bind_dn; set it"),
        ({"bind": "simple", "bind_password": SECRET}, "bind: simple needs bind_dn; set it"),
        (
            {"bind_dn": "cn=a"},
            (
                "bind_password_file: the simple bind of bind_dn needs a password; "
                "set bind_password_file (better) or bind_password"
            ),
        ),
        (
            {"bind_dn": "cn=a", "bind_password": ""},
            "bind_password: is empty, which directories take for an anonymous bind; set a password",
        ),
        (
            {"bind_password": SECRET},
            "bind: anonymous takes no bind_password; remove it or set bind = 'simple' with bind_dn",
        ),
        (
            {"bind": "anonymous", "bind_dn": "cn=a", "bind_password": SECRET},
            (
                "bind: anonymous takes no bind_dn and no bind_password; "
                "remove them or set bind = 'simple'"
            ),
        ),
        (
            {"keytab_file": "PEM"},
            "keytab_file: is for bind = 'gssapi'; remove it or set that",
        ),
        (
            {"bind": "anonymous", "kerberos_principal": "a"},
            "kerberos_principal: is for bind = 'gssapi'; remove it or set that",
        ),
        (
            {"bind": "gssapi", "write_uri": "ldapi://%2Frun%2Fldapi"},
            "bind: gssapi to 'ldapi://%2Frun%2Fldapi' is not possible",
        ),
        (
            {"bind": "gssapi", "bind_dn": "cn=a"},
            "bind: gssapi takes no bind_dn; remove it or set bind = 'simple'",
        ),
        (
            {"bind": "external", "bind_password_file": "PEM"},
            "bind: external takes no bind_password_file; remove it or set bind = 'simple' with",
        ),
        (
            {"bind_dn": "cn=a", "bind_password": SECRET, "bind_password_file": "PEM"},
            "bind_password_file: contradicts bind_password; keep one of them",
        ),
        (
            {"bind": "external"},
            (
                "bind: external to 'ldaps://one.example.org' needs client_cert_file; "
                "set it or use ldapi://"
            ),
        ),
        ({"client_key_file": "PEM"}, "client_key_file: needs client_cert_file; set it"),
        (
            {"start_tls": True},
            "start_tls: is for ldap:// and no server in uri has it; remove it",
        ),
        (
            {"connect_timeout_seconds": 6},
            (
                "connect_timeout_seconds: 6 is longer than operation_timeout_seconds, 5, "
                "which it is part of; lower it"
            ),
        ),
    ],
)
def test_contradictions_are_refused(more: dict[str, Any], complaint: str, pem: str) -> None:
    """Two settings that cannot both be meant are named with the way out."""
    keywords = {name: pem if value == "PEM" else value for name, value in more.items()}
    assert complaint in _complaint(**MINIMUM, **keywords)


@pytest.mark.parametrize(
    "more",
    [
        {"bind": "external", "uri": "ldapi://%2Frun%2Fldapi"},
        {"bind": "external", "client_cert_file": "PEM"},
        {"bind": "external", "client_cert_file": "PEM", "client_key_file": "PEM"},
        {"bind": "simple", "bind_dn": "cn=a", "bind_password": SECRET},
        {"bind": "gssapi"},
        {"bind": "gssapi", "keytab_file": "PEM", "kerberos_principal": "svc/dc1@EXAMPLE.ORG"},
        {"ca_file": "PEM"},
        {"start_tls": True, "uri": "ldaps://one ldap://two"},
        {"start_tls": True, "write_uri": "ldap://two"},
        {"operation_timeout_seconds": 1},  # the default of the part gives way
        {"connect_timeout_seconds": 9, "operation_timeout_seconds": 10},
        {"watch": False},
    ],
)
def test_what_goes_together_is_taken(more: dict[str, Any], pem: str) -> None:
    """No sensible combination is refused."""
    keywords = {name: pem if value == "PEM" else value for name, value in more.items()}
    load(**{**MINIMUM, **keywords})


def test_the_bind_method_follows_from_what_is_given() -> None:
    """A DN means a simple bind, none an anonymous one."""
    assert load(**SIMPLE).authentication == "simple"
    assert load(**MINIMUM).authentication == "anonymous"
    assert load(**MINIMUM, bind="gssapi").authentication == "gssapi"


# -- passwords ------------------------------------------------------------------------------


def test_a_password_is_not_shown() -> None:
    """Neither text, nor representation, nor JSON, nor the field itself has it."""
    settings = load(**SIMPLE)
    assert isinstance(settings.bind_password, SecretStr)
    for shown in (
        str(settings),
        repr(settings),
        settings.model_dump_json(),
        str(settings.model_dump()),
        str(settings.bind_password),
        repr(settings.bind_password),
    ):
        assert SECRET not in shown
    assert settings.password() == SECRET


@pytest.mark.parametrize(
    "value", [[SECRET], {"password": SECRET}, 12345, SECRET.encode() + b"\xff"]
)
def test_a_password_of_the_wrong_kind_is_not_shown(value: Any) -> None:
    """An error about the password names the setting alone."""
    message = _complaint(**{**SIMPLE, "bind_password": value})
    assert "bind_password: " in message
    assert "12345" not in message


def test_a_password_is_in_no_error_about_other_settings(
    monkeypatch: pytest.MonkeyPatch, toml: Path
) -> None:
    """Whatever else is wrong, and wherever the password stands, it is not quoted."""
    wrong: dict[str, Any] = {"base_dn": "x", "page_size": 0, "uri": "http://one"}
    assert SECRET not in _complaint(**{**SIMPLE, **wrong})
    assert SECRET not in _complaint(**{**SIMPLE, "bind": "gssapi"})
    monkeypatch.setenv("LDAPDB_BIND_PASSWORD", SECRET)
    assert SECRET not in _complaint(**wrong)
    monkeypatch.delenv("LDAPDB_BIND_PASSWORD")
    toml.write_text(f'bind_password = "{SECRET}"\nbase_dn = "x"\n')
    toml.chmod(0o600)
    assert SECRET not in _complaint(config_file=str(toml))


@pytest.mark.parametrize("name", ["uri", "write_uri"])
@pytest.mark.parametrize(
    "uri",
    [
        f"ldaps://reader:{SECRET}@one",
        f"LDAPS://reader:{SECRET}@one",
        f"ldaps://reader:a@{SECRET}@one",
        f"ldaps://reader:{SECRET}/x@one",
        f"ldaps://reader:x/{SECRET}@one",
        f"ldaps://reader:{SECRET}#x@one",
        f"ldaps://reader:x#{SECRET}@one",
        f"ldaps://reader:x?{SECRET}@one",
        f"ldaps://{SECRET}@one",
        f"ldaps://reader:{SECRET}\u2100@one",  # which urlsplit refuses, quoting it
        f"http://reader:{SECRET}@one",
        f"reader:{SECRET}@one",
        f"reader:a/{SECRET}@one",
    ],
)
def test_a_log_in_in_front_of_the_server_is_hidden(name: str, uri: str) -> None:
    """A URI with a user and a password is refused, and neither is quoted."""
    message = _complaint(**{**MINIMUM, name: uri})
    assert message.startswith(f"wrong settings: {name}: ")
    assert "reader" not in message
    assert "***@one" in message
    if "@" in uri:
        assert "use bind_dn and bind_password" in message


@pytest.mark.parametrize("name", ["uri", "base_dn", "page_size", "users_filter"])
@pytest.mark.parametrize("value", [{"password": SECRET}, [[SECRET]]])
def test_what_is_in_a_table_or_a_list_is_not_quoted(name: str, value: Any) -> None:
    """A value of the wrong kind may have a password in it that nobody can tell."""
    assert name in _complaint(**{**MINIMUM, name: value})


def test_a_log_in_in_the_wrong_setting_is_hidden_too() -> None:
    """A URI that was put under another name is not quoted whole."""
    message = _complaint(**{**MINIMUM, "base_dn": f"ldaps://reader:{SECRET}@one/dc=x"})
    assert "***@one" in message


def _password_file(path: Path, content: bytes, mode: int = 0o600) -> Settings:
    path.write_bytes(content)
    path.chmod(mode)
    return load(**MINIMUM, bind_dn="cn=a", bind_password_file=str(path))


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"S3cret-pa55", "S3cret-pa55"),
        (b"S3cret-pa55\n", "S3cret-pa55"),
        (b"S3cret-pa55\r\n", "S3cret-pa55"),
        (b"S3cret-pa55\n# of the reader\n", "S3cret-pa55"),
        (b" with spaces \n", " with spaces "),
        ("Schlüssel\n".encode(), "Schlüssel"),
    ],
)
def test_a_password_is_the_file_s_first_line(tmp_path: Path, content: bytes, password: str) -> None:
    """The end of the line is not part of it; spaces are."""
    assert _password_file(tmp_path / "secret", content).password() == password


def test_a_password_is_read_when_it_is_needed(tmp_path: Path) -> None:
    """A file that was given a new password is read anew at the next log-in."""
    settings = _password_file(tmp_path / "secret", b"first")
    assert settings.password() == "first"
    (tmp_path / "secret").write_text("second")
    assert settings.password() == "second"


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_password_file_is_read(tmp_path: Path, mode: int) -> None:
    """What only its owner may read is private."""
    assert _password_file(tmp_path / "secret", b"x", mode).password() == "x"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602, 0o601, 0o610])
def test_a_password_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    """The error says how to close it."""
    path = tmp_path / "secret"
    settings = _password_file(path, SECRET.encode(), mode)
    with pytest.raises(
        SettingsError, match=f"can be read or changed by others; run: chmod 600 {path}"
    ):
        settings.password()


def test_a_link_is_as_private_as_what_it_leads_to(tmp_path: Path) -> None:
    """A link has no mode of its own."""
    settings = _password_file(tmp_path / "secret", b"x", 0o644)
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    settings = load(**MINIMUM, bind_dn="cn=a", bind_password_file=tmp_path / "link")
    with pytest.raises(SettingsError, match=r"link' can be read or changed by others"):
        settings.password()
    (tmp_path / "secret").chmod(0o600)
    assert settings.password() == "x"


@pytest.mark.parametrize("through_link", [False, True])
def test_a_password_file_that_others_may_replace_is_refused(
    tmp_path: Path, through_link: bool
) -> None:
    """Where everybody may rename files, one of another server's may be put there."""
    folder = tmp_path / "open"
    folder.mkdir()
    path = folder / "secret"
    path.write_text("x")
    path.chmod(0o600)
    if through_link:
        path = tmp_path / "link"
        path.symlink_to(folder / "secret")
    folder.chmod(0o777)
    settings = load(**MINIMUM, bind_dn="cn=a", bind_password_file=path)
    with pytest.raises(SettingsError, match=f"can be replaced by others; run: chmod o-w {folder}"):
        settings.password()
    folder.chmod(0o1777)  # as of /tmp: only the owner may rename
    assert settings.password() == "x"


@pytest.fixture
def credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file where systemd puts the credentials of a service, with the modes that it shows."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    path = folder / "ldap"
    path.write_text("x\n")
    path.chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    return path


def test_the_group_may_read_what_systemd_hands_over(credential: Path) -> None:
    """An access control list shows as the group's rights, and gives none to the group."""
    assert load(**MINIMUM, bind_dn="cn=a", bind_password_file=credential).password() == "x"


@pytest.mark.parametrize("mode", [0o444, 0o460, 0o450])
def test_systemd_s_files_are_no_more_open_than_that(credential: Path, mode: int) -> None:
    """Everybody may not read them, nor may the group do anything else."""
    credential.chmod(mode)
    settings = load(**MINIMUM, bind_dn="cn=a", bind_password_file=credential)
    with pytest.raises(SettingsError, match="chmod 600"):
        settings.password()


def test_no_other_file_may_be_read_by_the_group(credential: Path, tmp_path: Path) -> None:
    """Neither one beside systemd's folder, nor one that a link in it leads to."""
    outside = tmp_path / "secret"
    outside.write_text("x")
    outside.chmod(0o440)
    link = credential.parent / "link"
    link.symlink_to(outside)
    for path in (outside, link):
        settings = load(**MINIMUM, bind_dn="cn=a", bind_password_file=path)
        with pytest.raises(SettingsError, match="chmod 600"):
            settings.password()


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n", b"\nS3cret-pa55\n"])
def test_an_empty_password_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """An empty password would be an anonymous bind (RFC 4513, section 5.1.2)."""
    settings = _password_file(tmp_path / "secret", content)
    with pytest.raises(SettingsError, match="has an empty first line") as caught:
        settings.password()
    assert SECRET not in str(caught.value)


def test_a_password_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """The error names the file, and no octet of it but the one in the way."""
    settings = _password_file(tmp_path / "secret", SECRET.encode() + b"\xff")
    with pytest.raises(SettingsError, match=r"bind_password_file '.*secret'") as caught:
        settings.password()
    assert SECRET not in str(caught.value)


def test_a_password_file_that_has_gone_is_refused(tmp_path: Path) -> None:
    """A file that vanished after the start is an error of the settings, and named."""
    settings = _password_file(tmp_path / "secret", b"x")
    (tmp_path / "secret").unlink()
    with pytest.raises(SettingsError, match=r"bind_password_file '.*secret'"):
        settings.password()


def test_a_private_file_that_is_gone_is_a_mistake_and_no_outage(tmp_path: Path) -> None:
    """A key or a keytab may vanish while the process runs."""
    with pytest.raises(SettingsError, match=r"client_key_file .*No such file"):
        check_private(tmp_path / "gone.key", "client_key_file")


def test_other_programs_get_no_password_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    from ldapdb.settings import environment_for_others

    monkeypatch.setenv("LDAPDB_BIND_PASSWORD", "secret")
    monkeypatch.setenv("ldapdb_bind_password", "secret")
    monkeypatch.setenv("LDAPDB_URI", "ldap://one")
    given = environment_for_others()
    assert given["LDAPDB_URI"] == "ldap://one"
    assert "secret" not in given.values()
