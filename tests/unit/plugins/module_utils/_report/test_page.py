# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import html.parser
import re
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import WaiverOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._report import document, page, waiver
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.budget import Budgets
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, UNPROVEN, Check
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.diagnosis import Diagnosis
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.drill import Drill, Step

MakeDrill = t.Callable[..., Drill]
VOID = {"meta"}


class Reader(html.parser.HTMLParser):
    """Tags, attributes and text of a page. Every tag must be closed in order."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(source)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def _read(drill: Drill) -> Reader:
    return Reader(page.render(document.build(drill)))


def test_the_page_fetches_and_runs_nothing(make_drill: MakeDrill) -> None:
    source = page.render(document.build(make_drill()))
    reader = Reader(source)
    assert not {"script", "link", "img", "iframe", "object", "a", "form"} & set(reader.tags)
    assert not {"src", "href", "srcset", "action"} & {name for name, _value in reader.attributes}
    assert not [name for name, _value in reader.attributes if name.startswith("on")]
    assert not re.search(r"https?:|url\(|@import", source)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in reader.attributes


@pytest.mark.mutation
def test_failed_drill_shows_failed_check_first(make_drill: MakeDrill, broken_check: Check) -> None:
    text = _read(make_drill(checks=[*make_drill().checks, broken_check])).text
    line = f"\u2717 fail: Do not rely on this set {broken_check.id} : {broken_check.message}"
    assert line in text and text.index(line) < text.index("Set restored")


def test_unproven_drill_names_its_reason(make_drill: MakeDrill) -> None:
    assert "? unproven: Not proved No required check was run." in _read(make_drill(checks=[], steps=[])).text
    unproven = _read(make_drill(checks=[Check("sandbox.isolation", UNPROVEN, "no namespaces")], freshness="unproven"))
    assert "Not proved sandbox.isolation : no namespaces" in unproven.text
    assert "this host had no high-water mark to compare with" in unproven.text


def test_waivers_come_before_the_facts(make_drill: MakeDrill, broken_check: Check) -> None:
    given = [{"check": name, "reason": f"because {name}", "expires": "2026-12-31"} for name in (broken_check.id, "never.made")]
    drill = make_drill(
        checks=[*make_drill().checks, broken_check],
        waivers=waiver.parse([WaiverOptions(**one) for one in given], make_drill().started.date()),
    )
    text = _read(drill).text
    assert "pass: This set restores; 2 checks waived" in text and "none waived" not in text
    for words in ("\u2717 fail inventory.caracal.blocks is waived until 2026-12-31 because", "not run never.made is waived until"):
        assert words in text and text.index(words) < text.index("Set restored")


def test_a_set_drilled_by_its_maker_is_shown_as_such(make_drill: MakeDrill) -> None:
    drill = make_drill()
    assert "warn the report is signed" in _read(make_drill(signer=drill.restored.maker)).text


@pytest.mark.mutation
def test_hostile_words_stay_words(make_drill: MakeDrill) -> None:
    hostile = "</code><script>alert(1)</script>\"'><img src=x onerror=alert(1)>\x1b\udc80"
    drill = make_drill(
        checks=[Check(hostile, FAIL, hostile)],
        steps=[Step(hostile, 1.0)],
        deployment=hostile,
        tools={hostile: hostile},
        sandbox=dict.fromkeys(("isolation", "protection", "server_version"), hostile),
        diagnosis=[Diagnosis(hostile, hostile, hostile, (hostile,))],
        rollback=[{"id": hostile, "words": hostile, "remedy": hostile, "count": 1, "examples": [hostile]}],
        restored=dataclasses.replace(
            make_drill().restored,
            left_out={hostile: hostile},
            recipients=[{"assets": hostile, "sealed_to": [hostile], "opened_by": [hostile]}],
        ),
        waivers=waiver.parse([WaiverOptions(check=hostile, reason=hostile, expires="2026-12-31")], make_drill().started.date()),
    )
    reader = _read(drill)
    assert not {"script", "img"} & set(reader.tags) and "<script>alert(1)</script>" in reader.text
    page.render(document.build(drill)).encode("utf-8")


RECT = re.compile(r'<rect class="(\w+)" x="([\d.]+)" y="0" width="([\d.]+)"')


def _bars(drill: Drill) -> list[tuple[str, float, float]]:
    """Return kind, start and end of each bar, in thousandths of the picture's width."""
    picture = page.render(document.build(drill)).partition("Time of each step")[2]
    return [(kind, float(left), round(float(left) + float(width), 2)) for kind, left, width in RECT.findall(picture)]


