"""Rejected logins: sent once and not with every call, and named for what they are."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import SambaAD

from ldapdb import LDAPDatabase, errors
from ldapdb.attempts import Attempts
from ldapdb.cli import run
from ldapdb.cli.check import exit_code
from ldapdb.client.logins import LOGINS
from ldapdb.embedded import ldif_folder
from ldapdb.shared import Kept
from ldapdb.store.checking import Finding, Level, check
from support import Another, Directory, Private
from support.openldap import PPOLICY
from support.waiting import eventually

pytestmark = pytest.mark.live(
    "openldap", "389ds", "ad", reason="how rights are written is no matter of logins"
)

on_openldap = pytest.mark.live("openldap", reason="slapd is set up in a moment")
PASSWORD = "Secret-1"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A password file with a wrong password."""
    file = tmp_path / "password"
    file.touch(mode=0o600)
    file.write_text("wrong\n", encoding="ascii")
    return file


def rejections(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each for each in caplog.messages if "rejected the login" in each]


def test_twelve_page_views_send_one_password(
    directory: Directory, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The host makes a database at each request until that succeeds; then it is tried at once."""
    settings: dict[str, Any] = {"bind_password": None, "bind_password_file": file}
    with directory.operations() as seen:
        for _ in range(12):
            with pytest.raises(
                errors.CredentialsRejected, match=r"not sent again before 20.*touch"
            ):
                directory.open(counted=True, **settings)
        assert seen.count("BIND") == 1
        assert len(rejections(caplog)) == 1
        file.write_text(f"{directory.server.password}\n", encoding="ascii")
        assert directory.open(counted=True, **settings).list_users() == []
        assert seen.count("BIND") == 2


def test_a_password_in_keywords_is_sent_once(directory: Directory) -> None:
    """Known by the object that the host gives again and again."""
    wrong = "wrong-password"
    with directory.operations() as seen:
        for _ in range(5):
            with pytest.raises(errors.CredentialsRejected, match="restart the process"):
                directory.open(counted=True, bind_password=wrong)
        assert seen.count("BIND") == 1
        directory.open(counted=True)


@pytest.mark.lengthy
def test_old_answers_serve_while_rejected(
    directory: Directory, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Calls and the watch send one login together, and a corrected file is tried at once."""
    directory.person("alice")
    file.write_text(f"{directory.server.password}\n", encoding="ascii")
    database = directory.open(
        counted=True,
        bind_password=None,
        bind_password_file=file,
        cache_ttl_seconds=0.05,
        watch=True,
        watch_poll_seconds=0.2,
    )
    assert eventually(lambda: database.watch_info().state.value == "live")
    alice = database.get_user(user_name="alice")  # what was known before is forgotten
    file.write_text("wrong\n", encoding="ascii")
    caplog.clear()
    with directory.operations() as seen:
        directory.proxy().cut()
        directory.proxy().behave()
        assert eventually(lambda: rejections(caplog))
        for _ in range(12):
            time.sleep(0.06)
            assert database.get_user(user_name="alice") == alice
        with pytest.raises(errors.CredentialsRejected, match="not sent again"):
            database.list_applications()
        with pytest.raises(errors.CredentialsRejected):
            database.create_application("a/b")
        assert seen.count("BIND") == 1
        file.write_text(f"{directory.server.password}\n", encoding="ascii")
        assert database.list_applications() == []
    assert len([each for each in rejections(caplog) if "for now" not in each]) == 1


@on_openldap
def test_a_second_server_decides(
    another_directory: Another, private: Private, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where it accepts the password, the first is down; it is not asked with every call."""
    reader = private.person("reader", attributes={"userPassword": [PASSWORD]})
    file.write_text(f"{PASSWORD}\n", encoding="ascii")
    with another_directory() as late:
        late.person("reader", attributes={"userPassword": ["old"]})
        settings: dict[str, Any] = {
            "bind_dn": reader,
            "bind_password": None,
            "bind_password_file": file,
        }
        uris = [late.proxy().uri, private.server.uri]
        with late.operations() as seen:
            for _ in range(4):
                private.open(uri=uris, **settings).list_users()
            assert seen.count("BIND") == 1
        assert len(rejections(caplog)) == 1
        file.write_text("other\n", encoding="ascii")
        with (
            late.operations() as seen,
            pytest.raises(errors.CredentialsRejected, match="no server"),
        ):
            private.open(uri=uris, **settings)
        assert seen.count("BIND") == 1


@on_openldap
@pytest.mark.lengthy
def test_no_command_locks_the_account(
    private: Private, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted by the server itself: pwdFailureTime has one value for each wrong password."""
    reader = private.person("reader", attributes={"userPassword": [PASSWORD]})
    _set_up_policy(private, reader, "pwdMaxFailure: 5")
    kwargs = private.database_kwargs(bind_dn=reader, bind_password_file=file)
    del kwargs["bind_password"]
    kwargs["uri"] = f"{private.server.uri},{private.proxy().uri}"
    kwargs["write_uri"] = private.server.uri
    for name, value in kwargs.items():
        monkeypatch.setenv(f"LDAPDB_{name.upper()}", str(value))
    for command in (
        ("check",),
        ("check", "--write"),
        ("user", "list"),
        ("app", "create", "a/b", "--no-verify"),
        ("lint",),
    ):
        assert run(command) in (1, 2), command
    assert len(_values(private, reader, "pwdFailureTime")) == 2


@on_openldap
@pytest.mark.lengthy
def test_threads_send_one_password(private: Private, file: Path) -> None:
    """Eight that reconnect at the same moment do not lock the account."""
    import threading

    reader = private.person("reader", attributes={"userPassword": [PASSWORD]})
    _set_up_policy(private, reader, "pwdMaxFailure: 5")
    found: list[str] = []

    def ask() -> None:
        try:
            private.open(bind_dn=reader, bind_password=None, bind_password_file=file)
        except errors.CredentialsRejected as error:
            found.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 8
    assert len(_values(private, reader, "pwdFailureTime")) == 1


# --- what a rejection means


def rejected(
    directory: Directory,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    **settings: Any,
) -> Finding:
    """Log in by a call, by a command and by a check, which all say the same; return the last."""
    with pytest.raises(errors.CredentialsRejected, match=said) as caught:
        directory.open(**settings)
    assert isinstance(caught.value, errors.SettingsError)
    kwargs = directory.database_kwargs(**settings)
    for name, value in kwargs.items():
        if value is not None:
            monkeypatch.setenv(f"LDAPDB_{name.upper()}", str(value))
    assert run(["user", "list"]) == 2
    assert said.split(".*", maxsplit=1)[0] in capsys.readouterr().err
    found = list(check(directory.settings(**settings), ldif_folder(), write=False))
    assert exit_code(found, strict=False) == 1
    [finding] = [each for each in found if each.level is Level.PROBLEM]
    assert finding.check == "account"
    assert said.split(".*", maxsplit=1)[0] in finding.text
    assert "nc " not in finding.remedy
    return finding


def _set_up_policy(private: Private, account: str, *lines: str) -> None:
    """Load the overlay ppolicy, and have it keep an account by a policy of these lines."""
    command = ["ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", private.server.socket_uri]
    subprocess.run(command, input=PPOLICY, text=True, capture_output=True, check=True)
    policy = f"cn=policy,{private.base_dn}"
    private.add(
        f"dn: {policy}\nobjectClass: device\nobjectClass: pwdPolicy\ncn: policy\n"
        "pwdAttribute: userPassword\npwdLockout: TRUE\n" + "".join(f"{each}\n" for each in lines)
    )
    private.change(account, "add: pwdPolicySubentry", f"pwdPolicySubentry: {policy}")


def _values(private: Private, dn: str, attribute: str) -> list[str]:
    command = ["ldapsearch", "-LLL", "-x", "-H", private.server.uri, "-D", private.server.admin_dn]
    command += ["-w", private.server.password, "-b", dn, "-s", "base", attribute]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [each for each in done.stdout.splitlines() if each.startswith(f"{attribute}: ")]


@on_openldap
@pytest.mark.parametrize(
    ("lines", "change", "said"),
    [
        (
            ("pwdMustChange: TRUE",),
            ("add: pwdReset", "pwdReset: TRUE"),
            "demands that the account changes its password first",
        ),
        (
            ("pwdMaxFailure: 3",),
            ("add: pwdAccountLockedTime", "pwdAccountLockedTime: 000001010000Z"),
            "check bind_dn and its password",  # slapd does not tell a locked account
        ),
    ],
)
def test_openldap_names_its_policy(
    private: Private,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    lines: tuple[str, ...],
    change: tuple[str, ...],
    said: str,
) -> None:
    reader = private.person("reader", attributes={"userPassword": [PASSWORD]})
    _set_up_policy(private, reader, *lines)
    private.change(reader, *change)
    settings = {"bind_dn": reader, "bind_password": PASSWORD}
    finding = rejected(private, capsys, monkeypatch, said, **settings)
    assert finding.remedy.startswith("ldapwhoami")


@on_openldap
def test_a_demand_for_tls_is_named(
    private: Private, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", private.server.socket_uri]
    security = (
        "dn: cn=config\nchangetype: modify\nreplace: olcSecurity\nolcSecurity: simple_bind=128\n"
    )
    subprocess.run(command, input=security, text=True, capture_output=True, check=True)
    finding = rejected(private, capsys, monkeypatch, "demands TLS")
    assert finding.remedy == "export LDAPDB_START_TLS=true"


@contextlib.contextmanager
def configured(directory: Directory, **settings: str) -> Iterator[None]:
    """Set up the password policy of a 389 Directory Server, and take it back."""
    lines = [
        line for each in settings.items() for line in (f"replace: {each[0]}", ": ".join(each), "-")
    ]
    directory.change("cn=config", *lines[:-1])
    try:
        yield
    finally:
        off = [line for name in settings for line in (f"replace: {name}", f"{name}: off", "-")]
        directory.change("cn=config", *off[:-1])


def _locked(directory: Directory, reader: str) -> None:
    directory.change(reader, "replace: nsAccountLock", "nsAccountLock: true")


def _guessed(directory: Directory, reader: str) -> None:
    command = ["ldapwhoami", "-x", "-H", directory.server.uri, "-D", reader, "-w", "wrong"]
    for _ in range(4):
        subprocess.run(command, capture_output=True, check=False)


def _reset(directory: Directory, reader: str) -> None:
    directory.change(reader, "replace: userPassword", f"userPassword: {PASSWORD}")


@pytest.mark.live("389ds", reason="its own codes")
@pytest.mark.parametrize(
    ("policy", "spoil", "said"),
    [
        ({}, _locked, "is unwilling to let this account log in.*inactivated"),
        ({"passwordLockout": "on"}, _guessed, "locked"),
        ({"passwordMustChange": "on"}, _reset, "demands that the account changes its password"),
    ],
    ids=["inactivated", "locked", "must change"],
)
def test_389_names_its_policy(
    directory: Directory,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    policy: dict[str, str],
    spoil: Any,
    said: str,
) -> None:
    reader = directory.person("reader", attributes={"userPassword": [PASSWORD]})
    with configured(directory, **policy) if policy else contextlib.nullcontext():
        spoil(directory, reader)
        rejected(directory, capsys, monkeypatch, said, bind_dn=reader, bind_password=PASSWORD)


@pytest.mark.live("389ds", reason="an account is inactivated in a moment")
@pytest.mark.lengthy
def test_an_inactivated_account_is_left_alone(directory: Directory) -> None:
    """The background does not try it again and again, with or without a watch."""
    reader = directory.person("reader", attributes={"userPassword": [PASSWORD]})
    for base in (directory.base_dn, directory.users_base, directory.groups_base):
        directory.change(base, "add: aci", f"aci: {_ALL_READ}")
    database = directory.open(
        counted=True, bind_dn=reader, bind_password=PASSWORD, watch=True, cache_ttl_seconds=0
    )
    _locked(directory, reader)
    with directory.operations() as seen:
        directory.proxy().cut()
        directory.proxy().behave()
        for _ in range(4):
            with contextlib.suppress(errors.LDAPDBError):
                database.list_applications()
            time.sleep(0.5)
        assert seen.count("BIND") == 1


_ALL_READ = (
    '(targetattr="*")(version 3.0; acl "all"; allow (read,search,compare) userdn="ldap:///all";)'
)

_UAC_DISABLED = "514"
_LONG_AGO = "116444736000000000"  # 1970, in 100 ns since 1601


@pytest.fixture
def reader(directory: Directory) -> str:
    """An account of Active Directory with a password."""
    reader = directory.person("reader")
    server: Any = directory.server
    server.tool("samba-tool", "user", "setpassword", "reader", f"--newpassword={PASSWORD}")
    return reader


@pytest.mark.live("ad", reason="its own numbers")
@pytest.mark.lengthy
def test_active_directory_names_its_policy(
    directory: Directory,
    reader: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Numbers 701, 773 and 533, one account after the other state."""
    for spoil, mend, said in (
        (f"accountExpires: {_LONG_AGO}", "accountExpires: 0", "the account has expired"),
        ("pwdLastSet: 0", "pwdLastSet: -1", "demands that the account changes its password"),
        (f"userAccountControl: {_UAC_DISABLED}", "userAccountControl: 512", "has disabled"),
    ):
        monkeypatch.setattr(LOGINS, "_attempts", Kept(Attempts))
        name = spoil.partition(":")[0]
        directory.change(reader, f"replace: {name}", spoil)
        rejected(directory, capsys, monkeypatch, said, bind_dn=reader, bind_password=PASSWORD)
        directory.change(reader, f"replace: {name}", mend)


@pytest.mark.live("ad", reason="only Active Directory takes them")
@pytest.mark.parametrize("name", ["reader@example.org", "EXAMPLE\\reader"])
def test_account_names_log_in_on_active_directory(
    directory: Directory, reader: str, name: str
) -> None:
    del reader
    directory.person("alice")
    settings: dict[str, Any] = {"bind_dn": name, "bind_password": PASSWORD, "watch": True}
    assert directory.open(**settings).get_user(user_name="alice").name == "alice"
    levels = {
        each.level.value
        for each in check(directory.settings(**settings), ldif_folder(), write=False)
        if each.check == "account"
    }
    assert levels == {"ok"}


@pytest.mark.live("openldap", "389ds", reason="Active Directory takes them")
@pytest.mark.parametrize("name", ["reader@example.org", "EXAMPLE\\reader"])
def test_account_names_are_rejected_by_name(directory: Directory, name: str) -> None:
    said = "which is not a DN; only Active Directory"
    with pytest.raises(errors.CredentialsRejected, match=said):
        directory.open(bind_dn=name, bind_password=PASSWORD)
    with pytest.raises(
        errors.SettingsError, match=r"bind_dn: .* is not a DN; only Active Directory"
    ):
        directory.settings(bind_dn=name, bind_password=PASSWORD, vendor=directory.vendor)


@pytest.mark.live("ad", reason="its demand for TLS is a code of its own")
@pytest.mark.slow
def test_samba_demands_tls(directory: Directory) -> None:
    del directory

    class Strict(SambaAD):
        """One with the default that the others turn off."""

        def _configure(self) -> None:
            super()._configure()
            conf = self.folder / "etc" / "smb.conf"
            text = conf.read_text(encoding="utf-8")
            conf.write_text(text.replace("strong auth = no", "strong auth = yes"), encoding="utf-8")

    with Strict() as server:
        kwargs = {**server.database_kwargs(), "bind_password": server.password}
        with pytest.raises(errors.CredentialsRejected, match="demands TLS or a stronger login"):
            LDAPDatabase(**kwargs)
