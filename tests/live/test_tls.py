"""TLS: verified, before any password, and each way to fail told apart."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from proxy import Requests

from ldapdb import errors
from support import Another, Private
from support.alone import alone

pytestmark = pytest.mark.live(
    "openldap",
    reason="how ldapdb speaks TLS is no matter of the vendor; slapd takes any certificate",
)

_DAY = dt.timedelta(days=1)
_TLS_HANDSHAKE = 0x16  # the type of a record (RFC 8446, section 5.1)


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    """An authority, whose certificate is in ca.pem."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    return made


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:  # noqa: ARG001 -- it writes the file
    return tmp_path / "ca.pem"


def _issued(folder: Path, authority: trustme.CA, name: str = "localhost", **more: Any) -> Any:
    """Write a certificate and its key, as the settings of a server."""
    issued = authority.issue_cert(name, **more)
    issued.cert_chain_pems[0].write_to_path(folder / "server.pem")
    issued.private_key_pem.write_to_path(folder / "server.key")
    return {"certificate": folder / "server.pem", "key": folder / "server.key"}


def _self_signed(folder: Path) -> Any:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - _DAY)
        .not_valid_after(now + _DAY)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return {"certificate": folder / "server.pem", "key": folder / "server.key"}


@pytest.fixture
def secured(authority: trustme.CA, another_directory: Another, tmp_path: Path) -> Iterator[Private]:
    """A directory with a certificate for localhost."""
    with another_directory(**_issued(tmp_path, authority)) as running:
        running.person("alice")
        yield running


@pytest.mark.parametrize("start_tls", [False, True])
def test_tls_is_verified_against_ca_file(secured: Private, ca_file: Path, start_tls: bool) -> None:
    uri = f"ldap://localhost:{secured.server.port}" if start_tls else secured.server.tls_uri
    settings: dict[str, Any] = {"uri": uri, "start_tls": start_tls}
    database = secured.open(**settings, ca_file=ca_file)
    assert database.get_user(user_name="alice").name == "alice"
    with pytest.raises(errors.CertificateRefused, match=r"is not trusted here; set ca_file"):
        secured.open(**settings)


def test_a_certificate_for_another_name_is_refused(secured: Private, ca_file: Path) -> None:
    uri = f"ldaps://127.0.0.1:{secured.server.tls_port}"
    with pytest.raises(
        errors.CertificateRefused, match=rf"certificate of {uri} is for another address; .* uri"
    ):
        secured.open(uri=uri, ca_file=ca_file)


@pytest.mark.live("389ds", reason="its TLS is another library's; Kerberos' tests have Samba's")
def test_tls_of_389_is_verified_too(authority: trustme.CA, ca_file: Path, tmp_path: Path) -> None:
    """On its own port and by StartTLS; by who signed the certificate, and for which name."""
    with alone("389ds", **_issued(tmp_path, authority)) as secured:
        secured.person("alice")
        server: Any = secured.server
        plain, tls = f"ldap://localhost:{server.port}", f"ldaps://localhost:{server.tls_port}"
        for settings in ({"uri": tls}, {"uri": plain, "start_tls": True}):
            database = secured.open(**settings, ca_file=ca_file)
            assert database.get_user(user_name="alice").name == "alice"
            with pytest.raises(errors.CertificateRefused, match=r"is not trusted here"):
                secured.open(**settings)
        with pytest.raises(errors.CertificateRefused, match=r"is for another address"):
            secured.open(uri=f"ldaps://127.0.0.1:{server.tls_port}", ca_file=ca_file)


_Make = Callable[[Path, trustme.CA], Any]
_WRONG: dict[str, tuple[_Make, str]] = {
    "expired": (
        lambda folder, authority: _issued(
            folder, authority, not_after=dt.datetime.now(dt.timezone.utc) - _DAY
        ),
        "has expired; renew it",
    ),
    "of the future": (
        lambda folder, authority: _issued(
            folder, authority, not_before=dt.datetime.now(dt.timezone.utc) + _DAY
        ),
        "is not valid yet; check it and this machine's clock",
    ),
    "self-signed": (lambda folder, _: _self_signed(folder), "is self-signed .* ca_file"),
    "of another name": (
        lambda folder, authority: _issued(folder, authority, "ldap.example.org"),
        "has not the name in uri among its subjectAltName",
    ),
    "with the name as CN alone": (
        lambda folder, authority: _issued(folder, authority, "192.0.2.1", common_name="localhost"),
        "has not the name in uri among its subjectAltName, and a CN does not count",
    ),
    "of another authority": (
        lambda folder, _: _issued(folder, trustme.CA()),
        "comes from an authority that is not trusted here; set ca_file",
    ),
}


@pytest.mark.parametrize(("make", "said"), _WRONG.values(), ids=_WRONG)
def test_each_wrong_certificate_has_a_message_of_its_own(
    another_directory: Another,
    authority: trustme.CA,
    ca_file: Path,
    tmp_path: Path,
    make: _Make,
    said: str,
) -> None:
    with another_directory(**make(tmp_path, authority)) as running:
        uri = running.server.tls_uri
        with pytest.raises(errors.CertificateRefused, match=f"certificate of {uri} {said}"):
            running.open(uri=uri, ca_file=ca_file)


