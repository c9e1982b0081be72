# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """A PostgreSQL server and a login."""

    DOCUMENTATION = r"""
options:
  login_host:
    description:
      - Host of the PostgreSQL server. If empty, the local socket is used.
    type: str
    default: ''
  login_port:
    description:
      - Port of the PostgreSQL server.
    type: int
    default: 5432
  login_user:
    description:
      - Role to log in as. It must see every row, as owner, as superuser, or with C(pg_read_all_data) and C(BYPASSRLS).
    type: str
    default: caracal
  login_password_file:
    description:
      - File whose only line is the password of O(login_user). Without it, libpq's own methods apply (C(~/.pgpass), C(peer), certificates).
      - With libpq 16 or newer, the password is sent to a server through C(scram-sha-256) only, and never unencrypted or as MD5.
      - A file that group or others can read is refused. Run C(chmod 600) on it. If containers read the file, run C(chmod 700) on its
        directory instead.
      - If group or others can read libpq's own password file, that file is refused too, even in a directory that only the user can access.
        Run C(chmod 600) on it.
    type: path
  login_unix_socket:
    description:
      - Directory of the server's Unix socket. Mutually exclusive with O(login_host).
    type: str
    default: ''
  ssl_mode:
    description:
      - TLS mode of the connection, as in libpq's C(sslmode).
    type: str
    choices: [disable, allow, prefer, require, verify-ca, verify-full]
    default: prefer
  ca_cert:
    description:
      - File with the CA certificates that verify the server's certificate.
    type: path
  ssl_cert:
    description:
      - File with the client certificate.
    type: path
  ssl_key:
    description:
      - File with the client certificate's private key.
    type: path
  pg_bin:
    description:
      - Directory with PostgreSQL's programs. Without it, the usual directories are searched, and the lowest sufficient version is used.
    type: path
"""
