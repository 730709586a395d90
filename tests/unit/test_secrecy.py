"""No secret in an error, its causes, or the variables of its calls, however it was given."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from ldapdb import LDAPDatabase, errors
from ldapdb.migrate.csv_source import CSVSource
from ldapdb.migrate.sql_source import SQLSource
from ldapdb.secrecy import chain, wipe, wiped
from ldapdb.settings import load

SECRET = "Hush5ecret"
NUMBER = 918273645
GOOD = {"uri": "ldap://localhost", "base_dn": "dc=example,dc=org"}
SERVICE = {**GOOD, "bind_dn": "cn=reader,dc=example,dc=org"}


def shown(error: BaseException) -> str:
    """Return all that an error reporter may print, from the first call of ldapdb's on."""
    frames = error.__traceback__
    while frames is not None and "/ldapdb/" not in frames.tb_frame.f_code.co_filename:
        frames = frames.tb_next
    assert frames is not None, "ldapdb did not raise it"
    error.__traceback__ = frames
    return "\n".join(_everything(error))


def _everything(error: BaseException) -> Iterator[str]:
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    yield "".join(told.format())
    for each in chain(error):
        yield f"{each!r} {each} {each.args!r} {vars(each)!r}"
        for frame, _ in traceback.walk_tb(each.__traceback__):
            for value in frame.f_locals.values():
                yield repr(value)
                if not isinstance(value, SecretStr):
                    yield repr(getattr(value, "__dict__", ""))


# What is given, by what is wrong with it.
WRONG: dict[str, dict[str, Any]] = {
    "misspelt": {**SERVICE, "bind_pasword": SECRET},
    "quite another name": {**SERVICE, "password": SECRET},
    "in a table": {**SERVICE, "bind": {"password": SECRET}},
    "a number": {**SERVICE, "bind_password": NUMBER},
    "a list": {**SERVICE, "bind_password": [SECRET]},
    "a mapping": {**SERVICE, "bind_password": {"value": SECRET}},
    "in the URI": {**SERVICE, "uri": f"ldap://reader:{SECRET}@localhost"},
    "in a URI with a DN": {**SERVICE, "uri": f"ldap://cn=reader,dc=x:{SECRET}@localhost"},
    "in a URI without slashes": {**SERVICE, "uri": f"reader:{SECRET}@localhost"},
    "in a URI with a space": {**SERVICE, "uri": f"ldap://reader:{SECRET} x@localhost"},
    "in one of the URIs": {**SERVICE, "uri": ["ldap://localhost", f"ldaps://a:{SECRET}@b"]},
    "in write_uri": {**SERVICE, "write_uri": f"ldap://reader:{SECRET}@localhost"},
    "behind the DN": {**GOOD, "bind_dn": f"reader:{SECRET}", "bind_password": "x"},
    "as the method": {**SERVICE, "bind": SECRET},
    "as the file": {**SERVICE, "bind_password_file": SECRET},
    "as the key": {**GOOD, "client_key_file": f"-----BEGIN KEY-----\n{SECRET}\n"},
    "twice": {**SERVICE, "bind_password": SECRET, "bind_password_file": "/etc/hostname"},
    "beside a wrong base": {**SERVICE, "bind_password": SECRET, "base_dn": "none"},
    "beside a wrong method": {**SERVICE, "bind_password": SECRET, "bind": "gssapi"},
    "beside an unknown name": {**SERVICE, "bind_password": SECRET, "tls": True},
    "over a plain connection": {**SERVICE, "bind_password": SECRET, "uri": "ldap://far"},
}
BYTES = {**SERVICE, "bind_password": SECRET.encode() + b"\xff"}
BROKEN_TOML = (
    f'bind_password = "{SECRET}',
    f"bind_password = {SECRET}",
    f'bind_password "{SECRET}"',
    f'bind_password = "{SECRET}"\nbind_password = "{SECRET}"',
    f'bind_password = "{SECRET}" {SECRET}',
    f'bind_password = "{SECRET}\\q"',
)


def _by_keywords(given: dict[str, Any], _: Path, __: pytest.MonkeyPatch) -> None:
    LDAPDatabase(**given)


def _by_load(given: dict[str, Any], _: Path, __: pytest.MonkeyPatch) -> None:
    load(**given)


