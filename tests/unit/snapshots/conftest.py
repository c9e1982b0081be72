# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""`snapshot(name, text)`: the text is what the file of that name says; with `--rewrite-snapshots` the file is made so.

The option is known where pytest is given this folder, as `make snapshots` does.
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
