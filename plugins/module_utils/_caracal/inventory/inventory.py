# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state that a restore must reproduce: facts from Caracal's own tables, and the comparison of two inventories."""

from __future__ import annotations

import dataclasses
import typing as t

from ..._inventory import DatabaseInventory, DatabaseSettings, TableDigest
from ..._reasons import BINDINGS_DIFFER, EMPTIED_TABLE, MIGRATIONS_DIFFER, SIGNING_KEYS_DIFFER, Reason, because
from ..._report.check import FAIL, NOT_APPLICABLE, PASS, UNPROVEN, WARN, Check
from ..._report.text import parameters


class Reader(t.Protocol):
    """A database session that can read everything."""

    def rows(self, sql: str, parameters: t.Sequence[t.Any] = ()) -> list[tuple[t.Any, ...]]: ...


# Name → (required tables, query). Rows are returned as sorted lists of text.
STATE_QUERIES: dict[str, tuple[tuple[str, ...], str]] = {
    "signing_keys": (
        ("secrets",),
        "SELECT zone_id, id, version::text FROM public.secrets WHERE name = 'zone_signing_key' ORDER BY 1, version, 2",
    ),
    "active_policies": (
        ("policy_set_bindings", "policy_set_versions"),
        """SELECT b.zone_id, b.policy_set_id, b.active_version_id, v.manifest_sha256 FROM public.policy_set_bindings b
             LEFT JOIN public.policy_set_versions v ON v.id = b.active_version_id WHERE b.active_version_id IS NOT NULL ORDER BY 1, 2""",
    ),
    "delegation_epochs": (("delegation_graph_epochs",), "SELECT zone_id, epoch::text FROM public.delegation_graph_epochs ORDER BY 1"),
    "binding_revision": (("gateway_binding_revision",), "SELECT version::text FROM public.gateway_binding_revision ORDER BY 1"),
    "export_watermark": (
        ("audit_export_watermark",),
        "SELECT name, last_exported_hour::text FROM public.audit_export_watermark ORDER BY 1",
    ),
    "event_outbox": (
        ("event_outbox",),
        """SELECT CASE WHEN dispatched_at IS NOT NULL THEN 'dispatched' WHEN available_at = 'infinity' THEN 'dead' ELSE 'pending' END,
                  count(*)::text FROM public.event_outbox GROUP BY 1 ORDER BY 1""",
    ),
    "caracal_outbox": (("caracal_outbox",), "SELECT status, count(*)::text FROM public.caracal_outbox GROUP BY 1 ORDER BY 1"),
    # Revocations have no table of their own.
    **{
        f"{table}_by_status": ((table,), f"SELECT status, count(*)::text FROM public.{table} GROUP BY 1 ORDER BY 1")
        for table in ("authority_records", "sessions", "agent_sessions", "delegation_edges", "delegated_grants")
    },
    # The access that each token grants, which the product never changes. `token_sha256` is itself a digest, so its own
    # SHA-256 is recorded.
    "admin_tokens": (
        ("admin_tokens",),
        """SELECT id, encode(sha256(token_sha256), 'hex'), scope, coalesce(zone_id, ''), created_by FROM public.admin_tokens ORDER BY 1""",
    ),
    "admin_tokens_by_status": (
        ("admin_tokens",),
        """SELECT CASE WHEN revoked_at IS NULL THEN 'valid' ELSE 'revoked' END, count(*)::text
             FROM public.admin_tokens GROUP BY 1 ORDER BY 1""",
    ),
}

Values = t.Mapping[str, "int | None"]

BLOCKS_CHECK = "inventory.audit_blocks"


def state(reader: Reader, tables: t.Collection[str]) -> dict[str, list[list[t.Any]]]:
    """Return the named facts for which this release has tables. Empty for `caracal_auth`, which has none of these tables."""
    return {
        name: [list(row) for row in reader.rows(sql)]
        for name, (needed, sql) in STATE_QUERIES.items()
        if all(table in tables for table in needed)
    }


