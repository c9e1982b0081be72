# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """A Redis server and a login."""

    DOCUMENTATION = r"""
options:
  redis_host:
    description:
      - Host of the Redis server.
    type: str
    default: 127.0.0.1
  redis_port:
    description:
      - Port of the Redis server.
    type: int
    default: 6379
  redis_unix_socket:
    description:
      - Path of the server's Unix socket. It replaces O(redis_host) and O(redis_port).
    type: path
  redis_username:
    description:
      - ACL user to log in as. The default is the user V(default).
    type: str
  redis_password_file:
    description:
      - File whose only line is the password, such as Caracal's own C(redisPassword).
      - A file that group or others can read is refused. Run C(chmod 600) on it. If containers read the file, run C(chmod 700) on its
        directory instead.
    type: path
  redis_tls:
    description:
      - Whether to use TLS and verify the server's certificate and host name.
    type: bool
    default: false
  redis_ca_cert:
    description:
      - File with the CA certificates that verify the server's certificate. The default is the CA certificates of the system.
    type: path
  redis_client_cert:
    description:
      - File with the client certificate.
    type: path
  redis_client_key:
    description:
      - File with the client certificate's private key.
    type: path
  redis_db:
    description:
      - Number of the database. Caracal uses V(0).
    type: int
    default: 0
"""
