# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a step of a drill is, and what it works with."""

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

# Where the secrets of the set are restored, in the sandbox.
SECRETS: t.Final = "secrets"
# Unsent audit events, in a folder of each service.
REPLAY = "replay"
FINGERPRINTS: t.Final = "fingerprints"
Given = t.TypeVar("Given", bound=Options)
Found = t.TypeVar("Found")


@dataclasses.dataclass(frozen=True)
class Made:
    """Checks as modules return them; `bytes` where they mean something; `kept` for later steps.

    With `stops`, later steps have nothing to look at; `why` says so in the report, where the checks do not.
    """

    checks: t.Sequence[CheckResult]
    bytes: int | None = None
    kept: Kept = dataclasses.field(default_factory=Kept)
    stops: bool = False
    why: str = ""


@dataclasses.dataclass(frozen=True)
class Work:
    """Options of the drill, and what it knows so far."""

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
        """The sandbox with its server running. Raises what `Bundle.of` raises."""
        from ..._sandbox.bundle import Bundle

        return Bundle.of(self.given.sandbox_directory)

    @property
    def restored(self) -> Restored:
        """What was restored for the services."""
        from ..service_plan import Restored

        return Restored(self.path(SECRETS), self.path(REPLAY))

    @property
    def group(self) -> int:
        """That of the sandbox's user: of the user's number where root chose it, else our own."""
        return self.sandbox.uid if os.geteuid() == 0 else os.getegid()

    @property
    def assets(self) -> SetAssets:
        """What the set holds beside databases."""
        return self.kept["assets"]

    @property
    def _clients(self) -> str | None:
        """PostgreSQL's client programs of the image that the sandbox's server is of."""
        return (self.kept["sandbox"].get("pg_bin") or None) if "sandbox" in self.kept else None

    def path(self, *names: str) -> str:
        """In the sandbox."""
        return os.path.join(self.given.sandbox_directory, *names)

    def secret(self, name: str) -> str:
        """Where the secret of this name was restored, if the set holds it."""
        return self.path(SECRETS, name)

    def fingerprints(self, names: t.Iterable[str]) -> dict[str, str]:
        """Of restored secrets, by name in the sandbox, under the key of this drill; empty for a file that cannot be read."""
        return {name: _fingerprint(self.path(name), self.state.drill) for name in names}

    def refuse_changed_secrets(self) -> None:
        """Raises TargetRefused if a restored secret is not what it was when it was restored: then the set is not what later steps see."""
        before: dict[str, str] = self.kept.get(FINGERPRINTS, {})
        if changed := sorted(name for name, now in self.fingerprints(before).items() if now != before[name]):
            names = ", ".join(os.path.basename(name) for name in changed[:3])
            raise TargetRefused(f"restored secret {names} was changed or removed on this host; find out by which process, then drill again")

    @property
    def stored(self) -> StoredSetOptions:
        """The set that is drilled."""
        return StoredSetOptions(set_id=self.state.set_id)

    @property
    def copy(self) -> CopyOptions:
        """The restored databases."""
        postgres = PostgresOptions(pg_bin=self.given.pg_bin or self._clients)
        return CopyOptions(postgres=postgres, sandbox=self.given.sandbox_directory)

    @property
    def recorded(self) -> RecordedOptions:
        """A restore into the sandbox."""
        return RecordedOptions(sandbox=self.given.sandbox_directory)

    def call(self, use_case: t.Callable[[Invocation[Given]], Found], options: Given) -> Found:
        """The result of a use case. Raises what it raises."""
        return use_case(self.invocation.asking(options))


def _fingerprint(path: str, key: str) -> str:
    try:
        above, name = paths.parent(path)
        with above, above.read(name) as stream:
            return hmac.new(key.encode(), stream.read(FILE_LIMIT + 1), hashlib.sha256).hexdigest()
    except (OSError, UnsafePath):
        return ""


class Step(abc.ABC):
    """One step, by name; `needs` are those that it cannot do without.

    What it works with is imported when it is taken, for a call takes one step and would read the code of all of them.
    """

    name: str
    needs: tuple[str, ...] = ()
    # What it finds depends on services that run, and on the restored secrets.
    asks_services: bool = False
    uses_secrets: bool = False

    def lacks(self, _work: Work) -> str:
        """Why there is nothing to do; empty where there is."""
        return ""

    @abc.abstractmethod
    def take(self, work: Work) -> Made:
        """What became of it. Raises errors of our own family for what could not be done."""
