# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""All that is wrong with a backup or a restore, said at once and before the first change.

It is found by the very use cases that do the work, each as in check mode, so nothing passes here that they refuse, and the other way round.
"""

from __future__ import annotations

import dataclasses
import typing as t

from .._ansible.argspec import ArgumentSpec
from .._ansible.boundary import Invocation, complete
from .._errors import BackupError, NotReady, OptionError

Result = dict[str, t.Any]


class UseCase(t.Protocol):
    """A module of it: in check mode it looks at all that it would need."""

    def argument_spec(self) -> ArgumentSpec: ...

    def run(self, invocation: Invocation) -> Result: ...


@dataclasses.dataclass(frozen=True)
class Look:
    """What one use case looks at.

    `use_case` brings it. `kept` says what becomes of its result: ours by theirs. `fixed` are options that it always gets. A deployment may
    lack an `optional` asset, whose code is then not read; the option that bears its name has the options that are about it alone. Of those
    that all share it has its own `apart`; `shared_as` says under which name it gets the shared one beside it.
    """

    use_case: t.Callable[[], UseCase]
    kept: t.Mapping[str, str]
    fixed: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    optional: bool = False
    apart: t.Collection[str] = ()
    shared_as: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    never: t.Collection[str] = ()

    def options(self, name: str, mine: t.Mapping[str, t.Any], given: t.Mapping[str, t.Any]) -> Result:
        """What all share, then what was given for this asset alone. Raises OptionError."""
        spec = self.use_case().argument_spec()
        shared = {one: given[one] for one in spec.argument_spec if one in given and given[one] != mine.get(one, {}).get("default")}
        shared.update(self.fixed)
        if not self.optional:
            return complete(spec, shared)
        shared.update({self.shared_as[one]: shared.pop(one) for one in self.shared_as if one in shared})
        names = {*(spec.argument_spec.keys() - mine.keys()), *self.apart} - {*self.never, *self.fixed, *self.shared_as.values()}
        own = {one: value for one, value in given[name].items() if value is not None}
        foreign = sorted(own.keys() - names)
        if foreign:
            raise OptionError(f"{name} has {foreign[0]}, which is no option of this asset alone; remove it")
        return complete(spec, {**shared, **own})


def rehearse(invocation: Invocation, spec: ArgumentSpec, looks: t.Mapping[str, Look], what: str) -> Result:
    """What all looks found, as they are kept. Raises what the one look raised that failed, else NotReady about `what`."""
    mine, given = spec.argument_spec, invocation.options
    result: Result = {}
    problems: dict[str, tuple[str, BackupError]] = {}
    for name, look in looks.items():
        if look.optional and given[name] is None:
            continue
        try:
            found = look.use_case().run(dataclasses.replace(invocation, check_mode=True, options=look.options(name, mine, given)))
        except BackupError as exc:
            # What several of them need fails each of them with the same words.
            problems.setdefault(exc.msg, (name, exc))
        else:
            result.update({ours: found[theirs] for ours, theirs in look.kept.items() if theirs in found})
    _refuse(list(problems.values()), what)
    return result


def _refuse(problems: t.Sequence[tuple[str, BackupError]], what: str) -> None:
    if not problems:
        return
    if len(problems) == 1:
        raise problems[0][1]
    listed = [{"asset": name, "error": type(exc).__name__, "msg": exc.msg} for name, exc in problems]
    words = "; ".join(f"({number}) {exc.msg}" for number, (_name, exc) in enumerate(problems, 1))
    raise NotReady(f"{what}, for {len(problems)} reasons: {words}", problems=listed)
