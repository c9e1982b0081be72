# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the jobs before this one, in a workflow of AWX, may have set.

AWX hands artifacts on as extra variables, whether or not the next template asks for variables, and no variable is stronger. An artifact is
made by `ansible_stats` in the answer to any task, so by any host of an earlier job: one that is not to be believed could name the
connection of the next job, a program for it, or the hosts.
"""

from __future__ import annotations

import re
import typing as t

from .._errors import TamperedData

# What AWX adds to the extra variables of each job that a workflow has begun. An artifact cannot take its place.
_WORKFLOW = "awx_workflow_job_id"
_OF_AWX = re.compile(r"(?:awx|tower)_[a-z_]+")
# What the roles of this collection leave. They take nothing from it but by the extra variables of a job template.
_LEFT = re.compile(r"caracal_[a-z_]+_stats")
_MOST_NAMES = 10


def check(extra_variables: t.Collection[str], allowed: t.Collection[str]) -> None:
    """Whether a workflow handed on nothing but what it may. Raises TamperedData, with the names."""
    strange = [name for name in extra_variables if name not in allowed and not _OF_AWX.fullmatch(name) and not _LEFT.fullmatch(name)]
    if _WORKFLOW in extra_variables and strange:
        raise TamperedData(_words(sorted(strange)))


def _words(strange: t.Sequence[str]) -> str:
    names = ", ".join(name[:80] for name in strange[:_MOST_NAMES]) + (", ..." if len(strange) > _MOST_NAMES else "")
    return (
        f"in a workflow, hosts of an earlier job can set extra variables, so these are not trusted: {names}; "
        "set them in the inventory or in group_vars, and check the artifacts of the earlier jobs"
    )
