# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import builtins
import datetime
import hashlib
import socket
import typing as t
from pathlib import Path

import pytest
import rfc3161_client
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import timestamp_authority, timestamps
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.timestamps import Anchors, Stamp
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupError,
    KeyProblem,
    MissingDependency,
    OptionError,
    TamperedData,
    Unreachable,
)
from scenes.timestamp_authority import Authority, Server, certificate, serve

DATA = b"an entry of the journal"
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
def server(authority: Authority) -> t.Iterator[Server]:
    with serve(authority) as running:
        yield running


@pytest.fixture
def anchors(authority: Authority, tmp_path: Path) -> Anchors:
    return Anchors.load(authority.roots(tmp_path))


def ask(server: Server, anchors: Anchors, timeout: float = 30) -> tuple[bytes, Stamp]:
    return timestamp_authority.ask(server.url, DATA, DIGEST, anchors, timeout)


def refused(kind: type[BackupError], *words: str, call: t.Callable[[], object]) -> None:
    with pytest.raises(BackupError) as raised:
        call()
    assert raised.type is kind and "\n" not in raised.value.msg, raised.value.msg
    assert not [word for word in words if word not in raised.value.msg], raised.value.msg


@pytest.mark.no_false_alarm
def test_requests_and_verifies_a_timestamp(server: Server, anchors: Anchors, authority: Authority) -> None:
    before = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    answer, stamp = ask(server, anchors)
    assert stamp.authority == "CN=Test Stamper" and before <= stamp.time <= datetime.datetime.now(datetime.timezone.utc)
    assert anchors.verify(answer, DIGEST, "kept") == stamp, "without the nonce, later"
    ask(server, anchors)
    (headers, request), (_headers, other) = server.asked
    assert headers["Content-Type"] == "application/timestamp-query" and request != other, "a nonce is used once"
    assert bytes.fromhex(DIGEST) in request and DATA not in request


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("years", [-2, 0])
def test_certificates_must_be_valid_at_the_time_of_the_timestamp(authority: Authority, anchors: Anchors, years: int) -> None:
    authority.time = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc) + datetime.timedelta(days=365 * years)
    assert anchors.verify(authority.stamp(DATA), DIGEST, "kept").time == authority.time


@pytest.mark.mutation
def test_refuses_a_certificate_not_valid_at_the_timestamp(authority: Authority, anchors: Anchors) -> None:
    for year in (2000, 2060):
        authority.time = datetime.datetime(year, 1, 1, tzinfo=datetime.timezone.utc)
        refused(KeyProblem, "kept is not signed by an authority in", call=lambda: anchors.verify(authority.stamp(DATA), DIGEST, "kept"))


@pytest.mark.no_false_alarm
def test_intermediates_come_with_the_answer_or_from_the_operator(authority: Authority, tmp_path: Path) -> None:
    authority.certificates = (authority.stamper,)
    kept = authority.stamp(DATA)
    refused(KeyProblem, "issuer", call=lambda: Anchors.load(authority.roots(tmp_path)).verify(kept, DIGEST, "kept"))
    both = Anchors.load(authority.roots(tmp_path, authority.between))
    assert both.verify(kept, DIGEST, "kept").authority == "CN=Test Stamper"
    several = Anchors.load(authority.roots(tmp_path, authority.between, Authority("Other").root))
    assert several.verify(kept, DIGEST, "kept").authority == "CN=Test Stamper"


def _wrong_digest(one: Authority) -> None:
    one.digest = b"\0" * 32


def _wrong_algorithm(one: Authority) -> None:
    one.algorithm = "sha3_256"


def _wrong_nonce(one: Authority) -> None:
    one.nonce = 5


def _rejection(one: Authority) -> None:
    one.status, one.words = "rejection", "no\nsuch customer"


def _no_certificate(one: Authority) -> None:
    one.certificates = ()


