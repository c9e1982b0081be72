# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Only the result of a host's answer is accepted, and its text is made printable."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible import answers
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import TamperedData
from scenes import recorded_plays


@dataclasses.dataclass(frozen=True)
class Event:
    msg: str
    formatted_traceback: str | None = None


@pytest.mark.mutation
@pytest.mark.parametrize("order", ["ansible_facts", "ansible_stats", "add_host", "add_group", "failed_when_result"])
def test_result_fields_that_trigger_ansible_actions_are_removed(order: str) -> None:
    assert answers.cleaned({"changed": True, order: {"data": {"caracal_ops_notify": []}}}, "there") == {"changed": True}


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("given", "accepted"),
    [
        ({"msg": "a\x1b[2Jb\nc"}, {"msg": "a\\x1b[2Jb\\nc"}),
        ({"checks": [{"message": "\u202ea"}]}, {"checks": [{"message": "\\u202ea"}]}),
        ({"a\nb": 1}, {"a\\nb": 1}),
        ({"stdout": "a\n\tb\rc"}, {"stdout": "a\n\tb\\rc"}),
        ({"diff": {"before": "a\n", "after": "\x07\n"}}, {"diff": {"before": "a\n", "after": "\\x07\n"}}),
        ({"parts": ({"msg": "\x9b"},)}, {"parts": ({"msg": "\\x9b"},)}),
        ({"exception": Event("a\nb", "c\nd\x1b")}, {"exception": Event("a\\nb", "c\n    d\\x1b")}),
        ({"exception": "a\nok: [elsewhere]\n"}, {"exception": "a\n    ok: [elsewhere]\n    "}),
        ({"results": [{"exception": "a\nb"}]}, {"results": [{"exception": "a\n    b"}]}),
    ],
)
def test_words_become_printable(given: dict[str, t.Any], accepted: dict[str, t.Any]) -> None:
    found = answers.cleaned(given, "there")
    assert found == accepted


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("given", "accepted"),
    [
        ({"failed": "no", "changed": [], "skipped": None}, {"failed": True, "changed": False, "skipped": False}),
        ({"results": 5}, {"results": ["5"]}),
        ({"results": [5, None, {"failed": "x", "failed_when_result": "x"}, "a"]}, {"results": ["5", "None", {"failed": True}, "a"]}),
        ({"warnings": {"a": 1}}, {"warnings": ["{'a': 1}"]}),
        ({"warnings": None, "deprecations": 0}, {"warnings": [], "deprecations": []}),
        ({"deprecations": ["a\nb", {"msg": 5, "version": None, "other": 1}]}, {"deprecations": [{"msg": "a\\nb"}, {"msg": "5"}]}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_result_fields_are_converted_to_types_ansible_expects(given: dict[str, t.Any], accepted: dict[str, t.Any]) -> None:
    """A value of another type would end the Ansible run at once, or hide a failure."""
    assert answers.cleaned(given, "there") == accepted


class Text(str):
    __slots__ = ()


class Number(int):
    pass


@pytest.mark.mutation
def test_no_value_keeps_a_tag() -> None:
    """Ansible prints the text of a value's tag when the value is used."""
    found = answers.cleaned({Text("a"): [Text("b"), Number(1), {Text("c"): Text("d\n")}]}, "there")
    assert found == {"a": ["b", 1, {"c": "d\\n"}]}
    (key, (text, number, inner)) = next(iter(found.items()))
    assert [type(one) for one in (key, text, number, *inner, *inner.values())] == [str, str, int, str, str]


@pytest.mark.mutation
@pytest.mark.parametrize("field", ["help_text", "formatted_source_context", "prepared"])
def test_diff_fields_that_ansible_prints_raw_have_one_line(field: str) -> None:
    assert answers.cleaned({"diff": {field: "a\nok: [another host]"}}, "there")["diff"][field].isprintable()


@pytest.mark.no_false_alarm
def test_a_result_stays_as_it_is() -> None:
    event = Event("a")
    given = {"changed": False, "warnings": ["a", event], "deprecations": [event, {"msg": "a", "date": "2026-01-01"}], "results": ["a"]}
    assert answers.cleaned(given, "there") == given
    given = {"changed": False, "paths": ["/srv/ä b"], "size": 1, "ratio": 0.5, "none": None, "content": "Zg==", "lists": {"a": "b\nc\n"}}
    assert answers.cleaned(given, "there") == given


@pytest.mark.mutation
def test_refuses_a_result_with_excessive_nesting() -> None:
    deep: t.Any = "x"
    for _ in range(100):
        deep = {"a": [deep]}
    with pytest.raises(TamperedData):
        answers.cleaned(deep, "there")


@pytest.mark.mutation
@pytest.mark.parametrize("name", ["caracal_ops_notify", "__caracal_backup_opened", "__doctor_hosts", "__notify_given"])
def test_facts_with_names_of_ours_are_refused(name: str) -> None:
    with pytest.raises(TamperedData) as refused:
        answers.refuse_own_names({"os_family": "Debian", name: 1}, "there")
    assert name in refused.value.msg and "there" in refused.value.msg


@pytest.mark.mutation
def test_each_name_of_our_roles_and_playbooks_is_refused() -> None:
    names = recorded_plays.names()
    assert len(names) > 500 and answers.own_names(dict.fromkeys(names, 1)) == sorted(names)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("facts", [None, {}, {"os_family": "Debian", "discovered_interpreter_python": "/p"}, "made up"])
def test_accepts_facts_with_other_names(facts: t.Any) -> None:
    answers.refuse_own_names(facts, "there")
