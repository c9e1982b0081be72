#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_drill
short_description: Take one step of a restore drill
version_added: 0.1.0
description:
  - The role C(caracal_drill) plays this module once for each step, and so should you.
  - The step V(verify) begins a drill. It chooses the set, tries the keys and places of the report, and reads every stored byte of the set.
    The steps after it restore the set into a sandbox and judge the copy. V(report) writes the signed report, V(destroy) removes the
    sandbox, and V(verdict) fails unless the report says V(pass).
  - What the steps find goes from one call to the next in a file beside O(high_water_mark) with mode 0600. No variable of a play can
    change it. V(verdict) removes it.
  - A step that fails does not fail the task. Where something was compared and is different, it becomes the failed check C(drill.<step>).
    What this host could not do says nothing about the set and becomes an unproven one. Steps that need it are not taken, and the report
    says so.
  - The task fails where there can be no report, because the journal cannot be believed, a key cannot sign or seal, or another drill is at
    work in the same directory.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.progress
  - caracal_ops.backup._repository
  - caracal_ops.backup._signing
  - caracal_ops.backup._recipients
  - caracal_ops.backup._identities
  - caracal_ops.backup._judged_report
  - caracal_ops.backup._images
attributes:
  check_mode:
    support: full
    details:
      - V(verify) reads every byte of the set and tries the keys, V(sandbox) says whether a sandbox could be made, V(report) predicts the
        verdict. Nothing is restored or written but the file that goes from step to step.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Every run is another drill. A step that was taken is not taken twice.
