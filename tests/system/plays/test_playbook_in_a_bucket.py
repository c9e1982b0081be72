# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A playbook with a repository in a bucket. Only settings configure the access, as in `-e @settings.yml`."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from scenes.playing import Play
from scenes.s3_server import S3Server
from unit.plugins.module_utils._sets.test_prune_in_a_bucket import in_a_bucket


def played(s3: S3Server, folder: Path, keys: Path, **access: t.Any) -> tuple[int, str]:
    """Return exit status and output of `verify_repository -e @settings.yml` on a repository in a bucket."""
    old, _prefix = in_a_bucket(s3, folder, keys)
    settings = {
        "caracal_ops_repository": old.store.location,
        "caracal_ops_deployment": "prod",
        "caracal_ops_allowed_signers": str(old.allowed),
        "caracal_ops_high_water_mark": str(old.mark("drill")),
        **({"caracal_ops_access": access} if access else {}),
    }
    (folder / "settings.yml").write_text(json.dumps(settings), encoding="utf-8")
    play = Play("verify_repository", {}, folder, ("--extra-vars", f"@{folder}/settings.yml"))
    return play.ended(), play.output()


def test_settings_configure_the_access_to_the_bucket(s3: S3Server, role_keys: Path, tmp_path: Path) -> None:
    status, output = played(s3, tmp_path, role_keys, **s3.options())
    assert status == 0 and "Verdict pass: 4 sets" in output, output


@pytest.mark.mutation
def test_an_unknown_access_option_is_reported(s3: S3Server, role_keys: Path, tmp_path: Path) -> None:
    status, output = played(s3, tmp_path, role_keys, **s3.options(), s3_endpont="http://elsewhere")
    assert status == 2 and "Unsupported parameters" in output and "s3_endpont" in output, output
