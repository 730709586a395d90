"""Passwords: read where they are kept, taken up when they change, and shown nowhere."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from ldapdb import LDAPDatabase, errors
from ldapdb.database import _DatabaseOf22
from ldapdb.model import Policy
from ldapdb.settings import load
from support import Another, Private

pytestmark = pytest.mark.live(
    "openldap", reason="where ldapdb shows a password is no matter of the vendor"
)

LICENCE = "mark-l1cence-mark"
_POLICY = Policy.of(
    app_license=LICENCE,
    allow_home=False,
    allow_view=False,
    volume=None,
    allow_startup_data=False,
)


@pytest.fixture
def marked(another_directory: Another, tmp_path: Path) -> Iterator[Private]:
    """A directory with TLS; its password is what is looked for."""
    issued = trustme.CA().issue_cert("localhost")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    issued.private_key_pem.write_to_path(tmp_path / "server.key")
    with another_directory(
        certificate=tmp_path / "server.pem", key=tmp_path / "server.key"
    ) as running:
        running.person("alice")
        yield running


def test_a_password_file_serves_and_must_be_private(private: Private, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(private.server.password + "\n")
    file.chmod(0o600)
    assert private.open(bind_password=None, bind_password_file=file).list_users() == []
    file.chmod(0o644)
    with pytest.raises(errors.SettingsError, match="chmod 600"):
        private.open(bind_password=None, bind_password_file=file)


def test_a_new_password_is_taken_up_without_a_restart(
    another_directory: Another, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.touch(mode=0o600)
    file.write_text("the first")
    access = "olcAccess: to attrs=userPassword by anonymous auth\nolcAccess: to * by * read\n"
    with another_directory(access=access) as running:
        running.person("alice")
        service = f"cn=service,{running.suffix}"
        running.add(
            f"dn: {service}\nobjectClass: device\nobjectClass: simpleSecurityObject\n"
            "cn: service\nuserPassword: the first\n"
        )
        database = running.open(
            bind_dn=service, bind_password=None, bind_password_file=file, cache_ttl_seconds=0
        )
        assert database.get_user(user_name="alice").name == "alice"
        file.write_text("the second")
        _change_and_cut(running, service, "the second")
        assert database.get_user(user_name="alice").name == "alice"
        _change_and_cut(running, service, "the third")  # and the file is as it was
        with pytest.raises(errors.CredentialsRejected):
            database.list_users()


def _change_and_cut(running: Private, dn: str, password: str) -> None:
    """Change a password, and end the connections that were made with the one before."""
    running.change(dn, "replace: userPassword", f"userPassword: {password}")
    running.server.halt()
    running.server.run()


def _reported(error: BaseException) -> str:
    """Print an error as an error reporter does: with its causes and the variables of each call."""
    frames = traceback.TracebackException.from_exception(error, capture_locals=True)
    plain = traceback.format_exception(type(error), error, error.__traceback__)
    text = [*frames.format(), *plain, repr(error), str(error)]
    # What is not printed is still there for who looks.
    hidden = error.__context__ if error.__suppress_context__ else None
    return "".join(text) + (_reported(hidden) if hidden is not None else "")


def _good(private: Private, _: pytest.MonkeyPatch) -> None:
    with private.open() as database:
        database.create_application("a/b")
        database._store.grant("a/b", "alice", _POLICY)
        alice = database.get_user(user_name="alice")
        assert len(database.get_accounting_for_user(alice)) == 1
        raise ValueError(f"{database!r} {database.cache_info()!r}")


def _refused(private: Private, _: pytest.MonkeyPatch) -> None:
    private.open(bind_dn=f"cn=nobody,{private.suffix}")


def _bad_certificate(private: Private, _: pytest.MonkeyPatch) -> None:
    private.open(uri=private.server.tls_uri)


def _bad_setting(private: Private, _: pytest.MonkeyPatch) -> None:
    private.open(base_dn="no DN", uri="ldap://one")


def _bad_file(private: Private, _: pytest.MonkeyPatch) -> None:
    file = private.server.folder / "password"
    file.touch(mode=0o600)
    file.write_bytes(private.server.password.encode() + b"\xff\n")
    private.open(bind_password=None, bind_password_file=file)


def _bad_toml(private: Private, _: pytest.MonkeyPatch) -> None:
    file = private.server.folder / "ldapdb.toml"
    file.write_text(f'bind_password = "{private.server.password}"\nbase_dn = \n')
    LDAPDatabase(config_file=file)


def _environment(private: Private, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LDAPDB_BIND_PASSWORD", private.server.password)
    with private.open(bind_password=None) as database:
        assert database.list_users() != []
    private.open(bind_password=None, base_dn="no DN")


def _silent(private: Private, _: pytest.MonkeyPatch) -> None:
    """A server that takes the password and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        private.open(
            uri=f"ldap://127.0.0.1:{listener.getsockname()[1]}",
            connect_timeout_seconds=0.2,
            operation_timeout_seconds=0.3,
        )


