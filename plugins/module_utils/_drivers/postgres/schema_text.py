# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The text of `pg_dump --schema-only` as digests: one of all of it, and one of each object, so that a difference has a name."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import typing as t

from . import tools
from .snapshot import Place

# Above each object, after a line that has two hyphens only. A function's body may have such lines too: its own object's name is wrong
# then, and the digest of the whole text still differs.
_HEAD = re.compile(rb"-- Name: (.*); Type: (.*); Schema: (.*); Owner: .*")
# Before whatever object comes first.
_NOT_OF_AN_OBJECT = (b"SET ", b"--")


@dataclasses.dataclass(frozen=True)
class SchemaText:
    """`digest` is a SHA-256 of the text without its "Dumped" lines; `objects` has half of one for each object, by type and name."""

    digest: str
    objects: dict[str, str]


def read(pg_dump: str, place: Place) -> SchemaText:
    """Equal within one major for equal schemas. Without publications and subscriptions, which no restore creates. Raises StageFailed."""
    argv = [pg_dump, "--schema-only", "--no-publications", "--no-subscriptions", "--no-password"]
    argv += [f"--restrict-key={tools.RESTRICT_KEY}", f"--snapshot={place.snapshot}"]
    lines = _Lines()
    tools.stream_out(argv, place.server, place.database, lines)
    return lines.finish()


def differences(expected: t.Mapping[str, str], actual: t.Mapping[str, str]) -> list[str]:
    """Objects whose text differs, in readable lines."""
    lines = []
    for name in sorted(expected.keys() | actual.keys()):
        if name not in actual:
            lines.append(f"missing {name}")
        elif name not in expected:
            lines.append(f"not in the set: {name}")
        elif expected[name] != actual[name]:
            lines.append(f"{name} differs")
    return lines


class _Lines:
    """A sink for the text."""

    def __init__(self) -> None:
        self._whole = hashlib.sha256()
        self._objects: dict[str, t.Any] = {}
        self._own: t.Any = hashlib.sha256()
        self._rest = self._before = b""

    def write(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not line.startswith(b"-- Dumped "):
                self._whole.update(line + b"\n")
                self._take(line)

    def _take(self, line: bytes) -> None:
        head = _HEAD.fullmatch(line) if self._before == b"--" else None
        self._before = line
        if head:
            self._own = self._objects.setdefault(_name(*head.groups()), hashlib.sha256())
        elif line and not line.startswith(_NOT_OF_AN_OBJECT):
            self._own.update(line + b"\n")

    def finish(self) -> SchemaText:
        self._whole.update(self._rest)
        return SchemaText(self._whole.hexdigest(), {name: own.hexdigest()[:32] for name, own in self._objects.items()})


def _name(name: bytes, kind: bytes, schema: bytes) -> str:
    place = b"" if schema == b"-" else schema + b"."
    return (kind + b" " + place + name).decode(errors="replace")
