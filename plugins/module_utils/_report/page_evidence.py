# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The second half of the report page: changes lost by a restore, coverage, all checks, and how to verify the page."""

from __future__ import annotations

from .check import NOT_APPLICABLE, PASS, UNPROVEN, WARN
from .document import DrillReport, ReportedCheck
from .extent import RollbackCategory
from .page_parts import badge, card, check, code, row, text

LEGEND = (
    "pass: verified. fail: the check found an error. warn: verified, with a finding. "
    "unproven: could not be verified, never counted as a pass. not applicable: nothing to verify."
)


def rollback(document: DrillReport) -> str:
    """Return what a real restore loses or makes valid again. Categories without changes share one line."""
    found = document["rolls_back"]
    if found is None:
        return ""
    heading = "Changes lost by a restore of this set"
    named = [one for one in found if one["count"] != 0]
    rows = [_taken(one) for one in named]
    unharmed = [one["id"] for one in found if one["count"] == 0]
    if unharmed:
        rows.append(row(badge(PASS), "nothing else", f"checked without a finding: {text(', '.join(unharmed))}"))
    return card(heading, rows)


def _taken(one: RollbackCategory) -> str:
    count = "?" if one["count"] is None else one["count"]
    shown = f" For example {', '.join(text(example) for example in one['examples'][:3])}." if one["examples"] else ""
    return row(f'<span class="badge {WARN}">{count}</span>', text(one["id"]), f"{text(one['words'])}: {text(one['remedy'])}.{shown}")


def coverage(document: DrillReport) -> str:
    """Return the assets in the set, the assets left out, and the checks that verified nothing."""
    covered = document["coverage"]
    assets = covered["assets"]
    held = ", ".join(assets) if assets else "no known assets"
    rows = [row(badge(PASS if assets else UNPROVEN), "in this set", text(held))]
    rows += [row(f'<span class="badge {WARN}">left out</span>', text(name), text(why)) for name, why in sorted(covered["left_out"].items())]
    rows += [row(badge(one["verdict"]), text(one["id"]), text(one["message"])) for one in covered["not_verified"]]
    return card("Coverage and unverified items", rows)


def checks(document: DrillReport) -> str:
    """Return all checks, grouped by the first part of their IDs."""
    groups: dict[str, list[ReportedCheck]] = {}
    for one in document["checks"]:
        groups.setdefault(one["id"].split(".")[0], []).append(one)
    cards = []
    for name, members in groups.items():
        asked = [one for one in members if one["verdict"] != NOT_APPLICABLE]
        good = sum(one["verdict"] == PASS for one in asked)
        summary = f"{good} of {len(asked)} pass" if asked else "not applicable"
        rows = "".join(check(one) for one in members)
        cards.append(f'<section class="card"><h3>{text(name)} <span>{summary}</span></h3>{rows}</section>\n')
    return f'<h2>All checks</h2>\n<div class="groups">{"".join(cards) or "<p>No check was run.</p>"}</div>\n'


def proof(document: DrillReport) -> str:
    """Return the supported controls, and how to verify the page without this software."""
    tools = ", ".join(f"{name} {version}" for name, version in sorted(document["tools"].items()) if version)
    signed = f"ssh-keygen -Y verify -f allowed_signers -I {document['principal']} -n drill@caracal-ops -s report.json.sig < report.json"
    rows = [row("", text(one["control"]), text(one["words"])) for one in document["controls"]]
    return (
        card("Controls", rows, " controls") + "<h2>How to verify this page</h2>\n"
        "<p>The signed original is <code>report.json</code> next to this file. "
        "An entry of the repository's journal contains its SHA-256 and the SHA-256 of this page. Identifiers of zones and rows are shown "
        f"as {code('id:')} and a short hash. The encrypted details contain the identifier for each hash.</p>\n"
        f'<pre class="card"><code>{text(signed)}\nsha256sum report.json report.html</code></pre>\n'
        f"<footer><p>{text(LEGEND)}</p><p>Created with {text(tools)}.</p></footer>\n"
    )
