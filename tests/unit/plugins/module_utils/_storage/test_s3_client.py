# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The sources of credentials, and that no credential is printed."""

from __future__ import annotations

import builtins
import datetime
import http.server
import re
import ssl
import subprocess
import threading
import typing as t
from pathlib import Path

import boto3
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, MissingDependency, OptionError, Unreachable
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage import s3_client
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.s3_client import Connection

WHERE = "s3://bucket/prod"
ROLE = "arn:aws:iam::123456789012:role/backup"


class TokenServer(http.server.ThreadingHTTPServer):
    """AWS's token service for AssumeRole and AssumeRoleWithWebIdentity. Each answer has a new key that is valid for `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(("127.0.0.1", 0), _Tokens)
        self.seconds = seconds
        self.asked: list[str] = []


class _Tokens(http.server.BaseHTTPRequestHandler):
    server: TokenServer

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append(asked)
        action = "AssumeRoleWithWebIdentity" if "WebIdentity" in asked else "AssumeRole"
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.server.seconds)
        number = len(self.server.asked)
        body = (
            f"<{action}Response xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><{action}Result><Credentials>"
            f"<AccessKeyId>ROLEKEY{number}</AccessKeyId><SecretAccessKey>x</SecretAccessKey><SessionToken>token{number}</SessionToken>"
            f"<Expiration>{until.isoformat()}</Expiration></Credentials></{action}Result></{action}Response>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: t.Any) -> None:
        """Discard the log."""


@pytest.fixture(autouse=True)
def nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the credentials of the machine that runs the tests."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def credentials(tmp_path: Path) -> str:
    path = tmp_path / "credentials"
    profiles = {"default": ("FIRST", "one"), "other": ("OTHER", "two")}
    path.write_text("".join(f"[{name}]\naws_access_key_id={key}\naws_secret_access_key={word}\n" for name, (key, word) in profiles.items()))
    return str(path)


def tokens(seconds: int, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[TokenServer]:
    with TokenServer(seconds) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def long_tokens(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[TokenServer]:
    yield from tokens(3600, monkeypatch)


@pytest.fixture
def short_tokens(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[TokenServer]:
    yield from tokens(30, monkeypatch)


def signed(client: t.Any) -> str:
    """Return an address that shows the key with which requests are signed."""
    url: str = client.generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"})
    return url


@pytest.mark.parametrize(("profile", "key"), [(None, "FIRST"), ("other", "OTHER")])
def test_a_file_and_its_profile_are_used(credentials: str, profile: str | None, key: str) -> None:
    client = s3_client.connect(WHERE, Connection(region="eu-central-1", credentials_file=credentials, profile=profile))
    assert key in signed(client) and client.meta.region_name == "eu-central-1"


def test_a_role_is_assumed_with_them(credentials: str, long_tokens: TokenServer) -> None:
    client = s3_client.connect(WHERE, Connection(region="eu-central-1", credentials_file=credentials, role_arn=ROLE))
    for _time in range(3):
        assert "ROLEKEY1" in signed(client) and "token1" in signed(client)
    assert len(long_tokens.asked) == 1 and "role%2Fbackup" in long_tokens.asked[0]


def test_a_role_is_assumed_again_before_its_credentials_end(credentials: str, short_tokens: TokenServer) -> None:
    client = s3_client.connect(WHERE, Connection(region="eu-central-1", credentials_file=credentials, role_arn=ROLE))
    assert signed(client) != signed(client)
    assert len(short_tokens.asked) >= 2


def test_a_web_identity_of_the_host_is_used(tmp_path: Path, long_tokens: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("a token of the cluster")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    assert "ROLEKEY1" in signed(s3_client.connect(WHERE, Connection(region="eu-central-1")))
    assert "a+token+of+the+cluster" in long_tokens.asked[0] and "role%2Fbackup" in long_tokens.asked[0]


def test_a_web_identity_is_asked_again_before_its_credentials_end(
    tmp_path: Path, short_tokens: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the newer token that the cluster has stored in the meantime."""
    (tmp_path / "token").write_text("first")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    monkeypatch.setenv("AWS_ROLE_ARN", ROLE)
    client = s3_client.connect(WHERE, Connection(region="eu-central-1"))
    before = signed(client)
    (tmp_path / "token").write_text("second")
    assert signed(client) != before
    assert "=first" in short_tokens.asked[0] and "=second" in short_tokens.asked[-1]


