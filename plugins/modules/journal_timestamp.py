#!/usr/bin/python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: journal_timestamp
short_description: Have an authority outside say when the journal had come to its newest entry
version_added: 0.1.0
description:
  - Gets a timestamp of RFC 3161 of the journal's newest entry, verifies it and stores it beside that entry. Each entry names the digest of
    the one before, so it is proof of the age of the whole journal, and of every set, that no key of ours can make up.
  - The authority gets a SHA-256 and nothing else.
  - A timestamp has a signature of its own, so no signing key is needed; whoever may write to the journal's folder can store one.
  - M(caracal_ops.backup.repository_verify) verifies all timestamps.
author:
  - Caracal Ops (@caracal-ops)
extends_documentation_fragment:
  - caracal_ops.backup._attributes
  - caracal_ops.backup._repository
attributes:
  check_mode:
    support: full
    details:
      - The authority is not asked, so RV(time) and RV(authority) are null where a timestamp would be made.
  diff_mode:
    support: full
    details:
      - Shows the key of the timestamp.
  idempotent:
    support: full
    details:
      - An entry is stamped once. A timestamp that is there and does not hold is an error, and is not replaced.
options:
  timestamp_url:
    description:
      - Address of the authority, by C(http) or C(https), without user or password. Redirects are not followed. Proxies are taken from the
        environment.
    type: str
    required: true
  timestamp_roots:
    description:
      - File outside the repository with the authority's root certificate in PEM, and with its intermediate certificates where its answers
        do not bring them. Several authorities may be in it; keep the root of an earlier one as long as its timestamps.
    type: path
    required: true
  require_valid:
    description:
      - Fail when no timestamp could be made. Otherwise RV(verdict) and RV(message) say so.
    type: bool
    default: true
requirements:
  - rfc3161-client >= 1.0.6
notes:
  - It gives up after 30 seconds. When it fails, nothing is stored, and the sets are what they were.
  - A host whose clock is more than 5 minutes ahead of the authority's is told so, and nothing is stored.
seealso:
  - module: caracal_ops.backup.repository_verify
"""

EXAMPLES = r"""
---
- name: Prove how old the newest set is
  caracal_ops.backup.journal_timestamp:
    timestamp_url: https://tsa.example.org/tsr
    timestamp_roots: /etc/caracal-ops/timestamp_roots.pem
    repository: /srv/backup/caracal
    deployment: prod
    allowed_signers: /etc/caracal-ops/allowed_signers
    high_water_mark: /var/lib/caracal-ops/high-water-mark.json
"""

RETURN = r"""
verdict:
  description: V(pass), or V(unproven) where there is no timestamp.
  returned: always
  type: str
  sample: pass
message:
  description: Who had seen which entry when, or why nobody has.
  returned: always
  type: str
  sample: CN=Example Timestamping 2026,O=Example,C=NL had seen entry 42 at 2026-11-25T02:11:07.000000Z
sequence:
  description: Number of the entry.
  returned: success
  type: int
  sample: 42
sha256:
  description: Its digest, which is what the authority had seen.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
time:
  description: When, by the authority's clock; null in check mode for one that is still to be made.
  returned: success
  type: str
  sample: "2026-11-25T02:11:07.000000Z"
authority:
  description: Subject of the certificate that signed the timestamp; null like RV(time).
  returned: success
  type: str
  sample: CN=Example Timestamping 2026,O=Example,C=NL
key:
  description: Where the timestamp lies in the repository.
  returned: success
  type: str
  sample: journal/0000000042-9f86d081884c7d65.tsr
journal_head:
  description: Number and first 16 hex digits of the newest journal entry.
  returned: success
  type: str
  sample: 42-9f86d081884c7d65
"""

from ..module_utils._ansible.boundary import run
from ..module_utils._sets.journal_timestamp import Options
from ..module_utils._sets.journal_timestamp import run as use_case


def main() -> None:
    run(Options, use_case)


if __name__ == "__main__":
    main()
