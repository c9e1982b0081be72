# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """A Compose project of the engine in `_engine`. Used together with `_deployment.deployment.project`."""

    DOCUMENTATION = r"""
options:
  compose_project:
    description:
      - Name of the Compose project, as C(docker compose ls -a) shows it.
    type: str
    required: true
"""
