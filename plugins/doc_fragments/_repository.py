# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Where sets live and whom we believe."""

    DOCUMENTATION = r"""
options:
  repository:
    description:
      - Where backup sets live.
      - A local directory, as an absolute path or C(file://) address, or a bucket with a prefix, as C(s3://bucket/prefix).
    type: str
    required: true
  deployment:
    description:
      - Name of the Caracal deployment that the repository belongs to.
      - A repository of another deployment is refused.
    type: str
    required: true
  allowed_signers:
    description:
      - File in the format of OpenSSH's C(allowed_signers), with the principals C(backup@), C(drill@), C(prune@) and C(operator@) of
        the deployment.
      - It comes from the operator, never from the repository.
    type: path
    required: true
  revoked_keys:
    description:
      - File with one revoked OpenSSH public key a line. What they signed is not believed.
    type: path
  high_water_mark:
    description:
      - File outside the repository that remembers the newest journal entry this host has seen.
      - A repository whose journal ends before it was rolled back, and is refused. Without a mark, freshness is C(unproven).
      - Another repository of a deployment that it knows is refused, too. Remove the file when the repository was made anew on purpose.
      - It is made when it does not exist. Beside it lies what this host has verified of the journal, so that a call reads what is new only.
    type: path
    required: true
  s3_endpoint:
    description:
      - Address of a server that speaks S3, such as C(https://s3.example.org). Without it, AWS.
      - The options named C(s3_*) and C(lock_*) say nothing of a directory. Needs the Python library boto3 1.36 or later.
      - Set them once for all modules with C(module_defaults) of the action group C(caracal_ops.backup.repository).
        The playbooks of this collection take them from the variable C(caracal_ops_access).
    type: str
  s3_region:
    description:
      - Region of the bucket. Without it, the profile's or the environment's.
    type: str
  s3_path_style:
    description:
      - Put the bucket into the path of requests and not into the name of the host, as many servers other than AWS need it.
    type: bool
    default: false
  s3_plain_http:
    description:
      - Accept an address that begins with C(http://). Whoever is on the way then reads and alters requests, so do it only on a network that
        is sealed by other means.
      - An address of this host itself, such as C(http://127.0.0.1:8333), needs no such word.
    type: bool
    default: false
  s3_ca_bundle:
    description:
      - File with the certificates of authorities to trust, instead of the system's.
    type: path
  s3_profile:
    description:
      - Profile of the credentials file or of AWS's configuration. It may name a role, a web identity or a process that gives credentials.
      - Without it, credentials come from where boto3 looks, also from the web identity or instance role of the host.
    type: str
  s3_credentials_file:
    description:
      - File in the format of AWS's C(credentials), instead of the one in the home directory.
      - One that group or others can read is refused, the one in the home directory too. C(chmod 600) it.
    type: path
  s3_role_arn:
    description:
      - Role to assume with the credentials that were found. Its own ones are renewed before they expire, also in a long upload.
    type: str
  lock_mode:
    description:
      - Object Lock that each object is written with. V(GOVERNANCE) can be lifted by who has a permission of its own,
        V(COMPLIANCE) by nobody, not even by the owner of the account.
      - With V(none), what the bucket itself has as default holds.
    type: str
    choices: [none, GOVERNANCE, COMPLIANCE]
    default: none
  lock_days:
    description:
      - For how many days objects are locked, by class. Classes that are not named have their usual days,
        which are 35 for C(sets), C(objects) and C(secrets), and 400 for C(journal), C(archive) and C(drills). 0 locks nothing.
      - An object that a newer set refers to is locked anew for that time.
    type: dict
    default: {}
  lock_days_max:
    description:
      - No lock is longer. A typing error would otherwise cost storage for years, since nobody can shorten such a lock.
    type: int
    default: 400
  lock_probe:
    description:
      - When a set is opened, try to shorten and to break the lock of a small object with the credentials of this host.
      - Where that works, nothing is backed up, since whoever takes the host could destroy every set.
      - Each probe leaves one object that is locked for a day.
    type: bool
    default: false
"""
