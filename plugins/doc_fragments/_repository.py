# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The location of the repository, and its trusted signers."""

    DOCUMENTATION = r"""
options:
  repository:
    description:
      - Location of the backup sets.
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
      - Provide this file from the operator's machine, never from the repository.
    type: path
    required: true
  revoked_keys:
    description:
      - File with one revoked OpenSSH public key per line. Signatures of these keys are not trusted.
    type: path
  high_water_mark:
    description:
      - File outside the repository that stores the newest journal entry this host has seen.
      - A repository whose journal ends before that entry was rolled back, and is refused. If the file does not exist, freshness is
        C(unproven).
      - If the file already records another repository of the same deployment, the repository is refused, too. Remove the file if you have
        recreated the repository on purpose.
      - The file is created if it does not exist. The module stores the verified part of the journal next to the file, so later calls
        usually read only new entries.
    type: path
    required: true
  s3_endpoint:
    description:
      - Address of an S3-compatible server, such as C(https://s3.example.org). The default is AWS.
      - The options C(s3_*) and C(lock_*) have no effect for a directory. A bucket needs the Python library boto3 1.36 or later.
      - Set these options once for all modules with C(module_defaults) of the action group C(caracal_ops.backup.repository).
        The playbooks of this collection read them from the variable C(caracal_ops_access).
    type: str
  s3_region:
    description:
      - Region of the bucket. The default is the region of the profile or the environment.
    type: str
  s3_path_style:
    description:
      - Whether to put the bucket into the path of requests instead of the host name. Many servers other than AWS need this.
    type: bool
    default: false
  s3_plain_http:
    description:
      - Whether to accept an address that begins with C(http://). An attacker on the network path can then read and alter requests. Use this
        option only on a network that is protected in another way.
      - An address of this host itself, such as C(http://127.0.0.1:8333), does not need this option.
    type: bool
    default: false
  s3_ca_bundle:
    description:
      - File with the CA certificates to trust, instead of the CA certificates of the system.
    type: path
  s3_profile:
    description:
      - Profile of the credentials file or of the AWS configuration. The profile may name a role, a web identity or a process that provides
        credentials.
      - Without it, credentials come from the usual sources of boto3, including the web identity or instance role of the host.
    type: str
  s3_credentials_file:
    description:
      - File in the format of AWS's C(credentials), instead of the file in the home directory.
      - A file that group or others can read is refused, including the file in the home directory. Run C(chmod 600) on it.
    type: path
  s3_role_arn:
    description:
      - ARN of the role to assume with these credentials. The credentials of the role are renewed before they expire, even during a
        long upload.
    type: str
  lock_mode:
    description:
      - Object Lock mode with which each object is written. A user with a special permission can remove a lock in mode V(GOVERNANCE).
        Neither a user nor the owner of the account can remove a lock in mode V(COMPLIANCE).
      - With V(none), the default of the bucket applies.
    type: str
    choices: [none, GOVERNANCE, COMPLIANCE]
    default: none
  lock_days:
    description:
      - Number of days for which objects are locked, by class. Classes that are not listed have their defaults, which are 35 for C(sets),
        C(objects) and C(secrets), and 400 for C(journal), C(archive) and C(drills). With 0, objects are not locked.
      - If a newer set refers to an object, the lock of the object is renewed for the full number of days.
    type: dict
    default: {}
  lock_days_max:
    description:
      - Maximum number of days of a lock. It protects you from a typing error that would cost storage for years, because such a lock cannot
        be shortened.
    type: int
    default: 400
  lock_probe:
    description:
      - Whether to test Object Lock when a set is opened. The test tries to shorten and to break the lock of a small object with the
        credentials of this host.
      - If the lock can be shortened or broken, the backup is refused, because an attacker who controls the host could destroy every set.
      - Each test leaves one object that is locked for a day. The test requires a O(lock_mode) other than V(none).
    type: bool
    default: false
"""
