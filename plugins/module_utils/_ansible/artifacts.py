# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check the variables that earlier jobs in an AWX workflow may have set.

AWX passes artifacts on as extra variables, even if the next template does not ask for variables, and extra variables have the
highest precedence. An artifact is created by `ansible_stats` in the answer to any task, so by any host of an earlier job. An
untrusted host could set the connection of the next job, a program for it, or its hosts.
"""

from __future__ import annotations

import re
import typing as t

from .._errors import TamperedData

# AWX adds this to the extra variables of each job in a workflow. An artifact cannot replace it.
_WORKFLOW = "awx_workflow_job_id"
_OF_AWX = re.compile(r"(?:awx|tower)_[a-z_]+")
# Artifacts of this collection's roles. The roles read them only through the extra variables of a job template.
_LEFT = re.compile(r"caracal_[a-z_]+_stats")
_MOST_NAMES = 10


def check(extra_variables: t.Collection[str], allowed: t.Collection[str]) -> None:
    """Raise TamperedData, with the names, if a workflow passed on variables that are not allowed."""
    strange = [name for name in extra_variables if name not in allowed and not _OF_AWX.fullmatch(name) and not _LEFT.fullmatch(name)]
    if _WORKFLOW in extra_variables and strange:
        raise TamperedData(_words(sorted(strange)))


def _words(strange: t.Sequence[str]) -> str:
    names = ", ".join(name[:80] for name in strange[:_MOST_NAMES]) + (", ..." if len(strange) > _MOST_NAMES else "")
    return (
        f"in a workflow, hosts of an earlier job can set extra variables, so these are not trusted: {names}; "
        "set them in the inventory or in group_vars, and check the artifacts of the earlier jobs"
    )
