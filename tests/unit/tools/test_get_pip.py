# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import sysconfig
from pathlib import Path

import pytest

from tools import get_pip, importer


def test_finds_the_pip_version_that_ansible_test_needs() -> None:
    assert re.fullmatch(r"\d+(\.\d+)+", get_pip.wanted_version(Path(sysconfig.get_path("purelib"))))


@pytest.mark.mutation
def test_refuses_an_ansible_test_without_a_pip_version(tmp_path: Path) -> None:
    source = tmp_path / "ansible_test/_internal/python_requirements.py"
    source.parent.mkdir(parents=True)
    source.write_text("pip = None\n")
    with pytest.raises(get_pip.GetPipFailed, match="ansible-test"):
        get_pip.wanted_version(tmp_path)


@pytest.mark.mutation
def test_a_complaint_of_the_importer_is_found() -> None:
    assert importer.complaints("Loading role x\nWARNING: no changelog\nERROR: no README\n") == ["WARNING: no changelog", "ERROR: no README"]
    assert importer.complaints("Loading module warning\nImporter processing completed successfully\n") == []
