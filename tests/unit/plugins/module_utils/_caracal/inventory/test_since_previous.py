# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes between two inventories that are listed, and losses of rows that are findings."""

from __future__ import annotations

import copy
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.inventory import (
    inventory_changes,
    recorded_inventory,
    since_previous,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.inventory.inventory_changes import (
    CHANGED,
    FEWER,
    GONE,
    NEW,
    UNRECORDED,
    Difference,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.inventory.recorded_inventory import UNKNOWN, Retention
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.inventory.since_previous import Immutable
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, WARN, Check

Inventory = dict[str, t.Any]
Change = t.Callable[[Inventory], object]

OLDER, NEWER = "20261124T020000Z-8kq2", "20261125T020000Z-k3f9"
DIGEST, OTHER_DIGEST = "a" * 64, "b" * 64
FUNCTION = "public.audit_partition_drop(month date)"
LEAF = "public.audit_events_y2026m06"


def rows(**counts: int) -> dict[str, t.Any]:
    return {f"public.{name}": {"rows": count, "digest": "d"} for name, count in counts.items()}


CARACAL: Inventory = {
    "database": "caracal",
    "family": "secret_store",
    "release": "v1.0.0",
    "server_version": 170010,
    "migrations": ["0001_baseline", "0002_outbox"],
    "tables": rows(zones=20, resources=40, sessions=500, policies=9, secrets=10, schema_migrations=2),
    "leaves": {LEAF: {"rows": 1000, "digest": "l"}},
    "schema": [
        "relation public.resources kind r rls true forced false",
        f"relation {LEAF} kind r rls false forced false partition FOR VALUES FROM ('2026-06-01') TO ('2026-07-01')",
        "relation public.live kind v rls false forced false",
        "column public.resources.id at 1 text not null ",
        "column public.resources.name at 2 text ",
        "column public.resources.zone_id at 3 text not null ",
        "constraint public.resources.resources_pkey PRIMARY KEY (id) validated true",
        "index CREATE UNIQUE INDEX resources_pkey ON public.resources USING btree (id) valid true ready true",
        "trigger CREATE TRIGGER resources_touch BEFORE UPDATE ON public.resources FOR EACH ROW EXECUTE FUNCTION touch() enabled O",
        "policy public.resources.zone_isolation * permissive true to public using (zone_id = 'x'::text)",
        f"function {FUNCTION} {DIGEST}",
        "view public.live  SELECT id\n   FROM resources;",
        "type public.mood e good,bad",
    ],
    "grants": [
        "table public.resources caracalapi SELECT",
        f"function {FUNCTION} caracalaudit EXECUTE",
        "column public.resources.name caracalweb SELECT",
        "default caracal public r {caracalapi=r/caracal}",
        "database caracalapi CONNECT",
    ],
    "owners": ["table public.resources caracal", f"function {FUNCTION} caracal", "database caracal"],
    "extensions": {"pgcrypto": "1.3"},
    "settings": {
        **{"encoding": "UTF8", "provider": "libc", "locale": None, "collate": "C", "ctype": "C", "owner": "caracal"},
        **{"connection_limit": -1, "acl": None, "set": ["work_mem=4MB"], "role_sets": {"caracalapi": ["statement_timeout=5s"]}},
    },
    "sequences": {"public.alerts_id_seq": 7, "public.never_used": None},
    "large_objects": 2,
    "materialized_views": {"public.totals": True},
    "state": {
        "signing_keys": [["z1", "k1", "1"], ["z2", "k2", "1"]],
        "active_policies": [["z1", "s1", "v1", "m1"], ["z2", "s2", "v2", "m2"]],
        "delegation_epochs": [["z1", "9"], ["z2", "10"]],
        "binding_revision": [["4"]],
        "export_watermark": [["parquet-hourly", "2026-11-24 01:00:00+00"]],
        "event_outbox": [["dispatched", "90"], ["pending", "3"]],
        "sessions_by_status": [["active", "400"], ["revoked", "12"]],
        "admin_tokens_by_status": [["revoked", "1"], ["valid", "3"]],
        "admin_tokens": [["t1", "d1", "global"], ["t2", "d2", "global"]],
    },
}
AUTH: Inventory = {
    **copy.deepcopy(CARACAL),
    "database": "caracal_auth",
    "family": None,
    "release": None,
    "state": {},
    "tables": rows(user=30),
}
ROLE = {"login": True, "superuser": False, "connection_limit": -1, "valid_until": None, "set": ["work_mem=8MB"]}
BEFORE: Inventory = {
    "format": 1,
    "set": OLDER,
    "databases": [CARACAL, AUTH],
    "roles": {"roles": {"caracalapi": {**ROLE}, "caracalaudit": {**ROLE}}, "members": [["caracalapi", "pg_monitor"]]},
}


def of(raw: Inventory, set_id: str = NEWER, retention: Retention = UNKNOWN) -> recorded_inventory.Inventory:
    return recorded_inventory.of(set_id, raw, retention)


def changed(change: Change) -> recorded_inventory.Inventory:
    raw = copy.deepcopy(BEFORE)
    change(raw)
    return of(raw)


def differences(change: Change, first: Change | None = None) -> list[Difference]:
    raw = copy.deepcopy(BEFORE)
    if first:
        first(raw)
    return inventory_changes.compare(of(raw, OLDER), changed(change))


def caracal(raw: Inventory) -> Inventory:
    database: Inventory = raw["databases"][0]
    return database


def replaced(part: str, old: str, *new: str) -> Change:
    """Return a function that replaces lines beginning with `old`."""

    def change(raw: Inventory) -> None:
        kept = [one for one in caracal(raw)[part] if not one.startswith(old)]
        assert len(kept) < len(caracal(raw)[part])
        caracal(raw)[part] = sorted([*kept, *new])

    return change


def put(part: str, name: str, value: t.Any) -> Change:
    return lambda raw: caracal(raw)[part].__setitem__(name, value)


def given(part: str, value: t.Any) -> Change:
    return lambda raw: caracal(raw).__setitem__(part, value)


def role(**attributes: t.Any) -> Change:
    return lambda raw: raw["roles"]["roles"]["caracalapi"].update(attributes)


def in_auth(raw: Inventory) -> None:
    raw["databases"][1]["tables"] = rows(user=29)


EPOCHS, KEYS, TOKENS = "delegation_epochs", "signing_keys", "admin_tokens"
TABLE = "relation public.new kind r rls false forced false"
# Change → part, change and line of the one difference.
CASES: dict[str, tuple[Change, str, str, str]] = {
    "fewer rows": (put("tables", "public.resources", {"rows": 28}), "tables", FEWER, "table resources: 28 rows, 12 fewer than in it"),
    "fewer rows of another database": (in_auth, "tables", FEWER, "database caracal_auth: table user: 29 rows, 1 fewer than in it"),
    "a table is gone": (lambda raw: caracal(raw)["tables"].pop("public.zones"), "tables", GONE, "table zones: gone, with 20 rows"),
    "a table is new": (
        lambda raw: (put("tables", "public.new", {"rows": 0})(raw), caracal(raw)["schema"].append(TABLE)),
        *("tables", NEW, "table new: new"),
    ),
    "a partition is gone": (
        lambda raw: (given("leaves", {})(raw), replaced("schema", f"relation {LEAF}")(raw)),
        *("audit partitions", GONE, "audit partition audit_events_y2026m06: gone, with 1000 rows"),
    ),
    "a partition lost rows": (
        put("leaves", LEAF, {"rows": 999}),
        *("audit partitions", FEWER, "audit partition audit_events_y2026m06: 999 rows, 1 fewer than in it"),
    ),
    "another release": (given("release", "v1.1.0"), "release", CHANGED, "release: secret_store v1.1.0 instead of secret_store v1.0.0"),
    "another server": (given("server_version", 180001), "server", CHANGED, "server: 18.1 instead of 17.10"),
    "a migration": (given("migrations", ["0001_baseline", "0002_outbox", "0003_new"]), "migrations", NEW, "migration 0003_new: new"),
    "row security": (
        replaced("schema", "relation public.resources", "relation public.resources kind r rls false forced false"),
        *("schema", CHANGED, "table resources: definition changed"),
    ),
    "a column is gone": (
        replaced("schema", "column public.resources.name", *()),
        *("schema", CHANGED, "columns of resources: name changed"),
    ),
    "a column before others is gone": (
        lambda raw: (
            replaced("schema", "column public.resources.name")(raw),
            replaced("schema", "column public.resources.zone", "column public.resources.zone_id at 2 text not null ")(raw),
        ),
        *("schema", CHANGED, "columns of resources: name changed"),
    ),
    "a constraint is gone": (replaced("schema", "constraint"), "schema", GONE, "constraint resources_pkey of table resources: gone"),
    "an index is gone": (replaced("schema", "index"), "schema", GONE, "index resources_pkey of table resources: gone"),
    "a trigger is disabled": (
        replaced("schema", "trigger", CARACAL["schema"][8].replace("enabled O", "enabled D")),
        *("schema", CHANGED, "trigger resources_touch of table resources: definition changed"),
    ),
    "a policy was replaced": (
        replaced("schema", "policy", CARACAL["schema"][9].replace("'x'", "'y'")),
        *("schema", CHANGED, "policy zone_isolation of table resources: definition changed"),
    ),
    "a function is another": (
        replaced("schema", "function", f"function {FUNCTION} {OTHER_DIGEST}"),
        *("schema", CHANGED, "function audit_partition_drop(month date): definition changed"),
    ),
    "a view is another": (
        replaced("schema", "view", "view public.live  SELECT 1;"),
        *("schema", CHANGED, "query of live: definition changed"),
    ),
    "a view is gone": (
        lambda raw: (replaced("schema", "view")(raw), replaced("schema", "relation public.live")(raw)),
        *("schema", GONE, "view live: gone"),
    ),
    "a type is another": (
        replaced("schema", "type", "type public.mood e good"),
        *("schema", CHANGED, "type mood: definition changed"),
    ),
    "rights of a function": (
        replaced("grants", "function", f"function {FUNCTION} PUBLIC EXECUTE"),
        *("rights", CHANGED, "function audit_partition_drop(month date): rights changed: PUBLIC gained EXECUTE; caracalaudit lost EXECUTE"),
    ),
    "rights of a table are gone": (
        replaced("grants", "table"),
        *("rights", CHANGED, "table resources: rights changed: caracalapi lost SELECT"),
    ),
    "rights to a column": (
        replaced("grants", "column", "column public.resources.name caracalweb UPDATE with grant option"),
        *("rights", CHANGED, "column resources.name: rights changed: caracalweb gained UPDATE with grant option; caracalweb lost SELECT"),
    ),
    "rights to the database": (
        replaced("grants", "database"),
        *("rights", CHANGED, "database caracal: rights changed: caracalapi lost CONNECT"),
    ),
    "default rights": (
        replaced("grants", "default", "default caracal public r {=r/caracal}"),
        *("rights", CHANGED, "default rights caracal public r: rights changed"),
    ),
    "an owner": (
        replaced("owners", "table", "table public.resources mallory"),
        *("owners", CHANGED, "table resources: owner mallory instead of caracal"),
    ),
    "an extension is new": (put("extensions", "amcheck", "1.4"), "extensions", NEW, "extension amcheck: new"),
    "an extension": (put("extensions", "pgcrypto", "1.4"), "extensions", CHANGED, "extension pgcrypto: version 1.4 instead of 1.3"),
    "a setting of the database": (
        put("settings", "set", ["work_mem=64kB"]),
        *("settings", CHANGED, "settings of database caracal: work_mem changed"),
    ),
    "the encoding": (put("settings", "encoding", "SQL_ASCII"), "settings", CHANGED, "settings of database caracal: encoding changed"),
    "a setting of a role in it": (
        put("settings", "role_sets", {}),
        *("settings", CHANGED, "settings in database caracal of role caracalapi: statement_timeout changed"),
    ),
    "a role": (role(superuser=True), "roles", CHANGED, "role caracalapi: superuser changed"),
    "a setting of a role": (role(set=["work_mem=1kB"]), "roles", CHANGED, "role caracalapi: work_mem changed"),
    "a member": (lambda raw: raw["roles"]["members"].clear(), "roles", CHANGED, "role caracalapi: member of pg_monitor changed"),
    "a role is gone": (lambda raw: raw["roles"]["roles"].pop("caracalaudit"), "roles", GONE, "role caracalaudit: gone"),
    "a sequence": (put("sequences", "public.alerts_id_seq", 6), "sequences", CHANGED, "sequence alerts_id_seq: lowered from 7 to 6"),
    "large objects": (given("large_objects", 1), "large objects", FEWER, "large objects: 1, 1 fewer than in it"),
    "a materialized view": (
        put("materialized_views", "public.totals", False),
        *("materialized views", CHANGED, "materialized view totals: empty instead of populated"),
    ),
    "a database is gone": (lambda raw: raw["databases"].pop(), "databases", GONE, "database caracal_auth: gone"),
    "a signing key is gone": (put("state", KEYS, [["z1", "k1", "1"]]), "state", FEWER, "signing keys: 1, 1 fewer than in it"),
    "an active policy is another": (
        put("state", "active_policies", [["z1", "s1", "v1", "m1"], ["z2", "s2", "v9", "m9"]]),
        *("state", CHANGED, "active policies: 1 of 2 replaced"),
    ),
    "an epoch": (put("state", EPOCHS, [["z1", "10"], ["z2", "9"]]), "state", CHANGED, "delegation epochs: 1 of 2 lowered or gone"),
    "the revision": (put("state", "binding_revision", [["3"]]), "state", CHANGED, "binding revision: 1 of 1 lowered or gone"),
    "the watermark": (
        put("state", "export_watermark", [["parquet-hourly", "2026-11-23 23:00:00+00"]]),
        *("state", CHANGED, "export watermark: 1 of 1 lowered or gone"),
    ),
    "revocations": (put("state", "sessions_by_status", [["active", "412"]]), "state", FEWER, "revoked sessions: 0, 12 fewer than in it"),
    "admin tokens": (
        put("state", "admin_tokens_by_status", [["revoked", "1"], ["valid", "2"]]),
        *("state", FEWER, "valid admin tokens: 2, 1 fewer than in it"),
    ),
    "an admin token is another": (
        put("state", TOKENS, [["t1", "d9", "global"], ["t2", "d2", "global"]]),
        *("state", CHANGED, "admin tokens: 1 of 2 replaced"),
    ),
}


@pytest.mark.mutation
@pytest.mark.parametrize("name", CASES)
def test_each_change_is_one_line(name: str) -> None:
    change, part, kind, line = CASES[name]
    (found,) = differences(change)
    assert (found.part, found.change, found.line("it")) == (part, kind, line)


def grown(raw: Inventory) -> None:
    """Apply the changes of a healthy day."""
    database = caracal(raw)
    for counted in (*database["tables"].values(), *database["leaves"].values()):
        counted.update(rows=counted["rows"] + 5, digest="other")
    database["state"].update(
        delegation_epochs=[["z1", "11"], ["z2", "10"], ["z3", "1"]],
        binding_revision=[["5"]],
        event_outbox=[["dispatched", "200"]],
        sessions_by_status=[["active", "300"], ["revoked", "15"], ["terminated", "90"]],
        signing_keys=[["z1", "k1", "1"], ["z1", "k9", "2"], ["z2", "k2", "1"]],
        export_watermark=[["parquet-hourly", "2026-11-25 01:00:00+00"]],
    )
    database["sequences"] = {"public.alerts_id_seq": 9, "public.never_used": 1}


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("change", [lambda _raw: None, grown], ids=["unchanged", "grown"])
def test_lists_no_changes_of_a_healthy_deployment(change: Change) -> None:
    assert differences(change) == []


PARTS = {
    "tables": "tables",
    "leaves": "audit partitions",
    "schema": "schema",
    "grants": "rights",
    "owners": "owners",
    "migrations": "migrations",
    "extensions": "extensions",
    "settings": "settings",
    "sequences": "sequences",
    "large_objects": "large objects",
    "materialized_views": "materialized views",
    "state": "state",
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("malformed", [None, "text"], ids=["missing", "malformed"])
def test_a_part_that_a_set_does_not_record_is_not_guessed(part: str, malformed: str | None) -> None:
    def lack(raw: Inventory) -> None:
        del caracal(raw)[part]
        caracal(raw).update({} if malformed is None else {part: malformed})

    (older,) = differences(lambda _raw: None, lack)
    (newer,) = differences(lack)
    assert (older.part, older.change, newer.part, newer.change) == (PARTS[part], UNRECORDED, PARTS[part], UNRECORDED)
    assert OLDER in older.line() and NEWER in newer.line()


def test_roles_and_facts_that_a_set_does_not_record_are_not_guessed() -> None:
    (roles,) = differences(lambda raw: raw.pop("roles"))
    (fact,) = differences(lambda _raw: None, lambda raw: caracal(raw)["state"].pop("admin_tokens_by_status"))
    assert (roles.part, roles.change, fact.part, fact.change) == ("roles", UNRECORDED, "admin tokens", UNRECORDED)
    upgraded = differences(given("release", "v1.1.0"), lambda raw: caracal(raw)["state"].pop("admin_tokens_by_status"))
    assert [one.part for one in upgraded] == ["release"]


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [(Retention(365, True), Retention(30, True), CHANGED), (Retention(30, True), Retention(None, True), CHANGED),
     (UNKNOWN, Retention(30, True), UNRECORDED), (Retention(30, True), UNKNOWN, UNRECORDED)],
    ids=["lowered", "row gone", "older format", "newer without"],
)  # fmt: skip
def test_the_retention_of_audit_events_is_compared(before: Retention, after: Retention, change: str) -> None:
    (found,) = inventory_changes.compare(of(BEFORE, OLDER, before), of(BEFORE, NEWER, after))
    assert (found.thing, found.change) == ("audit retention", change)
    assert inventory_changes.compare(of(BEFORE, OLDER, after), of(BEFORE, NEWER, after)) == []


@pytest.mark.no_false_alarm
def test_new_table_is_listed_in_one_line() -> None:
    def create(raw: Inventory) -> None:
        database = caracal(raw)
        database["tables"]["public.new"] = {"rows": 1}
        lines = [one.replace("public.resources", "public.new") for one in database["schema"] if "public.resources" in one]
        database["schema"] += [one.replace("resources_", "new_") for one in lines]
        database["grants"] += ["table public.new caracalapi SELECT", "column public.new.name caracalapi UPDATE"]
        database["owners"].append("table public.new caracal")

    assert [one.thing for one in differences(create)] == ["table new"]


def test_no_value_of_a_setting_is_in_a_line() -> None:
    secret = "topsecret"
    changes = (put("settings", "set", [f"app.key={secret}"]), put("settings", "role_sets", {"x": [f"app.key={secret}"]}))
    for change in (*changes, role(set=[f"app.key={secret}"])):
        assert not any(secret in one.line("it") for one in differences(change))


def checked(
    change: Change, budget: int = since_previous.BUDGET, acknowledged: t.Collection[str] = (), notes: t.Sequence[str] = ()
) -> Check:
    return since_previous.check(of(BEFORE, OLDER), changed(change), budget, acknowledged, notes)


def left(table: str, count: int) -> Change:
    return put("tables", f"public.{table}", {"rows": count})


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    ("change", "budget"),
    [
        (left("resources", 20), 50),
        (left("policies", 0), 50),
        (left("sessions", 0), 0),
        (left("resources", 0), 100),
        (lambda raw: (caracal(raw)["tables"].pop("public.secrets"), given("release", "v1.1.0")(raw)), 0),
        (in_auth, 0),
    ],
    ids=["within", "few rows", "not lasting", "no budget", "dropped by an upgrade", "another database"],
)
def test_losses_within_the_budget_pass(change: Change, budget: int) -> None:
    check = checked(change, budget)
    assert (check.id, check.verdict, check.required) == (since_previous.CHECK_ID, PASS, False)
    assert check.details["changes"] and check.details["since"] == OLDER and "recorded" not in check.details


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("change", "budget"),
    [
        (left("resources", 19), 50),
        (left("resources", 39), 0),
        (left("secrets", 0), 99),
        (lambda raw: caracal(raw)["tables"].pop("public.zones"), 50),
        (lambda raw: (left("zones", 1)(raw), given("release", "v1.1.0")(raw)), 50),
    ],
    ids=["above", "budget of zero", "emptied", "dropped", "shrunk by an upgrade"],
)
def test_above_the_budget_it_is_a_finding_until_it_is_acknowledged(change: Change, budget: int) -> None:
    check = checked(change, budget)
    (recorded,) = check.details["recorded"]
    assert (check.verdict, check.required) == (FAIL, True) and recorded["digest"][:16] in check.message
    known = checked(change, budget, [recorded["digest"]])
    assert (known.verdict, known.required) == (WARN, False)


