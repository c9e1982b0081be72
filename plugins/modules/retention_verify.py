#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: retention_verify
short_description: Compare what is configured to be kept with what is there
version_added: 0.1.0
description:
  - Asks four parts of a live deployment, and changes none of them.
  - V(audit). Which days are in effect for audit events, whether the partitions of this month and the next three are there, whether old
    months go when they should, and whether a month goes before its events were exported.
  - V(coordinator). Whether rows that ended are removed after C(DELEGATION_RETENTION_DAYS), C(OUTBOX_RETENTION_DAYS) and
    C(SESSION_RETENTION_DAYS), whether the cleaner has the rights to do it, and whether events were given up.
  - V(streams). Lengths of Redis' streams, how long readers keep entries without acknowledgement, and dead letters.
  - V(backups). Age of the newest set and of the last drill that passed, how long sets are kept, proofs of the identities for emergencies,
    and copies elsewhere.
  - See R(the guide on retention controls,ansible_collections.caracal_ops.backup.docsite.guide_retention_controls) for each check.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.read_only
  - caracal_ops.backup._repository
  - caracal_ops.backup._postgres
  - caracal_ops.backup._redis
  - caracal_ops.backup._judged_report
options:
  database:
    description:
      - Caracal's own database.
    type: str
    default: caracal
  effective_environment:
    description:
      - Variables as the B(running) services have them. What is not named here has the product's default.
      - The file from which services are started proves nothing; Compose passes only some of its variables on.
      - Without it and O(effective_environment_file), whatever depends on them is V(unproven).
    type: dict
    suboptions:
      AUDIT_RETENTION_DAYS:
        description:
          - Days of the audit service. The number in the database can only be lower.
        type: int
      DELEGATION_RETENTION_DAYS:
        description:
          - Days of the coordinator for delegations that ended.
        type: int
      OUTBOX_RETENTION_DAYS:
        description:
          - Days of the coordinator for events that were published.
        type: int
      SESSION_RETENTION_DAYS:
        description:
          - Days of the coordinator for agents that ended.
        type: int
      AUDIT_EXPORT_S3_BUCKET:
        description:
          - Bucket to which the audit service exports. Without it exports are off.
        type: str
  effective_environment_file:
    description:
      - File with the same, as C(/proc/<pid>/environ) of the services has it or C(env) prints it. Other variables are not read.
    type: path
  left_out:
    description:
      - Parts that are not asked, V(audit), V(coordinator), V(streams) or V(backups), each with the reason. The result shows it.
    type: dict
    default: {}
  set_budget:
    description:
      - Hours that the snapshot of the newest set may be old.
    type: float
    default: 26.0
  tail_budget:
    description:
      - Hours that the snapshot of the newest set or checkpoint may be old.
      - A holder of the audit key can edit, cut or replace the audit rows that came since, and no check can see it.
    type: float
    default: 26.0
  drill_budget:
    description:
      - Hours that may have passed since the last drill that passed.
    type: float
    default: 192.0
  export_budget:
    description:
      - Hours that may have passed since the end of the last hour that the audit service exported.
    type: float
    default: 6.0
  archive_budget:
    description:
      - Hours that may have passed since the end of the last hour that the journal names as archived. An hour without events has no export.
      - Without it the archive is not asked for.
    type: float
  pending_budget:
    description:
      - Hours that an entry of a stream may wait for its reader's acknowledgement.
    type: float
    default: 1.0
  copy_budget:
    description:
      - Hours that the last verification of a copy may be old. An older one does not count.
    type: float
    default: 744.0
  legal:
    description:
      - Days that the law, or a contract, asks for and allows.
    type: dict
    suboptions:
      audit_at_least:
        description:
          - Audit events must be kept for so many days.
        type: int
      audit_at_most:
        description:
          - Audit events must not be kept longer.
        type: int
      backups_at_least:
        description:
          - No set may be pruned before so many days.
        type: int
      backups_at_most:
        description:
          - No set may be kept longer, but for sets on hold.
        type: int
  break_glass_files:
    description:
      - Files with the public keys, one a line, whose identities are kept for emergencies. Every sealed object of the newest set must
        be sealed to one of them, and each of them to something; an C(escrow) entry of the journal must prove each identity within the
        last 400 days.
    type: list
    elements: path
    default: []
  copies:
    description:
      - Other places that hold the sets, and when each was verified last. Nothing here looks at them.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the place.
        type: str
        required: true
      verified:
        description:
          - When every byte of it was verified last, ISO 8601 with a zone.
        type: str
        required: true
  copies_at_least:
    description:
      - How many other places must hold the sets.
    type: int
    default: 0
  metrics_file:
    description:
      - File for the textfile collector of node_exporter, such as C(/var/lib/node_exporter/caracal_retention.prom). Its folder must exist.
      - Verdict, number of checks by verdict, and ages of the newest set, drill, export and archive are written there in one step, with mode
        0644. When that fails, the verdict stands and there is a warning.
    type: path
