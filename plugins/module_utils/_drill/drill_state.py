# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of a drill between calls: a file next to the high-water mark, which no variable of a play can change."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import secrets
import tempfile
import time
import typing as t

from .._errors import Busy, OptionError, StorageError, TargetRefused, storage_error
from .._files import paths, trusted
from .._report.check import CheckResult
from .._repository import lock, mark
from .._sandbox import lease
from .._sandbox.info import LEASE_SECONDS, Layout, SandboxRecord
from .drill_options import DrillOptions

if t.TYPE_CHECKING:
    from .._report.extent import RollbackCategory
    from .._repository.services import RecordedService
    from .._sets.backup_set_verify import SetAssets

FORMAT = "caracal-ops-drill"
VERSION = 1
# Follows the name of the high-water mark, and precedes a hash of the sandbox's directory.
SUFFIX = ".drill-"
_SIZE_LIMIT = 256 << 20


class DrillStepResult(t.TypedDict):
    """A step as the module returns it."""

    changed: bool
    drill: str
    set_id: str
    checks: list[CheckResult]


class _TimedStep(t.TypedDict):
    name: str
    started: str
    seconds: float


class RecordedStep(_TimedStep, total=False):
    """A step that was run. `bytes` is set only for steps that process data."""

    bytes: int


class KeptImage(t.TypedDict):
    """An image that the set contains."""

    image_id: str


class Kept(t.TypedDict, total=False):
    """State that earlier steps pass on to later ones."""

    assets: SetAssets
    snapshot_time: str
    services: t.Sequence[RecordedService]
    images: t.Sequence[KeptImage]
    bytes: int
    sandbox: SandboxRecord
    family: str
    secrets: list[str]
    fingerprints: dict[str, str]
    signing_keys: t.Sequence[t.Mapping[str, object]]
    rollback: list[RollbackCategory] | None
    earlier_key_rows: int


@dataclasses.dataclass
class DrillState:
    """The state of the drill with the token `drill`.

    `controller` and `worker` have the format of `lease`. `worker` is the process that runs a step at the moment. `touched` is
    the modification time of the file in seconds.

    `done` and `failed` are names of steps, `begun` is a step that may not have ended. `why` is the reason why a step that ran
    prevents later steps. `kept` is what earlier steps pass on. `verdict` and `words` are from the report, once it is written.
    """

    path: str
    drill: str
    controller: str
    deployment: str
    repository: str
    directory: str
    set_id: str
    started: str
    checks: list[CheckResult] = dataclasses.field(default_factory=list)
    steps: list[RecordedStep] = dataclasses.field(default_factory=list)
    done: list[str] = dataclasses.field(default_factory=list)
    failed: list[str] = dataclasses.field(default_factory=list)
    why: dict[str, str] = dataclasses.field(default_factory=dict)
    begun: str = ""
    worker: str = ""
    touched: float = 0.0
    kept: Kept = dataclasses.field(default_factory=Kept)
    verdict: str = ""
    words: str = ""

    def begin(self) -> None:
        """Write the first state of a drill. Raise Busy if another drill is running in this directory, and StorageError."""
        try:
            mark.make_folder(self.path)
        except OSError as exc:
            raise _problem(self.path, exc) from exc
        with _alone(self.path):
            refuse(_read(self.path))
            self._write()

    def save(self) -> None:
        """Write the state. Raise TargetRefused if this drill was ended or another one was started meanwhile, and StorageError."""
        with _alone(self.path):
            found = _read(self.path)
            if found is None or found.drill != self.drill:
                raise TargetRefused(f"the drill in {self.directory} was ended or replaced by another run, so this run stops; drill again")
            self._write()

    def _write(self) -> None:
        content = dataclasses.asdict(self)
        del content["path"]
        try:
            paths.replace(self.path, json.dumps({"format": FORMAT, "version": VERSION, **content}).encode())
        except OSError as exc:
            raise _problem(self.path, exc) from exc


def new_token() -> str:
    """Return a new token for a drill and its sandbox."""
    return f"drill-{secrets.token_hex(9)}"


def place(given: DrillOptions) -> str:
    """Return the path of this drill's state."""
    return place_in(given.access.high_water_mark, given.sandbox_directory)