@pytest.mark.mutation
@pytest.mark.parametrize("name", ["admin_tokens", "delegated_grants", "authority_records"])
def test_fewer_revocations_are_a_finding(name: str) -> None:
    def with_revoked(count: int, set_id: str) -> recorded_inventory.Inventory:
        raw = copy.deepcopy(BEFORE)
        put("state", f"{name}_by_status", [["active", "4"], ["revoked", str(count)]])(raw)
        return of(raw, set_id)

    before, after = with_revoked(3, OLDER), with_revoked(2, NEWER)
    check = since_previous.check(before, after, since_previous.BUDGET, ())
    (recorded,) = check.details["recorded"]
    assert (check.verdict, check.required) == (FAIL, True)
    assert since_previous.check(before, after, since_previous.BUDGET, [recorded["digest"]]).verdict == WARN
    assert since_previous.check(before, after, since_previous.ALL, ()).verdict == PASS
    assert since_previous.check(after, with_revoked(3, NEWER), since_previous.BUDGET, ()).verdict == PASS


@pytest.mark.mutation
@pytest.mark.parametrize("tokens", [[["t1", "d1", "global"], ["t2", "d2", "zone"]], [["t1", "d1", "global"]]], ids=["changed", "deleted"])
def test_a_changed_admin_token_is_a_finding(tokens: list[list[str]]) -> None:
    check = checked(put("state", TOKENS, tokens))
    (recorded,) = check.details["recorded"]
    assert (check.verdict, check.required, check.details["positions"][0]["kind"]) == (FAIL, True, "exchanged")
    assert checked(put("state", TOKENS, tokens), acknowledged=[recorded["digest"]]).verdict == WARN


