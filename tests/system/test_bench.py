# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each part of `make bench` at a size without meaning for speed: a change of options must not break it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import ALL

TINY = ("--events", "3000", "--pairs", "1", "--mebibytes", "8", "--entries", "60")


@pytest.mark.parametrize("part", ALL)
def test_measures_each_part(part: str, tmp_path: Path) -> None:
    environment = {**os.environ, "CARACAL_OPS_BUILD": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--only", part, *TINY], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))["figures"]
    assert figures and all(one["value"] >= 0 for one in figures)
