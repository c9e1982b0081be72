#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_programs
short_description: Find PostgreSQL's client programs, on this host or in the image that the server runs from
version_added: 0.1.0
description:
  - Finds C(pg_dump), C(pg_restore) and C(psql) for a server that runs in a container. If this host has none of the server's major release
    or a later one, they come out of the image of the server, which has the very release. An image that does not tell its release is
    unpacked, and its programs are asked.
  - The image is unpacked once, into a directory of its own, and compared with its id, which vouches for each of its bytes. Its programs
    then run in bubblewrap with the image as their file system, read-only. If you run the module as root, each program runs as a user of
    its own. Of this host a program gets the files that the variables of libpq name, and a way to the server that they name; it has no other
    network. No container is made, so none is left behind.
  - The role C(caracal_backup) uses it where C(caracal_ops_compose_project) is set and C(caracal_ops_pg_bin) is not; so does
    C(caracal_restore).
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._engine
attributes:
  check_mode:
    support: full
    details:
      - In check mode too, the image is unpacked. That changes nothing but a cache.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  image:
    description:
      - Id of the image, C(sha256:) and 64 hex digits, as RV(caracal_ops.backup.deployment_info#module:deployment.database) has it.
    type: str
    required: true
  directory:
    description:
      - Where images are kept unpacked. Only the user who runs this may be able to write there. An image that nobody has used for 90 days
        is removed. If all of them together have more than 4 GiB, those that were not used for a day are removed as well, the longest
        unused first. An image from which a program runs is kept.
    type: path
    default: /var/cache/caracal_backup/images
requirements:
  - docker >= 7.0
  - bubblewrap, if this host has no client programs that fit
notes:
  - It takes as much room as the image, and twice that while it is unpacked.
seealso:
  - module: caracal_ops.backup.deployment_info
  - module: caracal_ops.backup.pg_encrypted_dump
"""

EXAMPLES = r"""
---
- name: Where is everything of the deployment?
  caracal_ops.backup.deployment_info:
    compose_project: caracal
  become: true
  register: found

- name: Find client programs for its PostgreSQL
  caracal_ops.backup.postgres_programs:
    image: "{{ found.deployment.database.image }}"
  become: true
  register: programs

- name: Show their release
  ansible.builtin.debug:
    var: programs.version
"""

RETURN = r"""
summary:
  description: What was found, in one line.
  returned: success
  type: str
  sample: PostgreSQL's client programs 18.1 of image sha256:9f86d081884c, in /var/cache/caracal_backup/images/9f86d081884c/bin
pg_bin:
  description: Folder of the programs, for the option of this name of other modules.
  returned: success
  type: str
  sample: /usr/lib/postgresql/18/bin
version:
  description: Their release.
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
