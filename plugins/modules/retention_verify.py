#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: retention_verify
short_description: Verify that retention settings of a deployment are in effect
version_added: 0.1.0
description:
  - Checks four parts of a live deployment without changing them.
  - The part V(audit) checks for how many days audit events are kept, and whether the partitions of this month and the next three months
    exist. It also checks that old months are dropped on time, and that no month is dropped before its events were exported.
  - The part V(coordinator) checks that ended delegations, published events and ended agents are removed after C(DELEGATION_RETENTION_DAYS),
    C(OUTBOX_RETENTION_DAYS) and C(SESSION_RETENTION_DAYS). It also checks the rights of the cleanup process, and reports events that the
    Coordinator gave up on.
  - The part V(streams) checks the lengths of Redis streams, how long entries wait for acknowledgement, and dead letters.
  - The part V(backups) checks the age of the newest set and of the last drill that passed, and how long sets are kept. It also checks the
    proofs of the break-glass identities, and copies in other locations.
  - See R(the guide on retention controls,ansible_collections.caracal_ops.backup.docsite.guide_retention_controls) for each check.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.read_only
  - caracal_ops.backup._repository
  - caracal_ops.backup._postgres
  - caracal_ops.backup._redis
  - caracal_ops.backup._report_verdict
options:
  database:
    description:
      - Name of Caracal's own database.
    type: str
    default: caracal
  effective_environment:
    description:
      - Environment variables of the B(running) services. For a variable that is not listed here, the module uses Caracal's default.
      - The environment file of the deployment is not sufficient, because Compose passes only some of its variables to the services.
      - Without this option and O(effective_environment_file), every check that depends on these variables is V(unproven).
    type: dict
    suboptions:
      AUDIT_RETENTION_DAYS:
        description:
          - Days for which the audit service keeps events. A lower number in the database takes precedence.
        type: int
      DELEGATION_RETENTION_DAYS:
        description:
          - Days for which the Coordinator keeps ended delegations.
        type: int
      OUTBOX_RETENTION_DAYS:
        description:
          - Days for which the Coordinator keeps published events.
        type: int
      SESSION_RETENTION_DAYS:
        description:
          - Days for which the Coordinator keeps ended agents.
        type: int
      AUDIT_EXPORT_S3_BUCKET:
        description:
          - Name of the bucket to which the audit service exports. Without it, exports are off.
        type: str
  effective_environment_file:
    description:
      - File with the same variables, in the format of C(/proc/<pid>/environ) or of the output of C(env). Other variables are not read.
    type: path
  left_out:
    description:
      - Parts to leave out (V(audit), V(coordinator), V(streams) or V(backups)), each with the reason. The result lists these parts.
    type: dict
    default: {}
  set_budget:
    description:
      - Maximum age in hours of the snapshot of the newest set.
    type: float
    default: 26.0
  tail_budget:
    description:
      - Maximum age in hours of the snapshot of the newest set or checkpoint.
      - An attacker with the audit key can edit, truncate or replace the audit rows that were added after this snapshot. No check can detect
        this.
    type: float
    default: 26.0
  drill_budget:
    description:
      - Maximum age in hours of the last drill that passed.
    type: float
    default: 192.0
  export_budget:
    description:
      - Maximum number of hours since the end of the last hour that the audit service exported.
    type: float
    default: 6.0
  archive_budget:
    description:
      - Maximum number of hours since the end of the last hour that the journal records as archived. An hour without events has no
        export.
      - Without this option, the archive is not checked.
    type: float
  pending_budget:
    description:
      - Hours for which an entry of a stream may wait for acknowledgement by its consumer.
    type: float
    default: 1.0
  copy_budget:
    description:
      - Maximum age in hours of the last verification of a copy. A copy whose last verification is older does not count.
    type: float
    default: 744.0
  legal:
    description:
      - Minimum and maximum numbers of days that the law or a contract sets.
    type: dict
    suboptions:
      audit_at_least:
        description:
          - Minimum number of days for which audit events must be kept.
        type: int
      audit_at_most:
        description:
          - Maximum number of days for which audit events may be kept.
        type: int
      backups_at_least:
        description:
          - Minimum number of days before a set may be pruned.
        type: int
      backups_at_most:
        description:
          - Maximum number of days for which a set may be kept. Sets on hold are exempt.
        type: int
  break_glass_files:
    description:
      - Files with the public keys of the break-glass identities, one per line. Every encrypted object of the newest set must be encrypted
        for at least one of these keys. Each key must be a recipient of at least one object. For each identity, the journal must contain an
        C(escrow) entry from the last 400 days.
    type: list
    elements: path
    default: []
  copies:
    description:
      - Other locations with copies of the sets, and the time of the last verification of each. The module does not check the copies.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the location.
        type: str
        required: true
      verified:
        description:
          - Time when every byte of the copy was last verified, in ISO 8601 with a time zone.
        type: str
        required: true
  copies_at_least:
    description:
      - Number of other locations that must have copies of the sets.
    type: int
    default: 0
  metrics_file:
    description:
      - File for the textfile collector of node_exporter, such as C(/var/lib/node_exporter/caracal_retention.prom). Its directory must
        exist.
      - The module writes the verdict, the number of checks by verdict, and the ages of the newest set, drill, export and archive
        atomically, with mode 0644. If that fails, the verdict remains valid and the module prints a warning.
    type: path
notes:
  - The report in O(report_dir) consists of C(report.json) and C(junit.xml). The report is not signed, and the journal does not record it.
  - The module writes only O(report_dir), O(metrics_file), and O(high_water_mark), which it advances to the head of the journal.
  - No identity is needed. O(login_user) must see every row. The module fails for a role that sees only some rows because of row security.
  - If a month will soon be dropped, the module searches its rows for events that were not exported. If a search takes longer than 30
    seconds, the check is V(unproven).
seealso:
  - module: caracal_ops.backup.backup_set_info
  - module: caracal_ops.backup.audit_partition_ensure
  - module: caracal_ops.backup.restore_drill
"""

EXAMPLES = r"""
---
- name: Verify the retention of a deployment
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

- name: Verify the retention of a deployment whose streams another team monitors
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
  sample: >-
    [{"id": "retention.audit.partitions", "verdict": "pass", "message": "audit_events_y2026m11 and the partitions of the next 3 months
    exist", "required": true, "waived": false, "details": {}}]
counts:
  description: Number of checks by verdict.
  returned: always
  type: dict
  sample: {"pass": 16, "fail": 0, "warn": 2, "unproven": 0, "not_applicable": 3}
waivers:
  description: Waivers that were applied.
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
  description: Numbers of checks, findings that need attention, waivers and the verdict, one per line.
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
  description: V(fresh), or V(unproven) if this host had no high-water mark.
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
