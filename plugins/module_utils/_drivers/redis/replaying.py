# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apply the commands of a snapshot to an empty Redis, either all or none."""

from __future__ import annotations

import collections
import contextlib
import typing as t

from ..._errors import BackupError, OptionError, TargetRefused
from . import commands, reading, resp
from .connection import Session

BATCH_COMMANDS, BATCH_BYTES = 256, 1 << 20
# The product creates about ten streams. A Redis with more keys than this is not searched for unused streams.
PROVISIONED = 100


class Replay:
    """One running restore. A marker key contains the set and shows that the restore is not complete.

    `refused` counts pending entries whose entry does not exist, by stream and group.
    """

    def __init__(self, session: Session, set_id: str, seed: t.Sequence[bytes] = ()) -> None:
        """Prepare a restore. `seed` are the fields of the entry with which a stream without groups is provisioned."""
        self._session = session
        self._set_id = set_id.encode()
        self._seed = list(seed)
        self._keys: set[bytes] = set()
        self.refused: collections.Counter[tuple[bytes, bytes]] = collections.Counter()
        self.sent = 0

    def leftover(self) -> bool:
        """Return True if a restore of this set was started here and not finished. Raise TargetRefused if it was another set."""
        found = self._session.call("GET", commands.MARKER)
        if found not in (None, self._set_id):
            raise TargetRefused(
                f"Redis {self._session.address} contains an unfinished restore of set {found[:30].decode('ascii', 'replace')}; "
                "restore that set again, or empty the Redis (FLUSHDB)"
            )
        return found is not None

    def provisioned(self) -> list[bytes]:
        """Return all keys if all are streams that were never used.

        The product creates them, with groups, when Redis first starts.
        """
        size, found = self._session.call("DBSIZE"), list[bytes]()
        if 0 < size <= PROVISIONED:
            # The product does not use a name that a document cannot contain.
            with contextlib.suppress(OptionError):
                found = reading.find(self._session, "*")
        return found if len(found) == size and all(self._is_unused(reading.look(self._session, name)) for name in found) else []

    def _is_unused(self, stream: reading.Stream | None) -> bool:
        if stream is None or (stream.groups and stream.length):
            return False
        if stream.length == stream.added == 1:
            return [fields for _id, fields in reading.entries(self._session, stream, None)] == [self._seed]
        return (stream.length, stream.added, stream.last) == (0, 0, "0-0")

    def begin(self, keys: t.Iterable[bytes]) -> None:
        """Set the marker, and remove leftovers.

        These are the keys that an unfinished run of the same set left, and streams that are only provisioned. Raises
        TargetRefused if there are other keys.
        """
        again = self.leftover()
        if not again:
            self._unprovision()
        self._session.call("SET", commands.MARKER, self._set_id)
        if again:
            self._keys.update(keys)
            self._remove()
        others = self._session.call("DBSIZE") - 1
        if others:
            if not again:
                self._session.call("DEL", commands.MARKER)
            raise TargetRefused(
                f"Redis {self._session.address} contains {others} keys that this "
                "restore did not create; stop the services and empty it (FLUSHDB)"
            )

    def _unprovision(self) -> None:
        """Remove streams without an entry, unless an entry is added meanwhile."""
        names = self.provisioned()
        if not names:
            return
        self._session.call("WATCH", *names)
        if self.provisioned() != names:
            self._session.call("UNWATCH")
            return
        self._session.call("MULTI")
        self._session.call("UNLINK", *names)
        self._session.call("EXEC")

    def apply(self, source: t.Iterable[list[bytes]], name: str) -> None:
        """Send every command after checking it. Raise the error of the first refused command."""
        batch: list[list[bytes]] = []
        packed = bytearray()
        for command in source:
            self._keys.add(commands.check(command, name))
            batch.append(command)
            packed += resp.encode(command)
            if len(batch) >= BATCH_COMMANDS or len(packed) >= BATCH_BYTES:
                self._send(batch, bytes(packed))
                batch, packed = [], bytearray()
        if batch:
            self._send(batch, bytes(packed))

    def _send(self, batch: list[list[bytes]], packed: bytes) -> None:
        replies = self._session.pipeline(packed, [command[0].decode() for command in batch])
        self.sent += len(batch)
        for command, reply in zip(batch, replies, strict=True):
            if command[0] == b"XCLAIM" and not reply:
                self.refused[(command[1], command[2])] += 1

    def finish(self) -> None:
        """Remove the marker, after everything was restored and compared."""
        self._session.call("DEL", commands.MARKER)

    def undo(self, cause: BackupError) -> BackupError:
        """Empty the target again after the error `cause`, and return the error to raise."""
        try:
            self._remove()
            self._session.call("DEL", commands.MARKER)
        except BackupError:
            text = (
                f"{cause.msg}. The target contains a part of the set and is marked as "
                "unfinished; run the same restore again, which starts from the beginning"
            )
            return cause.reworded(text)
        return cause

    def _remove(self) -> None:
        for key in sorted(self._keys):
            self._session.call("UNLINK", key)
