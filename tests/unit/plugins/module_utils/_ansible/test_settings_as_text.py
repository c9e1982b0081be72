# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each role variable that is not a text works the same if the command line or an AWX survey passes it as a text."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import typing as t

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from scenes import role_calls
from scenes.role_templates import Values
from tools.rules import tree

SEEN = {"set_id": "20261125T020000Z-k3f9", "databases": [], "replaced": [], "waiting": ["redis"], "set_facts": {"snapshot_time": "t"}}
SERVICE = dict.fromkeys(("service", "replica", "image", "digest", "image_id"), "x")
# By role: the settings and module results with which each of its tasks runs.
WHOLE: dict[str, Values] = {
    "caracal_archive": {"caracal_archive_source": "/s"},
    "caracal_backup": {
        "caracal_ops_compose_project": "p",
        "caracal_ops_login_host": "db",
        "caracal_ops_redis_host": "redis",
        "caracal_backup_secrets_directory": "/s",
        "caracal_backup_replay_compose_project": "r",
        "caracal_backup_timestamp_url": "https://tsa",
        "caracal_ops_timestamp_roots": "/r",
        "__caracal_backup_image": "sha256:1",
        "__caracal_backup_located": {"deployment": {"services": [SERVICE]}},
        "__caracal_backup_programs": {},
        "__caracal_backup_looked": SEEN,
        "__caracal_backup_opened": SEEN,
        "__caracal_backup_committed": {},
        "__caracal_backup_reading": 1,
        "__caracal_backup_replay_host": "elsewhere",
        "__caracal_backup_replayed": {"volumes": [], "staged": []},
        "__caracal_backup_carried": {"path": "/c"},
        "__caracal_backup_carried_here": {"path": "/c"},
    },
    "caracal_drill": {},
    "caracal_notify": {"caracal_notify_job": "backup", "__caracal_notify_watched": {}},
    "caracal_repository": {"caracal_repository_destination": "/d", "caracal_repository_signing_key": "/k"},
    "caracal_restore": {
        "caracal_ops_compose_project": "p",
        "caracal_restore_identity_files": ["/i"],
        "caracal_ops_login_host": "db",
        "caracal_ops_redis_host": "redis",
        "caracal_restore_secrets_directory": "/s",
        "__caracal_restore_image": "sha256:1",
        "__caracal_restore_located": {"deployment": {"stopped": ["redis"]}},
        "__caracal_restore_programs": {},
        "__caracal_restore_looked": SEEN,
        "__caracal_restore_secrets": {},
        "__caracal_restore_databases": {"replaced": []},
        "__caracal_restore_verified": {"signing_keys": []},
        "__caracal_restore_started": {"urls": {}},
    },
    "caracal_setup": {
        "caracal_ops_login_user": "backup",
        "caracal_ops_login_password_file": "/p",
        "caracal_ops_login_unix_socket": "/s",
        "groups": {name: ["localhost"] for name in ("caracal_setup_backup_hosts", "caracal_setup_drill_hosts")},
        "hostvars": {"localhost": {}},
        "__caracal_setup_sealed": {"stat": {"exists": True}},
        "__caracal_setup_operator_keys": {},
    },
    "caracal_retention": {"caracal_ops_compose_project": "p", "__caracal_retention_located": {"deployment": {}}},
}
# These roles pass no settings to our modules. Another test covers their settings as texts.
OF_NO_MODULE = {"caracal_schedule", "caracal_ops"}
# Values of variables that accept only certain values.
OWN: Values = {
    "caracal_restore_canary_application": {
        "zone": "/7001",
        "id": "/7002",
        "resource": "/7003",
        "scopes": "/7004",
        "client_secret_file": "/7005",
    },
    "caracal_retention_effective_environment": {"AUDIT_RETENTION_DAYS": 7101, "SESSION_RETENTION_DAYS": 7102},
    "caracal_retention_legal": {"audit_at_least": 7103, "backups_at_most": 7104},
}


