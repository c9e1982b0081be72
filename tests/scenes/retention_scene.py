# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A deployment with correct retention: a twin of today, a Redis, a repository with a set and a drill that passed."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import recipients
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.signing import Signer
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import journal as journals
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.decisions import Escrow
from scenes import role_settings
from scenes.redis_server import RedisServer
from scenes.scene import DEPLOYMENT, DRILL_HOST, OPERATOR_HOST, Result, Scene
from scenes.twin_database import TwinCluster

VERIFY = "retention_verify"
# The twin's database is configured for 400 days.
ENVIRONMENT = {"AUDIT_RETENTION_DAYS": 500, "AUDIT_EXPORT_S3_BUCKET": "caracal-audit"}
GRANT = "GRANT DELETE ON public.delegation_edges, public.caracal_outbox TO caracalcoordinator"
WATERMARK = "UPDATE audit_export_watermark SET last_exported_hour = date_trunc('hour', now(), 'UTC') - interval '{}'"
GROUPS = {
    "caracal.audit.events": "audit-ingestor",
    "caracal.policy.invalidate": "opa-engine",
    "caracal.sessions.revoke": "sts-revocation",
    "caracal.agents.lifecycle": "coordinator-relay",
}


@dataclasses.dataclass(frozen=True)
class Deployment:
    """Twin, Redis and repository, and methods that run checks on them.

    `scene.socket` belongs to `cluster`, and its database `name` exists only for the test.
    """

    scene: Scene
    cluster: TwinCluster
    name: str
    redis: RedisServer

    def ask(self, *, check_mode: bool = False, **given: t.Any) -> Result:
        usual = {"database": self.name, "effective_environment": ENVIRONMENT, "require_valid": False, **self.redis.login}
        if "effective_environment_file" in given:
            del usual["effective_environment"]
        return self.scene.call(VERIFY, check_mode=check_mode, **{**usual, **given})

    def check(self, name: str, **given: t.Any) -> dict[str, t.Any]:
        """Run the checks again; return one of them."""
        return the_check(self.ask(**given), name)

    def execute(self, *statements: str) -> list[tuple[t.Any, ...]]:
        return self.cluster.execute(*statements, database=self.name)

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of the one recipient of all sets."""
        return recipients.load([], [str(self.scene.recipients)])[0].fingerprint

    def drill(self, verdict: str = "pass") -> None:
        """Add a journal entry like a drill's."""
        drill_id, (set_id, manifest) = layout.new_set_id(access.now(), os.urandom(5)), self._newest()
        subjects = [entries.subject(layout.drill_report_key(drill_id), "0" * 64), entries.subject(layout.manifest_key(set_id), manifest)]
        self._append(DRILL_HOST, entries.DRILL, subjects, {"drill": drill_id, "set": set_id, "verdict": verdict})

    def prove(self) -> None:
        """Add a journal entry like that from a proof of the recipient's identity."""
        set_id, manifest = self._newest()
        body = Escrow(set_id, (self.fingerprint,), 3).to_body()
        self._append(OPERATOR_HOST, entries.ESCROW, [entries.subject(layout.manifest_key(set_id), manifest)], body)

    def _newest(self) -> tuple[str, str]:
        record = access.open_repository(self.scene.access()).catalog.newest()
        assert record
        return record.set_id, record.manifest_sha256

    def _append(self, host: str, kind: str, subjects: t.Sequence[entries.Subject], body: dict[str, t.Any]) -> None:
        opened = access.open_repository(self.scene.access())
        signer = Signer(str(self.scene.key(host)), layout.principal(host, DEPLOYMENT))
        journals.append(opened.repository, opened.journal, signer, kind, subjects, body, time=access.times(), machine=host)


def the_check(result: Result, name: str) -> dict[str, t.Any]:
    (found,) = [one for one in result["checks"] if one["id"] == f"retention.{name}"]
    return t.cast("dict[str, t.Any]", found)


def spoken(result: Result) -> dict[str, str]:
    """Return the verdict of each check that did not pass."""
    return {one["id"].removeprefix("retention."): one["verdict"] for one in result["checks"] if one["verdict"] != "pass"}


def serve(redis: RedisServer) -> None:
    """Add streams like those in a deployment whose consumers keep up."""
    for stream, group in GROUPS.items():
        redis.run("XGROUP", "CREATE", stream, group, "0", "MKSTREAM")
        redis.run("XADD", stream, "*", "n", 1)
        redis.run("XREADGROUP", "GROUP", group, "one", "STREAMS", stream, ">")
        redis.run("XACK", stream, group, *[entry for entry, _fields in redis.run("XRANGE", stream, "-", "+")])


def later(patch: pytest.MonkeyPatch, **span: float) -> None:
    """Move the host's clock forward; the database's clock stays."""
    patch.setattr(access, "now", lambda: dt.datetime.now(dt.timezone.utc) + dt.timedelta(**span))


def retention_settings(here: Deployment) -> dict[str, t.Any]:
    """Return settings of the role."""
    scene = here.scene
    given = {
        **{name: value for name, value in scene.given(VERIFY).items() if name != "identity_files"},
        **here.redis.login,
        "database": here.name,
        "effective_environment": ENVIRONMENT,
        "break_glass_files": [str(scene.recipients)],
    }
    return role_settings.of("caracal_retention", given)
