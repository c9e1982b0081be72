# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parts of the report page. All text from outside passes through `text` or `code`."""

from __future__ import annotations

import html
import typing as t

from .check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, WARN
from .document import ReportedCheck
from .text import clean

WORDS = {PASS: "\u2713 pass", FAIL: "\u2717 fail", WARN: "! warn", UNPROVEN: "? unproven", NOT_APPLICABLE: "\u2013 not applicable"}


def text(value: object) -> str:
    return html.escape(clean(str(value)))


def code(value: object) -> str:
    return f"<code>{text(value)}</code>"


def badge(verdict: str) -> str:
    return f'<span class="badge {verdict}">{WORDS[verdict]}</span>'


def row(mark: str, first: str, second: str) -> str:
    """Return a line of a card: a badge or number, a name, and a text. The arguments are HTML already."""
    return f'<div class="check"><div>{mark}</div><div><p class="mono">{first}</p><p>{second}</p></div></div>\n'


def check(one: ReportedCheck) -> str:
    notes = [note for note, holds in (("waived", one["waived"]), ("not required", not one["required"])) if holds]
    note = f' <span class="note">({", ".join(notes)})</span>' if notes else ""
    return row(badge(one["verdict"]), text(one["id"]) + note, text(one["message"]))


def card(heading: str, rows: t.Sequence[str], kind: str = "") -> str:
    """Return a section with a heading, or an empty string without rows. The heading is HTML already."""
    return f'<h2>{heading}</h2>\n<section class="card{kind}">{"".join(rows)}</section>\n' if rows else ""
