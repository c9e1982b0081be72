# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The last lines of each role on the console: the actions done, and the reason if a play fails."""

from __future__ import annotations

import typing as t

from tools.snapshots import Snapshot
from unit.snapshots.role_words import Values, printed

SET_ID, HEAD = "20261125T020000Z-k3f9", "42-9f86d081884c7d65"
FAILED = {"id": "blocks.history", "verdict": "fail", "message": "audit_events_2026_03, block 4: content differs"}
PASSED = {"id": "set.objects", "verdict": "pass", "message": "21 objects, every SHA-256 matches"}
WARNED = {"id": "roles.caracal", "verdict": "warn", "message": "role auditors is not there"}

BACKUP: Values = {
    "caracal_ops_deployment": "prod",
    "__caracal_backup_looked": {
        "set_id": SET_ID,
        "journal_head": "41-0123456789abcdef",
        "databases": [{"database": "caracal"}],
        "secrets": {},
        "pairing": None,
        "replay": [{"state": "archived"}, {"state": "not_durable"}],
        "redis": [],
        "images": [],
    },
    "__caracal_backup_arguments": {"assets": ["secrets", "replay", "redis"]},
    "__caracal_backup_dumped": {
        "databases": [{"database": "caracal"}, {"database": "caracal_auth"}],
        "bytes": 400_000_000,
        "seconds": 20.0,
        "checks": [PASSED],
        "partitions": [*({"proof": "census", "read_because": ""},) * 12, {"proof": "read", "read_because": "no earlier census"}],
    },
    "__caracal_backup_committed": {"artifacts": 21, "bytes": 412_345_678, "journal_head": HEAD},
    "__caracal_backup_verified": {"checks": [PASSED]},
    "__caracal_backup_secrets": {"key_ids": {"kek": "1f2e3d4c5b6a7988"}, "pairing": {"verdict": "pass", "message": "they open the set"}},
    "__caracal_backup_replay": [],
    "__caracal_backup_seen_elsewhere": [{"state": "archived"}],
    "__caracal_backup_redis": {"streams": ["audit", "outbox"]},
    "__caracal_backup_left_out": {},
    "__caracal_backup_timestamp": {},
}
CHANGED: Values = {
    **BACKUP["__caracal_backup_committed"],
    "verdict": "fail",
    "msg": f"set {SET_ID} was made and is kept, but {FAILED['message']}; find out who changed the audit tables before anything is pruned",
}
PLAIN_BACKUP: Values = {
    **BACKUP,
    "__caracal_backup_arguments": {"assets": []},
    "__caracal_backup_secrets": {},
    "__caracal_backup_left_out": {"secrets": "not configured", "redis": "not configured"},
}
STAMPED: Values = {
    **BACKUP,
    "caracal_backup_timestamp_url": "https://tsa.example",
    "__caracal_backup_timestamp": {"verdict": "pass", "message": "Example TSA timestamped entry 42 at 2026-11-25T02:01:00Z"},
}
WITH_IMAGES: Values = {
    **BACKUP,
    "caracal_backup_images": True,
    "__caracal_backup_archived": {"images": [{"image_id": f"sha256:{one * 64}"} for one in "abc"]},
}
ABORTED: Values = {
    "__caracal_backup_opened": {"set_id": SET_ID},
    "__caracal_backup_committed": {},
    "__caracal_backup_aborted": {"msg": "the repository cannot be reached"},
    "__caracal_backup_replay_hosts": [],
}
CHECKPOINT: Values = {
    "checkpoint": SET_ID,
    "verdict": "pass",
    "rows": 4711,
    "blocks": 3,
    "seconds": 1.25,
    "journal_head": HEAD,
    "checks": [PASSED],
}
NOTHING_NEW: Values = {**CHECKPOINT, "checkpoint": None, "rows": 0, "blocks": 0}
CHAINS: Values = {
    "verdict": "fail",
    "coverage": {"asked": "all that is there", "chains": {"audit": {"rows": 4711, "zones": 2}}},
    "seconds": 2.5,
    "journal_head": HEAD,
    "checks": [PASSED, FAILED],
    "msg": "verdict fail: blocks.history: content differs",
}
RESTORE: Values = {
    "caracal_ops_deployment": "prod",
    "__caracal_restore_looked": {
        "waiting": [],
        "set_id": SET_ID,
        "set_facts": {"snapshot_time": "2026-11-25T02:00:00Z"},
        "checks": [PASSED],
        "databases": [{"database": "caracal"}, {"database": "caracal_auth"}],
        "replaced": [],
        "secrets": {},
        "safety_copy": None,
        "replay": [],
    },
    "__caracal_restore_databases": {"databases": [{"database": "caracal"}, {"database": "caracal_auth"}]},
    "__caracal_restore_secrets": {},
    "__caracal_restore_replay": {},
    "__caracal_restore_verified": {"verdict": "pass", "checks": []},
    "__caracal_restore_rollback": {},
}
UNSTARTED: Values = {
    **RESTORE,
    "__caracal_restore_looked": {**RESTORE["__caracal_restore_looked"], "databases": [], "waiting": ["databases", "redis"]},
    "__caracal_restore_databases": {},
    "__caracal_restore_verified": {},
}
TAKEN_BACK: Values = {
    **RESTORE,
    "__caracal_restore_verified": {"verdict": "fail", "checks": [WARNED, FAILED]},
    "__caracal_restore_rollback": {
        "complete": True,
        "rollback": [
            {"count": 2, "words": "grants that were revoked are active again", "remedy": "delete them"},
            {"count": None, "words": "unknown: tokens", "remedy": "rotate the keys"},
            {"count": 0, "words": "epochs", "remedy": "raise them"},
        ],
    },
}
ARCHIVE: Values = {
    "__caracal_archive_filled": {
        "archived": ["a", "b"],
        "extended": [],
        "unchanged": 22,
        "days": ["2026-11-24"],
        "last_hour": "2026-11-25T01:00:00Z",
        "journal_head": HEAD,
    },
    "__caracal_archive_verified": {"verdict": "fail", "checks": [PASSED, FAILED], "msg": "verdict fail: blocks.history"},
    "caracal_archive_verify": True,
}
REPOSITORY: Values = {
    "__caracal_repository_verified": {
        "verdict": "fail",
        "sets": 30,
        "failed_sets": ["a"],
        "part": 1,
        "parts": 7,
        "objects": 90,
        "bytes": 1000,
        "journal_head": HEAD,
        "checks": [PASSED, FAILED],
        "msg": "verdict fail: blocks.history: content differs",
    },
    "__caracal_repository_copied": {"copied": 21, "bytes": 412_345_678, "destination": "/srv/copy", "kept": 600, "journal_head": HEAD},
    "__caracal_repository_pruned": {
        "pruned": ["a", "b"],
        "objects": 40,
        "garbage": ["c"],
        "bytes": 824_691_356,
        "retained": ["d"],
        "sets": ["a", "b", "e", "f"],
        "journal_head": HEAD,
    },
}