@dataclasses.dataclass(frozen=True)
class Entry:
    """One entry point of a role."""

    role: str
    name: str

    @functools.cached_property
    def spec(self) -> Values:
        """The entry point's own settings and those that it shares with other roles."""
        own: Values = specs(self.role)[self.name].get("options") or {}
        return {**(SHARED if self.role not in WITHOUT_SHARED else {}), **own}

    def of(self, *kinds: str) -> list[str]:
        """Return the entry point's variables of these kinds."""
        return [name for name, option in self.spec.items() if kind(option) in kinds]

    def values(self, **given: t.Any) -> Values:
        """Return a distinct value for each variable that is not a text. Booleans are true."""
        sampled = enumerate((name for name in self.spec if kind(self.spec[name]) != "text" and name not in ALONE), 7001)
        return {**{name: OWN.get(name) or SAMPLES[kind(self.spec[name])](number, self.spec[name]) for number, name in sampled}, **given}

    def made(self, given: Values) -> dict[str, Values]:
        return role_calls.made(
            self.role, self.name, {"ansible_check_mode": False, "inventory_hostname": "localhost", **WHOLE[self.role], **given}
        )

    @functools.cached_property
    def all_true(self) -> dict[str, Values]:
        return self.made(self.values())

    def accepted(self, given: Values) -> bool:
        """Return whether Ansible accepts the values before the first task of the role."""
        asked = {name: option for name, option in self.spec.items() if name in given}
        return not ArgumentSpecValidator(asked).validate(given, validate_role_argument_spec=True).error_messages


def kind(option: Values) -> str:
    elements = option.get("elements")
    return {"str": "text", "path": "text", "list": "dicts" if elements == "dict" else "list"}.get(option["type"], option["type"])


def _dicts(number: int, option: Values) -> list[Values]:
    return [{name: one.get("choices", [f"/{number}"])[0] for name, one in option["options"].items() if one.get("required")}]


SAMPLES: dict[str, t.Callable[[int, Values], t.Any]] = {
    "int": lambda number, _option: number,
    "float": lambda number, _option: number + 0.5,
    "bool": lambda _number, _option: True,
    "list": lambda number, _option: [f"/{number}/a", f"/{number}/b"],
    "dict": lambda number, _option: {f"/{number}/a": "no use", f"/{number}/b": "none"},
    "dicts": _dicts,
}