def _two_of_a_name(one: Authority, own: str = "Somebody Else " + "x" * 50) -> None:
    """Add an unsigned certificate that claims to be the stamping certificate. In an answer the longer certificate comes last."""
    real = one.stamper.certificate
    key = Authority().root.key
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, own)])
    made = x509.CertificateBuilder(
        real.issuer, name, key.public_key(), real.serial_number, real.not_valid_before_utc, real.not_valid_after_utc
    )
    for extension in real.extensions:
        made = made.add_extension(extension.value, extension.critical)
    one.certificates = (one.stamper, one.between, type(one.root)(made.sign(key, hashes.SHA256()), key))


def _another_in_front(one: Authority) -> None:
    _two_of_a_name(one, "X")


def _other_key(one: Authority) -> None:
    """Sign with a key that does not belong to the certificate."""
    one.stamper = type(one.stamper)(one.stamper.certificate, one.root.key)


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("damage", "kind", "words"),
    [
        (_wrong_digest, TamperedData, "is a timestamp of other data"),
        (_wrong_algorithm, TamperedData, "is a timestamp of other data"),
        (_wrong_nonce, TamperedData, "answers another request"),
        (_rejection, Unreachable, "returned no timestamp: rejection (no such customer)"),
        (_no_certificate, TamperedData, "has no valid signature"),
        (_two_of_a_name, TamperedData, "is not a valid timestamp"),
        (_another_in_front, KeyProblem, "is not signed by an authority in"),
        (_other_key, TamperedData, "has no valid signature"),
    ],
)
def test_refuses_a_damaged_or_wrong_answer(
    server: Server, anchors: Anchors, damage: t.Callable[[Authority], None], kind: type[BackupError], words: str
) -> None:
    damage(server.authority)
    refused(kind, server.url, words, call=lambda: ask(server, anchors))


@pytest.mark.mutation
def test_refuses_an_unknown_authority_and_another_key_usage(tmp_path: Path, anchors: Anchors) -> None:
    with serve(Authority("Stranger")) as unknown:
        refused(KeyProblem, unknown.url, anchors.source, "unable to get local issuer", call=lambda: ask(unknown, anchors))
    for usage in ([ExtendedKeyUsageOID.SERVER_AUTH], [ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.SERVER_AUTH]):
        with serve(Authority("Web", usage)) as web:
            trusted = Anchors.load(web.authority.roots(tmp_path))
            refused(KeyProblem, web.url, "certificate purpose", call=lambda web=web, trusted=trusted: ask(web, trusted))


@pytest.mark.mutation
def test_refuses_an_answer_that_is_not_a_timestamp(server: Server, anchors: Anchors) -> None:
    for body in (b"", b"<html>Welcome</html>", b"\x30\x03\x02\x01\x05", server.authority.stamp(DATA)[:-20]):
        server.body = body
        refused(Unreachable, server.url, "not from a timestamp authority", call=lambda: ask(server, anchors))
    server.body = b"x" * (timestamps.SIZE_LIMIT + 1)
    refused(Unreachable, server.url, "more than 1 MiB", call=lambda: ask(server, anchors))
    server.body = server.authority.stamp(DATA)
    refused(TamperedData, "another request", call=lambda: ask(server, anchors))


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("code", "words"),
    [
        (204, "not from a timestamp authority"),
        (302, "HTTP status 302, a redirect, which is not followed"),
        (307, "HTTP status 307, a redirect, which is not followed"),
        (404, "HTTP status 404; check timestamp_url"),
        (500, "HTTP status 500; check timestamp_url"),
    ],
)
def test_another_status_than_success_is_refused(server: Server, anchors: Anchors, code: int, words: str) -> None:
    server.code, server.headers = code, {"Location": server.url}
    if code == 204:
        server.body = b""
    refused(Unreachable, server.url, words, call=lambda: ask(server, anchors))
    assert len(server.asked) == 1, "no redirect is followed"


