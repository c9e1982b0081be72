# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import html.parser
import re
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._report import document, waiver
from ansible_collections.caracal_ops.backup.plugins.module_utils._report import html as page
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, UNPROVEN, Check
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.document import Drill, Step

MakeDrill = t.Callable[..., Drill]
VOID = {"meta"}


class Reader(html.parser.HTMLParser):
    """Tags, attributes and words of a page; every tag must be closed in turn."""

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


def test_the_page_says_what_a_reader_looks_for(make_drill: MakeDrill) -> None:
    text = _read(make_drill()).text
    for words in (
        "\u2713 pass: This set restores",
        "2 required checks held, none waived.",
        "20261125T020000Z-k3f9",
        "journal entry 41, v1.0.0, 21 objects, 412.3 MB sealed",
        "2026-11-25 02:00:00 UTC",
        "30 min",
        "fresh: no older than what this host saw before",
        "set made on pg-1 by backup@prod",
        "42-9f86d081884c7d65",
        "isolation bubblewrap",
        "drill@prod",
        "20.0 s, 2.4 GB, 120.0 MB/s",
        "between the steps 20.5 s",
        "! warn inventory.caracal.extensions (not required) pgcrypto 1.3 became 1.4",
        "inventory 1 of 3 pass",
        "-n drill@caracal-ops -s report.json.sig",
    ):
        assert words in text, words


def test_the_page_fetches_and_runs_nothing(make_drill: MakeDrill) -> None:
    source = page.render(document.build(make_drill()))
    reader = Reader(source)
    assert not {"script", "link", "img", "iframe", "object", "a", "form"} & set(reader.tags)
    assert not {"src", "href", "srcset", "action"} & {name for name, _value in reader.attributes}
    assert not [name for name, _value in reader.attributes if name.startswith("on")]
    assert not re.search(r"https?:|url\(|@import", source)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in reader.attributes


@pytest.mark.mutation
def test_the_first_thing_said_of_a_failed_drill_is_the_check_that_failed(make_drill: MakeDrill, broken_check: Check) -> None:
    text = _read(make_drill(checks=[*make_drill().checks, broken_check])).text
    said = f"\u2717 fail: Do not rely on this set {broken_check.id} : {broken_check.message}"
    assert said in text and text.index(said) < text.index("Set restored")


def test_an_unproven_drill_says_why(make_drill: MakeDrill) -> None:
    assert "? unproven: Not proved No required check was made." in _read(make_drill(checks=[], steps=[])).text
    unproven = _read(make_drill(checks=[Check("sandbox.isolation", UNPROVEN, "no namespaces")], freshness="unproven"))
    assert "Not proved sandbox.isolation : no namespaces" in unproven.text
    assert "this host had no earlier mark to compare with" in unproven.text


def test_waivers_come_before_the_facts(make_drill: MakeDrill, broken_check: Check) -> None:
    given = [{"check": name, "reason": f"because {name}", "expires": "2026-12-31"} for name in (broken_check.id, "never.made")]
    drill = make_drill(checks=[*make_drill().checks, broken_check], waivers=waiver.parse(given, make_drill().started.date()))
    text = _read(drill).text
    assert "pass: This set restores, with 2 waivers" in text and "none waived" not in text
    for words in ("\u2717 fail inventory.caracal.blocks is waived until 2026-12-31 because", "not made never.made is waived until"):
        assert words in text and text.index(words) < text.index("Set restored")


def test_a_set_drilled_by_its_maker_is_shown_as_such(make_drill: MakeDrill) -> None:
    drill = make_drill()
    assert "Separation of duties ! warn signed by the set's own signer" in _read(make_drill(signer=drill.restored.maker)).text


@pytest.mark.mutation
def test_hostile_words_stay_words(make_drill: MakeDrill) -> None:
    hostile = "</code><script>alert(1)</script>\"'><img src=x onerror=alert(1)>\x1b\udc80"
    drill = make_drill(
        checks=[Check(hostile, FAIL, hostile)],
        steps=[Step(hostile, 1.0)],
        deployment=hostile,
        tools={hostile: hostile},
        sandbox=dict.fromkeys(("isolation", "protection", "server_version"), hostile),
        waivers=waiver.parse([{"check": hostile, "reason": hostile, "expires": "2026-12-31"}], make_drill().started.date()),
    )
    reader = _read(drill)
    assert not {"script", "img"} & set(reader.tags) and "<script>alert(1)</script>" in reader.text
    page.render(document.build(drill)).encode("utf-8")


def test_bars_lie_one_after_the_other_and_within(make_drill: MakeDrill) -> None:
    for steps in (make_drill().steps, [Step("longer than the drill", 500.0)], [Step("nothing", 0.0)]):
        places = [value for name, value in _read(make_drill(steps=steps)).attributes if name == "style"]
        end = 0.0
        for place in places:
            left, width = (float(number) for number in re.findall(r"([\d.]+)%", place or ""))
            assert abs(left - end) < 0.02 and left + width <= 100.02
            end = left + width
        assert places