def on_a_line(value: t.Any) -> t.Any:
    """Return the value as written in `-e name=value`."""
    if isinstance(value, dict):
        return ", ".join(f'{name}="{one}"' for name, one in value.items())
    return ",".join(value) if isinstance(value, list) else {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def one_a_line(value: t.Any) -> t.Any:
    """Return the value as a person types it into a survey, one item on each line."""
    if isinstance(value, dict):
        return "".join(f"{name}='{one}'\n" for name, one in value.items())
    return "".join(f" {one}\n" for one in value) if isinstance(value, list) else str(value).lower()


def in_json(value: t.Any) -> t.Any:
    return json.dumps(value)


@functools.cache
def specs(role: str) -> Values:
    found: Values = yaml.safe_load((tree.ROOT / f"roles/{role}/meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    return found


SHARED: Values = specs("caracal_ops")["main"]["options"]
# Roles that do not depend on the role with the shared settings.
WITHOUT_SHARED = {"caracal_notify"}
ENTRIES = [Entry(role, name) for role in WHOLE for name in specs(role)]
# Variables that decide which other variables apply: the value, and the settings with which its effect is visible.
ALONE: dict[str, tuple[t.Any, Values]] = {
    "caracal_restore_left_out": (["redis", "secrets"], {"caracal_ops_redis_host": "", "caracal_restore_secrets_directory": ""}),
}


def leaves(value: t.Any) -> t.Iterator[t.Any]:
    if isinstance(value, dict | list):
        for one in [*value, *(value.values() if isinstance(value, dict) else ())]:
            yield from leaves(one)
    else:
        yield value


def each(*kinds: str) -> list[t.Any]:
    return [pytest.param(entry, name, id=f"{entry.name}-{name}") for entry in ENTRIES for name in entry.of(*kinds)]


def test_covers_every_role_with_non_text_settings() -> None:
    """Roles that have only text settings are left out."""
    roles = [path.name for path in (tree.ROOT / "roles").iterdir()]
    assert set(WHOLE) | OF_NO_MODULE == {
        role
        for role in roles
        if any(kind(option) != "text" for entry in specs(role).values() for option in (entry.get("options") or {}).values())
    }


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda one: f"{one.role}-{one.name}")
def test_settings_as_text_give_the_same_module_options(entry: Entry) -> None:
    values = entry.values()
    expected = entry.all_true
    assert not any(one.get("refused") for one in expected.values())
    found = {*leaves(expected)}
    for name in entry.of("int", "float", "list", "dict"):
        assert name in ALONE or name in SHARED or {*leaves(values[name])} <= found, f"{name} comes to no module"
    for text in (on_a_line, one_a_line, in_json):
        given = {**values, **{name: text(values[name]) for name in entry.of("int", "float", "bool", "list", "dict") if name not in ALONE}}
        assert entry.accepted(given)
        assert entry.made(given) == expected


@pytest.mark.parametrize("name", [name for name, option in SHARED.items() if kind(option) not in ("text", "bool")])
def test_each_shared_setting_reaches_a_module(name: str) -> None:
    assert any({*leaves(entry.values()[name])} <= {*leaves(entry.all_true)} for entry in ENTRIES if name in entry.spec)


def test_redis_tls_setting_reaches_a_module() -> None:
    [entry] = [one for one in ENTRIES if (one.role, one.name) == ("caracal_retention", "main")]
    assert entry.made(entry.values(caracal_ops_redis_tls=False)) != entry.all_true


@pytest.mark.parametrize(("entry", "name"), each("bool"))
def test_text_false_equals_the_boolean_false(entry: Entry, name: str) -> None:
    no = entry.made(entry.values(**{name: False}))
    assert no != entry.all_true or name in SHARED, "nothing uses it"
    assert entry.made(entry.values(**{name: "false"})) == no


@pytest.mark.parametrize("name", ALONE)
def test_setting_that_decides_on_others_works_as_text(name: str) -> None:
    [entry] = [one for one in ENTRIES if name in one.spec]
    value, more = ALONE[name]
    expected = entry.made({**more, name: value})
    assert expected != entry.made(more)
    assert [entry.made({**more, name: text(value)}) == expected for text in (on_a_line, one_a_line, in_json)] == [True] * 3


@pytest.mark.parametrize(("entry", "name"), each("dicts"))
def test_a_text_for_a_list_of_dictionaries_is_refused(entry: Entry, name: str) -> None:
    value = entry.values()[name]
    assert not entry.accepted({name: in_json(value)})
    text = " ".join(f"{one}={content}" for one, content in value[0].items())
    if entry.accepted({name: text}):
        made = entry.made({name: text})
        assert made == entry.made({name: value}) or any(name in one.get("refused", "") for one in made.values())


def bare(name: str, text: str) -> list[str]:
    """Return expressions that use the variable as a boolean. A non-empty text is always true."""
    expressions = [one.strip() for one in re.findall(r"\{\{(.*?)\}\}", text, re.DOTALL)]
    return [one for one in expressions if one != name and re.search(rf"(?<!\w){name}\b(?! \| bool\b)", one)]


@pytest.mark.parametrize(("entry", "name"), each("bool"))
def test_no_expression_treats_the_text_of_a_boolean_as_true(entry: Entry, name: str) -> None:
    folders = [tree.ROOT / "roles" / role / part for role in (entry.role, "caracal_ops") for part in ("tasks", "vars")]
    files = [path for folder in folders for path in folder.glob("*.yml")]
    assert files and [one for file in files for one in bare(name, file.read_text(encoding="utf-8"))] == []


@pytest.mark.mutation
def test_finds_an_expression_without_a_bool_filter() -> None:
    assert bare("a_b", "x: '{{ a_b }}', y: '{{ 1 if a_b | bool }}', z: {{ 2 if not a_b\n else 3 }}") == ["2 if not a_b\n else 3"]
