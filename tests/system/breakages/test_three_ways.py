# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every breakage of the corpus, done in three ways: the drill reports what `breakages.yml` expects, and the file's list is fixed."""

from __future__ import annotations

import re
import typing as t

import pytest
import yaml

from scenes.corpus import corpus
from scenes.three_ways import AFTER, BEFORE, COPY, FAIL, SILENT, UNPROVEN, WARN, WAYS, DeploymentOf
from tools import area
from tools.mutations import WAY

FILE = area.CLONE / "tests/data/breakages.yml"
GUIDE = area.CLONE / "docs/docsite/rst/guide_state_checks.rst"
CORPUS = corpus()
COUNTED = {FAIL: "found", UNPROVEN: "unproven", WARN: "warned", SILENT: "silent"}
LEAST, MOST_SILENT = 110, 8
HEADING = "Limits of checks on one copy"


def expected() -> dict[str, dict[str, str]]:
    """Return breakage → way → verdict and ID of its own check, or `silent` and the reason."""
    found: dict[str, list[str]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {name: dict(zip(WAYS, ways, strict=True)) for name, ways in found.items()}


EXPECTED = expected()
SILENT_ONES = {way: {name: ways[way] for name, ways in EXPECTED.items() if ways[way].startswith(SILENT)} for way in WAYS}


@pytest.mark.mutation
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", CORPUS)
def test_a_breakage_is_reported(deployment_of: DeploymentOf, name: str, way: str, record_property: t.Callable[[str, str], None]) -> None:
    breakage = CORPUS[name]
    found = deployment_of(breakage.release).outcome(way, breakage)
    record_property(WAY, f"{way}: {COUNTED[found.verdict]}")
    verdict, _blank, own = EXPECTED[name][way].partition(" ")
    assert found.verdict == verdict, sorted(found.checks)
    assert verdict == SILENT or own in found.checks, sorted(found.checks)


def test_expectations_cover_the_whole_corpus() -> None:
    assert EXPECTED.keys() == CORPUS.keys() and len(CORPUS) >= LEAST
    for ways in EXPECTED.values():
        assert not [text for text in ways.values() if not re.fullmatch(r"(fail|warn|unproven) [\w.]+|silent .+", text)]


def test_few_breakages_are_silent() -> None:
    assert not SILENT_ONES[COPY] and not SILENT_ONES[AFTER]
    assert len(SILENT_ONES[BEFORE]) <= MOST_SILENT


def test_the_guide_lists_the_silent_breakages() -> None:
    text = GUIDE.read_text(encoding="utf-8").partition(f"\n{HEADING}\n")[2]
    rows = dict(re.findall(r"^   \* - (.+)\n     - (.+)$", text, re.MULTILINE))
    rows.pop("Breakage", None)
    assert rows == {name: text.partition(" ")[2] for name, text in SILENT_ONES[BEFORE].items()}
