# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What runs as services."""

    DOCUMENTATION = r"""
options:
  services:
    description:
      - What runs as services, by the digests of their images, as RV(caracal_ops.backup.deployment_info#module:deployment.services) has it.
    type: list
    elements: dict
    default: []
    suboptions:
      service:
        description: Name of the service.
        type: str
        required: true
      replica:
        description: Which one of it.
        type: str
        required: true
      image:
        description: What the platform calls its image.
        type: str
        required: true
      digest:
        description: Digest of the image in its registry, or the same as O(services[].image_id).
        type: str
        required: true
      image_id:
        description: Digest of the image's configuration.
        type: str
        required: true
      command:
        description: Entry point and arguments. Nothing but absolute paths, since the manifest is not sealed. Empty where that is not known.
        type: list
        elements: str
        default: []
      working_directory:
        description: Directory in the image that it starts in.
        type: str
        default: /
"""
