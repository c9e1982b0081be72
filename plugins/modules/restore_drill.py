#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_drill
short_description: Run one step of a restore drill
version_added: 0.1.0
description:
  - Run this module once for each step, as the role C(caracal_drill) does.
  - The step V(verify) begins a drill. It selects the set, tests the keys and locations of the report, and reads every stored byte of the
    set. The next steps restore the set into a sandbox and verify the copy. V(report) writes the signed report and V(destroy) removes the
    sandbox. V(verdict) fails unless the verdict of the report is V(pass).
  - The module stores the results of the steps in a file next to O(high_water_mark), with mode 0600. Variables of a play cannot change this
    file. V(verdict) removes the file.
  - A step that fails does not fail the task. If the error is a fault of the set, the check C(drill.<step>) is V(fail). If this host could
    not perform the step, nothing is known about the set, and this check is V(unproven). Steps that depend on it are skipped, and the report
    states this.
  - The task fails if no report is possible. Possible reasons are an untrusted journal, a key that cannot sign or encrypt, and
    another drill that is running in the same directory.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.progress
  - caracal_ops.backup._repository
  - caracal_ops.backup._signing
  - caracal_ops.backup._recipients
  - caracal_ops.backup._identities
  - caracal_ops.backup._report_verdict
  - caracal_ops.backup._images
attributes:
  check_mode:
    support: full
    details:
      - V(verify) reads every byte of the set and tests the keys. V(sandbox) reports whether a sandbox could be created. V(report) predicts
        the verdict. Nothing is restored, and only the file with the results of the steps is written.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Every run of V(verify) begins a new drill. Within a drill, each step runs only once.
