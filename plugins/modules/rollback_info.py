#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback_info
short_description: What a restore takes back
version_added: 0.1.0
description:
  - A restore brings back an older state, in which revoked sessions, grants and tokens are valid again, replaced secrets are back, used
    approvals can be used again, epochs are lower and audit events are gone.
  - Compares Caracal's database with the former one, which M(caracal_ops.backup.pg_encrypted_restore) keeps under another name, and says
    for each category how many rows are concerned, which, and what to do.
  - Run it before any service starts on the restored database. It can also compare a restored sandbox with the database that still runs,
    to know beforehand.
  - Reads both databases in the order of their keys and needs little memory. No secret, hash or token leaves the servers but digests of
    them, and none of those is in the result.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._attributes.read_only
  - caracal_ops.backup._postgres
options:
  database:
    description:
      - The restored database.
    type: str
    default: caracal
  former_database:
    description:
      - The database as it was, such as C(caracal_replaced_20261125031500), on the same server unless O(former_login_host) or
        O(former_login_unix_socket) names another.
    type: str
  former_login_host:
    description:
      - Host of the former database's server. The options of TLS are those of O(login_host).
    type: str
    default: ''
  former_login_port:
    description:
      - Port of that server.
    type: int
    default: 5432
  former_login_user:
    description:
      - Role to log in as there.
    type: str
    default: caracal
  former_login_password_file:
    description:
      - File whose only line is the password of O(former_login_user). One that group or others can read is refused.
    type: path
  former_login_unix_socket:
    description:
      - Directory of that server's unix socket.
    type: str
    default: ''
  since:
    description:
      - Time of the restored set's snapshot, ISO 8601 with a zone. Where the former database is lost or cannot be read, whatever was done
        after it may be lost, and the result says so of each category.
    type: str
notes:
  - Rows that are newer in the restored database than in the former one are none of this module's business.
  - A category of RV(rollback) is compared only if both databases have its tables; RV(problems) names what they lack.
requirements:
  - psycopg2 >= 2.9
seealso:
  - module: caracal_ops.backup.pg_encrypted_restore
  - module: caracal_ops.backup.outbox_reopen
"""

EXAMPLES = r"""
---
- name: What did the restore take back?
  caracal_ops.backup.rollback_info:
    login_host: db.internal
    login_password_file: /srv/restore/db_password
    former_database: caracal_replaced_20261125031500
  register: taken

- name: Show what there is to do
  ansible.builtin.debug:
    msg: "{{ taken.rollback | rejectattr('count', 'eq', 0) }}"

- name: The former database is gone. What may be lost?
  caracal_ops.backup.rollback_info:
    login_host: db-new.internal
    login_password_file: /srv/restore/db_password
    since: "2026-11-25T02:16:44Z"
"""

RETURN = r"""
complete:
  description: Whether every category was compared. If not, RV(problems) says why.
  returned: always
  type: bool
  sample: true
problems:
  description: What could not be compared.
  returned: always
  type: list
  elements: str
  sample: []
rollback:
  description: The categories of this family of releases.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: The category.
      returned: always
      type: str
      sample: revoked.grants
    words:
      description: What RV(rollback[].count) counts.
      returned: always
      type: str
      sample: grants that were revoked or deleted are active again
    remedy:
      description: What to do if there are any.
      returned: always
      type: str
      sample: delete them again at the API
    count:
      description: How many, 0 where both databases agree, null where they could not be compared.
      returned: always
      type: int
      sample: 2
    examples:
      description: At most 20 ids, of numbers with the restored and the former value.
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
