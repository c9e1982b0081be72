# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Address of a container engine."""

    DOCUMENTATION = r"""
options:
  engine:
    description:
      - Address of the container engine's socket on this host. The default is C(unix:///var/run/docker.sock) if it exists, and otherwise
        C(unix:///run/podman/podman.sock).
    type: str
"""