options:
  step:
    description:
      - Name of the step. The steps of a drill are run in the order of the choices.
      - V(preflight) is not a step of a drill. It checks all prerequisites of a drill on this host. It changes nothing. If there are
        problems, it fails and reports all of them at once.
      - V(preflight) reads only the manifest and the headers of the artifacts, to find out which identities can decrypt the set.
      - The playbook C(doctor) uses the step V(preflight).
    type: str
    required: true
    choices:
      - preflight
      - verify
      - sandbox
      - restore
      - migrations
      - state
      - secrets
      - evidence
      - keys
      - prepare
      - services
      - canary
      - settle
      - report
      - destroy
      - verdict
  drill:
    description:
      - Token that V(verify) returned in RV(drill). Every step after V(verify) needs this token. Only V(destroy) also works without it, and
        then removes all remains of drills in O(sandbox_directory).
    type: str
  set_id:
    description:
      - ID of the set, or V(latest), V(oldest) or V(random), as in O(caracal_ops.backup.backup_set_info#module:select).
    type: str
    default: latest
  max_age:
    description:
      - Maximum age in hours of the set for V(latest), V(oldest) and V(random). If there is no such set, the task fails.
    type: float
  sandbox_directory:
    description:
      - Directory in which the sandbox is created. Only one drill can use it at a time.
    type: path
    default: /var/tmp/caracal-drill
  superuser:
    description:
      - Name of the superuser of the sandbox. Use the name of the owner of Caracal's database.
    type: str
    default: caracal
  pg_bin:
    description:
      - Directory with PostgreSQL's programs. Without this option, the drill searches the usual directories. If it finds no suitable
        programs there, it uses the image that the set records for the service C(postgres).
    type: path
  minimum_free_mb:
    description:
      - Free space in MiB that the sandbox requires. The default is eight times the size of the encrypted set, and at least 1024.
    type: int
  isolation:
    description:
      - How strictly the server of the sandbox must be isolated. With V(required), nothing is restored if C(bubblewrap) cannot isolate the
        server, and the drill is V(unproven).
      - With V(auto), the drill continues without isolation in that case, with a warning. Code in a restored database then runs on this host
        as the user of the server. V(auto) needs O(unisolated_reason).
    type: str
    choices: [auto, required]
    default: required
  unisolated_reason:
    description:
      - Reason why a sandbox without isolation is accepted. It is on the first page of the report.
    type: str
    default: ""
  source_data_directory:
    description:
      - Data directory of the source cluster, if the cluster may be on this host. A sandbox on the same file system is refused.
    type: path
  allow_shared_filesystem:
    description:
      - Whether to accept a file system that also contains the source.
    type: bool
    default: false
  jobs:
    description:
      - Number of parallel streams of the restore, and of parallel workers of a check.
    type: int
    default: 2
  release_table:
    description:
      - File with the release table of a release that this collection does not know yet, as in
        O(caracal_ops.backup.migration_verify#module:release_table).
    type: path
  schema_additions:
    description:
      - Names of your own objects in the databases, as in O(caracal_ops.backup.migration_verify#module:schema_additions).
    type: list
    elements: str
    default: []
  secrets_identity_files:
    description:
      - Files with the age identities that decrypt the secrets of the set. The default is O(identity_files).
    type: list
    elements: path
    default: []
  identity_files:
    description:
      - Files with the age identities of this host. V(destroy) does not need them.
    required: false
  audit_hmac_key_files:
    description:
      - Files with further values of C(AUDIT_HMAC_KEY) of the deployment, in addition to the keys in the secrets of the set.
    type: list
    elements: path
    default: []
  audit_retention_days:
    description:
      - Value of C(AUDIT_RETENTION_DAYS) of the deployment, if it is not the product's default of 365.
    type: int
  audit_clock_skew_seconds:
    description:
      - Tolerated clock skew in seconds, as in O(caracal_ops.backup.audit_chain_verify#module:audit_clock_skew_seconds).
    type: int
    default: 300
  redis_server:
    description:
      - Path of the C(redis-server) program for the sandbox. Without this option, the drill searches the usual directories. If it does not
        find the program there, it uses the image that the set records for the service C(redis).
    type: path
  services:
    description:
      - How to start each of Caracal's services. Without this option, the drill starts the images that ran when the set was created, if the
        set records them. If the set does not record the images, no service starts, and the drill is V(unproven).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the service.
        type: str
        required: true
        choices: [audit, sts, api, coordinator, gateway, web]
      image:
        description:
          - ID of the image to start, C(sha256:) and 64 hex digits. Empty for a program of this host.
        type: str
        default: ""
      reference:
        description:
          - Address of the image in a registry, as C(name@sha256:...). If neither the set nor this host has the image and C(skopeo) is
            installed, the drill downloads the image from this address. An image that differs from O(services[].image) is refused.
        type: str
        default: ""
      command:
        description: Program with an absolute path, and its arguments. The default is the command of the image.
        type: list
        elements: str
        default: []
      directory:
        description: Directory in the image in which the service starts. The default is the working directory of the image.
        type: str
        default: ""
      environment:
        description:
          - Additional environment variables. They override variables that the drill sets. A variable whose value comes from the set is
            refused. Do not pass secrets here.
        type: dict
        default: {}
      readable:
        description: Files and directories that the service may read, in addition to its program and the system's libraries.
        type: list
        elements: path
        default: []
  production:
    description:
      - Addresses of production, as C(host:port) or as path of a Unix socket. The drill proves that the sandbox cannot reach any of them.
    type: list
    elements: str
    default: []
  ready_timeout:
    description:
      - Seconds that each service may take to become ready.
    type: int
    default: 90
  application:
    description:
      - An application of your own for the canary requests, as in O(caracal_ops.backup.canary_exchange#module:application). Without it, the
        drill creates one in the copy.
    type: dict
    default: {}
  settle_timeout:
    description:
      - Seconds that the services may take to process the restored backlog.
    type: int
    default: 90
  rto_budget:
    description:
      - Hours that the recovery may take. Adds the required check C(drill.rto).
      - The recovery time begins with the step V(restore). It ends with the step V(canary), because the copy has then served a request. If
        V(canary) was not run, the recovery time ends with the drill.
    type: float
  rpo_budget:
    description:
      - Maximum age in hours of the snapshot when the drill begins. Adds the required check C(drill.rpo).
    type: float
  tail_budget:
    description:
      - Maximum age in hours of the snapshot of the newest set or checkpoint when the drill begins. Adds the required check C(audit.tail).
      - An attacker with the audit key can edit, truncate or replace the audit rows that were added after this snapshot. No check can detect
        this.
    type: float
    default: 26.0
  shrink_budget:
    description:
      - Percentage of rows that a table with long-lived state, such as C(resources), may lose since the previous set, as in
        O(caracal_ops.backup.state_verify#module:shrink_budget). If a table loses more, C(inventory.since_previous) fails.
    type: int
    default: 50
  metrics_file:
    description:
      - File for the textfile collector of node_exporter, such as C(/var/lib/node_exporter/caracal_drill.prom). Its directory must exist.
      - The step V(report) writes the verdict, causes, recovery time, recovery point and their budgets. It also writes the age of the set,
        the number of checks by verdict, and the time of the last drill that passed.
      - It writes the file last, atomically and with mode 0644. If writing fails, the report remains valid and the module prints a warning.
    type: path
notes:
  - The signing key must belong to C(drill@<deployment>) in O(allowed_signers), for the namespaces C(drill@caracal-ops),
    C(journal@caracal-ops) and C(set@caracal-ops).
  - The report is stored in the repository as JSON, as an HTML page and as JUnit XML. It is signed, and a journal entry names it. If the
    verdict is V(pass), the manifest of the set is countersigned too.
  - Details of the checks may reveal the amount of data. These details are encrypted for O(recipients) and are not in the report. The report
    contains identifiers of zones and rows only as C(id:) and a short salted hash. The salt is encrypted together with the identifiers.
  - If the manifest of a set is missing, altered or not signed by a trusted key, the check C(set.signature) fails. The drill still writes a
    report, provided that the journal names the set.
  - The report marks a drill that was signed by the signer of the set, or that ran on the machine that created the set.
seealso:
  - module: caracal_ops.backup.backup_set_verify
  - module: caracal_ops.backup.pg_encrypted_restore
"""

EXAMPLES = r"""
---
- name: Run a drill without services
  module_defaults:
    caracal_ops.backup.restore_drill:
      repository: /srv/backup/caracal
      deployment: prod
      signing_key: /etc/caracal-ops/drill_signing_key
      allowed_signers: /etc/caracal-ops/allowed_signers
      high_water_mark: /var/lib/caracal-ops/high-water-mark.json
      identity_files:
        - /etc/caracal-ops/identities/drill.identity
      recipients_files:
        - /etc/caracal-ops/details.recipients
      drill: "{{ begun.drill | default(omit) }}"
  block:
    - name: Verify the set
      caracal_ops.backup.restore_drill:
        step: verify
      register: begun

    - name: Restore and verify the copy
      caracal_ops.backup.restore_drill:
        step: "{{ item }}"
      loop: [sandbox, restore, migrations, state, secrets, evidence, keys]

    - name: Write the report
      caracal_ops.backup.restore_drill:
        step: report
  always:
    - name: Remove the sandbox
      caracal_ops.backup.restore_drill:
        step: destroy

- name: Fail unless the drill passed
  caracal_ops.backup.restore_drill:
    step: verdict
    drill: "{{ begun.drill }}"
    sandbox_directory: /var/tmp/caracal-drill
    repository: /srv/backup/caracal
    deployment: prod
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
"""

RETURN = r"""
drill:
  description: Token of the drill and of its sandbox, for the option O(drill) of the next steps. It is not secret.
  returned: always
  type: str
  sample: drill-0123456789abcdef01
set_id:
  description: ID of the set of the drill.
  returned: with every O(step) but V(destroy)
  type: str
  sample: 20261125T020000Z-k3f9
checks:
  description: >-
    Results of this step. If a play changes them, the report does not change, because it uses the results that the module has stored.
  returned: with the steps from V(verify) to V(settle)
  type: list
  elements: dict
  sample:
    - {"id": "restore.roles", "verdict": "pass", "message": "7 role(s) and 0 membership(s) match the set", "required": true, "details":
      {}}
verdict:
  description:
    - V(pass), V(fail) or V(unproven), with the waivers applied.
  returned: with O(step=report) and O(step=verdict)
  type: str
  sample: pass
drill_id:
  description: ID of the drill. It contains the start time of the drill.
  returned: with O(step=report)
  type: str
  sample: 20261125T023000Z-ab12
counts:
  description: Number of checks with each verdict. Waivers do not change these numbers.
  returned: with O(step=report)
  type: dict
  sample: {"pass": 24, "fail": 0, "warn": 1, "unproven": 0, "not_applicable": 2}
diagnosis:
  description: Causes of the failures, the more specific ones first. Empty if nothing failed.
  returned: with O(step=report)
  type: list
  elements: dict
  contains:
    id:
      description: Stable ID of the cause.
      type: str
      sample: kek.wrong
    cause:
      description: Description of the cause.
      type: str
      sample: >-
        restored STS cannot decrypt keys: the given KEK is 1f3a5c7e9b2d4f60, but the rows are sealed under 9e107d9d372bb682
    remedy:
      description: Recommended action.
      type: str
      sample: restore the secrets bundle of the same set
    because:
      description: Checks, metrics of the audit service and logs that support this cause.
      type: list
      elements: str
      sample: [envelopes.kek, canary.jwks]
separation:
  description: Result of the check that the drill is independent of the creator of the set.
  returned: with O(step=report)
  type: dict
  contains:
    verdict:
      description: V(pass), V(warn), or V(unproven) if the signer of the set is not known.
      type: str
      sample: pass
    message:
      description: Signers of the set and of the drill.
      type: str
      sample: set created on pg-1 by backup@prod, drilled on another host with another key
freshness:
  description: V(fresh), or V(unproven) if this host had no high-water mark.
  returned: with O(step=report)
  type: str
  sample: fresh
seconds:
  description: Duration of the drill in seconds, from its beginning to this report.
  returned: with O(step=report)
  type: float
  sample: 63.2
rto_seconds:
  description: Upper bound of the recovery time. Null if V(restore) was not run, or if the verdict without the budgets is not V(pass).
  returned: with O(step=report)
  type: float
  sample: 59.4
rpo_seconds:
  description: Age of the snapshot when the drill began. Null if the manifest cannot be read.
  returned: with O(step=report)
  type: float
  sample: 1800.0
budgets:
  description: Values of O(rto_budget), O(rpo_budget) and O(tail_budget) in seconds. Null for a budget that is not set.
  returned: with O(step=report)
  type: dict
  sample: {"rto_seconds": 3600.0, "rpo_seconds": 93600.0, "tail_seconds": 93600.0}
report:
  description: Location of the files of the report.
  returned: with O(step=report)
  type: dict
  contains:
    files:
      description: Keys of the files in the repository.
      type: list
      elements: str
      sample: [drills/20261125T023000Z-ab12/report.json]
    html:
      description: Path of the HTML page. This is the copy in O(report_dir) if there is one.
      type: str
      sample: /var/lib/caracal-ops/reports/20261125T023000Z-ab12/report.html
    sha256:
      description: SHA-256 of C(report.json), as in the journal.
      type: str
      sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
countersigned:
  description: V(true) if this drill has signed the manifest of the set. V(false) in check mode, which signs nothing.
  returned: with O(step=report)
  type: bool
  sample: true
journal_head:
  description: Number and first 16 hex digits of the newest journal entry. Store it elsewhere to detect a rollback of the repository.
  returned: with O(step=report)
  type: str
  sample: 43-2c26b46b68ffc68f
summary_lines:
  description: The report in at most twenty lines for the console. The last line is the verdict.
  returned: with O(step=report)
  type: list
  elements: str
  sample: ["drill           20261125T023000Z-ab12 of deployment prod, 1 min 3 s", "verdict: pass"]
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._drill.engine import Options
from ..module_utils._drill.engine import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
