# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Former names of settings. In all releases 1.x, a play that sets one fails with an error that contains the new name."""

from __future__ import annotations

import typing as t

from . import role_variables

# Each of these roles had its own variable before the setting was shared.
_ROLES = (
    "caracal_archive",
    "caracal_backup",
    "caracal_drill",
    "caracal_repository",
    "caracal_restore",
    "caracal_retention",
    "caracal_setup",
)
RENAMED = {
    "caracal_backup_docker": "caracal_ops_engine",
    "caracal_copy_hosts": "caracal_repository_copy_hosts",
    "caracal_prune_hosts": "caracal_repository_prune_hosts",
    "caracal_repository_access": "caracal_ops_access",
    "caracal_repository_examined": "caracal_repository_accepted_sets",
    "caracal_repository_location": "caracal_ops_repository",
    "caracal_repository_most_a_day": "caracal_repository_max_sets_per_day",
    "caracal_repository_shrink_max": "caracal_repository_max_shrinkage",
}
FORMER = {
    **{
        f"{role}_{name}": f"caracal_ops_{name}"
        for role in _ROLES
        for name in role_variables.SHARED
        if role not in role_variables.VARIABLES.get(name, ())
    },
    **RENAMED,
}


def errors_of(names: t.Iterable[str]) -> list[str]:
    """Return one sentence for each of these names of variables that is a former name."""
    return [f"{name} is now {FORMER[name]}; rename it in your settings." for name in sorted(names) if name in FORMER]
