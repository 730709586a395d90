"""compose/host/: what an operator copies is valid, safe, and explained."""

from __future__ import annotations

import ast
import io
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ldapdb.settings import load
from support.host_files import HOST, read, with_block

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "deployment.md"
FILES = sorted(HOST.glob("*.py"))
REMOTEAPPMANAGER = sorted(HOST.glob("remoteappmanager_*.py"))
HUB = sorted(HOST.glob("jupyterhub_*.py"))


def executed(file: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> dict[str, Any]:
    """Execute a file as the host's process of that name does."""
    monkeypatch.setattr(sys, "argv", [f"/opt/host/bin/{program}"])
    names: dict[str, Any] = {"__name__": "config"}
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), names)
    return names


class Recorded(SimpleNamespace):
    """The object c: it takes any section, and each keeps what is set."""

    def __getattr__(self, name: str) -> Recorded:
        if name.startswith("_"):
            raise AttributeError(name)
        made = Recorded()
        setattr(self, name, made)
        return made


class Refused(Exception):
    """What the hub shows with a status instead of a page."""


def hub(text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Execute a configuration of JupyterHub's, whose packages are not here."""
    brought: dict[str, dict[str, Any]] = {
        "ldapauthenticator": {"LDAPAuthenticator": object},
        "tornado.web": {"HTTPError": Refused},
    }
    for module, names in brought.items():
        monkeypatch.setitem(sys.modules, module, SimpleNamespace(**names))
    for name in ("oidc-secret", "reader.pw"):
        (tmp_path / name).write_text("not-a-secret\n", encoding="utf-8")
        text = text.replace(f"/etc/jupyterhub/{name}", str(tmp_path / name))
    known: dict[str, Any] = {
        "get_config": Recorded,
        "open": lambda path: io.StringIO(Path(path).read_text(encoding="utf-8")),
        "__name__": "config",
    }
    exec(compile(text, "jupyterhub_config.py", "exec"), known)
    return known


def test_there_is_a_file_for_each_spawner_and_each_log_in() -> None:
    assert [each.stem for each in FILES] == [
        *("jupyterhub_ldap", "jupyterhub_sso", "remoteappmanager_system"),
        "remoteappmanager_virtual",
    ]


@pytest.mark.parametrize("program", ["remoteappmanager", "remoteappadmin"])
@pytest.mark.parametrize("file", REMOTEAPPMANAGER, ids=lambda file: file.stem)
def test_the_keywords_are_settings_of_ours(
    file: Path, program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An unknown name or a value that does not fit would be an error."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".remoteapp-writer.pw").touch(mode=0o600)
    for home in (str(tmp_path), "/nonexistent"):
        monkeypatch.setenv("HOME", home)
        config = executed(file, monkeypatch, program)
        assert config["database_class"] == "ldapdb.LDAPDatabase"
        assert config["auto_user_creation"] is False
        load(**on_this_machine(config["database_kwargs"], tmp_path))


def on_this_machine(kwargs: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Let files that they name be there."""
    for name in ("ca_file", "bind_password_file"):
        if name in kwargs:
            file = folder / Path(kwargs[name]).name
            file.touch(mode=0o600)
            kwargs = {**kwargs, name: str(file)}
    return kwargs


def test_an_unknown_keyword_would_be_found() -> None:
    """The test above can fail."""
    with pytest.raises(Exception, match="user_name_atribute"):
        load(uri="ldaps://a", base_dn="dc=a", user_name_atribute="uid")


def test_only_an_administrators_process_is_given_the_writer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = HOST / "remoteappmanager_virtual.py"
    users = executed(file, monkeypatch, "remoteappmanager")["database_kwargs"]
    admins = executed(file, monkeypatch, "remoteappadmin")["database_kwargs"]
    names = ("bind_dn", "bind_password_file")
    assert all("reader" in users[name] for name in names)
    assert all("writer" in admins[name] for name in names)
    assert (users["read_only"], admins["read_only"]) == (True, False)


def test_a_users_own_process_is_given_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever it can read, the user can read."""
    monkeypatch.setenv("HOME", str(tmp_path))
    file = HOST / "remoteappmanager_system.py"
    kwargs = executed(file, monkeypatch, "remoteappmanager")["database_kwargs"]
    assert kwargs["bind"] == "external"
    assert not any("password" in name or "key" in name for name in kwargs)
    (tmp_path / ".remoteapp-writer.pw").touch(mode=0o600)
    kwargs = executed(file, monkeypatch, "remoteappadmin")["database_kwargs"]
    assert kwargs["bind_password_file"].startswith(str(tmp_path))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_password_is_in_a_file(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert not re.search(r"bind_password[\"']?\s*[:=]", text)
    assert not re.search(r"client_secret\s*=\s*[\"']", text)


@pytest.mark.parametrize("file", HUB, ids=lambda file: file.stem)
def test_the_hub_takes_the_file_of_its_spawner(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    c = hub(read(file.name), monkeypatch, tmp_path)["c"]
    spawner = c.JupyterHub.spawner_class.rpartition(".")[2]
    path = Path(getattr(c, spawner).config_file_path)
    assert (HOST / path.name).exists()
    for name in re.findall(r"remoteappmanager_\w+\.py", file.read_text(encoding="utf-8")):
        assert (HOST / name).exists()


def test_sso_names_a_user_as_the_directory_does_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By uid, mail or UPN; an address that is not verified names nobody."""
    names = hub(read("jupyterhub_sso.py"), monkeypatch, tmp_path)
    claims = {
        "preferred_username": "alice",
        "email": "a@example.org",
        "email_verified": True,
        "upn": "alice@EXAMPLE",
    }
    expected = {"uid": "alice", "mail": "a@example.org", "userPrincipalName": "alice@EXAMPLE"}
    for attribute, name in expected.items():
        names["USER_NAME_ATTRIBUTE"] = attribute
        assert names["user_name"](claims) == name
        with pytest.raises(Refused):
            names["user_name"]({})
        for said in (None, "", "a/b", "a\nb", "alice\n", "a b", "<b>", "\u017fam", "-a", ["a"], 7):
            with pytest.raises(Refused):
                names["user_name"](dict.fromkeys(claims, said))
    names["USER_NAME_ATTRIBUTE"] = "mail"
    for verified in (False, None, "true", "false", 1):
        with pytest.raises(Refused):
            names["user_name"]({**claims, "email_verified": verified})


@pytest.mark.parametrize("file", HUB, ids=lambda file: file.stem)
def test_nobody_logs_in_by_the_name_of_a_service(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """SystemUserSpawner would start a process as that account."""
    refused = hub(read(file.name), monkeypatch, tmp_path)["c"].Authenticator.blacklist
    assert {"root", "daemon", "nobody"} <= refused


@pytest.fixture
def block(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], dict[str, Any]]:
    """Take a block that is commented out; return what is set of the LDAP log-in then."""

    def take(begin: str) -> dict[str, Any]:
        c = hub(with_block("jupyterhub_ldap.py", begin), monkeypatch, tmp_path)["c"]
        settings: dict[str, Any] = vars(c.LDAPAuthenticator)
        return settings

    return take


def accepts(settings: dict[str, Any], name: str) -> bool:
    """Tell whether the hub tries a name at all; it calls re.match."""
    return re.match(settings["valid_username_regex"], name) is not None


def test_a_plain_name_is_tried_and_nothing_that_means_something_in_a_dn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = vars(hub(read("jupyterhub_ldap.py"), monkeypatch, tmp_path)["c"].LDAPAuthenticator)
    assert accepts(settings, "alice.a-b_c1")
    assert accepts(settings, "Dieter")
    for name in (
        "",
        "alice\n",
        "alice@example.org",
        "alice,ou=x",
        "alice+cn=x",
        "*",
        "a(b",
        "a\\2a",
        "\u017fam",
    ):
        assert not accepts(settings, name), name


def test_the_block_for_addresses_lets_them_in_and_looks_the_person_up(
    block: Callable[[str], dict[str, Any]],
) -> None:
    """Every address is refused by the line that it replaces; no name changes a filter."""
    settings = block("By address")
    assert accepts(settings, "alice.andersson+hub@mail.example.org")
    assert accepts(settings, "Alice@Example.org")
    for name in (
        "alice",
        "*@example.org",
        "a)(uid=*@b.org",
        "a@b)(uid=*",
        "a\\2a@b",
        "a@b\n",
    ):
        assert not accepts(settings, name), name
    assert settings["lookup_dn"] is True
    assert settings["bind_dn_template"] == []
    assert settings["user_attribute"] == settings["lookup_dn_user_dn_attribute"] == "mail"
    assert settings["lookup_dn_search_user"].startswith("cn=remoteapp-reader,")
    assert settings["lookup_dn_search_password"] == "not-a-secret"
    assert settings["escape_userdn"] is False


def test_the_block_for_upns_lets_them_in_as_they_are(
    block: Callable[[str], dict[str, Any]],
) -> None:
    settings = block("By UPN")
    assert accepts(settings, "alice@example.org")
    for name in ("alice", "alice)(cn=*@example.org", "alice@example.org\n"):
        assert not accepts(settings, name), name
    assert settings["bind_dn_template"].format(username="a@b.org") == "a@b.org"


def assigned(file: Path) -> set[str]:
    """Return the names of all settings in a file, also in lines that are commented out."""
    text = re.sub(r"^# (c\.)", r"\1", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = set(re.findall(r"^c\.(\w+\.\w+) =", text, flags=re.MULTILINE))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Dict) and file in REMOTEAPPMANAGER:
            found |= {str(key.value) for key in node.keys if isinstance(key, ast.Constant)}
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "database_kwargs.update":
            found |= {str(keyword.arg) for keyword in node.keywords}
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_line_is_explained(file: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert f"compose/host/{file.name}" in page
    settings = assigned(file)
    assert len(settings) > 5
    assert [name for name in sorted(settings) if f"`{name}`" not in page] == []
