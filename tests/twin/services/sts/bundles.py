# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The active policy set of each zone. It is loaded at the start, on request, after a stream entry, and every minute."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
import time
import typing as t

import psycopg2

from ..common.documents import PolicyError
from ..common.identity import compact
from ..common.journal import log
from ..common.postgres import Database, Release
from . import decisions
from .decisions import Decision, Question

# Not sorted, and archived sets are included: the first of several active sets governs, as in the product.
ACTIVE = """
SELECT v.id, v.manifest_json, v.manifest_sha256 FROM policy_set_bindings b
LEFT JOIN policy_set_versions v ON v.id = b.active_version_id
WHERE b.zone_id = %s AND b.active_version_id IS NOT NULL LIMIT 1
"""
FALLBACK = "no_active_policy_set"


@dataclasses.dataclass(frozen=True)
class Bundle:
    """The loaded policies of a zone. Without a version it denies everything."""

    version: str
    manifest_sha256: str
    contents: tuple[str, ...]
    loaded_at: float


class Bundles:
    """Loads policies and evaluates them. Raises PolicyError if a zone has no policies that can be evaluated."""

    def __init__(self, database: Database, release: Release) -> None:
        self._database = database
        self._decide = decisions.by_contract if release.contract else decisions.by_rego
        self._bundles: dict[str, Bundle] = {}
        self._lock = threading.Lock()
        self.evaluations = self.evaluation_errors = self.load_errors = 0

    def load_all(self) -> None:
        """Load every zone with an active set, and every zone that was requested before."""
        active = self._database.rows("SELECT DISTINCT zone_id FROM policy_set_bindings WHERE active_version_id IS NOT NULL")
        for zone in {row["zone_id"] for row in active} | set(self._bundles):
            try:
                self.load(zone)
            except PolicyError as error:
                log("error", "opa seed: load zone", zone=zone, err=str(error))

    def load(self, zone: str) -> None:
        """Replace the loaded policies of a zone. After PolicyError the old ones are kept."""
        row = self._database.row(ACTIVE, zone)
        if row is None:
            return self._keep(zone, Bundle("", FALLBACK, (), time.time()))
        try:
            manifest = row["manifest_json"] or []
            if hashlib.sha256(compact(manifest).encode()).hexdigest() != row["manifest_sha256"]:
                raise PolicyError(f"policy manifest hash mismatch for zone {zone}")
            known = self._bundles.get(zone)
            if known and known.manifest_sha256 == row["manifest_sha256"]:
                return None
            contents = self._contents(zone, [entry["policy_version_id"] for entry in manifest])
        except PolicyError:
            self.load_errors += 1
            raise
        return self._keep(zone, Bundle(row["id"], row["manifest_sha256"], contents, time.time()))

    def info(self, zone: str) -> Bundle | None:
        return self._bundles.get(zone)

    def ask(self, zone: str, question: Question) -> Decision:
        self.evaluations += 1
        try:
            if zone not in self._bundles:
                self.load(zone)
            bundle = self._bundles[zone]
            return self._decide(bundle.contents, question) if bundle.version else decisions.UNDEFINED
        except (PolicyError, psycopg2.Error) as error:
            self.evaluation_errors += 1
            raise PolicyError(str(error)) from error

    def oldest_seconds(self) -> float:
        return max((time.time() - bundle.loaded_at for bundle in self._bundles.values()), default=0.0)

    def _keep(self, zone: str, bundle: Bundle) -> None:
        with self._lock:
            self._bundles[zone] = bundle

    def _contents(self, zone: str, versions: t.Sequence[str]) -> tuple[str, ...]:
        rows = self._database.rows("SELECT id, content FROM policy_versions WHERE id = ANY(%s)", list(versions))
        if len(rows) != len(versions):
            raise PolicyError(f"policy bundle incomplete for zone {zone}: manifest requires {len(versions)} versions, got {len(rows)}")
        return tuple(row["content"] for row in rows)