def place_in(high_water_mark: str, directory: str) -> str:
    """Return the path of the state of a drill in this directory."""
    return f"{os.path.abspath(high_water_mark)}{SUFFIX}{_hash(directory)}"


def place_of_trial(given: DrillOptions, drill: str) -> str:
    """Return the path of the state in check mode: a temporary file with an unpredictable name. Check mode leaves no other file."""
    return os.path.join(tempfile.gettempdir(), f"caracal-ops-{_hash(given.sandbox_directory, drill)}")


def _hash(directory: str, drill: str = "") -> str:
    return hashlib.sha256(os.fsencode(f"{Layout.of(directory).root}\0{drill}")).hexdigest()[:16]


def find(given: DrillOptions, check_mode: bool) -> str:
    return place_of_trial(given, given.drill) if check_mode and given.drill else place(given)


def refuse_another(given: DrillOptions) -> None:
    """Raise Busy if another drill is running in this directory."""
    refuse(_read(place(given)))


def refuse(found: DrillState | None) -> None:
    """Raise Busy if the drill with that state is running.

    If its controller is on another host, a killed drill counts as ended when its lease is over.
    """
    if found is None:
        return
    if found.controller:
        is_over = lease.gone(found.controller)
    else:
        is_over = not 0 <= time.time() - found.touched < LEASE_SECONDS
    if not is_over or (found.worker and not lease.gone(found.worker)):
        raise Busy(
            f"another drill has been running in {found.directory} since {found.started}; wait until it ends, or use another directory for "
            "each drill (after a killed drill, run the step destroy)"
        )


def load(given: DrillOptions, check_mode: bool = False) -> DrillState:
    """Return the state of the drill in `given`.

    Raises OptionError if there is none, TargetRefused if it is another drill's or another set's.
    """
    found = _read(find(given, check_mode))
    if found is None:
        raise OptionError(f"no drill was started in {given.sandbox_directory}; run the step verify first")
    if found.drill != given.drill:
        raise TargetRefused(
            f"{found.directory} contains another drill, started {found.started}; run the step verify first, or use another directory"
        )
    for name, wanted in {"deployment": given.access.deployment, "repository": given.access.repository}.items():
        if getattr(found, name) != wanted:
            raise TargetRefused(
                f"{name} differs from the start of this drill; use the same value for every step, or run the step verify first"
            )
    return found


def is_of(given: DrillOptions, check_mode: bool = False) -> bool:
    """Return True if the state belongs to the drill in `given`."""
    found = _read(find(given, check_mode))
    return found is not None and found.drill == given.drill


def remove(given: DrillOptions, check_mode: bool = False) -> None:
    path = find(given, check_mode)
    if os.path.lexists(path):
        with _alone(path), contextlib.suppress(FileNotFoundError):
            paths.unlink(path)


@contextlib.contextmanager
def _alone(path: str) -> t.Iterator[None]:
    """Lock the state, so that two drills cannot replace each other.

    The high-water mark has the same lock. A drill in check mode has its own path and needs no lock.
    """
    if SUFFIX not in path:
        yield
        return
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(lock.exclusive(path.rpartition(SUFFIX)[0]))
        except OSError as exc:
            raise _problem(path, exc) from exc
        yield


def _problem(path: str, exc: OSError) -> StorageError:
    return storage_error(exc)(
        f"cannot use the state of the drill {path}: {exc.strerror}; free disk space, or allow this user to write there"
    )


def _read(path: str) -> DrillState | None:
    """Return the state, or None if another release wrote it or it is truncated. Then its drill has ended."""
    try:
        with trusted.folder(os.path.dirname(path)) as folder, trusted.reading_in(folder, os.path.basename(path)) as stream:
            if os.fstat(stream.fileno()).st_uid != os.geteuid():
                raise TargetRefused(f"{path} belongs to another user; drill as that user, or remove it")
            touched = os.fstat(stream.fileno()).st_mtime
            content = json.loads(stream.read(_SIZE_LIMIT))
        if (content.pop("format"), content.pop("version")) != (FORMAT, VERSION):
            return None
        return DrillState(path=path, **{**content, "touched": touched})
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise _problem(path, exc) from exc
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
