# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schema of v0.1.0: the schema of v0.2.1 without its changes."""

from __future__ import annotations

from ..schema_facts import changed
from . import v0_2_1 as later

CARACAL = changed(
    later.CARACAL,
    drop="""
column step_up_challenges consumed_authority_record_id
column step_up_challenges subject_anchor
grant event_outbox caracalsts
index step_up_challenges step_up_challenges_sweep_idx
""",
)

CARACAL_AUTH = later.CARACAL_AUTH
