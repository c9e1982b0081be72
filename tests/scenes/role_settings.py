# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names of the settings of a role."""

from __future__ import annotations

import typing as t

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible import role_variables


def named(role: str, name: str) -> str:
    """Return the variable of this setting: the role's own, or the one that several roles share."""
    return role_variables.variable(name, role) or f"{role}_{name}"


def of(role: str, given: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return these settings, by their variables."""
    return {named(role, name): value for name, value in given.items()}
