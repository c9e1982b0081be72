# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module as Ansible runs it, packed by its static scan. A key that is passed as a value is never printed."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from scenes.twin_database import TwinCluster
from twin import keys
from unit.plugins.module_utils._ansible.test_boundary import ansible

RESULT = re.compile(r"^localhost \| (SUCCESS|FAILED!) => (\{.*?^\})", re.MULTILINE | re.DOTALL)
WRONG = hashlib.sha256(b"another KEK").hexdigest()


def run(cluster: TwinCluster, folder: Path, **given: str) -> tuple[str, dict[str, object], str]:
    arguments = json.dumps({"login_unix_socket": cluster.info.socket_dir, **given})
    done = ansible("ansible", "localhost", "-vvv", "-m", "caracal_ops.backup.envelope_verify", "-a", arguments, folder=folder)
    found = RESULT.search(done.stdout)
    assert found, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return found[1], json.loads(found[2]), done.stdout + done.stderr


@pytest.mark.no_false_alarm
def test_passes_with_the_right_key_in_a_file(caracal_database: TwinCluster, tmp_path: Path) -> None:
    path = tmp_path / "secretStoreKek"
    path.write_text(keys.for_seed(caracal_database.spec.seed).secret_store_kek.hex())
    status, result, output = run(caracal_database, tmp_path, kek_file=str(path))
    assert (status, result["verdict"], result["changed"]) == ("SUCCESS", "pass", False)
    assert path.read_text() not in output and result["signing_keys"]


@pytest.mark.mutation
def test_a_wrong_key_as_a_value_fails_the_task_and_is_not_shown(caracal_database: TwinCluster, tmp_path: Path) -> None:
    status, result, output = run(caracal_database, tmp_path, kek=WRONG)
    assert status == "FAILED!" and result["verdict"] == "fail" and "wrong KEK" in str(result["msg"])
    assert WRONG not in output
    status, result, output = run(caracal_database, tmp_path, kek="ab" * 32)
    assert status == "FAILED!" and result["error"] == "OptionError" and "one repeated byte" in str(result["msg"])
