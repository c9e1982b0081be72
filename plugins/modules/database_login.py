#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: database_login
short_description: Make the login that reads a database for backups
version_added: 0.1.0
description:
  - Makes a role of a PostgreSQL server on this host that may log in, has C(pg_read_all_data) and C(BYPASSRLS), and nothing else. Where it
    is there, what it lacks is added.
  - Its password is made on this host, in a file that only its owner reads. The server gets what it keeps of it, and no statement has it.
  - At the end it logs in. Where the server does not let it in, the module fails and says which line C(pg_hba.conf) lacks.
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
      - What is made is named, no value.
  idempotent:
    support: full
options:
  user:
    description:
      - Name of the login. One that is a superuser is refused.
    type: str
    required: true
  password_file:
    description:
      - Where its password is, or is made. One that is there is kept, and the server gets it.
    type: path
    required: true
  unix_socket:
    description:
      - Directory of the server's socket.
    type: path
    required: true
  port:
    description:
      - Its port, which is part of the socket's name.
    type: int
    default: 5432
  admin:
    description:
      - A superuser of the server. As root, the module asks for it as the system's user of the same name, if there is one.
    type: str
    default: postgres
requirements:
  - psycopg2 >= 2.9
seealso:
  - module: caracal_ops.backup.pg_encrypted_dump
"""

EXAMPLES = r"""
---
- name: Make the login of backups
  caracal_ops.backup.database_login:
    user: backup
    password_file: /etc/caracal-ops/database_password
    unix_socket: /run/postgresql
  become: true
"""

RETURN = r"""
made:
  description: What was missing.
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