def believable(inventory: DatabaseInventory) -> bool:
    """Return whether zero counts can be trusted: only if the reader saw migrations and zones, which are never empty."""
    tables = inventory["tables"]
    return all(found["rows"] > 0 if (found := tables.get(f"public.{name}")) else False for name in ("schema_migrations", "zones"))


@dataclasses.dataclass(frozen=True)
class Located:
    """The positions of differences between two copies: the first row by table, and the definitions with a different text."""

    rows: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    objects: t.Sequence[str] = ()


def compare(expected: DatabaseInventory, actual: DatabaseInventory, located: Located, *, leaves: bool = True) -> list[Check]:
    """Return one check for each section of a database, `inventory.<database>.<section>`. A failure names the differences.

    `leaves` is True if the rows of the audit partitions were read.
    """
    prefix = f"inventory.{expected['database']}"
    checks = [
        _maps(f"{prefix}.tables", "table", expected["tables"], actual["tables"], rows=located.rows),
        _lists(f"{prefix}.schema", "schema object", expected["schema"], actual["schema"]),
        _lists(f"{prefix}.grants", "grant", expected["grants"], actual["grants"]),
        _lists(f"{prefix}.owners", "owner", expected["owners"], actual["owners"]),
        _lists(f"{prefix}.migrations", "migration", expected["migrations"], actual["migrations"], empty_ok=not expected["migrations"]),
        _state(f"{prefix}.state", expected["state"], actual["state"]),
        _sequences(f"{prefix}.sequences", expected["sequences"], actual["sequences"], expected["sequence_floor"]),
        _extensions(f"{prefix}.extensions", expected["extensions"], actual["extensions"]),
        _settings(f"{prefix}.settings", expected["settings"], actual["settings"]),
        _schema_dump(f"{prefix}.schema_dump", expected, actual, located.objects),
        _large_objects(f"{prefix}.large_objects", expected["large_objects"], actual["large_objects"]),
    ]
    computed = [name for name, populated in expected.get("materialized_views", {}).items() if populated]
    if computed:
        checks.append(_materialized_views(f"{prefix}.materialized_views", computed, actual["materialized_views"]))
    if leaves:
        checks.append(_maps(f"{prefix}.leaves", "audit partition", expected["leaves"], actual["leaves"], empty_ok=not expected["leaves"]))
    return checks


def compare_blocks(expected: t.Sequence[t.Any], actual: t.Sequence[t.Any]) -> Check:
    """Compare the audit blocks of a copy and a set. A failure names zone, partition and block."""
    theirs, ours = ({block.key: block for block in blocks} for blocks in (expected, actual))
    if not theirs:
        return Check(BLOCKS_CHECK, UNPROVEN, "the set has no audit blocks, so its audit rows cannot be verified")
    wrong = [
        f"{_block_name(key)}: {_block_difference(theirs.get(key), ours.get(key))}"
        for key in sorted(theirs.keys() | ours.keys())
        if theirs.get(key) != ours.get(key)
    ]
    if wrong:
        return Check(BLOCKS_CHECK, FAIL, f"{len(wrong)} audit block(s) differ; first: {wrong[0]}", details={"differences": wrong[:50]})
    rows = sum(block.rows for block in theirs.values())
    return Check(BLOCKS_CHECK, PASS, f"{len(theirs)} audit blocks with {rows} rows match the set")


def _block_name(key: tuple[str, ...]) -> str:
    chain, zone, leaf, block = key
    return f"{chain} chain of zone {zone}, partition {leaf}, block {block}"


def _block_difference(expected: t.Any, actual: t.Any) -> str:
    if actual is None:
        return f"missing ({expected.rows} rows)"
    if expected is None:
        return f"not in the set ({actual.rows} rows)"
    if expected.rows != actual.rows:
        return f"{actual.rows} rows instead of {expected.rows}"
    if expected.content != actual.content:
        return "the content differs"
    return "the chain columns differ"


