# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A repository with real keys, a clock that the test sets, and sets with small artifacts."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.allowed_signers import Verifier
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.signing import Signer
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import StorageError
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import artifact as artifacts
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import commit as commits
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import creation, layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import journal as journals
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import repository as repositories
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.artifact import Artifact
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.catalog import Catalog
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.entry import Entry
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.fields import timestamp
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.journal import Journal
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.manifest import Manifest, Pairing, Source
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.repository import Repository
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.base import ObjectStat, Store
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore

ROLES = ("backup", "drill", "operator", "prune", "stranger")
NOW = datetime.datetime(2026, 11, 25, 2, 0, 0, tzinfo=datetime.timezone.utc)
LEAF = "audit_events_2026_11"


@dataclasses.dataclass
class Clock:
    now: datetime.datetime = NOW

    def __call__(self) -> datetime.datetime:
        return self.now

    def add(self, **span: float) -> None:
        self.now += datetime.timedelta(**span)


class World:
    """One repository of deployment `prod`, with everything needed to write to it and to read it."""

    def __init__(self, folder: Path, keys: Path) -> None:
        self.folder = folder
        self.keys = keys
        self.clock = Clock()
        self.store: Store = LocalStore(str(folder / "repository"))
        self.allowed = folder / "allowed_signers"
        self.revoked = folder / "revoked"
        self.allowed.write_text("".join(self.line(role) for role in ROLES if role != "stranger"))
        self.revoked.write_text("")

    def public(self, role: str) -> str:
        return " ".join((self.keys / f"{role}.pub").read_text().split()[:2])

    def line(self, role: str, options: str = "") -> str:
        return f"{role}@prod {options} {self.public(role)}\n"

    @property
    def verifier(self) -> Verifier:
        return Verifier.load(str(self.allowed), str(self.revoked), self.clock)

    def signer(self, role: str = "backup", principal: str | None = None) -> Signer:
        return Signer(str(self.keys / role), principal or f"{role}@prod")

    def path(self, key: str) -> Path:
        return Path(self.store.location) / key

    def create(self, deployment: str = "prod", role: str = "backup") -> Repository:
        signer = self.signer(role, f"{role}@{deployment}")
        return creation.create(self.store, deployment, signer, "host-1", self.clock, verifier=self.verifier)

    def load(self) -> Repository:
        return repositories.load(self.store, self.verifier, "prod")

    def journal(self) -> Journal:
        return journals.read(self.load(), self.verifier)

    def catalog(self) -> Catalog:
        return Catalog(self.load(), self.journal(), self.verifier)

    def time(self) -> dict[str, str | None]:
        return {"host": timestamp(self.clock.now), "database": None, "store": None}

    def append(self, kind: str = "checkpoint", role: str = "backup", journal: Journal | None = None, **more: t.Any) -> Entry:
        journal = journal or self.journal()
        subjects = more.pop("subjects", [entries.subject("x", "0" * 64)])
        body = more.pop("body", {})
        principal = more.pop("principal", None)
        return journals.append(
            self.load(), journal, self.signer(role, principal), kind, subjects, body, time=more.pop("time", self.time()), machine="host-1"
        )

    def set_id(self, number: int = 1) -> str:
        return f"20261125T0200{number:02d}Z-aaaa"

    def stored(self, path: str, kind: str, data: bytes, **more: t.Any) -> Artifact:
        """Return an artifact, and store it if it does not exist."""
        if self.store.stat(path) is None:
            self.store.put(path, data)
        recipients = ("SHA256:abc",) if path.endswith(".age") else ()
        return Artifact(path, kind, len(data), hashlib.sha256(data).hexdigest(), "zstd", recipients, **more)

    def manifest(self, number: int = 1, **changes: t.Any) -> tuple[Manifest, bytes]:
        """Return a manifest and its RECOVERY.md. Its artifacts are stored."""
        set_id = self.set_id(number)
        recovery = f"# Set {set_id}\n".encode()
        data = b"dump of " + set_id.encode()
        leaf = layout.leaf_key(LEAF, "1" * 64, set_id)
        made = Manifest(
            set_id=set_id,
            repository=self.load().id,
            deployment="prod",
            created=NOW,
            previous=None,
            family="secret_store",
            release="v1.0.0",
            sources=(Source("caracal", "7412345678901234567", 170010, NOW, "0/16B3748", False),),
            artifacts=(
                self.stored(layout.dump_key(set_id, "caracal"), "dump", data, database="caracal"),
                self.stored(layout.schema_key(set_id, "caracal"), "schema", data[::-1], database="caracal"),
                self.stored(leaf, "leaf", b"rows", database="caracal", leaf=f"public.{LEAF}"),
                self.stored(layout.inventory_key(set_id), "inventory", b"inventory"),
                self.stored(layout.blocks_key(set_id), "blocks", b"blocks"),
                artifacts.recovery(set_id, recovery),
            ),
            pairing=Pairing("not_applicable", "no secrets in this set"),
            tools={"pg_dump": "17.10"},
            timings={"dump": 1.5},
            left_out={"redis": "not configured"},
        )
        return dataclasses.replace(made, **changes), recovery

    def commit(self, number: int = 1, journal: Journal | None = None, store: Store | None = None, **changes: t.Any) -> Entry:
        manifest, recovery = self.manifest(number, **changes)
        journal = journal or self.journal()
        repository = dataclasses.replace(self.load(), store=store or self.store)
        body = {"source": [{"database": "caracal", "system_identifier": f"74{number}"}]}
        signer = self.signer()
        return commits.commit(repository, journal, signer, manifest, recovery, body=body, time=self.time(), machine="host-1")


class DyingStore(LocalStore):
    """A store that fails at its n-th put, before or after it stores the object."""

    def __init__(self, location: str, dies_at: int, after: bool) -> None:
        super().__init__(location)
        self.left = dies_at
        self.after = after

    def put(self, key: str, data: bytes) -> ObjectStat:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise StorageError(f"killed before {key}")
        made = super().put(key, data)
        if self.left == 0:
            raise StorageError(f"killed after {key}")
        return made


@pytest.fixture
def dying() -> type[DyingStore]:
    return DyingStore


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for role in ROLES:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / role)], check=True)
    return folder


@pytest.fixture
def empty_world(keys: Path, tmp_path: Path) -> World:
    """Return keys and a store without a repository."""
    return World(tmp_path, keys)


@pytest.fixture
def world(empty_world: World) -> World:
    """Return a repository with its genesis entry."""
    empty_world.create()
    return empty_world
