#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_login
short_description: Create a read-only PostgreSQL login for backups
version_added: 0.1.0
description:
  - Creates a role on a PostgreSQL server of this host. The role may log in, and has only C(pg_read_all_data) and C(BYPASSRLS). With
    O(summarize_wal), it also has C(pg_checkpoint). If the role exists, the module adds missing rights.
  - Generates the password on this host, in a file that only its owner can read. The server receives only the SCRAM verifier, so no
    statement contains the password.
  - Then logs in as the role. If the server refuses the login, the module fails and reports the line that you must add to C(pg_hba.conf).
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the names of the created items, without values.
  idempotent:
    support: full
options:
  user:
    description:
      - Name of the login. A superuser is refused.
    type: str
    required: true
  password_file:
    description:
      - Path of the password file. If it does not exist, the module creates it with a new password. An existing file is kept, and its
        password is set on the server.
    type: path
    required: true
  unix_socket:
    description:
      - Directory of the server's Unix socket.
    type: path
    required: true
  port:
    description:
      - Port of the server, which is part of the name of the socket.
    type: int
    default: 5432
  admin:
    description:
      - Name of a superuser of the server. If the module runs as root and a system user of the same name exists, the module connects as that
        user.
    type: str
    default: postgres
  summarize_wal:
    description:
      - Whether to set C(summarize_wal = on) on the server and to add the role to C(pg_checkpoint). A backup then requests one checkpoint,
        and does not scan audit partitions that did not change. The server must be PostgreSQL 17 or later, with a C(wal_level) other than
        V(minimal). No restart is required.
      - If this is V(false), the module changes neither the setting nor the membership.
    type: bool
    default: false
requirements:
  - psycopg2 >= 2.9
seealso:
  - module: caracal_ops.backup.pg_encrypted_dump
"""

EXAMPLES = r"""
---
- name: Create the login for backups
  caracal_ops.backup.database_login:
    user: backup
    password_file: /etc/caracal-ops/database_password
    unix_socket: /run/postgresql
  become: true
"""

RETURN = r"""
made:
  description: Items that were missing and were created, and C(summarize_wal) if the module changed it.
  returned: success
  type: list
  elements: str
  sample: ["role of backup", "LOGIN of backup", "BYPASSRLS of backup", "pg_read_all_data of backup", "its password of backup"]
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._setup.database_login import Options
from ..module_utils._setup.database_login import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
