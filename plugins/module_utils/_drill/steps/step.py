# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The base class of a drill's steps, and their input and output."""

from __future__ import annotations

import abc
import dataclasses
import hashlib
import hmac
import os
import typing as t

from ..._ansible.boundary import Invocation
from ..._drivers.secrets.files import FILE_LIMIT
from ..._errors import TargetRefused, UnsafePath
from ..._files import paths
from ..._options.declared import Options
from ..._options.shared import CopyOptions, PostgresOptions, RecordedOptions, StoredSetOptions
from ..._report.check import CheckResult
from ..._sandbox.info import SandboxInfo
from ..drill_options import DrillOptions
from ..drill_state import DrillState, Kept

if t.TYPE_CHECKING:
    from ..._sandbox.bundle import Bundle
    from ..._sets.backup_set_verify import SetAssets
    from ..service_plan import Restored

# The directory in the sandbox with the restored secrets of the set.
SECRETS: t.Final = "secrets"
# Unsent audit events, in a directory for each service.
REPLAY = "replay"
FINGERPRINTS: t.Final = "fingerprints"
Given = t.TypeVar("Given", bound=Options)
Found = t.TypeVar("Found")


@dataclasses.dataclass(frozen=True)
class Made:
    """The result of a step: checks as modules return them, and data for later steps.

    `bytes` is set only for steps that process data. `kept` is for later steps. With `stops`, steps that need this one do not
    run. `why` is the reason for the report, if the checks do not contain it.
    """

    checks: t.Sequence[CheckResult]
    bytes: int | None = None
    kept: Kept = dataclasses.field(default_factory=Kept)
    stops: bool = False
    why: str = ""


@dataclasses.dataclass(frozen=True)
class Work:
    """Options of the drill, and its state."""

    invocation: Invocation[DrillOptions]
    state: DrillState

    @property
    def given(self) -> DrillOptions:
        return self.invocation.options

    @property
    def kept(self) -> Kept:
        return self.state.kept

    @property
    def sandbox(self) -> SandboxInfo:
        return SandboxInfo.of(self.kept["sandbox"])

    @property
    def bundle(self) -> Bundle:
        """The sandbox with its running server. Raises the errors of `Bundle.of`."""
        from ..._sandbox.bundle import Bundle

        return Bundle.of(self.given.sandbox_directory)

    @property
    def restored(self) -> Restored:
        """The directories that were restored for the services."""
        from ..service_plan import Restored

        return Restored(self.path(SECRETS), self.path(REPLAY))

    @property
    def group(self) -> int:
        """The group of the sandbox's user: the same number as its uid if this process is root, else this process's own group."""
        return self.sandbox.uid if os.geteuid() == 0 else os.getegid()

    @property
    def assets(self) -> SetAssets:
        """The assets of the set other than databases."""
        return self.kept["assets"]

    @property
    def _clients(self) -> str | None:
        """The directory of PostgreSQL's client programs in the image of the sandbox's server."""
        return (self.kept["sandbox"].get("pg_bin") or None) if "sandbox" in self.kept else None

    def path(self, *names: str) -> str:
        """Return a path in the sandbox."""
        return os.path.join(self.given.sandbox_directory, *names)

    def secret(self, name: str) -> str:
        """Return the path of the restored secret with this name, if the set contains it."""
        return self.path(SECRETS, name)

    def fingerprints(self, names: t.Iterable[str]) -> dict[str, str]:
        """Return fingerprints of restored secrets, keyed by the drill's token. The fingerprint of an unreadable file is empty."""
        return {name: _fingerprint(self.path(name), self.state.drill) for name in names}

    def refuse_changed_secrets(self) -> None:
        """Raise TargetRefused if a restored secret was changed since. Then later steps would not test the set."""
        before: dict[str, str] = self.kept.get(FINGERPRINTS, {})
        if changed := sorted(name for name, now in self.fingerprints(before).items() if now != before[name]):
            names = ", ".join(os.path.basename(name) for name in changed[:3])
            raise TargetRefused(f"restored secret {names} was changed or removed on this host; find out by which process, then drill again")

    @property
    def stored(self) -> StoredSetOptions:
        """The set of this drill."""
        return StoredSetOptions(set_id=self.state.set_id)

    @property
    def copy(self) -> CopyOptions:
        """The restored databases."""
        postgres = PostgresOptions(pg_bin=self.given.pg_bin or self._clients)
        return CopyOptions(postgres=postgres, sandbox=self.given.sandbox_directory)

    @property
    def recorded(self) -> RecordedOptions:
        """Options for a restore into the sandbox."""
        return RecordedOptions(sandbox=self.given.sandbox_directory)

    def call(self, use_case: t.Callable[[Invocation[Given]], Found], options: Given) -> Found:
        """Return the result of a use case. Raises its errors."""
        return use_case(self.invocation.asking(options))


def _fingerprint(path: str, key: str) -> str:
    try:
        above, name = paths.parent(path)
        with above, above.read(name) as stream:
            return hmac.new(key.encode(), stream.read(FILE_LIMIT + 1), hashlib.sha256).hexdigest()
    except (OSError, UnsafePath):
        return ""


class Step(abc.ABC):
    """A step. `needs` are the steps that must succeed before it.

    Its code is imported when it runs, since a call runs one step and does not need the code of the others.
    """

    name: str
    needs: tuple[str, ...] = ()
    # Its result depends on running services, or on the restored secrets.
    asks_services: bool = False
    uses_secrets: bool = False

    def lacks(self, _work: Work) -> str:
        """Return why there is nothing to do, or an empty string."""
        return ""

    @abc.abstractmethod
    def take(self, work: Work) -> Made:
        """Run the step and return its result. Raise an error of this collection if it could not be run."""
