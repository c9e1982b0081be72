# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host without its own credentials uses its instance's, which the metadata service provides and renews."""

from __future__ import annotations

import datetime
import http.server
import json
import threading
import typing as t
import uuid
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import PermissionMissing, Unreachable
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import BucketOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.s3 import S3Store
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.schemes import open_store
from scenes import s3_server
from scenes.s3_server import BACKUP, DRILL, S3Server

ROLE = "caracal-backup"
TOKEN = "a token of this session"
KEY = "sets/20261125T020000Z-k3f9/manifest.json"
HOUR = datetime.timedelta(hours=1)


class Metadata(http.server.ThreadingHTTPServer):
    """The metadata service for an instance's role, in version 2 of the protocol. `user` is the current user, None without a role."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.user: str | None = BACKUP
        self.given: list[str] = []
        self.passed = datetime.timedelta()

    def now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.timezone.utc) + self.passed

    def about(self, path: str) -> str | None:
        folder = "/latest/meta-data/iam/security-credentials/"
        if self.user is None or path not in (folder, folder + ROLE):
            return None
        if path == folder:
            return ROLE
        self.given.append(self.user)
        until = self.now() + HOUR
        keys = {"AccessKeyId": self.user, "SecretAccessKey": s3_server.secret(self.user), "Token": ""}
        return json.dumps({"Code": "Success", **keys, "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ")})


class _Answers(http.server.BaseHTTPRequestHandler):
    server: Metadata

    def do_PUT(self) -> None:
        self.answer(TOKEN if self.path == "/latest/api/token" else None)

    def do_GET(self) -> None:
        self.answer(self.server.about(self.path) if self.headers["X-aws-ec2-metadata-token"] == TOKEN else None)

    def answer(self, text: str | None) -> None:
        self.send_response(404 if text is None else 200)
        self.send_header("Content-Length", str(len(text or "")))
        self.end_headers()
        self.wfile.write((text or "").encode())

    def log_message(self, *_arguments: t.Any) -> None:
        """Discard the log."""


@pytest.fixture
def metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Metadata]:
    """Make this service the only source of credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with Metadata() as server:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def bucket(s3: S3Server) -> str:
    return s3.bucket()


@pytest.fixture
def store(s3: S3Server, bucket: str) -> S3Store:
    """Return a store that was opened without any credential option."""
    found = open_store(
        f"s3://{bucket}/{uuid.uuid4().hex}", BucketOptions(s3_endpoint=s3.endpoint, s3_region=s3_server.REGION, s3_path_style=True)
    )
    assert isinstance(found, S3Store)
    return found


def admit(s3: S3Server, bucket: str, user: str) -> None:
    """From now on, admit only this user and the owner of the account."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::000000000000:user/{user}"},
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
    }
    s3.client.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def test_the_role_of_the_instance_is_used(s3: S3Server, bucket: str, store: S3Store, metadata: Metadata) -> None:
    admit(s3, bucket, BACKUP)
    store.put(KEY, b"a set")
    assert store.read(KEY) == b"a set" and metadata.given == [BACKUP]


def test_its_credentials_are_renewed_before_they_end(
    s3: S3Server, bucket: str, store: S3Store, metadata: Metadata, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store stays open. The first credentials become invalid when the second ones become valid."""
    admit(s3, bucket, BACKUP)
    store.put(KEY, b"a set")
    admit(s3, bucket, DRILL)
    metadata.user = DRILL
    with pytest.raises(PermissionMissing):
        store.read(KEY)
    assert metadata.given == [BACKUP], "they are still good for an hour"
    metadata.passed = datetime.timedelta(minutes=52)
    # The clock of credentials is not public, and requests must have the real time.
    monkeypatch.setattr(store.bucket.client._request_signer._credentials, "_time_fetcher", metadata.now)
    assert store.read(KEY) == b"a set" and metadata.given == [BACKUP, DRILL]


@pytest.mark.mutation
def test_instance_without_role_is_reported(store: S3Store, metadata: Metadata) -> None:
    metadata.user = None
    with pytest.raises(
        Unreachable, match="there are no usable credentials; set s3_profile or s3_credentials_file, or give this host a role"
    ):
        store.put(KEY, b"a set")
