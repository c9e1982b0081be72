# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import subprocess

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import schema_text
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.client_binaries import ClientTools
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.snapshot import Snapshot
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, StageFailed
from harness.waiting import eventually
from scenes.twin_database import Copier, TwinCluster


def digest(client: ClientTools, cluster: TwinCluster, database: str) -> str:
    with Snapshot(cluster.server, database) as held:
        return schema_text.read(client.paths["pg_dump"], held.place).digest


def test_schema_digest_is_sha256_of_schema_text(client: ClientTools, caracal_database: TwinCluster) -> None:
    argv = [
        client.paths["pg_dump"],
        "--schema-only",
        "--restrict-key=caracal",
        "-h",
        caracal_database.info.socket_dir,
        "-U",
        "caracal",
        "caracal",
    ]
    text = subprocess.run(argv, capture_output=True, check=True).stdout
    kept = b"".join(line for line in text.splitlines(keepends=True) if not line.startswith(b"-- Dumped "))
    assert text.count(b"-- Dumped ") == 2
    assert digest(client, caracal_database, "caracal") == hashlib.sha256(kept).hexdigest()


@pytest.mark.mutation
def test_a_changed_schema_has_another_digest(client: ClientTools, caracal_database: TwinCluster, caracal_copy: Copier) -> None:
    first, second = caracal_copy(), caracal_copy()
    assert digest(client, caracal_database, first) == digest(client, caracal_database, second)
    for change in ("COMMENT ON TABLE zones IS 'x'", "CREATE DOMAIN d AS int CHECK (value > 0)"):
        before = digest(client, caracal_database, second)
        caracal_database.execute(change, database=second)
        assert digest(client, caracal_database, second) != before


@pytest.mark.mutation
def test_pg_dump_of_a_snapshot_that_has_ended_fails(client: ClientTools, caracal_database: TwinCluster) -> None:
    with Snapshot(caracal_database.server, "caracal") as held:
        place = held.place
    ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'caracal_ops.backup'"
    eventually(lambda: caracal_database.execute(ours)[0][0] == 0)
    with pytest.raises(StageFailed, match=r"^database caracal: pg_dump failed \(exit status 1\): .*snapshot"):
        schema_text.read(client.paths["pg_dump"], place)
    with pytest.raises(BackupError, match="snapshot"):
        place.join()
    eventually(lambda: caracal_database.execute(ours)[0][0] == 0)


CHANGES = {
    "COMMENT ON TABLE zones IS 'x'": ["not in the set: COMMENT public.TABLE zones"],
    "DROP INDEX zones_active_idx": ["missing INDEX public.zones_active_idx"],
    "CREATE OR REPLACE FUNCTION reject_policy_version_mutation() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'": [
        "FUNCTION public.reject_policy_version_mutation() differs"
    ],
    "ALTER TABLE zones ALTER COLUMN slug SET DEFAULT 'x'": ["TABLE public.zones differs"],
    "GRANT SELECT ON secrets TO PUBLIC": ["ACL public.TABLE secrets differs"],
    "CREATE TABLE aaa (x int)": ["not in the set: TABLE public.aaa"],
}


@pytest.mark.mutation
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_definition_is_named(client: ClientTools, caracal_database: TwinCluster, caracal_copy: Copier, change: str) -> None:
    texts = []
    database = caracal_copy()
    for statement in ("SELECT 1", change):
        caracal_database.execute(statement, database=database)
        with Snapshot(caracal_database.server, database) as held:
            texts.append(schema_text.read(client.paths["pg_dump"], held.place))
    assert schema_text.differences(texts[0].objects, texts[1].objects) == CHANGES[change]
