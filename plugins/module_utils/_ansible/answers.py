# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the controller accepts of a host's answer: the result of its task, in printable text.

Ansible lets any answer hold more than that. Facts rank above the inventory and the defaults of a role, so a host could change settings of
the play that runs on the controller and on other hosts; `ansible_stats` become extra variables of the next job in a workflow of AWX.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import typing as t

from .._errors import TamperedData, printable

FACTS = "ansible_facts"
# What Ansible acts on, whichever task it answers, and what it says of its own decision on a result.
_ORDERS = frozenset({FACTS, "ansible_stats", "add_host", "add_group", "failed_when_result"})
# What Ansible calculates with. A value of another kind would end its run at once, without rescue or notification, or hide a failure.
_FLAGS = frozenset({"changed", "failed", "skipped", "unreachable"})
_DEPRECATION = ("msg", "version", "date", "collection_name")
# Fields whose text has several lines: files, differences, the output of programs, and settings that a deployment's services have. None
# that Ansible shows as it is, where a host could forge a line of another host.
_LINES = frozenset(
    {
        *("after", "before", "content", "lists", "settings"),
        *("module_stderr", "module_stdout", "stderr", "stdout"),
    }
)
# Ansible shows these as they are when it is asked for more words, so no line but the first begins at the margin.
_TRACES = frozenset({"exception", "formatted_traceback"})
_BREAK, _INDENTED = "\n", "\n    "
# Deeper than any answer of a module that is in use.
_DEEPEST = 40
# How our settings and the variables of our roles and playbooks begin.
_OURS = ("caracal_", "doctor_", "notify_", "quickstart_")
_MOST_NAMES = 10


def cleaned(answer: t.Mapping[str, t.Any], host: str) -> dict[str, t.Any]:
    """The result alone, in printable text. Raises TamperedData if the answer is nested too deep."""
    try:
        return _result({_text(str(key)): _clean(value, _break(str(key)), 1) for key, value in answer.items()})
    except RecursionError:
        raise TamperedData(
            f"{host} returned a result that is nested more than {_DEEPEST} levels deep; find out what runs on that host"
        ) from None


def refuse_own_names(facts: t.Any, host: str) -> None:
    """Refuse to go on where a fact has the name of a setting. It comes from other tasks, or from a cache. Raises TamperedData."""
    if names := named(facts):
        raise TamperedData(
            f"{host} has facts with names of settings of caracal_ops.backup: {names}. A host must not change settings: find out what runs "
            "on that host, and clear the fact cache (--flush-cache). Do not set settings with set_fact and cacheable"
        )


def named(facts: t.Any) -> str:
    """Such names in a line; empty where there are none."""
    names = own_names(facts)
    return printable(", ".join(name[:80] for name in names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else ""))


def own_names(facts: t.Any) -> list[str]:
    """Of facts, those that have the name of a setting or variable of ours."""
    return sorted(str(name) for name in facts if str(name).lstrip("_").startswith(_OURS)) if isinstance(facts, t.Mapping) else []


def _result(found: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Without orders, and each field that Ansible reads of the kind that it expects."""
    return {key: _of_kind(key, value) for key, value in found.items() if key not in _ORDERS}


def _of_kind(key: str, value: t.Any) -> t.Any:
    if key in _FLAGS:
        return bool(value)
    make = {"results": _item, "warnings": _warning, "deprecations": _deprecation}.get(key)
    if make is None:
        return value
    return [make(one) for one in (value if isinstance(value, list | tuple) else [value] if value else [])]


def _item(value: t.Any) -> t.Any:
    return _result(value) if isinstance(value, dict) else _warning(value)


def _warning(value: t.Any) -> t.Any:
    return value if isinstance(value, str) or dataclasses.is_dataclass(value) else str(value)


def _deprecation(value: t.Any) -> t.Any:
    if dataclasses.is_dataclass(value):
        return value
    given = value if isinstance(value, dict) else {"msg": value}
    return {"msg": "", **{name: str(given[name]) for name in _DEPRECATION if given.get(name) is not None}}


def _break(key: str) -> str:
    """What a line break in a field becomes; empty where it becomes an escape."""
    return _BREAK if key in _LINES else _INDENTED if key in _TRACES else ""


def _clean(value: t.Any, line_break: str, depth: int) -> t.Any:
    """`line_break` where line breaks and tabs may stay."""
    if depth > _DEEPEST:
        raise RecursionError
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        return _text(value, line_break)
    if isinstance(value, t.Mapping):
        return {_text(str(key)): _clean(one, line_break or _break(str(key)), depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return (tuple if isinstance(value, tuple) else list)(_clean(one, line_break, depth + 1) for one in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # From ansible-core 2.19 on errors and warnings.
        fields = {one.name: getattr(value, one.name) for one in dataclasses.fields(value) if one.init}
        return dataclasses.replace(value, **{name: _clean(one, _break(name), depth + 1) for name, one in fields.items()})
    return _plain(value)


def _plain(value: t.Any) -> t.Any:
    """As itself: from ansible-core 2.19 on any value may bear a tag, whose words Ansible shows when the value is used."""
    for kind in (bool, int, float):
        if isinstance(value, kind):
            return kind(value)
    return _text(str(value)) if isinstance(value, bytes | datetime.date | datetime.time) else value


def _text(text: str, line_break: str = "") -> str:
    text = str.__str__(text)
    if not line_break or text.isprintable():
        return printable(text)
    kept = {"\n": line_break, "\t": "\t"}
    return "".join(kept.get(one) or printable(one) for one in text)