notes:
  - The report in O(report_dir) is C(report.json) and C(junit.xml). It is not signed, and not in the journal.
  - The module writes nothing but O(report_dir), O(metrics_file), and O(high_water_mark), which it advances to the journal's head.
  - No identity is needed. O(login_user) must see every row; a role that row security would show only some of them is an error.
  - Months that are about to be dropped are searched row by row for events that were not exported, for 30 seconds each. Where that is too
    short the check is V(unproven).
seealso:
  - module: caracal_ops.backup.backup_set_info
  - module: caracal_ops.backup.audit_partition_ensure
  - module: caracal_ops.backup.restore_drill
"""

EXAMPLES = r"""
---
- name: Is what should be kept kept, and does the rest go?
  caracal_ops.backup.retention_verify:
    login_unix_socket: /run/postgresql
    redis_password_file: /etc/caracal-ops/redis_password
    effective_environment_file: /run/caracal-ops/retention.env
    legal:
      audit_at_least: 365
      backups_at_least: 30
      backups_at_most: 400
    break_glass_files:
      - /etc/caracal-ops/safe.recipients
    repository: /srv/backup/caracal
    deployment: prod
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
    metrics_file: /var/lib/node_exporter/caracal_retention.prom

- name: The same where the streams are somebody else's
  caracal_ops.backup.retention_verify:
    left_out:
      streams: the platform team watches Redis
    effective_environment:
      AUDIT_RETENTION_DAYS: 365
      AUDIT_EXPORT_S3_BUCKET: caracal-audit
    repository: /srv/backup/caracal
    deployment: prod
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
"""

RETURN = r"""
verdict:
  description: V(pass), V(fail) or V(unproven).
  returned: always
  type: str
  sample: pass
checks:
  description: Each check with its verdict, in the form that M(caracal_ops.backup.backup_set_verify) returns, and whether it was C(waived).
  returned: always
  type: list
  elements: dict
  sample: [{"id": "retention.audit.partitions", "verdict": "pass", "message": "audit_events_y2026m11 and the 3 months after it are there",
    "required": true, "waived": false, "details": {}}]
counts:
  description: Number of checks by verdict.
  returned: always
  type: dict
  sample: {"pass": 16, "fail": 0, "warn": 2, "unproven": 0, "not_applicable": 3}
waivers:
  description: The waivers that counted.
  returned: always
  type: list
  elements: dict
  sample: []
report:
  description: The files in O(report_dir). Empty without it, and in check mode.
  returned: always
  type: list
  elements: str
  sample: [/var/lib/caracal-ops/retention/20261125T061500Z-k3f9/report.json, /var/lib/caracal-ops/retention/20261125T061500Z-k3f9/junit.xml]
summary_lines:
  description: Numbers, whatever a reader must look at, waivers and the verdict, a line each.
  returned: always
  type: list
  elements: str
  sample: ["checks          16 pass, 0 fail, 2 warn, 0 unproven, 3 not applicable", "verdict: pass"]
journal_head:
  description: Number and first 16 hex digits of the newest journal entry.
  returned: always
  type: str
  sample: 42-9f86d081884c7d65
freshness:
  description: V(fresh), or V(unproven) when this host had no high-water mark.
  returned: always
  type: str
  sample: fresh
seconds:
  description: Duration in seconds.
  returned: always
  type: float
  sample: 1.4
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._checks.retention_verify import Options
from ..module_utils._checks.retention_verify import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
