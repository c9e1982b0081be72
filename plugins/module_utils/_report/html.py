# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The report of a drill as one page, for an auditor and for a tired person on call.

Nothing is fetched and nothing runs: one file, no script, no link. Every foreign word is escaped.
"""

from __future__ import annotations

import html
import typing as t

from .check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, VERDICTS, WARN
from .document import attention, deciding_check
from .html_style import STYLE
from .text import clean, duration, plural, readable, size

Document = t.Mapping[str, t.Any]

WORDS = {PASS: "\u2713 pass", FAIL: "\u2717 fail", WARN: "! warn", UNPROVEN: "? unproven", NOT_APPLICABLE: "\u2013 not applicable"}
HEADLINES = {PASS: "This set restores", FAIL: "Do not rely on this set", UNPROVEN: "Not proved"}
LEGEND = (
    "pass: asked, and as it must be. fail: asked, and not so. warn: true, but worth a look. unproven: could not be asked, "
    "which is never taken for a pass. not applicable: this release or set has no such thing."
)


def render(document: Document) -> str:
    """The page, complete."""
    parts = [part(document) for part in (_verdict, _waivers, _facts, _attention, _timeline, _groups, _proof)]
    title = f"Restore drill {document['drill_id']}: {document['verdict']}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{''.join(parts)}</main>\n</body>\n</html>\n"
    )


def _text(value: object) -> str:
    return html.escape(clean(str(value)))


def _code(value: object) -> str:
    return f"<code>{_text(value)}</code>"


def _badge(verdict: str) -> str:
    return f'<span class="badge {verdict}">{WORDS[verdict]}</span>'


def _verdict(document: Document) -> str:
    verdict = document["verdict"]
    waived = f", with {plural(len(document['waivers']), 'waiver')}" if document["waivers"] else ""
    whose = f"<strong>{_text(document['deployment'])}</strong>, drill {_code(document['drill_id'])}"
    return (
        f"<header><p>Restore drill of deployment {whose}</p></header>\n"
        f'<section class="verdict {verdict}"><h1>{WORDS[verdict]}: {HEADLINES[verdict]}{waived}</h1><p>{_because(document)}</p></section>\n'
    )


def _because(document: Document) -> str:
    check = deciding_check(document)
    if check:
        return f"{_code(check['id'])}: {_text(check['message'])}"
    if document["verdict"] != PASS:
        return "No required check was made."
    held = [check for check in document["checks"] if check["required"] and not check["waived"] and check["verdict"] in (PASS, WARN)]
    return f"{plural(len(held), 'required check')} held{'' if document['waivers'] else ', none waived'}."


def _waivers(document: Document) -> str:
    if not document["waivers"]:
        return ""
    found = {check["id"]: check["verdict"] for check in document["checks"]}
    rows = [
        _row(
            _badge(found[waiver["check"]]) if waiver["check"] in found else '<span class="badge not_applicable">not made</span>',
            f"{_code(waiver['check'])} is waived until {_text(waiver['expires'])}",
            _text(waiver["reason"]),
        )
        for waiver in document["waivers"]
    ]
    return f'<section class="card waivers"><h3>Waived by the operator</h3>{"".join(rows)}</section>\n'


def _row(badge: str, first: str, second: str) -> str:
    return f'<div class="check"><div>{badge}</div><div><p class="mono">{first}</p><p>{second}</p></div></div>\n'


def _facts(document: Document) -> str:
    restored, sandbox, separation = document["set"], document["sandbox"], document["separation"]
    fresh = document["freshness"] == "fresh"
    freshness = "fresh: no older than what this host saw before" if fresh else "this host had no earlier mark to compare with"
    what = f"journal entry {restored['sequence']}, {restored['release'] or 'release unknown'}, {plural(restored['artifacts'], 'object')}"
    server = f"PostgreSQL {sandbox['server_version'] or 'unknown'}, files {sandbox['protection'] or 'unknown'}"
    facts = (
        ("Set restored", _code(restored["id"]), f"{what}, {size(restored['bytes'])} sealed"),
        ("Snapshot", _text(readable(restored["snapshot_time"])), f"family {restored['family'] or 'unknown'}"),
        ("Drill", _text(readable(document["started"])), f"took {duration(document['seconds'])}, until {readable(document['finished'])}"),
        ("Recovery time", _text(duration(document["rto_seconds"])), "at most, from the start of the restore to the last check"),
        ("Recovery point", _text(duration(document["rpo_seconds"])), "age of the snapshot when the drill began"),
        ("Freshness", _badge(PASS if fresh else UNPROVEN), freshness),
        ("Separation of duties", _badge(separation["verdict"]), separation["message"]),
        ("Sandbox", _text(f"isolation {sandbox['isolation'] or 'unknown'}"), server),
        ("Signed by", _code(document["principal"]), f"on {document['machine']}"),
        ("Journal head", _code(document["journal_head"]), f"repository {document['repository']}"),
    )
    shown = "".join(f"<div><dt>{label}</dt><dd>{value}<small>{_text(note)}</small></dd></div>\n" for label, value, note in facts)
    counts = "".join(_count(verdict, document["counts"][verdict]) for verdict in VERDICTS)
    return f'<dl class="card facts">{shown}</dl>\n<ul class="counts" aria-label="Checks">{counts}</ul>\n'


def _count(verdict: str, count: int) -> str:
    """None of a kind is shown without its color, so that a red badge always means something."""
    return f'<li><span class="badge {verdict if count else NOT_APPLICABLE}">{count} {WORDS[verdict][2:]}</span></li>'


def _attention(document: Document) -> str:
    found = attention(document)
    if not found:
        return ""
    return f'<h2>Look at these first</h2>\n<section class="card">{"".join(_check(check) for check in found)}</section>\n'


def _check(check: t.Mapping[str, t.Any]) -> str:
    notes = [note for note, holds in (("waived", check["waived"]), ("not required", not check["required"])) if holds]
    note = f' <span class="note">({", ".join(notes)})</span>' if notes else ""
    return _row(_badge(check["verdict"]), _text(check["id"]) + note, _text(check["message"]))


def _timeline(document: Document) -> str:
    """Bars that start where the step before ended; what no step accounts for is the last one."""
    steps = document["steps"]
    if not steps:
        return ""
    spent = sum(step["seconds"] for step in steps)
    between = max(0.0, document["seconds"] - spent)
    total = (spent + between) or 1.0
    rows, start = [], 0.0
    for step in steps:
        amount = f", {size(step['bytes'])}" if step["bytes"] is not None else ""
        rate = f", {step['mb_per_second']} MB/s" if step["mb_per_second"] is not None else ""
        rows.append(_bar("step", step["name"], (start / total, step["seconds"] / total), duration(step["seconds"]) + amount + rate))
        start += step["seconds"]
    if between / total > 0.001:
        rows.append(_bar("step between", "between the steps", (start / total, between / total), duration(between)))
    return f'<h2>Where the time went</h2>\n<section class="card">{"".join(rows)}</section>\n'


def _bar(kind: str, name: str, place: tuple[float, float], note: str) -> str:
    left, width = (f"{min(100 * share, 100):.2f}%" for share in place)
    track = f'<div class="track"><i style="left:{left};width:{width}"></i></div>'
    return f'<div class="{kind}"><div>{_text(name)}</div>{track}<div class="mono">{_text(note)}</div></div>\n'


def _groups(document: Document) -> str:
    groups: dict[str, list[t.Mapping[str, t.Any]]] = {}
    for check in document["checks"]:
        groups.setdefault(check["id"].split(".")[0], []).append(check)
    cards = []
    for name, checks in groups.items():
        good = sum(check["verdict"] == PASS for check in checks)
        rows = "".join(_check(check) for check in checks)
        cards.append(f'<section class="card"><h3>{_text(name)} <span>{good} of {len(checks)} pass</span></h3>{rows}</section>\n')
    return f'<h2>All checks</h2>\n<div class="groups">{"".join(cards) or "<p>None was made.</p>"}</div>\n'


def _proof(document: Document) -> str:
    tools = ", ".join(f"{name} {version}" for name, version in sorted(document["tools"].items()) if version)
    signed = f"ssh-keygen -Y verify -f allowed_signers -I {document['principal']} -n drill@caracal-ops -s report.json.sig < report.json"
    return (
        "<h2>How to believe this page</h2>\n"
        "<p>The signed original is <code>report.json</code> beside this file. "
        "An entry of the repository's journal names its SHA-256 and this page's.</p>\n"
        f'<pre class="card"><code>{_text(signed)}\nsha256sum report.json report.html</code></pre>\n'
        f"<footer><p>{_text(LEGEND)}</p><p>Made with {_text(tools)}.</p></footer>\n"
    )
