# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pages of the documentation that are generated from code: all settings, all checks, and all causes of a failed drill."""

from __future__ import annotations

import collections
import json
import re
import typing as t
from pathlib import Path

import yaml
from antsibull_docs_parser import parser, rst

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.causes import (
    causes_of_keys,
    causes_of_services,
    causes_of_state,
    diagnosis,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.causes.symptoms import Cause
from tools import docs_checks
from tools.docs_checks import Described, StateRule

NAMESPACE = "ansible_collections.caracal_ops.backup"
# The variables of this role are settings of all other roles.
SHARED = "caracal_ops"
TITLE = "Backups of Caracal, proved by restore drills"
ABOUT = (
    "``caracal_ops.backup`` is an Ansible collection. It backs up a Caracal deployment into signed, encrypted backup sets, and it proves "
    "on a schedule that these sets restore."
)
# antsibull-docs refers to this label on every page.
HELP = """
.. _communication_for_caracal_ops.backup:

Help
----

Ask questions and report bugs in the `issue tracker <https://github.com/caracal-ops/backup/issues>`__, or in the
`Ansible forum <https://forum.ansible.com/c/help/6>`__ with the tag ``backup``.
"""
# Sections of the page of causes.
CAUSES = {
    "Keys and tokens": causes_of_keys.CAUSES,
    "The restored data": causes_of_state.CAUSES,
    "Services and the drill": causes_of_services.CAUSES,
}
PICTURE = "overview.svg"
PICTURE_WORDS = "The backup host writes to the repository, the drill host reads from it, the operator approves keys and restores"
_END_OF_SENTENCE = re.compile(r"(?<=[.!?]) +(?=[A-Z])")


class Setting(t.NamedTuple):
    """A variable of roles. `role` is the first role that has it, in alphabetical order; the other fields are from that role."""

    name: str
    role: str
    type: str
    required: bool
    default: str
    purpose: str


def settings(root: Path) -> list[Setting]:
    """Return the options of the entry point `main` of every role, sorted by name."""
    found: dict[str, Setting] = {}
    for path in sorted(root.glob("roles/*/meta/argument_specs.yml")):
        role = path.parents[1].name
        options = yaml.safe_load(path.read_text(encoding="utf-8"))["argument_specs"]["main"].get("options", {})
        for name, option in options.items():
            found.setdefault(name, _setting(name, role, option))
    return [found[name] for name in sorted(found)]


def _setting(name: str, role: str, option: t.Mapping[str, t.Any]) -> Setting:
    words = option["description"]
    first = _END_OF_SENTENCE.split(words if isinstance(words, str) else words[0])[0]
    default = option.get("default")
    return Setting(name, role, option["type"], bool(option.get("required")), "" if default is None else json.dumps(default), first)


def pages(root: Path) -> dict[str, str]:
    """Return the text of each page by its name."""
    return {
        "settings": _settings_page(settings(root)),
        "checks": _checks_page(docs_checks.described(root), docs_checks.state_rules()),
        "causes": _causes_page(CAUSES),
    }


def front_page(sections: t.Sequence[t.Mapping[str, t.Any]], reference: t.Mapping[str, t.Sequence[str]]) -> str:
    """Return the first page of the site. `sections` are those in `extra-docs.yml`; `reference` maps captions to names of pages."""
    text = f"{_title(TITLE)}\n{ABOUT}\n\n.. image:: {PICTURE}\n   :alt: {PICTURE_WORDS}\n"
    for one in sections:
        text += _contents(one["title"], [f"docsite/{name}" for name in one["toctree"]])
    for caption, names in reference.items():
        text += _contents(caption, names)
    return text + HELP


def _contents(caption: str, names: t.Iterable[str]) -> str:
    return "\n".join(["", ".. toctree::", f"   :caption: {caption}", "   :maxdepth: 1", "", *(f"   {name}" for name in names), ""])


def _settings_page(found: t.Sequence[Setting]) -> str:
    by_role: dict[str, list[Setting]] = collections.defaultdict(list)
    for one in found:
        by_role[one.role].append(one)
    about = "All variables of the roles, with type and default. The page of each role has the full description and nested options."
    text = _head("settings", "Settings", about)
    for role in sorted(by_role, key=lambda one: (one != SHARED, one)):
        title = "Shared settings" if role == SHARED else role
        text += f"\n{title}\n{'-' * len(title)}\n\nSee :ref:`the role {role} <{NAMESPACE}.{role}_role>`.\n"
        text += "".join(_item(f"{_code(one.name)}: {_value(one)}", _markup(one.purpose)) for one in by_role[role])
    return text


def _causes_page(sections: t.Mapping[str, t.Sequence[Cause]]) -> str:
    about = (
        "A drill report lists these causes below its verdict. *Shown by* names the checks whose result shows a cause. An answer or a log "
        "line of a service can show a cause, too."
    )
    text = _head("causes", "Causes of a failed drill", about)
    for title, causes in sections.items():
        text += f"\n{title}\n{'-' * len(title)}\n" + "".join(_cause_item(one) for one in causes)
    return text


def _cause_item(cause: Cause) -> str:
    filled = {"keks": "the report has the IDs", "services": "the service"}
    meaning, remedy = (_escaped(words.format(**filled)) for words in (cause.cause, cause.remedy))
    shown = ", ".join(_code(name) for name in docs_checks.shown_by(cause))
    checks = f"*Shown by:* {shown}." if shown else ""
    return _item(_code(cause.id), f"{meaning[:1].upper()}{meaning[1:]}.", f"*Remedy:* {remedy}.", checks)


def _checks_page(found: t.Sequence[Described], rules: t.Sequence[StateRule]) -> str:
    about = (
        "Modules, roles and reports return checks with these IDs. A name in angle brackets stands for a part that differs, such as a "
        f"database or a service. The linked page of each check has the details. The verdicts are explained in the :ref:`glossary "
        f"<{NAMESPACE}.docsite.glossary>`."
    )
    by_family: dict[str, list[str]] = collections.defaultdict(list)
    for one in found:
        remedy = f"*Remedy:* {one.remedy}" if one.remedy else ""
        item = _item(_code(one.id), one.meaning, remedy, _can_show(one.id), f"See :ref:`{one.title} <{one.label}>`.")
        by_family[one.id.partition(".")[0]].append(item)
    by_family["state"] = [
        f"\nSee :ref:`State checks <{NAMESPACE}.docsite.guide_state_checks>`. A rule that is broken gives the verdict in parentheses.\n",
        *(_item(_code(one.id), f"Broken if {_escaped(one.wrong)} ({one.verdict}).", f"*Remedy:* {_escaped(one.remedy)}.") for one in rules),
    ]
    text = _head("checks", "Checks", about)
    for family in sorted(by_family):
        text += f"\n{family}\n{'-' * len(family)}\n" + "".join(by_family[family])
    return text


def _can_show(check_id: str) -> str:
    """Return the causes that a result of this check can show."""
    causes = docs_checks.causes_of(check_id, diagnosis.CAUSES)
    return f"*Possible causes:* {', '.join(_code(one) for one in causes)}, see :ref:`{NAMESPACE}.docsite.causes`." if causes else ""


def _title(title: str) -> str:
    return f"{title}\n{'=' * len(title)}\n"


def _head(name: str, title: str, about: str) -> str:
    return f".. _{NAMESPACE}.docsite.{name}:\n\n{_title(title)}\n{about}\n"


def _item(term: str, *paragraphs: str) -> str:
    return f"\n{term}\n" + "\n".join(f"  {one}\n" for one in paragraphs if one)


def _value(one: Setting) -> str:
    return f"{one.type}, required" if one.required else f"{one.type}, default {_code(one.default)}" if one.default else one.type


def _code(text: str) -> str:
    return f"``{text}``"


def _escaped(text: str) -> str:
    return re.sub(r"([*`|_])", r"\\\1", text)


def _markup(text: str) -> str:
    """Return Ansible's markup as reStructuredText."""
    return rst.to_rst_plain(parser.parse(text, parser.Context()))
