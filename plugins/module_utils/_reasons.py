# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a check has its verdict, as one fixed word in `details["reason"]`.

Messages are for people and may be reworded; causes, alerts and tests use the reason. An error carries one as the detail `reason`,
and the check of the drill's step takes it from there. Words of services, of Redis and of other hosts never become a reason: they are
the detail `answer`.
"""

from __future__ import annotations

# Keys and secrets.
WRONG_KEK = "wrong_kek"
MIXED_KEKS = "mixed_keks"
UNUSABLE_KEK = "unusable_kek"
DAMAGED_VALUES = "damaged_values"
NEW_SIGNING_KEY = "new_key"
SIGNING_KEY_NOT_SERVED = "key_missing"
SIGNING_KEYS_DIFFER = "signing_keys_differ"
WRONG_AUDIT_KEY = "wrong_audit_key"
MISSING_AUDIT_KEY = "missing_audit_key"
OTHER_AUDIT_KEY = "audit_key"
OTHER_GATEWAY_KEY = "gateway_key"
MISSING_SECRET = "missing_secret"

# The set, and rows of the copy.
ALTERED_OBJECT = "altered_object"
NO_IDENTITY = "no_identity"
EMPTIED_TABLE = "emptied_table"
MIGRATIONS_DIFFER = "migrations_differ"
BINDINGS_DIFFER = "bindings_differ"
DROPPED_PARTITION = "leaf_dropped"
MISSING_PARTITION = "missing_partition"
BROKEN_SEQUENCE = "sequence"
BROKEN_LINK = "link"
UNKNOWN_RELATION = "unknown_relation"

# Services.
NO_ANSWER = "no_answer"
UNSAFE_TO_START = "unsafe_to_start"
MISSING_FILE = "missing_file"
OTHER_DATABASE = "other_database"
OTHER_IMAGE = "other_image"
MISSING_GROUPS = "missing_groups"
EVENTS_NOT_SENT = "events_not_sent"
REDIS_UNREACHABLE = "redis_unreachable_by_drill"

# The drill and its host.
HOST_FAILED = "host_failed"
NO_ISOLATION = "no_isolation"
NO_ROOM = "no_room"
SHARED_FILE_SYSTEM = "shared_file_system"


def because(reason: str) -> dict[str, str]:
    """The detail `reason` of a check; nothing if no reason is known."""
    return {"reason": reason} if reason else {}
