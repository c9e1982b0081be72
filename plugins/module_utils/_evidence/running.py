# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The running backup of a deployment on this host: a note next to the high-water mark, which the modules of that set renew.

A play has no process on this host between two modules. So a set counts as running while the module that last renewed the note
is alive. It also counts as running while the controller is alive, if that is a process of this host.

If the controller is on another host, the set counts as running only until the note is older than `LEASE`. The same applies to a
note from another container or an earlier boot. So a note never blocks other sets for longer than that after a process was
killed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import typing as t

from .._crypto import strict_json
from .._errors import BackupRunning, StorageError
from .._files import paths, trusted
from .._options.shared import RepositoryOptions
from .._repository import layout, lock, mark
from .._repository.fields import Fields
from .._sandbox import lease
from . import access

TYPE = "running-backup"
LEASE = datetime.timedelta(minutes=10)
_SIZE_LIMIT = 1 << 16


@dataclasses.dataclass(frozen=True)
class Note:
    """A note.

    `process` is the module that wrote it, `controller` the process above it, or empty if that is on another host. `place`
    identifies the host and container of these processes (see `lease`).
    """

    set_id: str
    process: str
    controller: str
    place: str
    renewed: datetime.datetime

    @property
    def is_at_work(self) -> bool:
        """True if a process of this host is creating the set."""
        return self._is_here and any(one and not lease.gone(one) for one in (self.process, self.controller))

    @property
    def ends(self) -> datetime.datetime:
        """The time until which the set counts as running without such a process."""
        return self.renewed if self.controller and self._is_here else self.renewed + LEASE

    @property
    def _is_here(self) -> bool:
        """True if its processes are visible here. In another context the same process ID is another process."""
        return self.place == lease.here()

    def runs(self, now: datetime.datetime) -> bool:
        # A note from the future was written before the clock was set back.
        return self.is_at_work or self.renewed - LEASE < now < self.ends


class Running:
    """The note of a deployment for one set. Methods raise StorageError."""

    def __init__(self, given: RepositoryOptions, set_id: str) -> None:
        self._mark, self._deployment = given.high_water_mark, layout.check_deployment(given.deployment)
        self._path = f"{os.path.abspath(self._mark)}.{self._deployment}.running"
        self._set_id = set_id

    def refuse_other(self) -> None:
        """Raise BackupRunning if another set of the deployment is being created on this host."""
        found = self._read()
        if found is None or found.set_id == self._set_id or not found.runs(access.now()):
            return
        killed = (
            ""
            if found.is_at_work
            else f" (if it was killed, its lock expires at {found.ends:%Y-%m-%dT%H:%M:%SZ}, or when you run backup_set state=aborted "
            f"set_id={found.set_id})"
        )
        raise BackupRunning(
            f"a backup of deployment {self._deployment} is running on this host: set {found.set_id}, started at "
            f"{layout.id_time(found.set_id):%Y-%m-%dT%H:%M:%SZ}; wait until it ends{killed}",
            set_id=found.set_id,
        )

    def begin(self) -> None:
        """Write the note. Raise BackupRunning if another set was started."""
        with self._translated_errors():
            mark.make_folder(self._mark)
            with lock.exclusive(self._mark):
                self.refuse_other()
                self._write()

    def renew(self) -> None:
        """Renew the note, if the set has one. Not every set does."""
        self._with_own(self._write)

    def end(self) -> None:
        self._with_own(lambda: paths.unlink(self._path))

    def _with_own(self, change: t.Callable[[], None]) -> None:
        """Change the note if it belongs to this set."""
        if not self._is_own():
            return
        with self._translated_errors(), lock.exclusive(self._mark):
            # Another set may have started before the lock was acquired, if this set's note had expired.
            if self._is_own():
                change()

    def _is_own(self) -> bool:
        found = self._read()
        return found is not None and found.set_id == self._set_id

    def _write(self) -> None:
        document = {"set": self._set_id, "process": lease.own(), "controller": lease.controller(), "place": lease.here()}
        paths.replace(self._path, strict_json.dumps({"type": TYPE, "format": layout.FORMAT, **document}))

    def _read(self) -> Note | None:
        above, name = os.path.split(self._path)
        with self._translated_errors():
            try:
                with trusted.folder(above) as folder, trusted.reading_in(folder, name) as stream:
                    data, renewed = stream.read(_SIZE_LIMIT), os.fstat(stream.fileno()).st_mtime
            except FileNotFoundError:
                return None
        fields = Fields(strict_json.loads(data, self._path), self._path, "remove it")
        fields.head(TYPE)
        set_id = layout.check_id(fields.text("set"))
        process, controller, place = (fields.text(name) for name in ("process", "controller", "place"))
        fields.end()
        return Note(set_id, process, controller, place, datetime.datetime.fromtimestamp(renewed, datetime.timezone.utc))

    @contextlib.contextmanager
    def _translated_errors(self) -> t.Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise StorageError(f"{self._path}: {exc.strerror}; check the directory of the high-water mark") from exc