def _result(check_id: str, what: str, wrong: list[str], count: int, empty_ok: bool, reason: Reason | None = None) -> Check:
    if wrong:
        details = {**because(reason), "differences": wrong[:50]}
        return Check(check_id, FAIL, f"{len(wrong)} {what}(s) differ from the set; first: {wrong[0]}", details=details)
    if not count:
        verdict = NOT_APPLICABLE if empty_ok else UNPROVEN
        return Check(check_id, verdict, f"the set records no {what}; nothing was compared", required=not empty_ok)
    return Check(check_id, PASS, f"{count} {what}(s) match the set")


def _maps(
    check_id: str,
    what: str,
    expected: t.Mapping[str, TableDigest],
    actual: t.Mapping[str, TableDigest],
    empty_ok: bool = False,
    rows: t.Mapping[str, str] | None = None,
) -> Check:
    wrong, differing = [], [name for name in sorted(expected.keys() | actual.keys()) if expected.get(name) != actual.get(name)]
    for name in differing:
        if name not in actual:
            wrong.append(f"{name} is missing")
        elif name not in expected:
            wrong.append(f"{name} is not in the set")
        elif expected[name]["rows"] != actual[name]["rows"]:
            wrong.append(f"{name}: {actual[name]['rows']} rows instead of {expected[name]['rows']}{_first(rows, name)}")
        elif expected[name]["digest"] != actual[name]["digest"]:
            wrong.append(f"{name}: the content of rows differs{_first(rows, name)}")
    return _result(check_id, what, wrong, len(expected), empty_ok, _reason(differing, expected, actual))


def _reason(differing: t.Sequence[str], expected: t.Mapping[str, TableDigest], actual: t.Mapping[str, TableDigest]) -> Reason | None:
    """Return the reason why tables differ: a table is empty although it has rows in the set, or the first table is of a known kind."""
    if any(name in expected and expected[name]["rows"] and not found["rows"] for name in differing if (found := actual.get(name))):
        return EMPTIED_TABLE
    if list(differing) == ["public.schema_migrations"]:
        return MIGRATIONS_DIFFER
    return BINDINGS_DIFFER if differing and differing[0] == "public.gateway_resource_bindings" else None


def _first(rows: t.Mapping[str, str] | None, name: str) -> str:
    return f" (first: {rows[name]})" if rows and name in rows else ""


def _lists(check_id: str, what: str, expected: list[str], actual: list[str], empty_ok: bool = False) -> Check:
    missing, extra = set(expected) - set(actual), set(actual) - set(expected)
    wrong = [f"missing {line}" for line in sorted(missing)] + [f"not in the set: {line}" for line in sorted(extra)]
    return _result(check_id, what, wrong, len(expected), empty_ok)


def _state(check_id: str, expected: t.Mapping[str, object], actual: t.Mapping[str, object]) -> Check:
    """Compare the facts that the set records. An older set records fewer facts, but its tables are still compared row by row."""
    differing = [name for name in sorted(expected) if expected[name] != actual.get(name)]
    reason = SIGNING_KEYS_DIFFER if "signing_keys" in differing else None
    return _result(check_id, "fact", [f"{name} differs" for name in differing], len(expected), empty_ok=not expected, reason=reason)


def _sequences(check_id: str, expected: Values, actual: Values, floor: t.Mapping[str, int]) -> Check:
    """Compare sequences. They are not part of a snapshot: a value must be between the highest ID in the copy and the value
    read after the dump.
    """
    wrong = [f"sequence {name} is missing" for name in sorted(expected.keys() - actual.keys())]
    for name in sorted(expected.keys() & actual.keys()):
        low, value, high = floor.get(name, 0), actual[name] or 0, expected[name] or 0
        if not low <= value <= high:
            wrong.append(f"sequence {name} is at {value}, expected {low} to {high}")
    return _result(check_id, "sequence", wrong, len(expected), empty_ok=not expected)


