# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.engine import environment
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError

NAMES = ("AUDIT_RETENTION_DAYS", "AUDIT_EXPORT_S3_BUCKET")


@pytest.mark.parametrize(
    "content",
    [
        b"PATH=/bin\0AUDIT_RETENTION_DAYS=90\0AUDIT_EXPORT_S3_BUCKET=a=b\0TEXT=two\nAUDIT_RETENTION_DAYS=1\0",
        b"PATH=/bin\nAUDIT_RETENTION_DAYS=90\nAUDIT_EXPORT_S3_BUCKET=a=b\n\nno variable\n",
        b"AUDIT_RETENTION_DAYS=1\r\nAUDIT_RETENTION_DAYS=90\r\nAUDIT_EXPORT_S3_BUCKET=a=b\r\n",
    ],
    ids=["proc", "env", "dos"],
)
def test_the_named_variables_are_read_and_no_others(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "environ"
    path.write_bytes(content)
    assert environment.of_file(str(path), NAMES) == {"AUDIT_RETENTION_DAYS": "90", "AUDIT_EXPORT_S3_BUCKET": "a=b"}


def test_environment_without_named_variables_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "environ"
    path.write_bytes(b"PATH=/bin\0")
    assert environment.of_file(str(path), NAMES) == {}


@pytest.mark.mutation
@pytest.mark.parametrize("content", [b"", b"\n", b"{}", b"=x\n", b"A=1\n" * 300_000])
def test_invalid_environment_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "environ"
    path.write_bytes(content)
    with pytest.raises(OptionError, match=f"effective_environment_file {path} "):
        environment.of_file(str(path), NAMES)
