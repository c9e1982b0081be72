# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A parser of Prometheus' text format that is independent of our writer, and stricter than Prometheus."""

from __future__ import annotations

import re

_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)\Z")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|\Z)')
_UNITS = ("_seconds", "_bytes", "_info", "_artifacts", "_entries", "_verdict", "_checks")
_COUNTED = ("_sets", "_findings", "_rows", "_exports", "_faults", "_objects", "_stopped")

Labels = tuple[tuple[str, str], ...]


def parse(text: str) -> dict[str, dict[Labels, float]]:
    """Return name → labels → value.

    Every name has HELP and TYPE before its first sample, and its samples are not mixed with another name's.
    """
    assert text.endswith("\n")
    found: dict[str, dict[Labels, float]] = {}
    lines = iter(text[:-1].split("\n"))
    name = ""
    for line in lines:
        if line.startswith("#"):
            comment, word, name, words = line.split(" ", 3)
            assert (comment, word) == ("#", "HELP") and words and name not in found
            assert name.endswith(_UNITS + _COUNTED)
            assert next(lines) in (f"# TYPE {name} gauge", f"# TYPE {name} counter")
            found[name] = {}
            continue
        sample = _SAMPLE.match(line)
        assert sample and sample["name"] == name, line
        labels = _labels(sample["labels"] or "")
        assert labels not in found[name]
        found[name][labels] = float(sample["value"])
    assert all(found.values())
    return found


def _labels(text: str) -> Labels:
    pairs = _LABEL.findall(text)
    assert "".join(f'{name}="{value}",' for name, value in pairs).rstrip(",") == text
    meaning = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}
    return tuple((name, re.sub(r'\\[\\"n]', lambda found: meaning[found[0]], value)) for name, value in pairs)
