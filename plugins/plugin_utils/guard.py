# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands between a host and the play: every module of this collection, and those of Ansible in its roles, answer through it."""

from __future__ import annotations

import contextlib
import typing as t

from ansible.errors import AnsibleAction, AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.plugins.action.normal import ActionModule as Normal
from ansible.utils.unsafe_proxy import wrap_var

from ..module_utils._ansible import answers
from ..module_utils._errors import BackupError, printable

Vars = dict[str, t.Any] | None
# A variable of tasks that use only what was settled before any host answered: they notify, also of a host that makes facts up.
SETTLED = "__caracal_settled"
# How Ansible shows something at once, before an action has the answer: junk after it, or why a file could not be removed. Not each
# release has all of them.
SHOWING = ("debug", "deprecated", "display", "error", "error_as_warning", "verbose", "warning")


class Guarded(ActionBase):
    """Runs before the action that it is mixed into, and hands on what the controller accepts of the answer."""

    def run(self, tmp: str | None = None, task_vars: Vars = None) -> dict[str, t.Any]:
        given = task_vars or {}
        host = str(self._task.delegate_to or given.get("inventory_hostname"))
        try:
            # As the file of tasks has it: no fact can be a variable there.
            if SETTLED not in self._task.get_vars():
                answers.refuse_own_names(given.get(answers.FACTS), str(given.get("inventory_hostname")))
            with showing_lines(self._display):
                answer: dict[str, t.Any] = super().run(tmp, task_vars)
            if lies := answers.named(answer.get(answers.FACTS)):
                self._display.warning(
                    f"{host} returned facts with names of settings: {lies}. These facts are not used; find out what runs on that host"
                )
            accepted: dict[str, t.Any] = wrap_var(answers.cleaned(answer, host))
        except BackupError as exc:
            raise _with_cleaned_result(AnsibleActionFail(exc.msg), host) from None
        except (AnsibleActionFail, AnsibleConnectionFailure) as exc:
            # With words of a module, of a login's greeting, or of a server that refuses it.
            raise _with_cleaned_result(type(exc)(printable(str(exc))), host) from None
        except AnsibleAction as exc:
            # The action ends early by itself.
            _with_cleaned_result(exc, host)
            raise
        except AnsibleError as exc:
            raise _with_cleaned_result(AnsibleActionFail(printable(str(exc))), host) from None
        return {**accepted, **self._interpreter()}

    def cleanup(self, force: bool = False) -> None:
        """What a host says of its temporary files is shown as well."""
        with showing_lines(self._display):
            super().cleanup(force)

    def _interpreter(self) -> dict[str, t.Any]:
        """Ansible's own finding, which it makes again for each task where it cannot keep it as a fact of the host."""
        key = self._discovered_interpreter_key
        found: dict[str, t.Any] = {answers.FACTS: {key: printable(str(self._discovered_interpreter))}} if key else {}
        return dict(wrap_var(found))


def _with_cleaned_result(exc: AnsibleError, host: str) -> AnsibleError:
    """Also an error bears a result. Before ansible-core 2.19 it has the trace of what is handled, with the words that we replaced."""
    for name in ("result", "_result"):
        if isinstance(found := vars(exc).get(name), dict):
            vars(exc)[name] = wrap_var(answers.cleaned(found, host))
    return exc


@contextlib.contextmanager
def showing_lines(display: t.Any) -> t.Iterator[None]:
    """Whatever is shown meanwhile is one printable line."""
    with contextlib.ExitStack() as stack:
        for name in (one for one in SHOWING if hasattr(display, one)):
            before = vars(display).get(name)
            stack.callback(setattr if before else delattr, display, name, *([before] if before else []))
            setattr(display, name, _line(getattr(display, name)))
        yield


def _line(show: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    def shown(*words: t.Any, **named: t.Any) -> t.Any:
        return show(*map(_printable, words), **{name: _printable(value) for name, value in named.items()})

    return shown


def _printable(value: t.Any) -> t.Any:
    return printable(value) if isinstance(value, str) else value


class ActionModule(Guarded, Normal):
    """A module as ever, on the host of its task."""