def test_a_certificate_for_an_address_serves_for_the_address(
    another_directory: Another, authority: trustme.CA, ca_file: Path, tmp_path: Path
) -> None:
    with another_directory(**_issued(tmp_path, authority, "127.0.0.1")) as running:
        running.person("alice")
        database = running.open(
            uri=f"ldap://127.0.0.1:{running.server.port}", start_tls=True, ca_file=ca_file
        )
        assert database.get_user(user_name="alice").name == "alice"


# --- servers without the TLS that there should be


@pytest.fixture
def served() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """Let a function answer every connection; the host and the port are returned."""
    listeners, threads = [], []

    def serve(answer: Callable[[socket.socket], None]) -> str:
        listener = socket.create_server(("127.0.0.1", 0))

        def run() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    answer(peer)

        listeners.append(listener)
        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        return f"localhost:{listener.getsockname()[1]}"

    yield serve
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(5)


_Serve = Callable[[Callable[[socket.socket], None]], str]


def _refused(private: Private, uri: str, said: str, **settings: Any) -> None:
    with pytest.raises(errors.DirectoryUnavailable, match=f"directory at {uri} {said}"):
        private.open(uri=uri, **settings)


def test_a_port_without_tls_is_told_so(private: Private) -> None:
    _refused(
        private,
        f"ldaps://localhost:{private.server.port}",
        "closed the connection during the TLS handshake; check that the port in uri is one for TLS",
    )


def test_a_server_that_answers_without_tls_is_told_so(private: Private, served: _Serve) -> None:
    def greet(peer: socket.socket) -> None:
        peer.recv(4096)
        peer.sendall(b"220 mail.example.org ESMTP\r\n")

    said = "answers, and not with TLS; check the port in uri"
    _refused(private, f"ldaps://{served(greet)}", said)


def test_a_server_that_closes_in_the_handshake_is_told_so(private: Private, served: _Serve) -> None:
    def hang_up(peer: socket.socket) -> None:
        peer.recv(4096)

    said = "closed the connection during the TLS handshake"
    _refused(private, f"ldaps://{served(hang_up)}", said)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_tls_older_than_1_2_is_not_spoken(
    private: Private, served: _Serve, authority: trustme.CA, ca_file: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    authority.issue_cert("localhost").configure_cert(context)

    def shake_hands(peer: socket.socket) -> None:
        try:
            context.wrap_socket(peer, server_side=True).close()
        except OSError:
            peer.close()

    said = "speaks TLS older than 1.2 only"
    _refused(private, f"ldaps://{served(shake_hands)}", said, ca_file=ca_file)


# --- no password before TLS


@pytest.fixture
def wire(served: _Serve) -> Callable[[int], tuple[str, bytearray]]:
    """Stand in front of a port, and keep what clients send."""

    def stand(port: int) -> tuple[str, bytearray]:
        sent = bytearray()

        def relay(client: socket.socket) -> None:
            with socket.create_connection(("127.0.0.1", port)) as server:
                back = threading.Thread(target=_pass_on, args=(server, client, bytearray()))
                back.start()
                _pass_on(client, server, sent)
                back.join(5)

        return served(relay), sent

    return stand


def _pass_on(source: socket.socket, sink: socket.socket, seen: bytearray) -> None:
    try:
        while data := source.recv(65536):
            seen += data
            sink.sendall(data)
        sink.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


_Wire = Callable[[int], tuple[str, bytearray]]


def _first_request(sent: bytearray) -> tuple[str, bytes]:
    """Take off the first request; the rest need not be LDAP."""
    length = 2 + sent[1]
    (operation,) = Requests().feed(bytes(sent[:length]))
    return operation, bytes(sent[length:])


def test_start_tls_comes_before_the_password(secured: Private, ca_file: Path, wire: _Wire) -> None:
    where, sent = wire(secured.server.port)
    with secured.open(uri=f"ldap://{where}", start_tls=True, ca_file=ca_file) as database:
        assert database.get_user(user_name="alice").name == "alice"
    operation, rest = _first_request(sent)
    assert operation == "EXT"
    assert rest[0] == _TLS_HANDSHAKE
    assert secured.server.password.encode() not in sent


def test_a_server_that_refuses_start_tls_gets_no_password(private: Private, wire: _Wire) -> None:
    where, sent = wire(private.server.port)
    _refused(private, f"ldap://{where}", "refuses StartTLS .* it gets no log-in", start_tls=True)
    assert _first_request(sent) == ("EXT", b"")


def test_a_wrong_certificate_gets_no_password(secured: Private, wire: _Wire) -> None:
    where, sent = wire(secured.server.port)
    with pytest.raises(errors.CertificateRefused):
        secured.open(uri=f"ldap://{where}", start_tls=True)
    operation, rest = _first_request(sent)
    assert operation == "EXT"
    assert rest[0] == _TLS_HANDSHAKE
    assert secured.server.password.encode() not in sent


def test_a_password_in_clear_would_be_seen(private: Private, wire: _Wire) -> None:
    """The tests above look where it would be."""
    where, sent = wire(private.server.port)
    with private.open(uri=f"ldap://{where}") as database:
        database.list_users()
    assert private.server.password.encode() in sent
