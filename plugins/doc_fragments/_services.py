# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Programs that run as services."""

    DOCUMENTATION = r"""
options:
  services:
    description:
      - Running services with the digests of their images, as in RV(caracal_ops.backup.deployment_info#module:deployment.services).
    type: list
    elements: dict
    default: []
    suboptions:
      service:
        description: Name of the service.
        type: str
        required: true
      replica:
        description: Name or number of the replica.
        type: str
        required: true
      image:
        description: Name of the image on the platform.
        type: str
        required: true
      digest:
        description: Digest of the image in its registry, or the same value as O(services[].image_id).
        type: str
        required: true
      image_id:
        description: Digest of the image's configuration.
        type: str
        required: true
      command:
        description: Entry point and arguments. Only absolute paths are recorded, because the manifest is not encrypted. Empty if not known.
        type: list
        elements: str
        default: []
      working_directory:
        description: Directory in the image in which the service starts.
        type: str
        default: /
"""
