# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""All that is wrong with a backup, a restore or a drill, said at once and before the first change.

It is found by the very code that does the work, as in check mode, so nothing passes here that it refuses, and the other way round.
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
# A part of what is looked at, and what is wrong with it.
Problem = tuple[str, BackupError]
# What a play has looked at before: by the part that each task is about, a field that only its success returns.
BEFORE = {"deployment": "deployment", "programs": "pg_bin"}
SETTINGS = "settings"


class UseCase(t.Protocol):
    """A module of it: in check mode it looks at all that it would need."""

    @property
    def Options(self) -> type[Options]: ...

    def run(self, invocation: Invocation[t.Any]) -> t.Mapping[str, object]: ...


@dataclasses.dataclass(frozen=True)
class Look:
    """What one use case looks at.

    `use_case` brings it. `kept` says what becomes of its result: ours by theirs. `fixed` are options that it always gets. A deployment may
    lack an `optional` asset, whose code is then not read; the option that bears its name has the options that are about it alone. Of those
    that all share it has its own `apart`; `shared_as` says under which name it gets the shared one beside it. Where none of
    `found_by` is given, only a deployment that was found tells where it is. What several need can keep one from
    coming to its own source, which `alone` looks at then.
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
        """Whether all that it could say is that the deployment was not found."""
        own = _options(given[name]) if self.optional else given
        return "deployment" in missed and bool(self.found_by) and not any(own.get(one) for one in self.found_by)

    def options(self, name: str, mine: Spec, given: t.Mapping[str, object]) -> Options:
        """What all share, then what was given for this asset alone. Raises OptionError."""
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
    """What Ansible has given as a dictionary."""
    return t.cast("t.Mapping[str, object]", value)


def rehearse(
    invocation: Invocation[t.Any],
    given: t.Mapping[str, object],
    looks: t.Mapping[str, Look],
    what: str,
    problems: t.Sequence[Problem] = (),
) -> Result:
    """What all looks found, as they are kept, from what was `given` to all of them; `problems` were found beside them. Raises as `refuse`
    does, about `what`."""
    mine = invocation.options.spec()
    result: Result = {}
    problems = [*before(_options(given["earlier"])), *problems]
    missed = {part for part, _exc in problems}
    for name, look in looks.items():
        if (look.optional and given.get(name) is None) or look.follows(name, given, missed):
            continue
        try:
            found = look.use_case().run(dataclasses.replace(invocation, check_mode=True, options=look.options(name, mine, given)))
        except BackupError as exc:
            if look.alone and exc.msg in [other.msg for _part, other in problems]:
                problems += collect([(name, functools.partial(look.alone, look.options(name, mine, given)))])
            problems.append((name, exc))
        else:
            result.update({ours: found[theirs] for ours, theirs in look.kept.items() if theirs in found})
    refuse(problems, what)
    return result


def before(earlier: t.Mapping[str, object]) -> list[Problem]:
    """From results of tasks of BEFORE, what these could not do, and under `settings` what is wrong with those. A skipped one is none."""
    told: list[Problem] = [(SETTINGS, OptionError(words)) for words in t.cast("list[str]", earlier.get(SETTINGS, []))]
    for part, field in BEFORE.items():
        result = _options(earlier.get(part) or {})
        if result and field not in result and not result.get("skipped"):
            told.append((part, _raised(result)))
    return told


def _raised(result: t.Mapping[str, object]) -> BackupError:
    """Of the class that it had. What is no module of ours says so in words only."""
    known = getattr(_errors, str(result.get("error", "")), NotReady)
    words = str(result.get("msg") or "the earlier task failed without a message; run it alone")
    return known(words) if isinstance(known, type) and issubclass(known, BackupError) else NotReady(words)


def collect(looks: t.Iterable[tuple[str, t.Callable[[], object]]]) -> list[Problem]:
    """What is wrong where each of them looks, by the part that it is about."""
    problems: list[Problem] = []
    for name, look in looks:
        try:
            look()
        except BackupError as exc:
            problems.append((name, exc))
    return problems


def refuse(problems: t.Iterable[Problem], what: str) -> None:
    """Raises the one problem, else NotReady with all of them. What several parts need fails each of them with the same words."""
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