@pytest.mark.mutation
@pytest.mark.parametrize("role", [None, ROLE])
def test_missing_credentials_are_reported(role: str | None) -> None:
    with pytest.raises(Unreachable, match="credentials") as caught:
        client = s3_client.connect(WHERE, Connection(endpoint="http://127.0.0.1:1", region="eu-central-1", role_arn=role))
        with s3_client.translated_errors(WHERE):
            client.list_buckets()
    assert "s3_profile" in caught.value.msg or "s3_profile or s3_credentials_file" in caught.value.msg


def certificate(folder: Path) -> Path:
    """Create a self-signed certificate for 127.0.0.1, with its key in the same file."""
    both = folder / "server.pem"
    argv = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=x",
    ]
    argv += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "key"), "-out", str(folder / "certificate")]
    subprocess.run(argv, check=True, capture_output=True)
    both.write_text((folder / "key").read_text() + (folder / "certificate").read_text())
    return both


@pytest.fixture
def tls(tmp_path: Path) -> t.Iterator[tuple[str, str]]:
    """Yield address and certificate of a server that refuses everything."""
    both = certificate(tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(both)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_arguments: None  # type: ignore[method-assign]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}", str(tmp_path / "certificate")
        server.shutdown()
        thread.join()


def asked(connection: Connection) -> str:
    with pytest.raises(BackupError) as caught, s3_client.translated_errors(WHERE):
        s3_client.connect(WHERE, connection).list_buckets()
    return caught.value.msg


@pytest.mark.mutation
def test_untrusted_certificate_is_reported(credentials: str, tls: tuple[str, str]) -> None:
    usual = Connection(endpoint=tls[0], region="x", credentials_file=credentials, path_style=True)
    assert "the TLS certificate is not trusted; set s3_ca_bundle to the CA that signed it" in asked(usual)


@pytest.mark.no_false_alarm
def test_a_bundle_makes_it_trusted(credentials: str, tls: tuple[str, str]) -> None:
    """The server then answers, but only that it does not support such requests."""
    given = Connection(endpoint=tls[0], region="x", credentials_file=credentials, path_style=True, ca_bundle=tls[1])
    assert "TLS" not in asked(given)


@pytest.mark.mutation
def test_missing_or_old_library_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto3, "__version__", "1.34.9")
    with pytest.raises(MissingDependency, match=r"boto3 1\.34\.9 is too old for safe uploads; update it: .*boto3>=1\.36"):
        s3_client.connect(WHERE, Connection())
    real = builtins.__import__

    def none(name: str, *given: t.Any, **more: t.Any) -> t.Any:
        if name == "boto3":
            raise ImportError(name)
        return real(name, *given, **more)

    monkeypatch.setattr(builtins, "__import__", none)
    with pytest.raises(MissingDependency, match="boto3 is missing on this host"):
        s3_client.connect(WHERE, Connection())


@pytest.mark.mutation
@pytest.mark.parametrize(
    "address", ["http://192.0.2.1:8333", "http://s3.example.org", "http://localhost.example.org", "http://[2001:db8::1]"]
)
def test_an_address_without_tls_needs_a_word(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = f"{re.escape(address)} is not an https:// address.*s3_plain_http"
    with pytest.raises(OptionError, match=words):
        s3_client.connect(WHERE, Connection(endpoint=address, region="x"))
    assert s3_client.connect(WHERE, Connection(endpoint=address, region="x", plain_http=True)).meta.endpoint_url == address
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", address)
    with pytest.raises(OptionError, match=words):
        s3_client.connect(WHERE, Connection(region="x"))


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("address", ["https://s3.example.org", "http://127.0.0.1:8333", "http://localhost:8333", "http://[::1]:8333", None])
def test_tls_and_this_host_need_none(address: str | None) -> None:
    assert s3_client.connect(WHERE, Connection(endpoint=address, region="eu-central-1"))
