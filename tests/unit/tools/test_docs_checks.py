# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page of checks lists exactly the checks in the code."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.causes import diagnosis
from tools import docs_checks, docs_pages
from tools.rules import tree

CODE = """
CHECK_ID = "drive.speed"
FIRST, SECOND = "drive.first", "drive.second"

def made(name: str, given: str) -> list[Check]:
    return [
        Check(CHECK_ID, PASS, "fast"), Check(FIRST, PASS, ""), findings.check(other.SECOND, [], ""),
        Check(f"drive.{name}.angle", PASS, ""), Check("drive.plain", PASS, ""), Check(given, PASS, ""), Fields("no.check", ""),
    ]
"""
GUIDE = """
.. _ansible_collections.caracal_ops.backup.docsite.guide_drive:

Drive
=====

``drive.first``, ``drive.<name>.angle``
  it turns.
  See `Angle`_.

``drive.yml`` is a file.

  * - ``drive.plain`` with ``warn``
    - It is plain,
      and slow
    - push
"""


def planted(root: Path) -> Path:
    for name, text in {"plugins/one.py": CODE, "plugins/other.py": CODE, "docs/docsite/rst/guide_drive.rst": GUIDE}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_every_check_of_the_code_is_described() -> None:
    used = docs_checks.used(tree.ROOT)
    assert len(used) > 80 and docs_checks.undescribed(used, docs_checks.known(tree.ROOT)) == []


def test_every_described_check_is_in_the_code() -> None:
    known, written = docs_checks.known(tree.ROOT), docs_checks.written(tree.ROOT)
    assert len(known) > 240
    assert docs_checks.undescribed(known, written) == []
    assert docs_checks.undescribed(["redis.server", "sandbox.redis"], written) == ["sandbox.redis"]


def test_the_page_lists_every_check() -> None:
    text = docs_pages.pages(tree.ROOT)["checks"]
    assert [one for one in docs_checks.known(tree.ROOT) if f"\n``{one}``\n" not in text] == []


def test_every_cause_is_shown_by_a_known_check() -> None:
    known = docs_checks.known(tree.ROOT)
    shown = {name.replace("*", "<name>") for cause in diagnosis.CAUSES for name in docs_checks.shown_by(cause)}
    assert len(shown) > 50 and docs_checks.undescribed(shown, known) == []
    assert docs_checks.causes_of("envelopes.kek", diagnosis.CAUSES)[:1] and docs_checks.causes_of("drive.first", diagnosis.CAUSES) == []


def test_finds_ids_in_code_and_guides(tmp_path: Path) -> None:
    root = planted(tmp_path)
    used = {"drive.speed", "drive.first", "drive.second", "drive.<name>.angle", "drive.plain"}
    assert docs_checks.used(root) == used
    first, angle, plain = (
        next(one for one in docs_checks.described(root) if one.id == name) for name in ("drive.first", "drive.<name>.angle", "drive.plain")
    )
    assert (first.title, first.meaning, first.remedy) == ("Drive", "It turns. See *Angle*.", "") and angle.meaning == first.meaning
    assert (plain.meaning, plain.remedy) == ("It is plain, and slow.", "Push.")
    assert docs_checks.undescribed(used, docs_checks.known(root)) == ["drive.second", "drive.speed"]


def test_bracketed_names_match_any_part() -> None:
    known = {"schema.<database>.tables", "drill.<step>"}
    assert docs_checks.undescribed(["schema.caracal.tables", "schema.<name>.<name>", "drill.canary"], known) == []
    assert docs_checks.undescribed(["schema.caracal.table", "drill", "xdrill.canary"], known) == [
        "drill",
        "schema.caracal.table",
        "xdrill.canary",
    ]