options:
  step:
    description:
      - Which step. Those of a drill are taken in the order of the choices.
      - V(preflight) is no step of a drill. It looks at all that a drill would need on this host, reads of the set no more than who can open
        it, changes nothing, and fails with all that is wrong at once. The playbook C(doctor) asks for it.
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
      - What V(verify) returned in RV(drill). Every step but V(preflight) and V(verify) needs it. V(destroy) without it
        removes whatever was left over in O(sandbox_directory).
    type: str
  set_id:
    description:
      - The set, or V(latest), V(oldest) or V(random), as the option O(caracal_ops.backup.backup_set_info#module:select).
    type: str
    default: latest
  max_age:
    description:
      - With V(latest), V(oldest) and V(random), take a set that was made within these hours. If there is none, the task fails.
    type: float
  sandbox_directory:
    description:
      - Where the sandbox is made. One drill at a time.
    type: path
    default: /var/tmp/caracal-drill
  superuser:
    description:
      - Name of the sandbox's superuser, that of the owner of Caracal's database.
    type: str
    default: caracal
  pg_bin:
    description:
      - Folder with PostgreSQL's programs. Without it the usual folders are searched, and then the image that ran as the service C(postgres)
        when the set was made, if the set says so.
    type: path
  minimum_free_mb:
    description:
      - MiB that must be free for the sandbox. Without it, eight times the size of the sealed set, 1024 at least.
    type: int
  isolation:
    description:
      - V(required) fails if the server of the sandbox cannot be isolated with C(bubblewrap).
      - V(auto) goes on without isolation there, with a warning. Code in a restored database then runs on this host, as the server's
        user. It needs O(unisolated_reason).
    type: str
    choices: [auto, required]
    default: required
  unisolated_reason:
    description:
      - Why a sandbox without isolation is accepted. It is on the report's first page.
    type: str
    default: ""
  source_data_directory:
    description:
      - Data directory of the source cluster, if it can be on this host. A sandbox on the same file system is refused.
    type: path
  allow_shared_filesystem:
    description:
      - Accept a file system that also holds the source.
    type: bool
    default: false
  jobs:
    description:
      - How many streams of the restore run side by side, and then how many readers of a check.
    type: int
    default: 2
  release_table:
    description:
      - File with the facts of a release that this collection does not know yet.
    type: path
  schema_additions:
    description:
      - As O(caracal_ops.backup.migration_verify#module:schema_additions).
    type: list
    elements: str
    default: []
  secrets_identity_files:
    description:
      - Files with the age identities that open the secrets of the set. Without them, those of O(identity_files) are used.
    type: list
    elements: path
    default: []
  identity_files:
    description:
      - Files with the age identities of this host. V(destroy) does without.
    required: false
  audit_hmac_key_files:
    description:
      - Files with further C(AUDIT_HMAC_KEY)s of the deployment, beside those in the secrets of the set.
    type: list
    elements: path
    default: []
  audit_retention_days:
    description:
      - C(AUDIT_RETENTION_DAYS) of the deployment, where it is not the product's 365.
    type: int
  audit_clock_skew_seconds:
    description:
      - As O(caracal_ops.backup.audit_chain_verify#module:audit_clock_skew_seconds).
    type: int
    default: 300
  redis_server:
    description:
      - The program of the sandbox's Redis. Without it the usual folders are searched, and then the image that ran as the service C(redis)
        when the set was made, if the set says so.
    type: path
  services:
    description:
      - How to start each of Caracal's services. Without it the images are started that ran when the set was made, if the set says so. If
        it does not, no service starts, and the drill is V(unproven).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Which service.
        type: str
        required: true
        choices: [audit, sts, api, coordinator, gateway, web]
      image:
        description:
          - Id of an image, C(sha256:) and 64 hex digits, which it is started from. Empty for a program of this host.
        type: str
        default: ""
      reference:
        description:
          - Where a registry has the image, as C(name@sha256:...). Asked by C(skopeo), if that is installed,
            when nothing on this host has the image. The image is still the one of O(services[].image), or it is refused.
        type: str
        default: ""
      command:
        description: The program, with an absolute path, and its arguments. Without it, what the image starts.
        type: list
        elements: str
        default: []
      directory:
        description: Directory of the image that it starts in. Without it, the one that the image says.
        type: str
        default: ""
      environment:
        description:
          - More variables. They replace those that the drill sets, except variables whose values come from the set, which are refused. No
            secrets.
        type: dict
        default: {}
      readable:
        description: Files and folders that the service may see, beside its program and the system's libraries.
        type: list
        elements: path
        default: []
  production:
    description:
      - Addresses of production, as C(host:port) or as path of a Unix socket. It is proved that none can be reached from the sandbox.
    type: list
    elements: str
    default: []
  ready_timeout:
    description:
      - How many seconds each service may take to be ready.
    type: int
    default: 90
  application:
    description:
      - An application of your own for the canaries, as the option O(caracal_ops.backup.canary_exchange#module:application). Without it the
        drill makes one in the copy.
    type: dict
    default: {}
  settle_timeout:
    description:
      - How many seconds the services may take to sweep, read and send what was restored.
    type: int
    default: 90
  rto_budget:
    description:
      - Hours that the recovery may take. Adds the required check C(drill.rto).
      - The recovery time counts from the first step whose name begins with C(restore) to the end of V(canary), for by then the copy has
        served a request. If no such step was taken, it counts to the end of the drill.
    type: float
  rpo_budget:
    description:
      - Hours that the snapshot may be old when the drill begins. Adds the required check C(drill.rpo).
    type: float
  tail_budget:
    description:
      - Hours that the snapshot of the newest set or checkpoint may be old when the drill begins. Adds the required check C(audit.tail).
      - A holder of the audit key can edit, cut or replace the audit rows that came since, and no check can see it.
    type: float
    default: 26.0
  shrink_budget:
    description:
      - Percentage of its rows that a table of lasting state, such as C(resources), may lose between the set before and this one, as the
        option O(caracal_ops.backup.state_verify#module:shrink_budget). More is a failure of C(inventory.since_previous).
    type: int
    default: 50
  metrics_file:
    description:
      - File for the textfile collector of node_exporter, such as C(/var/lib/node_exporter/caracal_drill.prom). Its folder must exist.
      - The step V(report) writes verdict, causes, recovery time, recovery point, their budgets, age of the set, number of checks by
        verdict, and when a drill last passed. It writes them in one step, with mode 0644, after everything else. If that fails, the report
        stands and there is a warning.
    type: path
notes:
  - The signing key must belong to C(drill@<deployment>) in O(allowed_signers), for the namespaces C(drill@caracal-ops),
    C(journal@caracal-ops) and C(set@caracal-ops).
  - The report is stored in the repository as JSON, as a page for people and as JUnit XML. It is signed, and an entry of the journal names
    it. If the verdict is V(pass), the manifest of the set is countersigned too.
  - Details of the checks may say how much data there is. They are sealed to O(recipients) and are not in the report. The report contains
    identifiers of zones and rows only as C(id:) and a short hash, under a salt that is sealed with what each stands for.
  - A set whose manifest is missing, altered or not signed by a trusted key is reported too, with a failed check C(set.signature), as long
    as the journal names the set.
  - A drill that the set's own signer signed, or that ran on the machine that made the set, is marked as such in the report.
seealso:
  - module: caracal_ops.backup.backup_set_verify
  - module: caracal_ops.backup.pg_encrypted_restore
"""

EXAMPLES = r"""
---
- name: Prove a set without the services
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
    - name: Verify
      caracal_ops.backup.restore_drill:
        step: verify
      register: begun

    - name: Restore and judge
      caracal_ops.backup.restore_drill:
        step: "{{ item }}"
      loop: [sandbox, restore, migrations, state, secrets, evidence, keys]

    - name: Report
      caracal_ops.backup.restore_drill:
        step: report
  always:
    - name: Remove the sandbox
      caracal_ops.backup.restore_drill:
        step: destroy

- name: End as the report does
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
  description: Token of the drill and of its sandbox, for the option O(drill) of the next steps. It is no secret.
  returned: always
  type: str
  sample: drill-0123456789abcdef01
set_id:
  description: The set that is drilled.
  returned: with every O(step) but V(destroy)
  type: str
  sample: 20261125T020000Z-k3f9
checks:
  description: What this step has found. To change it changes nothing, since the report has its own.
  returned: with the steps from V(verify) to V(settle)
  type: list
  elements: dict
  sample:
    - {"id": "restore.roles", "verdict": "pass", "message": "7 role(s) and 0 membership(s) as recorded", "required": true, "details": {}}
verdict:
  description:
    - V(pass), V(fail) or V(unproven), with the waivers applied.
  returned: with O(step=report) and O(step=verdict)
  type: str
  sample: pass
drill_id:
  description: ID of the drill. Its time is when the drill began.
  returned: with O(step=report)
  type: str
  sample: 20261125T023000Z-ab12
counts:
  description: Number of checks with each verdict. Waivers change nothing here.
  returned: with O(step=report)
  type: dict
  sample: {"pass": 24, "fail": 0, "warn": 1, "unproven": 0, "not_applicable": 2}
diagnosis:
  description: Causes of what failed, the more specific ones first. Empty when nothing did.
  returned: with O(step=report)
  type: list
  elements: dict
  contains:
    id:
      description: Stable name of the cause.
      type: str
      sample: kek.wrong
    cause:
      description: What is wrong, in words.
      type: str
      sample: >-
        restored STS cannot decrypt keys: the KEK given is 1f3a5c7e9b2d4f60, the rows are sealed under 9e107d9d372bb682
    remedy:
      description: What to do.
      type: str
      sample: restore the secrets bundle of the same set
    because:
      description: Checks, metrics of the audit service and logs that show it.
      type: list
      elements: str
      sample: [envelopes.kek, canary.jwks]
separation:
  description: Whether somebody else than the set's maker judged it.
  returned: with O(step=report)
  type: dict
  contains:
    verdict:
      description: V(pass), V(warn), or V(unproven) when the set's signer is not known.
      type: str
      sample: pass
    message:
      description: Who made the set and who judged it.
      type: str
      sample: set made on pg-1 by backup@prod, drilled elsewhere with another key
freshness:
  description: V(fresh), or V(unproven) when this host had no high-water mark.
  returned: with O(step=report)
  type: str
  sample: fresh
seconds:
  description: How long the drill took, from its beginning to this report.
  returned: with O(step=report)
  type: float
  sample: 63.2
rto_seconds:
  description: Upper bound of the recovery time, or null when no step is a restore or the copy is not what it should be.
  returned: with O(step=report)
  type: float
  sample: 59.4
rpo_seconds:
  description: Age of the snapshot when the drill began, or null when the manifest cannot be read.
  returned: with O(step=report)
  type: float
  sample: 1800.0
budgets:
  description: Seconds of O(rto_budget), O(rpo_budget) and O(tail_budget), null where there is none.
  returned: with O(step=report)
  type: dict
  sample: {"rto_seconds": 3600.0, "rpo_seconds": 93600.0, "tail_seconds": 93600.0}
report:
  description: Where the files of the report are.
  returned: with O(step=report)
  type: dict
  contains:
    files:
      description: Keys of the files in the repository.
      type: list
      elements: str
      sample: [drills/20261125T023000Z-ab12/report.json]
    html:
      description: Path of the page, the copy in O(report_dir) if there is one.
      type: str
      sample: /var/lib/caracal-ops/reports/20261125T023000Z-ab12/report.html
    sha256:
      description: SHA-256 of C(report.json), as the journal names it.
      type: str
      sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
countersigned:
  description: Whether the set's manifest bears a signature of this drill. V(false) in check mode, which signs nothing.
  returned: with O(step=report)
  type: bool
  sample: true
journal_head:
  description: Number and first 16 hex digits of the newest journal entry. Keep it elsewhere; it makes a rollback visible.
  returned: with O(step=report)
  type: str
  sample: 43-2c26b46b68ffc68f
summary_lines:
  description: The report in at most twenty lines for the console. The last one is the verdict.
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