@pytest.mark.mutation
def test_request_ends_after_the_timeout(server: Server, anchors: Anchors, authority: Authority) -> None:
    server.pause = 20
    refused(Unreachable, server.url, "did not answer within 0.3 s", call=lambda: ask(server, anchors, 0.3))
    server.pause = 0.2  # each wait is short enough, both together are not
    refused(Unreachable, "did not answer within 0.3 s", call=lambda: ask(server, anchors, 0.3))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/?key=secret"
        with pytest.raises(Unreachable, match="did not answer") as raised:
            timestamp_authority.ask(url, DATA, DIGEST, anchors, 0.3)
    assert "secret" not in raised.value.msg
    with pytest.raises(Unreachable, match="does not answer: Connection refused"):
        timestamp_authority.ask(url, DATA, DIGEST, anchors)
    with pytest.raises(Unreachable, match="does not answer"):
        timestamp_authority.ask(f"https{server.url.removeprefix('http')}", DATA, DIGEST, anchors)


@pytest.mark.mutation
def test_an_address_with_tls_needs_a_certificate_that_the_host_trusts(
    authority: Authority, anchors: Anchors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    web, path = certificate("Web", authority.root, usage=[ExtendedKeyUsageOID.SERVER_AUTH]), tmp_path / "web.pem"
    path.write_bytes(web.pem + web.key_pem)
    with serve(authority, path) as server:
        refused(Unreachable, server.url, "CERTIFICATE_VERIFY_FAILED", call=lambda: ask(server, anchors))
        monkeypatch.setenv("SSL_CERT_FILE", anchors.source)
        assert ask(server, anchors)[1].authority == "CN=Test Stamper"


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://tsa.example.org/", "file:///etc/passwd", "tsa.example.org", "https://", "https://u:secret@tsa.example.org/"),
        *("https://tsa.example.org:x/", "https://tsa.example.org/a b", "https://tsa.example.org/\n", "https://[tsa/"),
    ],
)
def test_refuses_an_invalid_address(url: str) -> None:
    with pytest.raises(OptionError, match="timestamp_url is not the address") as raised:
        timestamp_authority.check_url(url)
    assert "secret" not in raised.value.msg


@pytest.mark.no_false_alarm
def test_addresses_are_accepted() -> None:
    for url in ("http://tsa.example.org", "https://tsa.example.org:8443/tsr?key=1", "http://[::1]:80/"):
        assert timestamp_authority.check_url(url) == url


def test_refuses_invalid_root_certificates(authority: Authority, tmp_path: Path) -> None:
    path = tmp_path / "roots.pem"
    refused(KeyProblem, str(path), "cannot be read", call=lambda: Anchors.load(str(path)))
    for content in (b"", b"x", authority.root.pem[:-40], authority.root.pem.replace(b"MII", b"MIX", 1)):
        path.write_bytes(content)
        refused(KeyProblem, str(path), "no valid PEM certificate", call=lambda: Anchors.load(str(path)))
    path.write_bytes(authority.between.pem)
    refused(KeyProblem, str(path), "only intermediate", call=lambda: Anchors.load(str(path)))


@pytest.mark.mutation
def test_no_flipped_bit_changes_a_verified_timestamp(authority: Authority, anchors: Anchors) -> None:
    """A few bits of the wrapper are not signed and do not change the meaning."""
    kept = authority.stamp(DATA)
    stamp, same = anchors.verify(kept, DIGEST, "kept"), 0
    for place in range(len(kept)):
        flipped = bytearray(kept)
        flipped[place] ^= 1 << place % 8
        try:
            assert anchors.verify(bytes(flipped), DIGEST, "kept") == stamp
            same += 1
        except (TamperedData, KeyProblem) as exc:
            assert "\n" not in exc.msg
    assert same < 15


def test_a_library_that_is_missing_or_too_old_is_named(monkeypatch: pytest.MonkeyPatch, authority: Authority, tmp_path: Path) -> None:
    roots, real = authority.roots(tmp_path), builtins.__import__

    def missing(name: str, *args: t.Any) -> t.Any:
        if name == "rfc3161_client":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", missing)
    refused(MissingDependency, "rfc3161-client is missing", "rfc3161-client>=1.0.6", call=lambda: Anchors.load(roots))
    monkeypatch.undo()
    monkeypatch.delattr(rfc3161_client.SignerInfo, "issuer")
    refused(MissingDependency, "too old", "rfc3161-client>=1.0.6", call=lambda: Anchors.load(roots))
