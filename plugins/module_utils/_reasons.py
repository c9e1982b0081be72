# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The reason for a check's verdict, as one fixed word in `details["reason"]`.

Messages are for people and may be reworded. Causes, alerts and tests use the reason. An error has one in its detail
`reason`, which the check of the drill step copies. Text from services, Redis and other hosts never becomes a reason. It
is stored in the detail `answer`.
"""

from __future__ import annotations

import typing as t

# Only this file, and `_caracal.findings` for kinds of findings, create reasons. So text from a service cannot become a
# reason.
Reason = t.NewType("Reason", str)

# Keys and secrets.
WRONG_KEK = Reason("wrong_kek")
MIXED_KEKS = Reason("mixed_keks")
UNUSABLE_KEK = Reason("unusable_kek")
DAMAGED_VALUES = Reason("damaged_values")
NEW_SIGNING_KEY = Reason("new_key")
SIGNING_KEY_NOT_SERVED = Reason("key_missing")
SIGNING_KEYS_DIFFER = Reason("signing_keys_differ")
WRONG_AUDIT_KEY = Reason("wrong_audit_key")
MISSING_AUDIT_KEY = Reason("missing_audit_key")
OTHER_AUDIT_KEY = Reason("audit_key")
OTHER_GATEWAY_KEY = Reason("gateway_key")
MISSING_SECRET = Reason("missing_secret")

# The set, and rows of the copy.
ALTERED_OBJECT = Reason("altered_object")
NO_IDENTITY = Reason("no_identity")
EMPTIED_TABLE = Reason("emptied_table")
MIGRATIONS_DIFFER = Reason("migrations_differ")
BINDINGS_DIFFER = Reason("bindings_differ")
DROPPED_PARTITION = Reason("leaf_dropped")
MISSING_PARTITION = Reason("missing_partition")
BROKEN_SEQUENCE = Reason("sequence")
BROKEN_LINK = Reason("link")
UNKNOWN_RELATION = Reason("unknown_relation")

# Services.
NO_ANSWER = Reason("no_answer")
UNSAFE_TO_START = Reason("unsafe_to_start")
MISSING_FILE = Reason("missing_file")
OTHER_DATABASE = Reason("other_database")
OTHER_IMAGE = Reason("other_image")
MISSING_GROUPS = Reason("missing_groups")
EVENTS_NOT_SENT = Reason("events_not_sent")
REDIS_UNREACHABLE = Reason("redis_unreachable_by_drill")
EVENTS_WAIT = Reason("backlog")
FIRST_KEY = Reason("first_key")
KEYS_NOT_SERVED = Reason("not_served")
POLICY_NOT_LOADED = Reason("not_loaded")
OTHER_UPSTREAM = Reason("other_upstream")
REFUSED = Reason("refused")
ISSUED = Reason("issued")
DENIED = Reason("denied")
HELD = Reason("held")
BROKEN = Reason("broken")
NOT_LANDED = Reason("not_landed")
ACCEPTED = Reason("accepted")
# Counters of the audit service's own sweep.
SWEEP_MISMATCH = Reason("caracal_audit_tamper_mismatch_total")
SWEEP_HMAC_FAILURES = Reason("caracal_audit_tamper_hmac_failures_total")
SWEEP_CHAIN_BREAKS = Reason("caracal_audit_tamper_chain_breaks_total")

# The drill and its host.
HOST_FAILED = Reason("host_failed")
NO_ISOLATION = Reason("no_isolation")
NO_ROOM = Reason("no_room")
SHARED_FILE_SYSTEM = Reason("shared_file_system")


def because(reason: Reason | None) -> dict[str, str]:
    """Return the detail `reason` of a check, or an empty dictionary if there is no reason."""
    return {"reason": reason} if reason else {}
