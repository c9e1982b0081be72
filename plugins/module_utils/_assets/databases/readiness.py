# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case: check the prerequisites of a database restore that can be checked before the target server runs."""

from __future__ import annotations

import dataclasses
import typing as t

from ..._ansible.boundary import Invocation
from ..._caracal import upgrade
from ..._drivers.postgres import client_binaries
from ..._drivers.postgres.client_binaries import ClientTools
from ..._errors import MissingDependency, OptionError, TamperedData
from ..._evidence import access, restore_entry
from ..._evidence.access import Opened
from ..._evidence.sealed_set import SealedSet
from ..._inventory import DatabaseInventory, SetInventory
from ..._options import declared
from ..._options.declared import Path
from ..._options.shared import RepositoryOptions, StoredSetOptions
from ..._report.check import FAIL, WARN, Check, CheckResult
from ..._sandbox.info import SandboxInfo
from ..._sandbox.isolation import NONE
from ..._stream.progress import SILENT, Progress


@dataclasses.dataclass(frozen=True)
class Ready:
    """The prerequisites of a restore.

    `wanted` are the databases in the inventory. `client` has pg_restore. `checks` are findings against the restore.
    """

    the_set: SealedSet
    inventory: SetInventory
    wanted: t.Sequence[DatabaseInventory]
    client: ClientTools
    checks: list[Check]


@dataclasses.dataclass(frozen=True, kw_only=True)
class DumpedOptions(declared.Options):
    """The databases and the set to restore, and the release that will run."""

    stored: StoredSetOptions = dataclasses.field(default_factory=StoredSetOptions)
    identity_files: tuple[Path, ...]
    databases: tuple[str, ...] = ()
    release: str | None = None
    accept_vulnerable_clients: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    access: RepositoryOptions
    dumped: DumpedOptions
    signing_key: Path
    pg_bin: Path | None = None


class ReadinessResult(t.TypedDict):
    """One check for each prerequisite of a restore."""

    changed: bool
    checks: list[CheckResult]


def run(invocation: Invocation[Options]) -> ReadinessResult:
    """Run the checks of `pg_encrypted_restore` that need no target."""
    given = invocation.options
    opened = access.open_repository(given.access, warn=invocation.warn)
    restore_entry.signer(opened, given.access.deployment, given.signing_key)
    return {"changed": False, "checks": [check.to_result() for check in ready(opened, given.dumped, given.pg_bin, None).checks]}


def ready(opened: Opened, given: DumpedOptions, pg_bin: str | None, sandbox: SandboxInfo | None, progress: Progress = SILENT) -> Ready:
    """Return the prerequisites. Raise KeyProblem, MissingDependency, OptionError, TamperedData."""
    the_set = SealedSet(opened, given.stored.set_id, given.identity_files, given.stored.max_age)
    _intact(opened, the_set, progress)
    release = _release(the_set, given.release)
    inventory = the_set.inventory()
    wanted = _wanted(inventory, given.databases)
    major = max(one["server_version"] for one in wanted) // 10000
    client = client_binaries.find(pg_bin, minimum_major=major, tools=("pg_restore",))
    return Ready(the_set, inventory, wanted, client, [release, *_flaws(client, sandbox, given.accept_vulnerable_clients)])


def _intact(opened: Opened, the_set: SealedSet, progress: Progress) -> None:
    """Verify every digest before the first change, and that this host can update its high-water mark."""
    opened.mark.advance(opened.journal, dry=True)
    bad = [check for check in opened.catalog.verify_objects(the_set.open_set, progress) if check.verdict == FAIL]
    if bad:
        raise TamperedData(f"set {the_set.set_id}: {bad[0].message}", checks=[check.to_result() for check in bad])


def _release(the_set: SealedSet, wanted: str | None) -> Check:
    manifest = the_set.open_set.manifest
    return upgrade.judge(manifest.release, manifest.family, wanted)


def _wanted(inventory: SetInventory, names: t.Sequence[str]) -> list[DatabaseInventory]:
    databases = inventory["databases"]
    unknown = set(names) - {one["database"] for one in databases}
    if unknown:
        raise OptionError(f"the set has no database {sorted(unknown)[0]}; it has {', '.join(one['database'] for one in databases)}")
    return [one for one in databases if not names or one["database"] in names]


def _flaws(client: ClientTools, sandbox: SandboxInfo | None, accepted: t.Collection[str]) -> list[Check]:
    """Return known flaws of pg_restore, which reads a hostile archive. If it is not isolated, the operator must accept them."""
    unaccepted = [flaw.cve for flaw in client.flaws if flaw.cve not in accepted]
    if unaccepted and (sandbox is None or sandbox.isolation == NONE):
        raise MissingDependency(f"{client.doubt}, or set accept_vulnerable_clients to {', '.join(unaccepted)}")
    return [Check("restore.clients", WARN, client.doubt)] if client.flaws else []
