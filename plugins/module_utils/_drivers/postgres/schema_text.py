# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Digests of the text of `pg_dump --schema-only`: one of the whole text, and one of each object to name a difference."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import typing as t

from . import tools
from .snapshot import Place

# This line is above each object, after a line with only two hyphens. A function's body may contain such lines too. Then the
# name of the object is wrong, but the digest of the whole text still differs.
_HEAD = re.compile(rb"-- Name: (.*); Type: (.*); Schema: (.*); Owner: .*")
# Lines that precede the next object, but are not part of any.
_NOT_OF_AN_OBJECT = (b"SET ", b"--")


@dataclasses.dataclass(frozen=True)
class SchemaText:
    """Digests of a schema's text.

    `digest` is the SHA-256 of the text without its "Dumped" lines. `objects` maps the type and name of each object to the first
    half of its SHA-256.
    """

    digest: str
    objects: dict[str, str]


def read(pg_dump: str, place: Place) -> SchemaText:
    """Return the digests of a database's schema, which are equal for equal schemas within one major version.

    Publications and subscriptions are omitted, since no restore creates them. Raises StageFailed.
    """
    argv = [pg_dump, "--schema-only", "--no-publications", "--no-subscriptions", "--no-password"]
    argv += [f"--restrict-key={tools.RESTRICT_KEY}", f"--snapshot={place.snapshot}"]
    lines = _Lines()
    tools.stream_out(argv, place.server, place.database, lines)
    return lines.finish()


def differences(expected: t.Mapping[str, str], actual: t.Mapping[str, str]) -> list[str]:
    """Return a readable line for each object whose text differs."""
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
    """A sink for the text of the schema."""

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
