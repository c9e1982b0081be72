# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Sources of images. Used together with `_images.options.images`."""

    DOCUMENTATION = r"""
options:
  engine:
    description:
      - Address of the socket of a container engine on this host. The engine provides images that this host has not used before.
      - The default is C(unix:///var/run/docker.sock) if it exists, and otherwise C(unix:///run/podman/podman.sock). If no images are
        used, no engine is contacted.
    type: str
  image_archives:
    description:
      - Files written by C(docker image save), each with one or more images, or OCI layout directories as written by
        C(skopeo copy --preserve-digests). The module searches these files and directories before it contacts an engine.
    type: list
    elements: path
    default: []
  images_directory:
    description:
      - Directory in which unpacked images are kept. Only the user who runs the module may have write access to it.
      - An image that was not used for 90 days is removed. If all images together have more than 4 GiB, images that were not used for a day
        are removed as well.
    type: path
    default: /var/cache/caracal_backup/images
"""
