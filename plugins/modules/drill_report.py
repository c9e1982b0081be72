#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drill_report
short_description: Write the signed report of a restore drill
version_added: 0.1.0
description:
  - Puts what the other modules found into one report, as JSON, as a page for people, and as JUnit XML, and stores it in the repository.
  - The report is signed and named by an entry of the journal. When the verdict is V(pass), the set's manifest is countersigned too.
  - Details of the checks may say how much data there is. They are sealed to O(recipients) and are not in the report. Identifiers of
    zones and rows are in the report only as C(id:) and a short hash, under a salt that is sealed with what each stands for.
  - Names the cause of what failed and the remedy, from the checks and from O(log_files).
  - A set whose manifest is missing, altered or signed by nobody known is reported too, with a failed check C(set.signature), as long as
    the journal names the set.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._repository
  - caracal_ops.backup._signing
  - caracal_ops.backup._recipients
  - caracal_ops.backup._identities
  - caracal_ops.backup._judged_report
attributes:
  check_mode:
    support: full
    details:
      - Makes every check, tries the signing key, and predicts the verdict. C(drill_id) and C(journal_head) will be others.
  diff_mode:
    support: none
  idempotent:
    support: none
    details:
      - Every run reports another drill.
options:
  set_id:
    description:
      - The set that was restored.
    type: str
    required: true
  started:
    description:
      - When the drill began, in ISO 8601. Without an offset it is UTC.
    type: str
    required: true
  checks:
    description:
      - What was found, as the modules that verify return it in C(checks).
      - Each has C(id), a stable name in parts with dots between them; C(verdict), one of V(pass), V(fail), V(warn), V(unproven) and
        V(not_applicable); and C(message), what was found, for people. It may have C(required), whether the verdict of the drill
        depends on it (default V(true)), and C(details), which are sealed.
    type: list
    elements: dict
    required: true
  steps:
    description:
      - The steps of the drill, in the order in which they ran.
      - The recovery time counts from the first step whose name begins with C(restore) to the end of the last one whose name begins with
        C(canary), for by then the copy has served a request. Without such a step it counts to the end of the drill.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - What was done.
        type: str
        required: true
      seconds:
        description:
          - How long it took.
        type: float
        required: true
      bytes:
        description:
          - How many bytes went through, where that means something.
        type: int
      started:
        description:
          - When it began, as O(started). Without it the step began when the one before ended.
        type: str
  rto_budget:
    description:
      - Hours that the recovery may take. Adds the required check C(drill.rto).
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
  rollback:
    description:
      - What a restore of this set takes back, as M(caracal_ops.backup.rollback_info) returns it in C(rollback).
    type: list
    elements: dict
  log_files:
    description:
      - Log file of each service by its name, for the diagnosis. The last 256 KiB of each are searched for the signatures of known
        problems, and nothing of them is shown. A file that is not there counts as empty.
    type: dict
    default: {}
  identity_files:
    description:
      - Identities of this host, whose public halves the report names as the recipients that were proved. They are tried on the headers
        of the set's objects and open nothing else.
    required: false
  sandbox:
    description:
      - What M(caracal_ops.backup.postgres_sandbox) returned in C(sandbox).
      - Its C(isolation), C(protection) and C(server_version) are in the report, the rest is sealed.
    type: dict
    default: {}
  metrics_file:
    description:
      - File for the textfile collector of node_exporter, such as C(/var/lib/node_exporter/caracal_drill.prom). Its folder must exist.
      - Verdict, causes, recovery time, recovery point, their budgets, age of the set, number of checks by verdict, and when a drill
        last passed are written there in one step, with mode 0644, after everything else. When that fails, the report
        stands and there is a warning.
    type: path
notes:
  - The signing key must belong to C(drill@<deployment>) in O(allowed_signers), for the namespaces C(drill@caracal-ops),
    C(journal@caracal-ops) and C(set@caracal-ops).
  - A drill that the set's own signer signed, or that ran on the machine that made the set, is marked as such in the report.
seealso:
  - module: caracal_ops.backup.backup_set_verify
  - module: caracal_ops.backup.state_verify
  - module: caracal_ops.backup.postgres_sandbox
"""

EXAMPLES = r"""
---
- name: Report the drill
  caracal_ops.backup.drill_report:
    set_id: "{{ verified.set_id }}"
    started: "{{ drill_started }}"
    checks: "{{ verified.checks + restored.checks + state.checks }}"
    steps:
      - name: verify set
        seconds: "{{ verified.seconds }}"
      - name: restore
        started: "{{ restore_started }}"
        seconds: "{{ restored.seconds }}"
        bytes: "{{ restored.databases | map(attribute='bytes') | sum }}"
      - name: verify state
        seconds: "{{ state.seconds }}"
    sandbox: "{{ made.sandbox }}"
    rto_budget: 1
    rpo_budget: 26
    identity_files:
      - /etc/caracal-ops/identities/drill.identity
    waivers:
      - check: sandbox.isolation
        reason: The kernel of drill-2 is upgraded in December, OPS-4711.
        expires: "2026-12-31"
    recipients_files:
      - /etc/caracal-ops/details.recipients
    report_dir: /var/lib/caracal-ops/reports
    repository: /srv/backup/caracal
    deployment: prod
    signing_key: /etc/caracal-ops/drill_signing_key
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
  register: reported

- name: Show it
  ansible.builtin.debug:
    var: reported.summary_lines
"""

RETURN = r"""
drill_id:
  description: ID of the drill. Its time is that of O(started).
  returned: always
  type: str
  sample: 20261125T023000Z-ab12
set_id:
  description: The set that was restored.
  returned: always
  type: str
  sample: 20261125T020000Z-k3f9
verdict:
  description: V(pass), V(fail) or V(unproven), with the waivers applied.
  returned: always
  type: str
  sample: pass
counts:
  description: Number of checks with each verdict. Waivers change nothing here.
  returned: always
  type: dict
  sample: {"pass": 24, "fail": 0, "warn": 1, "unproven": 0, "not_applicable": 2}
diagnosis:
  description: Causes of what failed, the more specific ones first. Empty when nothing did.
  returned: always
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
  returned: always
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
  returned: always
  type: str
  sample: fresh
seconds:
  description: How long the drill took, from O(started) to this report.
  returned: always
  type: float
  sample: 63.2
rto_seconds:
  description: Upper bound of the recovery time, or null when no step is a restore or the copy is not what it should be.
  returned: always
  type: float
  sample: 59.4
rpo_seconds:
  description: Age of the snapshot when the drill began, or null when the manifest cannot be read.
  returned: always
  type: float
  sample: 1800.0
budgets:
  description: Seconds of O(rto_budget), O(rpo_budget) and O(tail_budget), null where there is none.
  returned: always
  type: dict
  sample: {"rto_seconds": 3600.0, "rpo_seconds": 93600.0, "tail_seconds": 93600.0}
report:
  description: Where the files of the report are.
  returned: always
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
  returned: always
  type: bool
  sample: true
journal_head:
  description: Number and first 16 hex digits of the newest journal entry. Keep it elsewhere; it makes a rollback visible.
  returned: always
  type: str
  sample: 43-2c26b46b68ffc68f
summary_lines:
  description: The report in at most twenty lines for the console. The last one is the verdict.
  returned: always
  type: list
  elements: str
  sample: ["drill           20261125T023000Z-ab12 of deployment prod, 1 min 3 s", "verdict: pass"]
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._drill.drill_report import argument_spec
from ..module_utils._drill.drill_report import run as use_case


def main() -> None:
    run(argument_spec(), use_case)


if __name__ == "__main__":
    main()