def _by_environment(given: dict[str, Any], _: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in given.items():
        text = value if isinstance(value, str) else json.dumps(value)
        monkeypatch.setenv(f"LDAPDB_{name.upper()}", text)
    LDAPDatabase()


def _by_file(given: dict[str, Any], folder: Path, _: pytest.MonkeyPatch) -> None:
    LDAPDatabase(config_file=_written(folder, _toml(given)))


def _by_profile(given: dict[str, Any], folder: Path, _: pytest.MonkeyPatch) -> None:
    text = f"[profiles.test]\n{_toml(given)}"
    LDAPDatabase(config_file=_written(folder, text), profile="test")


def _by_nested_keywords(given: dict[str, Any], _: Path, __: pytest.MonkeyPatch) -> None:
    LDAPDatabase(**GOOD, profiles={"test": given})


def _toml(given: dict[str, Any]) -> str:
    def said(value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{name} = {said(each)}" for name, each in value.items()) + "}"
        return json.dumps(value)

    return "".join(f"{name} = {said(value)}\n" for name, value in given.items())


def _written(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "ldapdb.toml"
    file.touch(mode=mode)
    file.write_text(text, encoding="utf-8")
    return file


WAYS = (_by_keywords, _by_load, _by_environment, _by_file, _by_profile, _by_nested_keywords)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.strip("_"))
@pytest.mark.parametrize("what", WRONG)
def test_wrong_settings_show_no_secret(
    what: str,
    way: Callable[[dict[str, Any], Path, pytest.MonkeyPatch], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if what in ("a number", "a list", "a mapping") and way is _by_environment:
        pytest.skip("what is in the environment is text, and a password")
    with pytest.raises(errors.SettingsError) as caught:
        way(dict(WRONG[what]), tmp_path, monkeypatch)
    _assert_hidden(caught.value, capfd)


def _assert_hidden(error: BaseException, capfd: pytest.CaptureFixture[str]) -> None:
    output = capfd.readouterr()
    for secret in (SECRET, str(NUMBER)):
        assert secret not in shown(error) + output.out + output.err


def test_octets_show_no_secret(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(errors.SettingsError) as caught:
        LDAPDatabase(**BYTES)
    _assert_hidden(caught.value, capfd)


@pytest.mark.parametrize("text", BROKEN_TOML)
def test_broken_toml_shows_no_secret(
    text: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(errors.SettingsError) as caught:
        LDAPDatabase(config_file=_written(tmp_path, f"{text}\n"))
    _assert_hidden(caught.value, capfd)


def test_an_open_toml_file_shows_no_secret(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = _written(tmp_path, _toml({**SERVICE, "bind_password": SECRET}))
    file.chmod(0o644)
    with pytest.raises(errors.SettingsError, match="chmod 600") as caught:
        LDAPDatabase(config_file=file)
    _assert_hidden(caught.value, capfd)


@pytest.mark.parametrize("content", [b"\n", b"\xff\n", b"\0\n", b" " * (1 << 20)])
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_bad_password_files_show_no_secret(
    content: bytes, mode: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Open to others, binary, or huge."""
    file = tmp_path / "password"
    file.touch(mode=0o600)
    file.write_bytes(SECRET.encode() * (content != b"\n") + content + SECRET.encode())
    file.chmod(mode)
    with pytest.raises(errors.LDAPDBError) as caught:
        LDAPDatabase(**{**SERVICE, "uri": "ldap://127.0.0.1:1"}, bind_password_file=file)
    _assert_hidden(caught.value, capfd)


def test_a_folder_is_no_password_file(tmp_path: Path) -> None:
    with pytest.raises(errors.SettingsError, match="no such file"):
        LDAPDatabase(**SERVICE, bind_password_file=tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        f"sqlite:///{SECRET}/none.db?password={SECRET}".replace(f"///{SECRET}", "///srv"),
        f"nothing://user:{SECRET}@server/name",
        f"postgresql+none://user:{SECRET}@server/name",
        f"user:{SECRET}@server/name",
        f"postgresql://user:{SECRET}@server:port/name",
    ],
)
def test_database_urls_show_no_secret(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(errors.LDAPDBError) as caught:
        SQLSource(url)
    _assert_hidden(caught.value, capfd)


def test_rows_of_a_file_show_no_licence(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rights.csv"
    file.write_bytes(f"user.name,{SECRET}\n".encode() + b"\xff\n")
    for content in (
        b"user.name,application.image,policy.app_license\na,b," + SECRET.encode() + b"\xff\n",
        b"user.name,application.image,policy.app_license\na,b," + SECRET.encode() + b",c\n",
    ):
        file.write_bytes(content)
        with pytest.raises(errors.LDAPDBError) as caught:
            list(CSVSource(str(file)).rows())
        _assert_hidden(caught.value, capfd)


def test_errors_keep_their_lines() -> None:
    """Of the calls, only the variables are gone."""
    outer = _failing(SECRET)
    try:
        outer(SECRET)
    except ValueError as error:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        lines = "".join(told.format())
        assert "in _raise" in lines
        assert SECRET not in "".join(f"{each.locals}" for each in list(told.stack)[1:])


def _failing(_: str) -> Callable[[str], None]:
    @wiped
    def outer(secret: str) -> None:
        _raise(secret)

    return outer


def _raise(secret: str) -> None:
    del_me = secret
    raise ValueError("wrong", len(del_me))


def test_what_the_caller_handles_is_left_alone() -> None:
    try:
        _raise("first")
    except ValueError as first:
        with pytest.raises(ValueError, match="wrong"):
            _failing("")("second")
        frames = [frame for frame, _ in traceback.walk_tb(first.__traceback__)]
        assert frames[-1].f_locals["secret"] == "first"


def test_circles_of_causes_end() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__context__ = second, first
    assert list(chain(wipe(first))) == [first, second]
