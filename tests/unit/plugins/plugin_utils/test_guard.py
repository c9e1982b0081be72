# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The operator sees only printable lines if an action returns, prints or raises any text of a host."""

from __future__ import annotations

import traceback
import types
import typing as t

import pytest
from ansible.errors import AnsibleAction, AnsibleActionFail, AnsibleActionSkip, AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

from ansible_collections.caracal_ops.backup.plugins.plugin_utils import guard

WORDS = "a\x1b[2J\u202e\nok: [elsewhere]"


class Display:
    """Records the printed texts by the name of the call."""

    def __init__(self) -> None:
        self.shown: dict[str, tuple[t.Any, ...]] = {}

    def __getattr__(self, name: str) -> t.Callable[..., None]:
        return lambda *words, **named: self.shown.update({name: (*words, *named.values())})


class Action(ActionBase):
    """An action of Ansible that prints texts of the host at once, and then raises an error or returns a result."""

    def __init__(self, ends: BaseException | None = None) -> None:
        self._display = Display()
        self._task = types.SimpleNamespace(delegate_to=None, get_vars=dict)
        self._discovered_interpreter_key = None
        self._ends = ends

    def run(self, tmp: str | None = None, task_vars: t.Any = None) -> dict[str, t.Any]:
        for name in guard.SHOWING:
            getattr(self._display, name)(WORDS, help_text=WORDS)
        if self._ends:
            raise self._ends
        return {"msg": WORDS}

    def cleanup(self, force: bool = False) -> None:
        self._display.warning(WORDS)


class Guarded(guard.Guarded, Action):
    """An action of this collection."""


@pytest.mark.mutation
def test_text_shown_before_the_result_is_printable() -> None:
    action = Guarded()
    assert action.run(None, {})["msg"].isprintable()
    assert action._display.shown.keys() == {*guard.SHOWING}
    assert all(word.isprintable() for words in action._display.shown.values() for word in words)
    action.cleanup()
    assert action._display.shown["warning"][0].isprintable()


@pytest.mark.no_false_alarm
def test_supports_releases_with_fewer_display_methods() -> None:
    """ansible-core 2.18 has no `error_as_warning`."""
    display = types.SimpleNamespace(warning=lambda words: shown.append(words))
    shown = list[str]()
    with guard.showing_lines(display):
        display.warning(WORDS)
    assert shown[0].isprintable() and vars(display).keys() == {"warning"}


def test_display_is_unchanged_after_the_action() -> None:
    action = Guarded()
    before = dict(vars(action._display))
    action.run(None, {})
    assert vars(action._display).keys() == before.keys()
    action._display.display(WORDS)
    assert action._display.shown["display"] == (WORDS,)


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (AnsibleError, AnsibleActionFail),
        (AnsibleActionFail, AnsibleActionFail),
        (AnsibleConnectionFailure, AnsibleConnectionFailure),
    ],
)
def test_errors_are_printable(raised: type[AnsibleError], kind: type[AnsibleError]) -> None:
    """For example, Ansible includes the text of a server that refuses a file in its own error."""
    with pytest.raises(kind) as caught:
        Guarded(raised(WORDS)).run(None, {})
    assert type(caught.value) is kind and str(caught.value).isprintable()


class Traced(AnsibleActionFail):
    """An error as in ansible-core 2.18: it stores the traceback of the exception that is handled when it is created."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        vars(self)["result"] = {"failed": True, "exception": traceback.format_exc()}


@pytest.mark.mutation
@pytest.mark.parametrize("raised", [AnsibleError, Traced])
def test_tracebacks_are_printable(raised: type[AnsibleError], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "AnsibleActionFail", Traced)
    with pytest.raises(Traced) as caught:
        Guarded(raised(WORDS)).run(None, {})
    lines = vars(caught.value)["result"]["exception"].split("\n")
    assert len(lines) > 3 and all(line.isprintable() for line in lines) and not any(line.startswith("ok:") for line in lines)


@pytest.mark.mutation
def test_the_result_of_an_action_that_ends_early_is_cleaned() -> None:
    with pytest.raises(AnsibleAction) as caught:
        Guarded(AnsibleAction(result={"msg": WORDS, "ansible_facts": {"a": 1}})).run(None, {})
    [found] = [value for name, value in vars(caught.value).items() if name in ("result", "_result")]
    assert found.keys() == {"msg"} and found["msg"].isprintable()


@pytest.mark.no_false_alarm
def test_a_skipped_action_is_not_a_failure() -> None:
    with pytest.raises(AnsibleAction) as caught:
        Guarded(AnsibleActionSkip("not in check mode")).run(None, {})
    assert isinstance(caught.value, AnsibleActionSkip)
