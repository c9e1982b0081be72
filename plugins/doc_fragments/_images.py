# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Where images come from; goes with `_images.options.images`."""

    DOCUMENTATION = r"""
options:
  engine:
    description:
      - Address of the socket of a container engine on this host, which hands out images that were not used here before. Without it
        C(unix:///var/run/docker.sock), or where that is not there C(unix:///run/podman/podman.sock). Without images no engine is asked.
    type: str
  image_archives:
    description:
      - Files that C(docker image save) wrote, each with one image or several, or directories that are OCI layouts, as
        C(skopeo copy --preserve-digests) writes them. They are looked into before any engine.
    type: list
    elements: path
    default: []
  images_directory:
    description:
      - Where images are kept unpacked. Only the user who runs this may be able to write there. An image that was not used for 90 days is
        removed. If all of them together have more than 4 GiB, those that were not used for a day are removed as well.
    type: path
    default: /var/cache/caracal_backup/images
"""
