# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module as Ansible runs it, packed by its static scan together with its tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scenes.twin_database import Copier, TwinCluster
from unit.plugins.module_utils._ansible.test_boundary import ansible
from unit.plugins.modules.test_envelope_verify import RESULT


def run(cluster: TwinCluster, folder: Path, **given: str) -> tuple[str, dict[str, object]]:
    arguments = json.dumps({"login_unix_socket": cluster.info.socket_dir, **given})
    done = ansible("ansible", "localhost", "-m", "caracal_ops.backup.migration_verify", "-a", arguments, folder=folder)
    found = RESULT.search(done.stdout)
    assert found, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return found[1], json.loads(found[2])


@pytest.mark.no_false_alarm
def test_an_intact_database_passes(caracal_database: TwinCluster, tmp_path: Path) -> None:
    status, result = run(caracal_database, tmp_path)
    assert (status, result["verdict"], result["release"], result["changed"]) == ("SUCCESS", "pass", "v1.0.0", False)


@pytest.mark.mutation
def test_a_damaged_database_fails_and_names_the_damage(caracal_database: TwinCluster, caracal_copy: Copier, tmp_path: Path) -> None:
    name = caracal_copy()
    caracal_database.execute("ALTER TABLE secrets DISABLE ROW LEVEL SECURITY", database=name)
    status, result = run(caracal_database, tmp_path, database=name)
    assert status == "FAILED!" and result["verdict"] == "fail"
    assert [check["id"] for check in result["checks"] if check["verdict"] == "fail"] == ["schema.caracal.row_security"]