@pytest.mark.mutation
def test_rewritten_rows_are_a_finding() -> None:
    one = since_previous.Rewritten("policy_versions", 1, 9, DIGEST)
    check = since_previous.check(of(BEFORE, OLDER), of(BEFORE, NEWER), since_previous.BUDGET, (), immutable=Immutable((one,)))
    (recorded,) = check.details["recorded"]
    assert (check.verdict, check.required, check.details["positions"][0]["kind"]) == (FAIL, True, "rewritten")
    other = since_previous.Rewritten("policy_versions", 1, 9, OTHER_DIGEST)
    acknowledged, immutable = [recorded["digest"]], Immutable((other,))
    again = since_previous.check(of(BEFORE, OLDER), of(BEFORE, NEWER), since_previous.BUDGET, acknowledged, immutable=immutable)
    assert again.verdict == FAIL


def test_a_table_that_was_not_compared_is_named() -> None:
    immutable = Immutable(uncompared=("policy_versions (why)",))
    for after in (of(BEFORE), changed(left("sessions", 499))):
        check = since_previous.check(of(BEFORE, OLDER), after, since_previous.BUDGET, (), immutable=immutable)
        assert (check.verdict, check.details["uncompared"]) == (PASS, ["policy_versions (why)"])
        assert "policy_versions (why)" in check.message


