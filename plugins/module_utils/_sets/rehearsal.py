# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reports all problems of a backup, a restore or a drill at once, before the first change.

The problems are found by running the real use cases in check mode. So a preflight accepts and refuses the same things
as the real run.
"""

from __future__ import annotations

import dataclasses
import functools
import typing as t

from .. import _errors
from .._ansible.boundary import Invocation, complete
from .._errors import BackupError, NotReady, OptionError
from .._options.declared import Options, Spec

Result = dict[str, t.Any]
# The part of a deployment that was checked, and its problem.
Problem = tuple[str, BackupError]
# Checks that a play has run before. For each part, a field that the task returns only on success.
BEFORE = {"deployment": "deployment", "programs": "pg_bin"}
SETTINGS = "settings"


class UseCase(t.Protocol):
    """The use case of a module. In check mode it checks everything that it would need."""

    @property
    def Options(self) -> type[Options]: ...

    def run(self, invocation: Invocation[t.Any]) -> t.Mapping[str, object]: ...


@dataclasses.dataclass(frozen=True)
class Inspection:
    """How a preflight checks one use case.

    `use_case` imports the use case. `kept` maps fields of the preflight's result to fields of the use case's result.
    `fixed` are options that are always set. A deployment may lack an `optional` asset, and then the code of its use
    case is not imported. The option with the name of the asset has the options for this asset alone. The asset has its
    own values for the shared options `apart`. `shared_as` has the names under which it gets the shared values of these
    options. `never` are options that must not be set for the asset. If none of the options `found_by` is set, the
    source is only known from a discovered deployment. A problem of a shared requirement can stop the use case before it
    reads its own source. `alone` then checks that source.
    """

    use_case: t.Callable[[], UseCase]
    kept: t.Mapping[str, str]
    fixed: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    optional: bool = False
    apart: t.Collection[str] = ()
    shared_as: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    never: t.Collection[str] = ()
    found_by: t.Collection[str] = ()
    alone: t.Callable[[t.Any], object] | None = None

    def follows(self, name: str, given: t.Mapping[str, object], missed: t.Collection[str]) -> bool:
        """Return whether the only possible result would be that the deployment was not found."""
        own = _options(given[name]) if self.optional else given
        return "deployment" in missed and bool(self.found_by) and not any(own.get(one) for one in self.found_by)

    def options(self, name: str, mine: Spec, given: t.Mapping[str, object]) -> Options:
        """Return the shared options with the options of this asset. Raises OptionError."""
        options = self.use_case().Options
        spec = options.spec()
        shared = {one: given[one] for one in spec if one in given and given[one] != mine.get(one, {}).get("default")}
        shared.update(self.fixed)
        if not self.optional:
            return complete(options, shared)
        shared.update({self.shared_as[one]: shared.pop(one) for one in self.shared_as if one in shared})
        names = {*(spec.keys() - mine.keys()), *self.apart} - {*self.never, *self.fixed, *self.shared_as.values()}
        own = {one: value for one, value in _options(given[name]).items() if value is not None}
        foreign = sorted(own.keys() - names)
        if foreign:
            raise OptionError(f"{name} has {foreign[0]}, which is not an option of this asset; remove it")
        return complete(options, {**shared, **own})


def _options(value: object) -> t.Mapping[str, object]:
    """Cast an option that Ansible has passed as a dictionary."""
    return t.cast("t.Mapping[str, object]", value)


def rehearse(
    invocation: Invocation[t.Any],
    given: t.Mapping[str, object],
    looks: t.Mapping[str, Inspection],
    what: str,
    problems: t.Sequence[Problem] = (),
) -> Result:
    """Run all use cases in check mode and return the kept results.

    `given` are the shared options. `problems` were found by other checks. Raises as `refuse` does, with `what` as the
    subject.
    """
    mine = invocation.options.spec()
    result: Result = {}
    problems = [*before(_options(given["earlier"])), *problems]
    missed = {part for part, _exc in problems}
    for name, inspection in looks.items():
        if (inspection.optional and given.get(name) is None) or inspection.follows(name, given, missed):
            continue
        try:
            found = inspection.use_case().run(
                dataclasses.replace(invocation, check_mode=True, options=inspection.options(name, mine, given))
            )
        except BackupError as exc:
            if inspection.alone and exc.msg in [other.msg for _part, other in problems]:
                problems += collect([(name, functools.partial(inspection.alone, inspection.options(name, mine, given)))])
            problems.append((name, exc))
        else:
            result.update({ours: found[theirs] for ours, theirs in inspection.kept.items() if theirs in found})
    refuse(problems, what)
    return result


def before(earlier: t.Mapping[str, object]) -> list[Problem]:
    """Return the errors of earlier tasks (see BEFORE) and of the settings. A skipped task is not an error."""
    problems: list[Problem] = [(SETTINGS, OptionError(words)) for words in t.cast("list[str]", earlier.get(SETTINGS, []))]
    for part, field in BEFORE.items():
        result = _options(earlier.get(part) or {})
        if result and field not in result and not result.get("skipped"):
            problems.append((part, _raised(result)))
    return problems


def _raised(result: t.Mapping[str, object]) -> BackupError:
    """Return an error with its original class. A result of another collection's module has a message only."""
    known = getattr(_errors, str(result.get("error", "")), NotReady)
    words = str(result.get("msg") or "the earlier task failed without a message; run it alone")
    return known(words) if isinstance(known, type) and issubclass(known, BackupError) else NotReady(words)


def collect(looks: t.Iterable[tuple[str, t.Callable[[], object]]]) -> list[Problem]:
    """Run the checks and return their problems, each with the part that it is about."""
    problems: list[Problem] = []
    for name, look in looks:
        try:
            look()
        except BackupError as exc:
            problems.append((name, exc))
    return problems


def refuse(problems: t.Iterable[Problem], what: str) -> None:
    """Raise the only problem, or NotReady with all of them.

    A shared requirement fails in several parts with the same message, which is reported once.
    """
    found: dict[str, Problem] = {}
    for name, exc in problems:
        found.setdefault(exc.msg, (name, exc))
    if not found:
        return
    if len(found) == 1:
        raise next(iter(found.values()))[1]
    listed = [{"asset": name, "error": type(exc).__name__, "msg": exc.msg} for name, exc in found.values()]
    words = "; ".join(f"({number}) {one['msg']}" for number, one in enumerate(listed, 1))
    raise NotReady(f"{what} for {len(listed)} reasons: {words}", problems=listed)
