# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from tools.rules import reasons, tree

PATH = "plugins/module_utils/_drill/x.py"


def test_reasons_are_created_in_one_file_only() -> None:
    assert reasons.reason_faults(tree.ROOT) == []
    assert all((tree.ROOT / path).is_file() for path in (*reasons.HOMES, reasons.ERRORS, *reasons.RECORDS))


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("because(Reason(said.error))", "only _reasons.py makes a reason"),
        ("_reasons.Reason(said.error)", "only _reasons.py makes a reason"),
        ("Check('a', FAIL, '', details={'reason': said.error})", "with because()"),
        ("details['reason'] = said.error", "with because()"),
        ("type(exc)('x', **exc.details)", "with reworded() or caused_by()"),
        ("raise StorageError(f'set 1 is committed: {exc.msg}') from exc", "with reworded() or caused_by()"),
    ],
)
def test_finds_reasons_that_bypass_the_list(plant, source: str, fault: str) -> None:
    (found,) = reasons.reason_faults(plant({PATH: source}))
    assert found.startswith(f"{PATH}:1: ") and found.endswith(fault)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    "source", ["because(NO_ANSWER)", "details['reason'] == 'x'", "{'reasons': 1}", "raise exc.reworded(f'x: {exc.msg}') from exc"]
)
def test_a_reason_of_the_list_passes(plant, source: str) -> None:
    assert reasons.reason_faults(plant({PATH: source})) == []
