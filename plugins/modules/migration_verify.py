#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: migration_verify
short_description: Compare the schema of a Caracal deployment with its release
version_added: 0.1.0
description:
  - Finds out which release the databases belong to, and compares migrations, tables, columns, constraints, indexes, triggers, row
    security, grants, functions, roles, owners and audit partitions with what the migrations of that release leave behind.
  - It covers what Caracal's own migration checks look at, and more. Unlike those it writes nothing and makes no role, so it may run on
    a restored copy and on production. Each database is read in one transaction.
  - A release that this collection does not know is V(unproven), with the difference to the nearest one; see O(release_table).
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.read_only
  - caracal_ops.backup._postgres
  - caracal_ops.backup._sandbox
options:
  database:
    description:
      - Name of Caracal's own database.
    type: str
    default: caracal
  auth_database:
    description:
      - Name of the database of the console's users, which releases from v2026.06.25-rc.1 on keep.
    type: str
    default: caracal_auth
  release_table:
    description:
      - File with the table of a release that this collection does not know yet, made with O(describe). It lies on the host where the
        module runs.
    type: path
  schema_additions:
    description:
      - Names of your own objects, rights and settings in the databases, as the checks name them, for example V(table reports) or
        V(index zones.by_slug). They are then expected.
    type: list
    elements: str
    default: []
  describe:
    description:
      - Name of a release. RV(table) then says what the databases are, as a table of that release, for O(release_table). Only a fresh
        migration of an official release is worth describing.
    type: str
  require_valid:
    description:
      - Fail unless the verdict is V(pass).
    type: bool
    default: true
notes:
  - The module runs no program of PostgreSQL, so O(pg_bin) has no effect here.
seealso:
  - module: caracal_ops.backup.state_verify
  - module: caracal_ops.backup.audit_partition_ensure
"""

EXAMPLES = r"""
---
- name: Is the restored copy what the migrations of its release leave behind?
  caracal_ops.backup.migration_verify:
    sandbox: /var/tmp/drill

- name: Describe a fresh migration of a newer release
  caracal_ops.backup.migration_verify:
    login_host: empty.example.com
    describe: v1.1.0
    require_valid: false
  register: fresh

- name: Keep that as a table
  ansible.builtin.copy:
    content: "{{ fresh.table | to_nice_json }}"
    dest: /etc/caracal-ops/v1.1.0.json
    mode: "0644"

- name: Verify production against it
  caracal_ops.backup.migration_verify:
    login_host: db.example.com
    login_user: caracal
    login_password_file: /etc/caracal-ops/db.password
    release_table: /etc/caracal-ops/v1.1.0.json

- name: Expect a table and an index of your own
  caracal_ops.backup.migration_verify:
    sandbox: /var/tmp/drill
    schema_additions:
      - table reports
      - index zones.by_slug
"""

RETURN = r"""
verdict:
  description: V(pass), V(fail) or V(unproven).
  returned: always
  type: str
  sample: pass
checks:
  description:
    - Each check with its verdict, in the form that M(caracal_ops.backup.backup_set_verify) returns.
    - The guide on migrations lists all of them. The details hold the first 50 differences.
  returned: always
  type: list
  elements: dict
  sample: [{"id": "migrations.versions", "verdict": "pass", "message": "3 migrations, exactly those of v1.0.0", "required": true,
    "details": {"missing": [], "unknown": []}}]
release:
  description: The release, or none for one that is not known.
  returned: always
  type: str
  sample: v1.0.0
nearest:
  description: The release that was compared with.
  returned: always
  type: str
  sample: v1.0.0
family:
  description: V(zone_kek) or V(secret_store), of the release that was compared with.
  returned: always
  type: str
  sample: secret_store
table:
  description:
    - The databases as the table of a release, or none without O(describe).
    - C(release), C(family), C(migrations) as in C(schema_migrations), C(roles) of the services, and for each of C(databases) its facts,
      one text each. The guide on migrations says what a fact looks like.
  returned: always
  type: dict
  sample: {"release": "v1.1.0", "family": "secret_store", "migrations": ["0001_baseline"], "roles": ["caracalapi"],
    "databases": {"caracal": ["column zones id: text not null"]}}
seconds:
  description: Duration in seconds.
  returned: always
  type: float
  sample: 0.3
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._checks.migration_verify import Options
from ..module_utils._checks.migration_verify import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
