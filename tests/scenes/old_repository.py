# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A repository that is weeks old: real keys, signatures and journal, sets of small artifacts that share partitions, and
the modules on it.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import importlib
import os
import signal
import typing as t
from pathlib import Path

import pyrage
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import recipients as age
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.allowed_signers import Verifier, utc_now
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import BucketOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import archive_days, layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import artifact as artifacts
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import commit as commits
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.artifact import Artifact
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.manifest import Manifest, Pairing, Source
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.schemes import open_store
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import compression
from scenes.scene import Result, tree
from unit.plugins.module_utils._repository.conftest import LEAF, World

PLUGINS = "ansible_collections.caracal_ops.backup.plugins"
HOUR = datetime.timedelta(hours=1)
PAIRED = Pairing("pass", "its own secrets open it")


class OldRepository(World):
    """`begin` is the time of its creation, in hours before now. Everything is encrypted for `identity`.

    The repository is in a directory, or at `location`, with the access options `reach`.
    """

    def __init__(self, folder: Path, keys: Path, begin: float, location: str | None = None, reach: dict[str, t.Any] | None = None) -> None:
        super().__init__(folder, keys)
        self.reach = reach or {}
        self.store = open_store(location or self.store.location, BucketOptions(**self.reach))
        self.made: list[str] = []
        self.clock.now = datetime.datetime.now(datetime.timezone.utc) - begin * HOUR
        self.identity = folder / "identity"
        self.recipient = self.new_identity(self.identity)
        self.create()

    @property
    def verifier(self) -> Verifier:
        """Return a verifier at the present time, or later if the test's clock is ahead."""
        return Verifier.load(str(self.allowed), str(self.revoked), lambda: max(self.clock.now, utc_now()))

    @staticmethod
    def new_identity(path: Path) -> age.Recipient:
        identity = pyrage.x25519.Identity.generate()
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as out:
            out.write(f"{identity}\n")
        return age.parse(str(identity.to_public()), "test")

    def sealed(self, path: str, kind: str, data: bytes, **more: t.Any) -> Artifact:
        self.store.put(path, pyrage.encrypt(data, [self.recipient.to_age()]))
        stored = self.store.read(path)
        return Artifact(path, kind, len(stored), hashlib.sha256(stored).hexdigest(), "zstd", (self.recipient.fingerprint,), **more)

    def add(self, hours: float = 24, *, size: int = 5000, share: bool = True, secrets: bool = True, pairing: Pairing = PAIRED) -> str:
        """Add a set, so many hours after the last one; it shares the first partition of the set before it.

        Its dump has `size` bytes. That must be much more than the few hundred random bytes that age adds to each object.
        """
        self.clock.add(hours=hours)
        set_id = layout.new_set_id(self.clock.now, len(self.made).to_bytes(5, "little"))
        recovery = f"# Set {set_id}\n".encode()
        before = self.manifest_of(self.made[-1]).artifacts if self.made and share else ()
        shared = [dataclasses.replace(one, shared_from=one.shared_from or self.made[-1]) for one in before if one.kind == artifacts.LEAF][
            :1
        ]
        dump = self.sealed(layout.dump_key(set_id, "caracal"), artifacts.DUMP, b"d" * size, database="caracal")
        own = self.sealed(
            layout.leaf_key(LEAF, f"{len(self.made):064d}", set_id), artifacts.LEAF, b"rows", database="caracal", leaf=f"public.{LEAF}"
        )
        manifest = Manifest(
            set_id=set_id,
            repository=self.load().id,
            deployment="prod",
            created=self.clock.now,
            previous=None,
            family="secret_store",
            release="v1.0.0",
            sources=(Source("caracal", "7412345678901234567", 170010, self.clock.now, "0/16B3748", False),),
            artifacts=(
                dump,
                *shared,
                own,
                self.sealed(layout.inventory_key(set_id), artifacts.INVENTORY, b"inventory"),
                *([self.sealed(layout.secrets_key("0" * 16, set_id), artifacts.SECRETS, b"secrets")] if secrets else []),
                self.stored(layout.blocks_key(set_id), artifacts.BLOCKS, compression.compress(b"")),
                artifacts.recovery(set_id, recovery),
            ),
            pairing=pairing,
        )
        body = {"source": [{"database": "caracal", "system_identifier": "7412345678901234567"}]}
        commits.commit(self.load(), self.journal(), self.signer(), manifest, recovery, body=body, time=self.time(), machine="host-1")
        self.made.append(set_id)
        return set_id

    def manifest_of(self, set_id: str) -> Manifest:
        return self.catalog().read(set_id).manifest

    def sets(self) -> list[str]:
        return [one.set_id for one in self.catalog().sets()]

    def drill(self, set_id: str, verdict: str = "pass") -> None:
        """Add a drill entry at the time of the newest set."""
        drill_id = layout.new_set_id(self.clock.now, os.urandom(5))
        digest = self.catalog().get(set_id).manifest_sha256
        report = f"drill {drill_id}".encode()
        self.store.put(layout.drill_report_key(drill_id), report)
        self.store.put(layout.drill_report_signature_key(drill_id), self.signer("drill").sign(report, layout.NAMESPACE_DRILL))
        subjects = [
            entries.subject(layout.drill_report_key(drill_id), entries.sha256(report)),
            entries.subject(layout.manifest_key(set_id), digest),
        ]
        body = {"drill": drill_id, "set": set_id, "verdict": verdict, "counts": {}, "waived": []}
        self.append(entries.DRILL, "drill", subjects=subjects, body=body)

    def archive(self, *, here: bool = True) -> str:
        """Add the entry of a day of audit exports; return its only object, which is stored in the repository or elsewhere."""
        key, content = "archive/audit/2026/06/01/2026-06-01T00.parquet", b"an hour"
        if here:
            self.store.put(key, content)
        day = archive_days.ArchiveDay(datetime.date(2026, 6, 1), None, None)
        self.append(entries.ARCHIVE_DAY, "backup", subjects=[entries.subject(key, entries.sha256(content))], body=day.to_body())
        return key

    def mark(self, role: str) -> Path:
        return self.folder / f"{role}_mark"

    def given(self, name: str, role: str, **own: t.Any) -> t.Any:
        """Return the options of a module, called by `role`."""
        options = importlib.import_module(f"{PLUGINS}.modules.{name}").Options
        known = options.spec()
        usual = {
            "repository": self.store.location,
            "deployment": "prod",
            "allowed_signers": str(self.allowed),
            "high_water_mark": str(self.mark(role)),
            "signing_key": str(self.keys / role),
            "identity_files": [str(self.identity)],
            **self.reach,
        }
        return complete(options, {name: value for name, value in {**usual, **own}.items() if name in known and value is not None})

    def call(self, name: str, role: str, *, check_mode: bool = False, **own: t.Any) -> Result:
        module = importlib.import_module(f"{PLUGINS}.modules.{name}")
        result: Result = module.use_case(Invocation(self.given(name, role, **own), check_mode, lambda _text: None))
        return result

    def prune(self, *, check_mode: bool = False, seen: bool = True, **own: t.Any) -> Result:
        """Prune on a host that has `seen` the repository before."""
        if seen:
            self.see("prune")
        return self.call("backup_prune", "prune", check_mode=check_mode, **{"keep_last": 2, "minimum": 1, **own})

    def see(self, role: str) -> None:
        self.call("backup_set_info", role)

    def refused(self, kind: type[BackupError], *words: str, call: t.Callable[..., Result], **own: t.Any) -> str:
        """Check that the call is refused in both modes, with one line and without a change of the repository."""
        before, message = tree(Path(self.store.location)), ""
        for check_mode in (True, False):
            with pytest.raises(BackupError) as raised:
                call(check_mode=check_mode, **own)
            message = raised.value.msg
            assert raised.type is kind and "\n" not in message, message
            assert not [word for word in words if word not in message], message
            assert tree(Path(self.store.location)) == before
        return message

    def killed_at(self, number: int, **own: t.Any) -> bool:
        """Prune in a process that gets SIGKILL right before its `number`-th change of the store; return whether it was killed."""
        self.see("prune")
        child = os.fork()
        if child == 0:
            try:
                left = iter(range(number))
                for name in ("put", "delete"):
                    _deadly(name, left)
                self.prune(seen=False, **own)
            finally:
                os._exit(0)
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _deadly(name: str, left: t.Iterator[int]) -> None:
    real = getattr(LocalStore, name)

    def change(*args: t.Any) -> t.Any:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args)

    setattr(LocalStore, name, change)