def _extensions(check_id: str, expected: dict[str, str], actual: dict[str, str]) -> Check:
    missing = sorted(expected.keys() - actual.keys())
    if missing:
        return Check(check_id, FAIL, f"extension {missing[0]} is missing", details={"missing": missing})
    other = [f"{name} {actual[name]} instead of {version}" for name, version in sorted(expected.items()) if actual[name] != version]
    if other:
        return Check(check_id, WARN, f"the version of an extension differs: {other[0]}", details={"differences": other})
    return Check(check_id, PASS, f"{len(expected)} extension(s) have the same version as in the set")


def _settings(check_id: str, expected: DatabaseSettings, actual: DatabaseSettings) -> Check:
    hard = _others(("encoding", "owner", "connection_limit"), expected, actual)
    if actual["set"] != expected["set"]:
        # Settings are lists, so only their order may differ.
        other = parameters(expected["set"], actual["set"]) or "their order"
        hard.append(f"the settings of the database differ from the set: {other}")
    hard += _role_sets(expected["role_sets"], actual["role_sets"])
    if hard:
        return Check(check_id, FAIL, hard[0], details={"differences": hard})
    if soft := _others(("provider", "locale", "collate", "ctype"), expected, actual):
        return Check(
            check_id, WARN, soft[0] + "; text sorts differently in indexes, but the rows are the same", details={"differences": soft}
        )
    return Check(check_id, PASS, "encoding, locale, owner and settings match the set")


def _others(names: t.Iterable[str], expected: t.Mapping[str, object], actual: t.Mapping[str, object]) -> list[str]:
    return [f"{name} is {actual[name]} instead of {expected[name]}" for name in names if actual[name] != expected[name]]


def _role_sets(expected: dict[str, list[str]], actual: dict[str, list[str]]) -> list[str]:
    """Compare the settings of roles. Returns names of parameters only, because values may be confidential. Their order is ignored."""
    found = []
    for role in sorted(expected.keys() | actual.keys()):
        other = parameters(expected.get(role), actual.get(role))
        if other:
            found.append(f"the settings of role {role} differ from the set: {other}")
    return found


def _large_objects(check_id: str, expected: int, actual: int) -> Check:
    """Compare the number of large objects. Caracal has none, and their content has no digest, so their number must not change."""
    if expected != actual:
        return Check(check_id, FAIL, f"{actual} large objects instead of {expected}")
    if expected:
        return Check(check_id, UNPROVEN, f"{expected} large objects as in the set, but their content cannot be verified", required=False)
    return Check(check_id, NOT_APPLICABLE, "no large objects", required=False)


def _materialized_views(check_id: str, computed: list[str], actual: dict[str, bool]) -> Check:
    """Check only whether the views were computed, because their rows are derived from other tables."""
    empty = sorted(name for name in computed if not actual.get(name))
    if empty:
        words = f"{len(empty)} materialized view(s) are empty in the copy, because their queries were not run; first: {empty[0]}"
        return Check(check_id, UNPROVEN, words, details={"empty": empty[:50]})
    return Check(check_id, PASS, f"{len(computed)} materialized view(s) were computed again")


def _schema_dump(check_id: str, expected: DatabaseInventory, actual: DatabaseInventory, objects: t.Sequence[str]) -> Check:
    """Compare the output of `pg_dump --schema-only`. It is only comparable within a major version. The schema list covers other cases."""
    if expected["server_version"] // 10000 != actual["server_version"] // 10000:
        return Check(
            check_id, NOT_APPLICABLE, "the major version of PostgreSQL differs; the schema list was compared instead", required=False
        )
    if expected["schema_digest"] != actual["schema_digest"]:
        words = f"the output of pg_dump --schema-only differs from the source{f'; first: {objects[0]}' if objects else ''}"
        return Check(check_id, FAIL, words, details={"differences": list(objects[:50])})
    return Check(check_id, PASS, "the output of pg_dump --schema-only is identical")