def test_an_acknowledgement_covers_one_loss() -> None:
    (known,) = (one["digest"] for one in checked(left("resources", 5)).details["recorded"])
    worse = checked(left("resources", 4), acknowledged=[known])
    both = checked(lambda raw: (left("resources", 5)(raw), left("zones", 5)(raw)), acknowledged=[known])
    assert worse.verdict == both.verdict == FAIL
    assert known not in {one["digest"] for one in (*worse.details["recorded"], *both.details["recorded"])}
    elsewhere = since_previous.check(of(BEFORE, "20261120T020000Z-aaaa"), changed(left("resources", 5)), 50, [known])
    assert elsewhere.verdict == FAIL


def test_lines_are_bounded_and_lasting_state_comes_first() -> None:
    def change(raw: Inventory) -> None:
        raw["roles"]["roles"].update({f"role{number:03}": ROLE for number in range(since_previous.LISTED)})
        caracal(raw)["tables"].update(rows(sessions=1, resources=39))

    check = checked(change, notes=["a note"])
    assert check.details["changes"][:2] == ["a note", f"table resources: 39 rows, 1 fewer than in set {OLDER}"]
    assert (len(check.details["changes"]), check.details["more"]) == (since_previous.LISTED, 3)
    assert check.message.count(";") == since_previous.SHOWN and check.message.endswith("and 98 more")


def test_a_name_cannot_forge_a_line() -> None:
    (found,) = differences(put("extensions", "x\n\x1b[2J" + "y" * 2000, "1"))
    assert found.line().isprintable() and len(found.line()) < 400


def test_without_an_earlier_set_there_is_nothing_to_compare() -> None:
    nothing, problem = since_previous.first_set(), since_previous.not_compared("the reason")
    assert (nothing.verdict, nothing.required) == (NOT_APPLICABLE, False)
    assert (problem.verdict, problem.required) == (UNPROVEN, False) and "the reason" in problem.message


@pytest.mark.parametrize("budget", [-1, 101])
def test_a_budget_is_a_percentage(budget: int) -> None:
    with pytest.raises(OptionError, match="shrink_budget"):
        since_previous.check_budget(budget)
