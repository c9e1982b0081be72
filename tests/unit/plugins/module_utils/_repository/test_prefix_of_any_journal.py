# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a journal with a verified prefix finds the same as reading all of it.

The journals grow at random, with stolen and revoked keys, wrong clocks, corrections, and marks that advance now and
then.
"""

from __future__ import annotations

import datetime
import shutil
import tempfile
import typing as t
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import journal as journals
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.decisions import EVERYTHING, TIME
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.entry import Draft
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.fields import timestamp
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.journal import Journal
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.mark import HighWaterMark
from unit.plugins.module_utils._repository.conftest import NOW, World

EXAMPLES = 40
DAY = 24 * 60
# Errors of a writer's clock in minutes: none, a little ahead, behind, far ahead.
SKEWS = (0, 0, 0, 4, 9, -30, -3 * DAY, 400 * DAY)
STEPS = some.one_of(
    some.tuples(some.just("append"), some.sampled_from(["checkpoint", "drill", "hold"]), some.sampled_from(SKEWS), some.booleans()),
    some.tuples(some.just("correct"), some.integers(0, 20), some.sampled_from([TIME, EVERYTHING])),
    some.tuples(some.just("wait"), some.sampled_from([1, 6, 90, 2 * DAY, -2])),
    some.tuples(some.just("advance")),
    some.tuples(some.just("advance")),
    some.tuples(some.just("end"), some.sampled_from(["backup", "drill"]), some.integers(0, 3)),
    some.tuples(some.just("revoke"), some.sampled_from(["drill", "stranger"])),
    some.tuples(some.just("junk")),
)
ROLES = {"checkpoint": "backup", "drill": "drill", "hold": "operator"}


class Grown:
    """Entries are written without our own code, as a thief of a key writes them."""

    def __init__(self, folder: Path, keys: Path) -> None:
        self.world = World(folder, keys)
        self.world.create()
        self.mark = HighWaterMark(str(folder / "mark"))
        self.written = [self.world.journal().entries[0]]

    def read(self, *, all_of_it: bool) -> Journal | str:
        try:
            repository, verifier = self.world.load(), self.world.verifier
            return journals.read(repository, verifier, prefix=None if all_of_it else self.mark.verified(repository, verifier))
        except BackupError as exc:
            return f"{type(exc).__name__} {exc.msg}"

    def put(self, kind: str, role: str, time: dict[str, str | None], subjects: list[t.Any], body: dict[str, t.Any]) -> None:
        world, repository, last = self.world, self.world.load(), self.written[-1]
        signer = world.signer(role)
        draft = Draft(kind, subjects, body, time, "host-1")
        data = entries.to_bytes(draft, repository.id, "prod", last.sequence + 1, last.sha256, signer.principal)
        made = entries.parse(data, "x", repository.id, "prod")
        world.path(layout.entry_key(made.sequence)).write_bytes(data)
        signature = signer.sign(data, layout.NAMESPACE_JOURNAL)
        world.path(layout.entry_signature_key(made.sequence, made.sha256)).write_bytes(signature)
        self.written.append(made)

    def append(self, kind: str, skew: int, in_store: bool) -> None:
        wrong = timestamp(self.world.clock.now + datetime.timedelta(minutes=skew))
        time = {**self.world.time(), ("store" if in_store else "host"): wrong}
        self.put(kind, ROLES[kind], time, [entries.subject("x", "0" * 64)], {"n": len(self.written)})

    def correct(self, number: int, what: str) -> None:
        wrong = [one for one in self.written if one.kind not in (entries.GENESIS, entries.CORRECTION)]
        if wrong:
            one = wrong[number % len(wrong)]
            subjects = [entries.subject(layout.entry_key(one.sequence), one.sha256)]
            self.put(entries.CORRECTION, "operator", self.world.time(), subjects, {"what": what, "reason": "x"})

    def wait(self, minutes: int) -> None:
        self.world.clock.add(minutes=minutes)

    def advance(self) -> None:
        found = self.read(all_of_it=False)
        if isinstance(found, Journal):
            self.mark.advance(found)

    def end(self, role: str, day: int) -> None:
        """The operator ends the validity of a key."""
        until = NOW + datetime.timedelta(days=day)
        lines = self.world.allowed.read_text().splitlines(keepends=True)
        ended = self.world.line(role, f'valid-before="{until:%Y%m%d%H%M%S}Z"')
        self.world.allowed.write_text("".join(ended if line.startswith(f"{role}@") else line for line in lines))

    def revoke(self, role: str) -> None:
        self.world.revoked.write_text(self.world.revoked.read_text() + self.world.public(role) + "\n")

    def junk(self) -> None:
        self.world.path(layout.entry_key(len(self.written) + 2)).write_bytes(b"junk")


def summary(found: Journal | str) -> t.Any:
    if isinstance(found, str):
        return found
    kinds = {kind: list(found.of_kind(kind)) for kind in ("checkpoint", "drill", "hold", entries.CORRECTION, entries.TAKEN_BACK)}
    return list(found.entries), found.head, found.unsigned, found.as_written(), kinds


@pytest.mark.mutation
def test_it_finds_what_a_full_reading_finds(keys: Path, tmp_path: Path) -> None:
    used = [0]

    @settings(max_examples=EXAMPLES)
    @given(some.lists(STEPS, min_size=6, max_size=24))
    def any_journal(steps: list[tuple[t.Any, ...]]) -> None:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        try:
            grown = Grown(folder, keys)
            for name, *given_to in [("append", "checkpoint", 0, False), ("wait", 1), ("advance",), *steps]:
                getattr(grown, name)(*given_to)
                found, full = grown.read(all_of_it=False), grown.read(all_of_it=True)
                used[0] += isinstance(found, Journal) and found.prefix is not None
                assert summary(found) == summary(full)
        finally:
            shutil.rmtree(folder)

    any_journal()
    assert used[0] > EXAMPLES, "so often was a beginning used"
