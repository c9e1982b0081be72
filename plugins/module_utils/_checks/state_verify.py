# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use case of the module of the same name: compare the copy with the signed inventory and with the rules of a healthy Caracal."""

from __future__ import annotations

import dataclasses
import time

from .._ansible.boundary import Invocation
from .._caracal import outbox
from .._caracal.chains.audit_blocks import Block
from .._caracal.inventory import inventory, since_previous
from .._drivers.postgres import catalog, client_binaries, roles, snapshot
from .._drivers.postgres.client_binaries import ClientTools
from .._drivers.postgres.server import Server, Session
from .._errors import Unreachable
from .._evidence import access, history, place, previous_set, sealed_set
from .._inventory import ClusterRoles, DatabaseInventory, SetInventory
from .._options import declared
from .._options.declared import Path
from .._options.shared import CopyOptions, RepositoryOptions, StoredSetOptions
from .._reading import database_layout, differences, reading
from .._report.check import FAIL, PASS, UNPROVEN, WARN, Check, VerdictResult, judged
from .._stream import workers
from . import invariant_reading
from .invariant_reading import Wanted

NO_DEPLOYMENT = "the set records no migrations or no zones, but every running Caracal has both; back up with a role that can read all rows"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(declared.Options):
    """Options of the module of the same name."""

    copy: CopyOptions = dataclasses.field(default_factory=CopyOptions)
    access: RepositoryOptions
    stored: StoredSetOptions = dataclasses.field(default_factory=StoredSetOptions)
    identity_files: tuple[Path, ...]
    audit_rows: bool = True
    shrink_budget: int = 50
    jobs: int = 2
    require_valid: bool = True


class StateVerifyResult(VerdictResult):
    """The result of the comparison with the inventory of a set."""

    set_id: str
    seconds: float


def run(invocation: Invocation[Options]) -> StateVerifyResult:
    """Verify the set, read its inventory and blocks, read the copy, and compare. Also compare the set with the previous one."""
    started = time.monotonic()
    given = invocation.options
    since_previous.check_budget(given.shrink_budget)
    opened = access.open_repository(given.access, warn=invocation.warn)
    the_set = sealed_set.SealedSet(opened, given.stored.set_id, given.identity_files, given.stored.max_age)
    server, sandbox = place.server_of(given.copy)
    expected = the_set.inventory()
    client = client_binaries.find(given.copy.postgres.pg_bin, minimum_major=_major(server, expected), tools=("pg_dump", "psql"))
    if client.doubt:
        invocation.warn(client.doubt)
    checks = [access.freshness_check(opened)]
    recorded, blocks = the_set.blocks(), list[Block]()
    for one in expected["databases"]:
        wanted = invariant_reading.Wanted.of(one, recorded, history.acknowledged(opened))
        found, of_copy = _database(server, one, wanted, client, given.jobs, given.audit_rows)
        checks += found
        blocks += of_copy
    checks += invariant_reading.owners(server, expected["databases"], checks)
    if given.audit_rows:
        checks.append(inventory.compare_blocks(recorded, blocks))
    checks.append(previous_set.check(opened, the_set, expected, server, given.identity_files, given.shrink_budget))
    checks.append(_roles(server, expected["roles"], sandbox.superuser if sandbox else None))
    opened.mark.advance(opened.journal, dry=invocation.check_mode)
    return {
        **judged(checks, given.require_valid),
        "set_id": the_set.set_id,
        "seconds": round(time.monotonic() - started, 3),
    }


def _major(server: Server, expected: SetInventory) -> int:
    """Return the major version that client programs need: pg_dump refuses a server that is newer than itself."""
    with Session(server, "postgres", settings={}) as session:
        versions = [catalog.server_version(session), *(one["server_version"] for one in expected["databases"])]
    return max(versions) // 10000


def _database(
    server: Server, expected: DatabaseInventory, wanted: Wanted, client: ClientTools, jobs: int, audit_rows: bool
) -> tuple[list[Check], list[Block]]:
    """Return all checks of one database, and the audit blocks of the copy."""
    name = expected["database"]
    try:
        held = snapshot.Snapshot(server, name)
    except Unreachable as exc:
        return [Check(f"inventory.{name}", FAIL, exc.msg)], []
    with held:
        read = database_layout.read(held.session)
        rules = (invariant_reading.observe, (held.place, wanted, read.public))
        if not audit_rows:
            read = read.without({leaf.qualified for leaf in read.leaves})
        key = differences.key_of(expected)
        seen, facts, rest, *leaves = workers.run_all([rules, *reading.read_tasks(held.place, read, client, key)], jobs)
        actual = reading.assemble(name, read, facts, rest, leaves)
        located = differences.locate(held.session, read.rest, expected, actual)
        actual["sequences"] = catalog.sequences(held.session)
        frames = [outbox.landed(held.session, read.detected.family)] if read.detected else []
    state = invariant_reading.judge(seen, expected, actual, wanted.acknowledged)
    checks = [*inventory.compare(expected, actual, located, leaves=audit_rows), *state, *frames]
    if expected["family"] is not None and not inventory.believable(expected):
        checks.append(Check(f"inventory.{name}.believable", UNPROVEN, NO_DEPLOYMENT))
    return checks, [*rest.blocks, *(block for leaf in leaves for block in leaf.blocks)]


def _roles(server: Server, recorded: ClusterRoles, host: str | None) -> Check:
    """Compare the roles. An existing cluster has its own roles, which a restore never changes. A sandbox only has its superuser `host`."""
    compared = roles.without(recorded, host)
    with Session(server, "postgres", settings={}) as session:
        wrong = roles.differences(session, compared)
    if wrong:
        words = f"{len(wrong)} difference(s); first: {wrong[0]}"
        return Check("inventory.roles", FAIL if host else WARN, words, details={"differences": wrong[:50]})
    if not compared["roles"]:
        return Check("inventory.roles", UNPROVEN, "the set records no roles that can be compared")
    return Check("inventory.roles", PASS, roles.as_recorded(recorded, host))
