# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The objects of the measurements: a cluster with a twin, a repository with its keys, and the modules' use cases called on them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import shutil
import subprocess
import tempfile
import typing as t

import pyrage

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.databases import pg_encrypted_dump, pg_encrypted_restore
from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.replay import replay_volume_archive
from ansible_collections.caracal_ops.backup.plugins.module_utils._assets.streams import redis_stream_snapshot
from ansible_collections.caracal_ops.backup.plugins.module_utils._audit.chains import audit_chain_verify
from ansible_collections.caracal_ops.backup.plugins.module_utils._checks import envelope_verify, migration_verify, state_verify
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import cluster, lifecycle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxSpec
from ansible_collections.caracal_ops.backup.plugins.module_utils._sets import backup_set
from twin import keys, load
from twin.spec import Spec

DEPLOYMENT = "bench"


@dataclasses.dataclass(frozen=True)
class Scene:
    """A folder with keys, repository and clusters; `socket` is the source's."""

    folder: pathlib.Path
    socket: str
    bindir: str
    target: dict[str, t.Any] = dataclasses.field(default_factory=dict)

    @property
    def repository(self) -> pathlib.Path:
        return self.folder / "repository"

    @property
    def sandbox(self) -> str:
        return str(self.folder / "copy")

    @property
    def recipient(self) -> str:
        return (self.folder / "recipient").read_text().strip()

    def common(self) -> dict[str, t.Any]:
        return {
            "repository": str(self.repository),
            "deployment": DEPLOYMENT,
            "allowed_signers": str(self.folder / "allowed_signers"),
            "high_water_mark": str(self.folder / "mark"),
        }

    def backup(self) -> str:
        """Create one whole set, like the role, in a new repository; return its ID."""
        shutil.rmtree(self.repository, ignore_errors=True)
        (self.folder / "mark").unlink(missing_ok=True)
        return self.another()

    def another(self) -> str:
        """Create one more set in the existing repository; return its ID."""
        set_id = self.open()
        self.dump(set_id)
        self._run(backup_set, {"state": "committed", "set_id": set_id, **self._signing()})
        return set_id

    def open(self) -> str:
        """Open a new set; return its ID. The repository is created if there is none."""
        return str(self._run(backup_set, {"state": "open", "create_repository": True, **self._signing()})["set_id"])

    def read_streams(self, redis_socket: str) -> None:
        """Run the module redis_stream_snapshot, both passes, into an open set."""
        options = {"set_id": self.open(), "redis_unix_socket": redis_socket, **self._sealing()}
        for reading in (1, 2):
            self._run(redis_stream_snapshot, {**options, "reading": reading})

    def read_replay(self) -> None:
        """Run the module replay_volume_archive, the first pass, into an open set."""
        volume = {"service": "sts", "replica": "1", "path": str(self.folder / "replay")}
        self._run(replay_volume_archive, {"set_id": self.open(), "reading": 1, "volumes": [volume], **self._sealing()})

    def dump(self, set_id: str) -> dict[str, t.Any]:
        """Run the module pg_encrypted_dump, with its defaults."""
        return self._run(pg_encrypted_dump, {"set_id": set_id, "jobs": 2, **self._source(), **self._sealing()})

    def _signing(self) -> dict[str, t.Any]:
        return {"signing_key": str(self.folder / "signing" / "key")}

    def _sealing(self) -> dict[str, t.Any]:
        return {"recipients": [self.recipient], **self._signing()}

    def _source(self) -> dict[str, t.Any]:
        return {"login_user": "caracal", "login_unix_socket": self.socket}

    def summarize_wal(self) -> None:
        """Switch WAL summaries of the source on, and create a set that records a redo point."""
        with contextlib.closing(load.open_database(self.target, "postgres")) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            for statement in ("ALTER SYSTEM SET summarize_wal = on", "SELECT pg_reload_conf()", "CHECKPOINT"):
                cursor.execute(statement)
        self.another()

    def empty_sandbox(self) -> str:
        """Create a sandbox; return the folder of its socket."""
        lifecycle.destroy(self.sandbox)
        spec = SandboxSpec(self.sandbox, server_binaries.find(None, minimum_major=17), allow_shared_filesystem=True)
        return lifecycle.create(spec).info.socket_dir

    def restore(self) -> dict[str, t.Any]:
        """Run the module pg_encrypted_restore, into the sandbox."""
        return self._run(pg_encrypted_restore, self._copy())

    def verify(self) -> dict[str, t.Any]:
        """Run the module state_verify, on the sandbox."""
        return self._run(state_verify, {**self._copy(), "audit_rows": True})

    def verify_all(self, *, chains: bool = True) -> None:
        """Verify the copy like the role of a drill before a service starts: the audit rows are read once.

        Without `chains`, skip everything that reads the audit rows.
        """
        database = {"sandbox": self.sandbox}
        self._run(migration_verify, database)
        self._run(state_verify, {**self._copy(), "audit_rows": False})
        if chains:
            self._run(audit_chain_verify, {**database, **self._chains(), "set_id": "latest", "jobs": 2})
        self._run(envelope_verify, {**database, "kek": keys.for_seed(Spec().seed).secret_store_kek.hex()})

    def _chains(self) -> dict[str, t.Any]:
        return {"audit_hmac_key_files": keys.files(self.folder, self.audit_key.hex())}

    def verify_chains(self, jobs: int) -> dict[str, t.Any]:
        """Run the module audit_chain_verify, on the source."""
        return self._run(audit_chain_verify, {**self._source(), **self._chains(), "jobs": jobs})

    @property
    def audit_key(self) -> bytes:
        return keys.for_seed(Spec().seed).audit_hmac_key

    def _copy(self) -> dict[str, t.Any]:
        return {"identity_files": [str(self.folder / "identity")], "sandbox": self.sandbox, "set_id": "latest"}

    def _run(self, module: t.Any, options: dict[str, t.Any]) -> dict[str, t.Any]:
        known = module.Options.spec()
        common = {name: value for name, value in self.common().items() if name in known}
        result: dict[str, t.Any] = module.run(Invocation(complete(module.Options, {**common, **options}), False, lambda _text: None))
        if result.get("failed"):
            raise SystemExit(result["msg"])
        return result


