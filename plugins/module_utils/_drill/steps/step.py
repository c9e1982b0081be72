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

from ..._ansible import argspec
from ..._ansible.boundary import Invocation, UseCase, complete
from ..._drivers.secrets.files import FILE_LIMIT
from ..._errors import TargetRefused, UnsafePath
from ..._files import paths
from ..._sandbox.info import SandboxInfo
from ..drill_state import DrillState

Result = dict[str, t.Any]
# Where the secrets of the set are restored, in the sandbox.
SECRETS = "secrets"
FINGERPRINTS = "fingerprints"
# What every use case gets from the drill where it has such an option.
SHARED = (*argspec.repository().argument_spec, "jobs", "pg_bin", "identity_files", "production", "unisolated_reason")


@dataclasses.dataclass(frozen=True)
class Made:
    """Checks as modules return them; `bytes` where they mean something; `kept` for later steps.

    With `stops`, later steps have nothing to look at; `why` says so in the report, where the checks do not.
    """

    checks: t.Sequence[Result]
    bytes: int | None = None
    kept: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    stops: bool = False
    why: str = ""


@dataclasses.dataclass(frozen=True)
class Work:
    """Options of the drill, and what it knows so far."""

    invocation: Invocation
    state: DrillState

    @property
    def given(self) -> dict[str, t.Any]:
        return self.invocation.options

    @property
    def kept(self) -> dict[str, t.Any]:
        return self.state.kept

    @property
    def sandbox(self) -> SandboxInfo:
        found = self.kept["sandbox"]
        return SandboxInfo(**{**found, "warnings": tuple(found["warnings"])})

    @property
    def group(self) -> int:
        """That of the sandbox's user: of the user's number where root chose it, else our own."""
        return self.sandbox.uid if os.geteuid() == 0 else os.getegid()

    @property
    def assets(self) -> dict[str, t.Any]:
        """What the set holds beside databases."""
        return dict(self.kept["assets"])

    @property
    def _clients(self) -> str | None:
        """PostgreSQL's client programs of the image that the sandbox's server is of."""
        return self.kept.get("sandbox", {}).get("pg_bin") or None

    def path(self, *names: str) -> str:
        """In the sandbox."""
        return os.path.join(self.given["sandbox_directory"], *names)

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

    def call(self, spec: argspec.ArgumentSpec, use_case: UseCase, **own: t.Any) -> Result:
        """The result of a use case in the sandbox, which judges nothing. Raises what it raises."""
        shared = {**{name: self.given[name] for name in SHARED}, "pg_bin": self.given["pg_bin"] or self._clients}
        usual = {**shared, "sandbox": self.given["sandbox_directory"], "set_id": self.state.set_id, "require_valid": False}
        return call(self.invocation, spec, use_case, usual, **own)


def _fingerprint(path: str, key: str) -> str:
    try:
        above, name = paths.parent(path)
        with above, above.read(name) as stream:
            return hmac.new(key.encode(), stream.read(FILE_LIMIT + 1), hashlib.sha256).hexdigest()
    except (OSError, UnsafePath):
        return ""


def call(invocation: Invocation, spec: argspec.ArgumentSpec, use_case: UseCase, shared: t.Mapping[str, t.Any], **own: t.Any) -> Result:
    """The result of a use case that gets its `own` options, and of those that it has the shared ones. Raises what it raises."""
    given = {**{name: value for name, value in shared.items() if name in spec.argument_spec}, **own}
    options = complete(spec, {name: value for name, value in given.items() if value is not None})
    return use_case(dataclasses.replace(invocation, options=options))


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
