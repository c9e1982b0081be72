#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_keys
short_description: Make the keys of a host, where they belong
version_added: 0.1.0
description:
  - Makes an Ed25519 key that signs, and age identities, each in a file of mode 0600 that appears whole or not at all. What is there already
    is kept.
  - Private halves stay in these files. The result has public halves only.
  - The role C(caracal_setup) calls it on the backup host, the drill host and the operator's host.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
attributes:
  check_mode:
    support: full
    details:
      - The public half of a key that a run would make is V(none).
  diff_mode:
    support: full
    details:
      - Shows the paths of the files that are made.
  idempotent:
    support: full
options:
  signing_key:
    description:
      - File of the key that signs, in OpenSSH's format and without a passphrase. Its public half is beside it, with C(.pub) behind the
        name.
      - The folder must be there, and nobody else may write in it.
      - A key that is there already may have a passphrase, or be the C(.pub) of one that an agent holds.
    type: path
  principal:
    description:
      - Whose key it is, such as C(backup@prod). It becomes the comment of the key.
    type: str
  identity_files:
    description:
      - Files of age identities, each with one.
    type: list
    elements: path
    default: []
requirements:
  - cryptography
  - ssh-keygen, for a key that signs
seealso:
  - module: caracal_ops.backup.key_lists
"""

EXAMPLES = r"""
---
- name: Make the keys of the drill host
  caracal_ops.backup.host_keys:
    signing_key: /etc/caracal-ops/drill_signing_key
    principal: drill@prod
    identity_files:
      - /etc/caracal-ops/identities/drill.identity
      - /etc/caracal-ops/identities/secrets.identity
  become: true
  register: keys
"""

RETURN = r"""
made:
  description: Files that were made.
  returned: success
  type: list
  elements: str
  sample: [/etc/caracal-ops/drill_signing_key]
public_key:
  description: The public half of the key that signs, without a comment.
  returned: success
  type: str
  sample: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5nDuTnIOGxrMZI9vGJt0UuqV7wxoBbm1bUYjNfjM8W
fingerprint:
  description: Its fingerprint, as C(ssh-keygen) prints it.
  returned: success
  type: str
  sample: SHA256:1v6nmWdvJ6xmjEcFYtYYXtk4uHBYkR2XUZoC4eJNUhA
recipients:
  description: The public halves of the identities, in the order of O(identity_files).
  returned: success
  type: list
  elements: dict
  contains:
    file:
      description: The file.
      type: str
      sample: /etc/caracal-ops/identities/drill.identity
    recipient:
      description: The recipient.
      type: str
      sample: age1km038uqgnzqcdfealu7lkr69jdd3sqtlqgajjext60yx77p8gd0q8mmgu6
    fingerprint:
      description: Its fingerprint, as manifests have it.
      type: str
      sample: SHA256:K2L1vXwR4kZ3gG0b5oQb7m5nT1yH7iJ8pQ9sW2xE4rU
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._setup.host_keys import Options
from ..module_utils._setup.host_keys import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