def _keys(folder: pathlib.Path) -> None:
    """Create a signing key in a separate folder, and an identity in another place."""
    (folder / "signing").mkdir(mode=0o700)
    key = folder / "signing" / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)], check=True)
    (folder / "allowed_signers").write_text(f"backup@{DEPLOYMENT} {key.with_suffix('.pub').read_text()}")
    identity = pyrage.x25519.Identity.generate()
    (folder / "identity").write_text(f"{identity}\n")
    (folder / "recipient").write_text(f"{identity.to_public()}\n")


@contextlib.contextmanager
def _as_in_production() -> t.Iterator[None]:
    """Let new servers write complete WAL, which a sandbox does not need."""
    usual = dict(cluster.SETTINGS)
    cluster.SETTINGS.update(wal_level="replica", full_page_writes="on")
    try:
        yield
    finally:
        cluster.SETTINGS.update(usual)


@contextlib.contextmanager
def scene(events: int) -> t.Iterator[Scene]:
    """Yield a source with `events` audit events; remove everything afterwards."""
    os.umask(0o077)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="caracal-bench-", dir="/var/tmp"))
    source, install = str(folder / "source"), server_binaries.find(None, minimum_major=17)
    try:
        os.chmod(folder, 0o711)  # the servers run under another uid
        _keys(folder)
        with _as_in_production():
            info = lifecycle.create(SandboxSpec(source, install, allow_shared_filesystem=True)).info
        target = {"host": info.socket_dir, "port": info.port, "user": info.superuser, "password": None}
        made = Scene(folder, info.socket_dir, install.bindir, target)
        load.create(target, Spec(events=events))
        yield made
    finally:
        for name in ("source", "copy"):
            lifecycle.destroy(str(folder / name))
        shutil.rmtree(folder)
