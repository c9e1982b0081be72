#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback_info
short_description: List changes that a restore has lost or would lose
version_added: 0.1.0
description:
  - A restore returns the database to an older state. Revoked sessions, grants and tokens are valid again, replaced secrets are active
    again, and used approvals can be used again. Delegation epochs are lower, and audit events are missing.
  - Compares Caracal's restored database with the former database, which M(caracal_ops.backup.pg_encrypted_restore) keeps under another
    name. For each category of changes, it returns the number of affected rows, examples of rows and the recommended action.
  - Run the module before any service starts on the restored database. To list the changes before a restore, you can also compare a restored
    sandbox with the live database.
  - Reads both databases in key order and needs little memory. Secrets, hashes and tokens leave the servers only as digests, and those
    digests are not in the result.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.read_only
  - caracal_ops.backup._postgres
options:
  database:
    description:
      - Name of the restored database.
    type: str
    default: caracal
  former_database:
    description:
      - Name of the former database, such as C(caracal_replaced_20261125031500). It is on the same server unless O(former_login_host) or
        O(former_login_unix_socket) names another server.
    type: str
  former_login_host:
    description:
      - Host of the former database's server. The TLS options of O(login_host) apply to it too.
    type: str
    default: ''
  former_login_port:
    description:
      - Port of the former database's server.
    type: int
    default: 5432
  former_login_user:
    description:
      - Role to log in as on the former database's server.
    type: str
    default: caracal
  former_login_password_file:
    description:
      - File whose only line is the password of O(former_login_user). A file that group or others can read is refused.
    type: path
  former_login_unix_socket:
    description:
      - Directory of the Unix socket of the former database's server.
    type: str
    default: ''
  since:
    description:
      - Time of the restored set's snapshot, in ISO 8601 with a time zone. If the former database is lost or cannot be read, all changes
        after that time may be lost. The result states this for each category. Required without O(former_database).
    type: str
notes:
  - The module does not report rows that are newer in the restored database than in the former one.
  - A category of RV(rollback) is compared only if both databases have its tables. RV(problems) names the missing tables.
requirements:
  - psycopg2 >= 2.9
seealso:
  - module: caracal_ops.backup.pg_encrypted_restore
  - module: caracal_ops.backup.outbox_reopen
"""

EXAMPLES = r"""
---
- name: List changes that the restore has lost
  caracal_ops.backup.rollback_info:
    login_host: db.internal
    login_password_file: /srv/restore/db_password
    former_database: caracal_replaced_20261125031500
  register: taken

- name: Show the categories that need action
  ansible.builtin.debug:
    msg: "{{ taken.rollback | rejectattr('count', 'eq', 0) }}"

- name: List changes that may be lost if the former database does not exist
  caracal_ops.backup.rollback_info:
    login_host: db-new.internal
    login_password_file: /srv/restore/db_password
    since: "2026-11-25T02:16:44Z"
"""

RETURN = r"""
complete:
  description: V(true) if every category was compared. If not, RV(problems) gives the reasons.
  returned: always
  type: bool
  sample: true
problems:
  description: Reasons why categories could not be compared.
  returned: always
  type: list
  elements: str
  sample: []
rollback:
  description: Results for the categories of this release family.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: ID of the category.
      returned: always
      type: str
      sample: revoked.grants
    words:
      description: Explanation of RV(rollback[].count).
      returned: always
      type: str
      sample: grants that were revoked or deleted are active again
    remedy:
      description: Recommended action if the count is not 0.
      returned: always
      type: str
      sample: delete them again at the API
    count:
      description: Number of affected rows. 0 if both databases agree, null if they could not be compared.
      returned: always
      type: int
      sample: 2
    examples:
      description: IDs of at most 20 affected rows. If the category compares numbers, each ID has the restored and the former value.
      returned: always
      type: list
      elements: str
      sample: [019c6a2e-7c1b-7d0a-9f3e-5b1f0c2d3e4f]
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._checks.rollback_info import Options
from ..module_utils._checks.rollback_info import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
