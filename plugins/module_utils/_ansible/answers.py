# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restrict a host's answer to the result of its task, in printable text.

Ansible allows any answer to contain more than that. Facts override the inventory and the defaults of a role. So a host could
change settings of the play for the controller and for other hosts. `ansible_stats` become extra variables of the next job in an
AWX workflow.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import typing as t

from .._errors import TamperedData, printable

FACTS = "ansible_facts"
# Keys that Ansible acts on in the answer to any task, and its own decision about a result.
_ORDERS = frozenset({FACTS, "ansible_stats", "add_host", "add_group", "failed_when_result"})
# Values that Ansible calculates with. A value of another type would end its run at once, without rescue or notification, or
# hide a failure.
_FLAGS = frozenset({"changed", "failed", "skipped", "unreachable"})
_DEPRECATION = ("msg", "version", "date", "collection_name")
# Fields whose text has several lines: files, differences, the output of programs, and settings of a deployment's services.
# Ansible does not print any of these unescaped, where a host could forge a line of another host.
_LINES = frozenset(
    {
        *("after", "before", "content", "lists", "settings"),
        *("module_stderr", "module_stdout", "stderr", "stdout"),
    }
)
# Ansible prints these unescaped with higher verbosity, so all lines except the first are indented.
_TRACES = frozenset({"exception", "formatted_traceback"})
_BREAK, _INDENTED = "\n", "\n    "
# Deeper than any answer of a module in use.
_DEEPEST = 40
# Prefixes of this collection's settings and of the variables of its roles and playbooks.
_OURS = ("caracal_", "doctor_", "notify_", "quickstart_")
_MOST_NAMES = 10


def cleaned(answer: t.Mapping[str, t.Any], host: str) -> dict[str, t.Any]:
    """Return only the result, in printable text. Raise TamperedData if the answer is nested too deeply."""
    try:
        return _result({_text(str(key)): _clean(value, _break(str(key)), 1) for key, value in answer.items()})
    except RecursionError:
        raise TamperedData(
            f"{host} returned a result that is nested more than {_DEEPEST} levels deep; find out what runs on that host"
        ) from None


def refuse_own_names(facts: t.Any, host: str) -> None:
    """Raise TamperedData if a fact has the name of a setting. Such a fact comes from another task, or from a cache."""
    if names := named(facts):
        raise TamperedData(
            f"{host} has facts with names of settings of caracal_ops.backup: {names}. A host must not change settings: find out what runs "
            "on that host, and clear the fact cache (--flush-cache). Do not set settings with set_fact and cacheable"
        )


def named(facts: t.Any) -> str:
    """Return such names as one line, or an empty string."""
    names = own_names(facts)
    return printable(", ".join(name[:80] for name in names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else ""))


def own_names(facts: t.Any) -> list[str]:
    """Return the names of facts that are names of this collection's settings or variables."""
    return sorted(str(name) for name in facts if str(name).lstrip("_").startswith(_OURS)) if isinstance(facts, t.Mapping) else []


def _result(found: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return the result without the keys that Ansible acts on, and with the types that Ansible expects."""
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
    """Return the replacement of a line break in a field. If it is empty, line breaks are escaped."""
    return _BREAK if key in _LINES else _INDENTED if key in _TRACES else ""


def _clean(value: t.Any, line_break: str, depth: int) -> t.Any:
    """Clean a value recursively. If `line_break` is set, line breaks and tabs are kept."""
    if depth > _DEEPEST:
        raise RecursionError
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        return _text(value, line_break)
    if isinstance(value, t.Mapping):
        return {_text(str(key)): _clean(one, line_break or _break(str(key)), depth + 1) for key, one in value.items()}
    if isinstance(value, list | tuple | set):
        return (tuple if isinstance(value, tuple) else list)(_clean(one, line_break, depth + 1) for one in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # Errors and warnings since ansible-core 2.19.
        fields = {one.name: getattr(value, one.name) for one in dataclasses.fields(value) if one.init}
        return dataclasses.replace(value, **{name: _clean(one, _break(name), depth + 1) for name, one in fields.items()})
    return _plain(value)


def _plain(value: t.Any) -> t.Any:
    """Return a value without tags. Since ansible-core 2.19 any value may have a tag, whose text Ansible prints when the value is used."""
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
