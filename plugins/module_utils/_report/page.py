# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a drill as one page, for auditors and on-call engineers.

It is one file without scripts, links or external resources. All text from outside is escaped.
"""

from __future__ import annotations

import typing as t

from . import page_evidence, page_timeline
from .check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, VERDICTS, WARN
from .document import DrillReport, attention, deciding_check
from .drill import RecipientsResult
from .page_parts import WORDS, badge, card, check, code, row, text
from .page_style import STYLE
from .text import duration, plural, readable, size

HEADLINES = {PASS: "This set restores", FAIL: "Do not rely on this set", UNPROVEN: "Not proved"}
Fact = tuple[str, str, str]


def render(document: DrillReport) -> str:
    """Return the complete page: verdict and cause first, then the evidence."""
    first = (_verdict, _diagnosis, _waivers, _facts, _attention, page_timeline.render)
    rest = (page_evidence.rollback, page_evidence.coverage, page_evidence.checks, page_evidence.proof)
    parts = [part(document) for part in first + rest]
    title = f"Restore drill {document['drill_id']}: {document['verdict']}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{''.join(parts)}</main>\n</body>\n</html>\n"
    )


def _verdict(document: DrillReport) -> str:
    verdict = document["verdict"]
    waived = f"; {plural(len(document['waivers']), 'check')} waived" if document["waivers"] else ""
    identity = f"<strong>{text(document['deployment'])}</strong>, drill {code(document['drill_id'])}"
    return (
        f"<header><p>Restore drill of deployment {identity}</p></header>\n"
        f'<section class="verdict {verdict}"><h1>{WORDS[verdict]}: {HEADLINES[verdict]}{waived}</h1><p>{_because(document)}</p></section>\n'
    )


def _because(document: DrillReport) -> str:
    decisive = deciding_check(document)
    if decisive:
        return f"{code(decisive['id'])}: {text(decisive['message'])}"
    if document["verdict"] != PASS:
        return "No required check was run."
    held = [one for one in document["checks"] if one["required"] and not one["waived"] and one["verdict"] in (PASS, WARN)]
    return f"{plural(len(held), 'required check')} passed{'' if document['waivers'] else ', none waived'}."


def _diagnosis(document: DrillReport) -> str:
    causes = [
        f'<div class="cause"><p><strong>{text(one["cause"])}</strong></p><p>What to do: {text(one["remedy"])}.</p>'
        f'<p class="note">{code(one["id"])}, shown by {", ".join(code(name) for name in one["because"])}</p></div>\n'
        for one in document["diagnosis"]
    ]
    if not causes:
        return ""
    passed = document["verdict"] == PASS
    heading = "Meaning of the warnings" if passed else "Why"
    return f'<section class="card {"waivers" if passed else "diagnosis"}"><h3>{heading}</h3>{"".join(causes)}</section>\n'


def _waivers(document: DrillReport) -> str:
    if not document["waivers"]:
        return ""
    found = {one["id"]: one["verdict"] for one in document["checks"]}
    rows = [
        row(
            badge(found[waiver["check"]]) if waiver["check"] in found else '<span class="badge not_applicable">not run</span>',
            f"{code(waiver['check'])} is waived until {text(waiver['expires'])}",
            text(waiver["reason"]),
        )
        for waiver in document["waivers"]
    ]
    return f'<section class="card waivers"><h3>Waived by the operator</h3>{"".join(rows)}</section>\n'


def _facts(document: DrillReport) -> str:
    facts = [*_set(document), *_times(document), *_trust(document)]
    shown = "".join(f"<div><dt>{label}</dt><dd>{value}<small>{text(note)}</small></dd></div>\n" for label, value, note in facts)
    counts = "".join(_count(verdict, document["counts"][verdict]) for verdict in VERDICTS)
    return f'<dl class="card facts">{shown}</dl>\n<ul class="counts" aria-label="Checks">{counts}</ul>\n'


def _set(document: DrillReport) -> list[Fact]:
    restored = document["set"]
    objects = plural(restored["artifacts"], "object") if restored["artifacts"] is not None else "objects unknown"
    what = f"journal entry {restored['sequence']}, {restored['release'] or 'release unknown'}, {objects}"
    return [
        ("Set restored", code(restored["id"]), f"{what}, {size(restored['bytes'])} encrypted"),
        (
            "Set age",
            text(duration(restored["age_seconds"])),
            f"snapshot {readable(restored['snapshot_time'])}, release family {restored['family'] or 'unknown'}",
        ),
    ]


def _times(document: DrillReport) -> list[Fact]:
    facts, budgets = [], document["budgets"]
    recovery = "upper bound, from the start of the restore to the last canary or check"
    for measured, budget, label, note in (
        (document["rto_seconds"], budgets["rto_seconds"], "Recovery time", recovery),
        (document["rpo_seconds"], budgets["rpo_seconds"], "Recovery point", "age of the snapshot when the drill started"),
    ):
        bounded = f"budget {duration(budget)}; " if budget else "no budget was set; "
        value = text(duration(measured) if measured is not None else "not measured")
        facts.append((label, value + page_timeline.budget_bar(measured, budget), bounded + note))
    return facts


def _trust(document: DrillReport) -> list[Fact]:
    sandbox, separation, restored = document["sandbox"], document["separation"], document["recipients"]
    fresh = document["freshness"] == "fresh"
    freshness = "fresh: not older than this host's high-water mark" if fresh else "this host had no high-water mark to compare with"
    isolation = sandbox["isolation"] or "unknown"
    return [
        ("Separation of duties", badge(separation["verdict"]), separation["message"]),
        (
            "Sandbox",
            text("not isolated" if isolation == "none" else f"isolation {isolation}"),
            f"PostgreSQL {sandbox['server_version'] or 'unknown'}, files {sandbox['protection'] or 'unknown'}",
        ),
        ("Recipients proved", *_recipients(restored)),
        ("Freshness", badge(PASS if fresh else UNPROVEN), freshness),
        ("Drill", text(readable(document["started"])), f"took {duration(document['seconds'])}, until {readable(document['finished'])}"),
        ("Signed by", code(document["principal"]), f"on {document['machine']}"),
        ("Journal head", code(document["journal_head"]), f"repository {document['repository']}"),
        ("Report", code("report.json"), "signed; the journal contains its digest and the digest of this page"),
    ]


def _recipients(found: t.Sequence[RecipientsResult] | None) -> tuple[str, str]:
    """Return the identities that decrypt each class of artifacts."""
    if not found or all(one["opened_by"] is None for one in found):
        return badge(UNPROVEN), "no identity was tried on this set"
    opened: dict[str, list[str]] = {}
    for one in found:
        names = one["opened_by"]
        who = "not read" if names is None else ", ".join(names) or "no identity of this host"
        opened.setdefault(who, []).append(f"{one['assets']} ({len(one['sealed_to'])})")
    openers = "; ".join(f"{who}: {', '.join(assets)}" for who, assets in opened.items())
    return badge(PASS if all(one["opened_by"] for one in found) else WARN), f"{openers}; number of recipients in brackets"


def _count(verdict: str, count: int) -> str:
    """Return the count of a verdict. Zero is shown without color, so that a red badge always means a failure."""
    return f'<li><span class="badge {verdict if count else NOT_APPLICABLE}">{count} {WORDS[verdict][2:]}</span></li>'


def _attention(document: DrillReport) -> str:
    """Return the card of checks that need attention. Optional unproven checks are only in the coverage section."""
    found = [one for one in attention(document["checks"]) if one["required"] or one["verdict"] in (FAIL, WARN)]
    return card("Check these first", [check(one) for one in found])