def _interrupted(private: Private, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who loses patience while a log-in is under way."""

    def lose_patience(*_: object) -> None:
        raise RuntimeError("ldapdb.open was interrupted")

    before = signal.signal(signal.SIGALRM, lose_patience)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        _silent(private, monkeypatch)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _garbled(private: Private, _: pytest.MonkeyPatch) -> None:
    """A server that answers a log-in with what is no LDAP."""
    import threading

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    peer.recv(4096)
                    peer.sendall(bytes.fromhex("3003020101"))

        threading.Thread(target=answer, daemon=True).start()
        try:
            private.open(
                uri=f"ldap://127.0.0.1:{listener.getsockname()[1]}",
                connect_timeout_seconds=0.2,
                operation_timeout_seconds=0.3,
            )
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def _outage(private: Private, _: pytest.MonkeyPatch) -> None:
    database = private.open(
        cache_ttl_seconds=0, operation_timeout_seconds=0.5, connect_timeout_seconds=0.2
    )
    alice = database.get_user(user_name="alice")
    private.server.signal(signal.SIGSTOP)
    try:
        assert database.get_user(user_name="alice") == alice  # of the cache, past its time
        database._store.grant("a/b", "alice", _POLICY)
    finally:
        private.server.signal(signal.SIGCONT)


_SCENES = (
    _good,
    _refused,
    _bad_certificate,
    _bad_setting,
    _bad_file,
    _bad_toml,
    _environment,
    _silent,
    _interrupted,
    _garbled,
    _outage,
)


@pytest.mark.parametrize("scene", _SCENES, ids=lambda scene: scene.__name__.strip("_"))
@pytest.mark.lengthy
def test_no_password_is_in_what_is_logged_or_reported(
    marked: Private,
    scene: Callable[[Private, pytest.MonkeyPatch], None],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever goes wrong, and with the variables of every call of ldapdb's and below."""
    caplog.set_level(logging.DEBUG)
    # The caller's own variables have what it gave; what is looked at begins with the call.
    with pytest.raises((errors.LDAPDBError, ValueError, RuntimeError)) as caught:
        scene(marked, monkeypatch)
    error = caught.value
    _begin_at_ldapdb(error)
    output = capfd.readouterr()
    shown = _reported(error) + caplog.text + output.out + output.err
    assert "ldapdb." in shown
    assert marked.server.password not in shown
    assert LICENCE not in caplog.text + str(error)


def _bad_volume(database: Any, _: Private) -> None:
    database.grant_access("a/b", "alice", LICENCE, True, True, "none", False)


def _bad_licence(database: Any, _: Private) -> None:
    database.grant_access("a/b", "alice", f"{LICENCE}\x1b", True, True, None, False)


def _unknown_user(database: Any, _: Private) -> None:
    database.grant_access("a/b", "nobody", LICENCE, True, True, None, False)


def _unknown_image(database: Any, _: Private) -> None:
    database.revoke_access("c/d", "alice", LICENCE, True, True, None, False)


def _wrong_type(database: Any, _: Private) -> None:
    database.grant_access("a/b", "alice", [LICENCE], True, True, None, False)


def _too_few(database: Any, _: Private) -> None:
    database.grant_access("a/b", "alice", LICENCE)


def _without_rights(database: Any, private: Private) -> None:
    _make_read_only(private)
    database.grant_access("a/b", "alice", LICENCE, True, True, None, False)


def _frozen(database: Any, private: Private) -> None:
    private.server.signal(signal.SIGSTOP)
    try:
        database.grant_access("a/b", "alice", LICENCE, True, True, None, False)
    finally:
        private.server.signal(signal.SIGCONT)


_LICENCE_SCENES = (
    _bad_volume,
    _bad_licence,
    _unknown_user,
    _unknown_image,
    _wrong_type,
    _too_few,
    _without_rights,
    _frozen,
)


def _make_read_only(private: Private) -> None:
    change = (
        "dn: olcDatabase={1}mdb,cn=config\nchangetype: modify\n"
        "replace: olcReadOnly\nolcReadOnly: TRUE\n"
    )
    command = ["ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", private.server.socket_uri]
    subprocess.run(command, input=change, text=True, capture_output=True, check=True)


@pytest.mark.parametrize("scene", _LICENCE_SCENES, ids=lambda scene: scene.__name__.strip("_"))
def test_no_licence_is_in_an_error(
    private: Private,
    scene: Callable[[Any, Private], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever goes wrong with a grant, and with the variables of every call."""
    caplog.set_level(logging.DEBUG)
    private.person("alice")
    private.application("a/b")
    database = private.open(_DatabaseOf22, operation_timeout_seconds=1, connect_timeout_seconds=0.5)
    with pytest.raises((errors.LDAPDBError, TypeError, AttributeError)) as caught:
        scene(database, private)
    error = caught.value
    _begin_at_ldapdb(error)
    assert LICENCE not in _reported(error) + caplog.text


def _begin_at_ldapdb(error: BaseException) -> None:
    frames = error.__traceback__
    while frames is not None and "/ldapdb/" not in frames.tb_frame.f_code.co_filename:
        frames = frames.tb_next
    error.__traceback__ = frames


def test_settings_show_no_password(marked: Private) -> None:
    settings = load(**marked.database_kwargs())
    shown = [
        repr(settings),
        str(settings),
        repr(settings.model_dump()),
        settings.model_dump_json(),
        repr(dict(settings)),
        repr(settings.model_copy()),
    ]
    assert settings.password() == marked.server.password
    assert not [each for each in shown if marked.server.password in each]
    with pytest.raises(TypeError, match="are not pickled"):
        pickle.dumps(settings)


@pytest.mark.slow
def test_the_command_line_shows_no_password(marked: Private, tmp_path: Path) -> None:
    """Neither in what it says, nor in what others see of its process."""
    file = tmp_path / "ldapdb.toml"
    file.touch(mode=0o600)
    kwargs = marked.database_kwargs()
    file.write_text("".join(f'{name} = "{value}"\n' for name, value in kwargs.items()))
    marked.application("a/b")
    shown = ""
    for command in (
        ["settings"],
        ["user", "show", "alice"],
        ["app", "grant", "a/b", "alice", "--app-license", "other"],
    ):
        done = _ldapdb(file, *command)
        shown += done.stdout + done.stderr
    marked.server.halt(signal.SIGKILL)
    done = _ldapdb(file, "user", "show", "alice")
    assert done.returncode == 3
    shown += done.stdout + done.stderr
    assert "alice" in shown
    assert marked.server.password not in shown


def _ldapdb(file: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ldapdb", "--config-file", str(file), "-vv", *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_what_others_see_of_a_process_has_no_password(marked: Private) -> None:
    """Its arguments; its environment, which only its own user sees, is as it was given."""
    program = "import sys; from ldapdb import LDAPDatabase; LDAPDatabase(); input()"
    given = {f"LDAPDB_{name.upper()}": value for name, value in marked.database_kwargs().items()}
    process = subprocess.Popen(
        [sys.executable, "-c", f"{program}"],
        stdin=subprocess.PIPE,
        env={**os.environ, **given},
    )
    try:
        shown = subprocess.run(
            ["ps", "-o", "args=", "-p", str(process.pid)], capture_output=True, check=True
        ).stdout
        shown += Path(f"/proc/{process.pid}/cmdline").read_bytes()
    finally:
        process.communicate(b"\n", timeout=20)
    assert b"LDAPDatabase" in shown
    assert marked.server.password.encode() not in shown
    assert process.returncode == 0
