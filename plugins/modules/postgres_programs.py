#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_programs
short_description: Find PostgreSQL client programs on this host or in the image of the server
version_added: 0.1.0
description:
  - Finds C(pg_dump), C(pg_restore) and C(psql) for a server that runs in a container. The module uses the programs of this host if they
    have the server's major version or a later one. Otherwise, it uses the programs in the image of the server, which have exactly that
    version. If the image does not state its version, the module unpacks the image and runs its programs to find their version.
  - The module unpacks the image once, into its own directory, and verifies every byte with the image ID. The programs then run in
    bubblewrap, with the image as their read-only file system. If you run the module as root, each program runs as a separate user.
  - A program can read only the host files that libpq's environment variables name. It can reach only the server that those variables name,
    and no other network. The module creates no container.
  - The role C(caracal_backup) uses this module if C(caracal_ops_compose_project) is set and C(caracal_ops_pg_bin) is not. The role
    C(caracal_restore) does the same.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._engine
attributes:
  check_mode:
    support: full
    details:
      - The image is unpacked in check mode too. That changes only a cache.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  image:
    description:
      - ID of the image, C(sha256:) and 64 hex digits, as in RV(caracal_ops.backup.deployment_info#module:deployment.database).
    type: str
    required: true
  directory:
    description:
      - Directory in which unpacked images are kept. Only the user who runs the module may have write access to it.
      - An image that was not used for 90 days is removed. If all images together are larger than 4 GiB, images that were not used for a day
        are removed too, the least recently used first. An image is kept while one of its programs runs.
    type: path
    default: /var/cache/caracal_backup/images
requirements:
  - docker >= 7.0
  - bubblewrap, if this host has no suitable client programs
notes:
  - An unpacked image needs as much disk space as the image itself, and twice as much while the module unpacks it.
seealso:
  - module: caracal_ops.backup.deployment_info
  - module: caracal_ops.backup.pg_encrypted_dump
"""

EXAMPLES = r"""
---
- name: Discover the deployment
  caracal_ops.backup.deployment_info:
    compose_project: caracal
  become: true
  register: found

- name: Find client programs for its PostgreSQL
  caracal_ops.backup.postgres_programs:
    image: "{{ found.deployment.database.image }}"
  become: true
  register: programs

- name: Show the release of the programs
  ansible.builtin.debug:
    var: programs.version
"""

RETURN = r"""
summary:
  description: Summary of the result in one line.
  returned: success
  type: str
  sample: PostgreSQL's client programs 18.1 of image sha256:9f86d081884c, in /var/cache/caracal_backup/images/9f86d081884c/bin
pg_bin:
  description: Directory of the programs, for the option C(pg_bin) of other modules.
  returned: success
  type: str
  sample: /usr/lib/postgresql/18/bin
version:
  description: Release of the programs.
  returned: success
  type: str
  sample: "18.1"
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._deployment.postgres_programs import Options
from ..module_utils._deployment.postgres_programs import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
