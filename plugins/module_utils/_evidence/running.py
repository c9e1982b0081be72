# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which backup of a deployment runs on this host: a note beside the high-water mark, which the modules of that set renew.

A play has no process here between two modules. So a set runs while the module that renewed the note last is alive, or the controller is,
where that is a process of this host. With a controller elsewhere, and if the note was written in another container or before this host
was started, it runs only until the note is older than `LEASE`. Whatever was killed, a note blocks no longer than that.
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
    """`process` is the module that wrote it, `controller` the one above that; empty for one of another host. `place` is where these
    processes are (see `lease`)."""

    set_id: str
    process: str
    controller: str
    place: str
    renewed: datetime.datetime

    @property
    def is_at_work(self) -> bool:
        """Whether a process of this host shows that the set is being made."""
        return self._is_here and any(one and not lease.gone(one) for one in (self.process, self.controller))

    @property
    def ends(self) -> datetime.datetime:
        """Until when the set counts as running without such a process."""
        return self.renewed if self.controller and self._is_here else self.renewed + LEASE

    @property
    def _is_here(self) -> bool:
        """Whether its processes can be seen from here. Elsewhere the same number is another process."""
        return self.place == lease.here()

    def runs(self, now: datetime.datetime) -> bool:
        # A note from the future is that of a clock which was set back.
        return self.is_at_work or self.renewed - LEASE < now < self.ends


class Running:
    """The note of a deployment, for one set. Methods raise StorageError."""

    def __init__(self, given: RepositoryOptions, set_id: str) -> None:
        self._mark, self._deployment = given.high_water_mark, layout.check_deployment(given.deployment)
        self._path = f"{os.path.abspath(self._mark)}.{self._deployment}.running"
        self._set_id = set_id

    def refuse_other(self) -> None:
        """Raises BackupRunning where another set of the deployment is being made on this host."""
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
        """From now on no other set may begin. Raises BackupRunning where one has."""
        with self._told():
            mark.make_folder(self._mark)
            with lock.exclusive(self._mark):
                self.refuse_other()
                self._write()

    def renew(self) -> None:
        """If the set has begun so; others may be made without."""
        self._with_own(self._write)

    def end(self) -> None:
        self._with_own(lambda: paths.unlink(self._path))

    def _with_own(self, change: t.Callable[[], None]) -> None:
        """Change the note if it is of this set."""
        if not self._is_own():
            return
        with self._told(), lock.exclusive(self._mark):
            # Until we had the lock another set may have begun, if this one had been quiet for long.
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
        with self._told():
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
    def _told(self) -> t.Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise StorageError(f"{self._path}: {exc.strerror}; check the directory of the high-water mark") from exc
