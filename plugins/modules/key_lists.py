#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: key_lists
short_description: Keep the lists of whose signatures are believed, and to whom sets are sealed
version_added: 0.1.0
description:
  - Adds to the operator's C(allowed_signers), and to lists of recipients, what hosts gave as the public halves of their keys. It runs on
    the operator's host, where the lists are made; other hosts get copies.
  - What a host gave is read as a stranger's. A signer is one Ed25519 public key without options, comment or a second line, and gets the
    principal and the namespaces of its role; a recipient is one C(age1...).
  - Hosts of one role share a name, and each has a key of its own. A new key is added where all that are listed for that name were given,
    too. Else it stands in place of one of those, and is refused with the fingerprints of both; so is a key that two hosts gave, or that is
    listed for somebody else. To rotate a key, the operator edits the lists, as the guide on key custody says.
  - Lines that are there already stay as they are.
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
      - Shows whose keys are added, by name and fingerprint.
  idempotent:
    support: full
options:
  deployment:
    description:
      - Name of the Caracal deployment; signers are named C(<role>@<deployment>).
    type: str
    required: true
  allowed_signers:
    description:
      - The list of signers, in the format of OpenSSH's C(allowed_signers). Its folder must be there, and nobody else may write in it.
    type: path
    required: true
  signers:
    description:
      - Who signs.
    type: list
    elements: dict
    required: true
    suboptions:
      role:
        description:
          - What the hosts are for.
        type: str
        required: true
        choices: [backup, drill, operator, prune]
      public_keys:
        description:
          - What each of them gave as its public key. Empty only in check mode, for a key that a run would make.
        type: list
        elements: str
        required: true
  recipients:
    description:
      - Who opens what is sealed to a list.
    type: list
    elements: dict
    default: []
    suboptions:
      list:
        description:
          - The file.
        type: path
        required: true
      name:
        description:
          - Whose recipients they are. It stands as a comment in the line before each.
        type: str
        required: true
      recipients:
        description:
          - What each host gave as its recipient. Empty only in check mode, for an identity that a run would make.
        type: list
        elements: str
        required: true
seealso:
  - module: caracal_ops.backup.host_keys
"""

EXAMPLES = r"""
---
- name: Believe what the backup host signs, and seal to the drill host
  caracal_ops.backup.key_lists:
    deployment: prod
    allowed_signers: ~/.config/caracal-ops/prod/allowed_signers
    signers:
      - role: backup
        public_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5nDuTnIOGxrMZI9vGJt0UuqV7wxoBbm1bUYjNfjM8W]
    recipients:
      - list: ~/.config/caracal-ops/prod/database.recipients
        name: drill@prod
        recipients: [age1km038uqgnzqcdfealu7lkr69jdd3sqtlqgajjext60yx77p8gd0q8mmgu6]
"""

RETURN = r"""
added:
  description: Whose keys were added to which list, by name and fingerprint.
  returned: success
  type: list
  elements: str
  sample: ["allowed_signers: backup@prod SHA256:1v6nmWdvJ6xmjEcFYtYYXtk4uHBYkR2XUZoC4eJNUhA"]
lists:
  description: The text of each list by the name of its file, to be copied to other hosts.
  returned: success
  type: dict
  sample: {details.recipients: "age1km038uqgnzqcdfealu7lkr69jdd3sqtlqgajjext60yx77p8gd0q8mmgu6"}
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._setup.key_lists import Options
from ..module_utils._setup.key_lists import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
