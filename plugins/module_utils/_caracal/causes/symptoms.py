# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a drill saw, and by which signs a cause is known: a check, a metric, a line of a log."""

from __future__ import annotations

import dataclasses
import fnmatch
import re
import typing as t

from ..._report.check import FAIL, Check

# Details in which checks have the answer of a service.
ANSWER = ("service", "status", "error", "description", "answer")
# The end of a service's log, in the details of its check.
LOG = "log"
# Before the names of metrics of the product's own sweep of the audit chain.
TAMPER = "caracal_audit_tamper_"


@dataclasses.dataclass(frozen=True)
class Evidence:
    """`metrics`: values by name that the check of the audit service's sweep carries; `logs`: lines by service.

    `key_ids`: ids of keys by name, as the set's manifest has them.
    """

    checks: t.Sequence[Check]
    metrics: t.Mapping[str, float]
    logs: t.Mapping[str, t.Sequence[str]]
    key_ids: t.Mapping[str, str]

    def check(self, check_id: str) -> Check | None:
        return next((one for one in self.checks if one.id == check_id), None)


class Sign(t.Protocol):
    """One way to know a cause. `seen` gives what shows it: ids of checks, `metric <name>`, `log of <service>`; or nothing."""

    def seen(self, evidence: Evidence) -> list[str]: ...


@dataclasses.dataclass(frozen=True)
class Found:
    """A check whose id fits the pattern `id` (`*` stands for anything) has one of the `verdicts`.

    Its reason, one of `_reasons`, is `reason` if one is given, and none of `other_than`.
    """

    id: str
    reason: str = ""
    verdicts: tuple[str, ...] = (FAIL,)
    other_than: tuple[str, ...] = ()

    def seen(self, evidence: Evidence) -> list[str]:
        return [one.id for one in _fitting(evidence, self.id, self.verdicts) if self._fits(str(one.details.get("reason") or ""))]

    def _fits(self, reason: str) -> bool:
        return reason == self.reason if self.reason else reason not in self.other_than


@dataclasses.dataclass(frozen=True)
class Answered:
    """A check whose id fits the pattern `id` has one of the `verdicts`, and quotes an answer that matches the expression `words`.

    The words are those of a service of Caracal, of PostgreSQL, or of the kernel: this collection cannot change them.
    """

    id: str
    words: str
    verdicts: tuple[str, ...] = (FAIL,)

    def seen(self, evidence: Evidence) -> list[str]:
        fitting = _fitting(evidence, self.id, self.verdicts)
        return [one.id for one in fitting if re.search(self.words, quoted(one), re.IGNORECASE)]


@dataclasses.dataclass(frozen=True)
class Above:
    """A metric is above zero; with `of` it must be as high as that one, which counts everything."""

    metric: str
    of: str = ""

    def seen(self, evidence: Evidence) -> list[str]:
        value = evidence.metrics.get(self.metric, 0)
        whole = not self.of or value == evidence.metrics.get(self.of)
        return [f"metric {self.metric}"] if value > 0 and whole else []


@dataclasses.dataclass(frozen=True)
class Zero:
    """A metric was read and is zero."""

    metric: str

    def seen(self, evidence: Evidence) -> list[str]:
        return [f"metric {self.metric}"] if evidence.metrics.get(self.metric) == 0 else []


@dataclasses.dataclass(frozen=True)
class Logged:
    """A service wrote a line that fits; `services` empty for any."""

    says: str
    services: tuple[str, ...] = ()

    def seen(self, evidence: Evidence) -> list[str]:
        read = {name: lines for name, lines in evidence.logs.items() if not self.services or name in self.services}
        return [
            f"log of {name}" for name, lines in sorted(read.items()) if any(re.search(self.says, line, re.IGNORECASE) for line in lines)
        ]


@dataclasses.dataclass(frozen=True)
class Together:
    """All of several signs are there."""

    signs: tuple[Sign, ...]

    def seen(self, evidence: Evidence) -> list[str]:
        shown = [sign.seen(evidence) for sign in self.signs]
        return [one for some in shown for one in some] if all(shown) else []


@dataclasses.dataclass(frozen=True)
class Cause:
    """`cause` and `remedy` are words, with `{keks}` and `{services}` filled in.

    What follows from it is in `explains`, ids of causes and of checks (`*` stands for anything): such causes are not named beside it,
    and such checks are accounted for. A `general` cause is named only for checks that no other cause accounts for.
    """

    id: str
    cause: str
    remedy: str
    signs: tuple[Sign, ...]
    explains: tuple[str, ...] = ()
    general: bool = False

    def seen(self, evidence: Evidence) -> list[str]:
        """What shows it, each once, checks first."""
        return list(dict.fromkeys(shown for sign in self.signs for shown in sign.seen(evidence)))


def quoted(check: Check) -> str:
    """The answer of a service, the message, which may quote one, and the end of the service's log."""
    answer = [str(check.details[name]) for name in ANSWER if check.details.get(name) is not None]
    log = check.details.get(LOG)
    return "\n".join([" ".join([*answer, check.message]), *(str(line) for line in (log if isinstance(log, list) else ()))])


def _fitting(evidence: Evidence, pattern: str, verdicts: tuple[str, ...]) -> list[Check]:
    return [one for one in evidence.checks if one.verdict in verdicts and fnmatch.fnmatchcase(one.id, pattern)]
