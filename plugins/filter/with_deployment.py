# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter `with_deployment`."""

from __future__ import annotations

import typing as t

from ..module_utils._deployment import completion

DOCUMENTATION = r"""
name: with_deployment
author:
  - Caracal Ops (@caracal-ops)
version_added: 0.1.0
short_description: Complete the settings of a role from a Compose project
description:
  - The settings of a role name servers, files and directories. M(caracal_ops.backup.deployment_info) finds the rest. This filter combines
    both into the arguments of the role's modules. A setting takes precedence over a value that was found.
  - Use the arguments only for the host on which the deployment was found.
options:
  _input:
    description:
      - The settings. The dictionaries C(database), C(secrets), C(redis), C(replay), C(images) and C(environment) contain module options.
        An empty text is an option that is not set.
      - C(needed) lists the parts of the project that the role reads, C(left_out) the parts that the operator leaves out. C(own_login) is
        true if a password file or a certificate of the login is set.
    type: dict
    required: true
  deployment:
    description: RV(caracal_ops.backup.deployment_info#module:deployment), or an empty dictionary.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Print where the server of a Compose project is
  ansible.builtin.debug:
    msg: "{{ (settings | caracal_ops.backup.with_deployment(located.deployment)).database.login_host }}"
  vars:
    settings:
      database:
        login_user: caracal
"""

RETURN = r"""
_value:
  description:
    - Arguments in C(database), C(secrets), C(redis), C(replay), C(images) and C(environment), without options that are not set.
    - C(named) are the parts that the project need not have. C(assets) are the assets that exist, of V(secrets), V(replay) and V(redis).
    - C(image) is the image of the server that was found. C(replay_here) is true if this host has replay directories. C(confirm) is the
      Redis database that was found.
  type: dict
"""


def with_deployment(settings: t.Any, deployment: t.Any) -> dict[str, object]:
    return completion.arguments(settings, deployment)


class FilterModule:
    """For Ansible."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"with_deployment": with_deployment}
