#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: migration_verify
short_description: Compare the database schema of a Caracal deployment with the schema of its release
version_added: 0.1.0
description:
  - Determines the release of the databases, and compares the databases with the result of that release's migrations. The comparison covers
    migrations, tables, columns, constraints, indexes, triggers, row security, grants, functions, roles, owners and audit partitions.
  - The comparison includes all of Caracal's own migration checks, and more. Unlike these checks, the module writes nothing and creates no
    role, so you can run it on a restored copy and on production. Each database is read in one transaction.
  - If the collection does not know the release, the verdict is V(unproven), and the result contains the differences from the nearest known
    release. To verify such a release, see O(release_table).
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
      - Name of the database with the users of the console. Releases since v2026.06.25-rc.1 have this database.
    type: str
    default: caracal_auth
  release_table:
    description:
      - File with the release table of a release that this collection does not know yet. A release table describes the databases of a
        release. Create the file with O(describe). The file must be on the host on which the module runs.
    type: path
  schema_additions:
    description:
      - Names of your own objects, rights and settings in the databases, as the checks print them, such as V(table reports) or V(index
        zones.by_slug). The checks then accept these additions.
    type: list
    elements: str
    default: []
  describe:
    description:
      - Name of a release. RV(table) is then a release table of these databases, for O(release_table). Use this option only on databases
        that the migrations of an official release have just created.
    type: str
  require_valid:
    description:
      - Whether to fail unless the verdict is V(pass).
    type: bool
    default: true
notes:
  - The module runs no PostgreSQL programs, so O(pg_bin) has no effect here.
seealso:
  - module: caracal_ops.backup.state_verify
  - module: caracal_ops.backup.audit_partition_ensure
"""

EXAMPLES = r"""
---
- name: Compare a restored copy with the migrations of its release
  caracal_ops.backup.migration_verify:
    sandbox: /var/tmp/drill

- name: Create the release table of a newer release
  caracal_ops.backup.migration_verify:
    login_host: empty.example.com
    describe: v1.1.0
    require_valid: false
  register: fresh

- name: Save the release table in a file
  ansible.builtin.copy:
    content: "{{ fresh.table | to_nice_json }}"
    dest: /etc/caracal-ops/v1.1.0.json
    mode: "0644"

- name: Verify production with the saved release table
  caracal_ops.backup.migration_verify:
    login_host: db.example.com
    login_user: caracal
    login_password_file: /etc/caracal-ops/db.password
    release_table: /etc/caracal-ops/v1.1.0.json

- name: Accept a table and an index of your own
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
    - The guide on migrations lists all checks. The details contain the first 50 differences.
  returned: always
  type: list
  elements: dict
  sample: [{"id": "migrations.versions", "verdict": "pass", "message": "exactly the 3 migrations of v1.0.0", "required": true,
    "details": {"missing": [], "unknown": []}}]
release:
  description: Release of the databases. Null if the release is not known.
  returned: always
  type: str
  sample: v1.0.0
nearest:
  description: The release that the databases were compared with.
  returned: always
  type: str
  sample: v1.0.0
family:
  description: Release family of RV(nearest), V(zone_kek) or V(secret_store).
  returned: always
  type: str
  sample: secret_store
table:
  description:
    - Release table that describes the databases. Null without O(describe).
    - It contains C(release), C(family), C(migrations) as in the table C(schema_migrations), and C(roles) of the services. C(databases)
      contains the facts of each database as a list of strings. The guide on migrations explains the format of a fact.
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
