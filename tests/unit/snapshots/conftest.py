# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`snapshot(name, text)`: the text equals the file of that name. `--rewrite-snapshots` rewrites the file.

The option exists if this directory is an argument of pytest, as in `make snapshots`.
"""

from __future__ import annotations

import pytest

from tools import snapshots
from tools.rules import tree


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(snapshots.OPTION, action="store_true", help="rewrite tests/snapshots instead of comparing with it")


@pytest.fixture
def snapshot(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> snapshots.Snapshot:
    def compare(name: str, text: str) -> None:
        if not request.config.getoption(snapshots.OPTION, default=False):
            snapshots.check(tree.ROOT, name, text)
        elif snapshots.rewrite(snapshots.clone(), name, text):
            with capsys.disabled():
                print(f" rewritten: {snapshots.FOLDER}/{name}")

    return compare