# Title, role, task file, results of modules, check mode.
CASES: tuple[tuple[str, str, str, Values, bool], ...] = (
    ("A backup of everything", "caracal_backup", "report", BACKUP, False),
    ("A backup of the databases only", "caracal_backup", "report", PLAIN_BACKUP, False),
    ("With a timestamp", "caracal_backup", "report", STAMPED, False),
    ("With images", "caracal_backup", "report", WITH_IMAGES, False),
    ("In check mode", "caracal_backup", "report", {**BACKUP, "__caracal_backup_committed": {}, "__caracal_backup_dumped": {}}, True),
    ("With a block that changed", "caracal_backup", "report", {**BACKUP, "__caracal_backup_committed": CHANGED}, False),
    ("A backup that failed, and could not be aborted", "caracal_backup", "abort", ABORTED, False),
    ("A checkpoint", "caracal_backup", "checkpoint", {"__caracal_backup_checkpoint": CHECKPOINT}, False),
    (
        "A checkpoint without new rows",
        "caracal_backup",
        "checkpoint",
        {"__caracal_backup_checkpoint": NOTHING_NEW},
        False,
    ),
    ("Chains that are broken", "caracal_backup", "verify_audit", {"__caracal_backup_audit": CHAINS}, False),
    ("A restore", "caracal_restore", "report", RESTORE, False),
    ("In check mode", "caracal_restore", "report", {**RESTORE, "__caracal_restore_verified": {}}, True),
    ("In check mode, before the servers run", "caracal_restore", "report", UNSTARTED, True),
    ("One that takes something back, and does not hold", "caracal_restore", "report", TAKEN_BACK, False),
    ("An archive that does not hold", "caracal_archive", "report", ARCHIVE, False),
    ("In check mode", "caracal_archive", "report", {**ARCHIVE, "__caracal_archive_verified": {}}, True),
    ("A repository that does not hold", "caracal_repository", "verify", REPOSITORY, False),
    ("A copy", "caracal_repository", "copy", REPOSITORY, False),
    ("In check mode", "caracal_repository", "copy", REPOSITORY, True),
    ("A prune", "caracal_repository", "prune", REPOSITORY, False),
    ("In check mode", "caracal_repository", "prune", REPOSITORY, True),
)


def closing() -> t.Iterator[str]:
    shown = ""
    for title, role, tasks, answers, check_mode in CASES:
        if role != shown:
            yield f"# {role}\n"
        shown = role
        yield "\n".join([title, *(f"    {line}" for line in printed(role, tasks, answers, check_mode)), ""])


def test_the_last_lines_of_the_roles(snapshot: Snapshot) -> None:
    snapshot("roles.txt", "\n".join(closing()))