def test_bars_are_true_and_within(make_drill: MakeDrill) -> None:
    drill = make_drill()
    assert _bars(drill)[2:4] == [("bar", 63.49, 380.95), ("bar", 380.95, 674.6)]
    assert _bars(drill)[4] == ("within", 63.49, 1000.0), "the recovery time spans the steps from the restore on"
    late = [Step("verify", 1.0), Step("restore", 20.0, started=drill.started + (drill.finished - drill.started) / 2)]
    assert _bars(make_drill(steps=late))[1][1] == 500.0
    for steps in ([Step("longer than the drill", 500.0)], [Step("nothing", 0.0)], [Step("thin", 0.001), Step("last", 0.0)]):
        assert all(0 <= begin < end <= 1000.01 for _kind, begin, end in _bars(make_drill(steps=steps)))
        assert len(_bars(make_drill(steps=steps))) == len(steps)
    assert not _bars(make_drill(steps=[]))


def test_a_budget_is_a_line_in_the_picture_and_a_bar_among_the_facts(make_drill: MakeDrill) -> None:
    within, tight = Budgets(60.0, 7200.0), Budgets(30.0, 900.0)
    text = _read(make_drill(budgets=within)).text
    assert "Recovery time 59.0 s budget 1 min" in text and "Recovery point 30 min budget 2 h" in text
    assert "limit" not in {kind for kind, _begin, _end in _bars(make_drill(budgets=within))}, "it lies outside"
    assert ("limit", 539.68, 542.68) in _bars(make_drill(budgets=tight))
    source = page.render(document.build(make_drill(budgets=tight)))
    assert source.count('class="over"') == 2 and 'aria-label="30 min of 15 min"' in source


@pytest.mark.mutation
def test_cause_and_remedy_are_shown_right_below_verdict(make_drill: MakeDrill, broken_check: Check) -> None:
    cause = Diagnosis("kek.wrong", "CAUSE", "REMEDY", ("envelopes.kek", "log of sts"))
    text = _read(make_drill(checks=[broken_check], diagnosis=[cause])).text
    line = "Why CAUSE What to do: REMEDY. kek.wrong , shown by envelopes.kek , log of sts"
    assert line in text and text.index(broken_check.message) < text.index(line) < text.index("Set restored")
    assert "Why" not in _read(make_drill()).text


def test_page_lists_rolled_back_left_out_and_unverified_items(make_drill: MakeDrill) -> None:
    restored = dataclasses.replace(
        make_drill().restored,
        assets=["databases"],
        left_out={"replay": "on another host"},
        recipients=[
            {"assets": "databases", "sealed_to": ["SHA256:a", "SHA256:b"], "opened_by": ["SHA256:a"]},
            {"assets": "secrets", "sealed_to": ["SHA256:b"], "opened_by": []},
        ],
    )
    rollback = [
        {"id": "revoked.grants", "words": "grants are active again", "remedy": "delete them", "count": 2, "examples": ["g1"]},
        {"id": "revoked.tokens", "words": "unknown: tokens", "remedy": "rotate them", "count": None, "examples": []},
        {"id": "back.epochs", "words": "epochs", "remedy": "raise them", "count": 0, "examples": []},
    ]
    checks = [*make_drill().checks, Check("envelopes.b", UNPROVEN, "no value", required=False)]
    text = _read(make_drill(restored=restored, rollback=rollback, checks=checks)).text
    for words in (
        "2 revoked.grants grants are active again: delete them. For example g1.",
        "? revoked.tokens unknown: tokens: rotate them.",
        "nothing else checked without a finding: back.epochs",
        "left out replay on another",
        "? unproven envelopes.b no value",
        "Recipients proved ! warn SHA256:a: databases (2); no identity of this host: secrets (1); number of recipients in brackets",
    ):
        assert words in text, words
    assert "envelopes.b" not in text.partition("Check these first")[2].partition("Time of each step")[0]


def test_a_set_that_cannot_be_read_has_a_page(make_drill: MakeDrill) -> None:
    restored = dataclasses.replace(make_drill().restored, snapshot_time=None, artifacts=None, bytes=None, family=None)
    text = _read(make_drill(restored=restored, steps=[], checks=[Check("set.signature", FAIL, "altered")])).text
    for words in ("Set age unknown", "objects unknown, unknown encrypted", "Recovery point not measured", "in this set no known assets"):
        assert words in text, words
