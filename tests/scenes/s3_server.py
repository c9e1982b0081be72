# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A temporary SeaweedFS: a real S3 server that enforces versions, Object Lock and policies."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
import typing as t
import uuid
from pathlib import Path

import boto3
import botocore.config
import botocore.exceptions

from harness import runs
from harness.waiting import PATIENCE

ATTEMPTS = 5
PR_SET_PDEATHSIG = 1
ADMIN, BACKUP, DRILL, PRUNE, OPERATOR = "admin", "backup", "drill", "prune", "operator"
USERS = (ADMIN, BACKUP, DRILL, PRUNE, OPERATOR)
REGION = "us-east-1"


@dataclasses.dataclass(frozen=True)
class S3Server:
    """A running server. `credentials` is a file with a profile for each user; only `admin` may do what no policy allows."""

    folder: Path
    process: subprocess.Popen[bytes]
    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def credentials(self) -> Path:
        return self.folder / "credentials"

    @functools.cached_property
    def client(self) -> t.Any:
        """Return the client of the owner of the account."""
        return self.client_of(ADMIN)

    def client_of(self, user: str) -> t.Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=user,
            aws_secret_access_key=secret(user),
            config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"mode": "standard", "max_attempts": 8}),
        )

    def options(self, user: str = ADMIN, **own: t.Any) -> dict[str, t.Any]:
        """Return options of our modules."""
        usual = {
            "s3_endpoint": self.endpoint,
            "s3_region": REGION,
            "s3_path_style": True,
            "s3_credentials_file": str(self.credentials),
            "s3_profile": user,
        }
        return {**usual, **own}

    @functools.cached_property
    def shared(self) -> str:
        """Return a bucket with Object Lock for all tests that use a separate prefix, because each bucket costs the server some volumes."""
        return self.bucket()

    def bucket(self, *, lock: bool = True, versions: bool = True) -> str:
        """Create a bucket for one test."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        self.client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=lock)
        if versions and not lock:
            self.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        return name


def secret(user: str) -> str:
    return f"{user}-secret-of-this-test"


def _free_ports(count: int) -> list[int]:
    """Return free ports below the system's ephemeral range. The second port of each service, 10,000 above, must be possible too."""
    found: list[int] = []
    start = 12_000 + (os.getpid() * 37) % 9_000
    for port in range(start, start + 1000):
        with contextlib.ExitStack() as stack:
            try:
                for one in (port, port + 10_000):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", one))
            except OSError:
                continue
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no free ports")


@contextlib.contextmanager
def start() -> t.Iterator[S3Server]:
    """Yield a server that answers; it is removed afterwards."""
    folder = Path(runs.folder("s3"))
    identities = [
        {
            "name": user,
            "credentials": [{"accessKey": user, "secretKey": secret(user)}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"] if user == ADMIN else [],
        }
        for user in USERS
    ]
    (folder / "identities.json").write_text(json.dumps({"identities": identities}))
    with open(os.open(folder / "credentials", os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
        out.writelines(f"[{user}]\naws_access_key_id = {user}\naws_secret_access_key = {secret(user)}\n" for user in USERS)
    try:
        with _answering(folder) as made:
            yield made
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def _answering(folder: Path) -> t.Iterator[S3Server]:
    """Start the server on free ports. If another process takes one of them first, the server ends, and other ports are tried."""
    for attempt in range(ATTEMPTS):
        made = _begun(folder, folder / f"data{attempt}")
        try:
            if _answers(made):
                yield made
                return
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(made.process.pid, signal.SIGKILL)
            made.process.wait()
    raise AssertionError(f"no server started\n{_log(folder)}")


def _begun(folder: Path, data: Path) -> S3Server:
    data.mkdir()
    master, volume, filer, port = _free_ports(4)
    argv = [os.path.join(sysconfig.get_path("scripts"), "weed"), "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
    argv += [f"-master.port={master}", f"-volume.port={volume}", "-filer", f"-filer.port={filer}"]
    argv += [
        "-s3",
        f"-s3.port={port}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.config={folder}/identities.json",
        "-volume.max=2000",
        "-master.volumeSizeLimitMB=64",
    ]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, preexec_fn=_die_with_parent
        )
    return S3Server(folder, process, port)


def _log(folder: Path) -> str:
    return (folder / "log").read_text(errors="replace")[-2000:]


def _die_with_parent() -> None:
    """End the server with its parent, also if the tests are killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _answers(server: S3Server) -> bool:
    """Wait until a bucket can be created and written; return whether the server was still running."""
    until = time.monotonic() + PATIENCE
    while server.process.poll() is None:
        try:
            name = server.bucket()
            server.client.put_object(Bucket=name, Key="up", Body=b"")
            return True
        except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError):
            assert time.monotonic() < until, _log(server.folder)
            time.sleep(0.2)
    return False
