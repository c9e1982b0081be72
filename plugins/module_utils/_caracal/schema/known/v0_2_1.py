# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schema of v0.2.1: the schema of v1.0.0 without its changes."""

from __future__ import annotations

from ..schema_facts import changed
from . import v1_0_0 as later

CARACAL = changed(
    later.CARACAL,
    drop="""
column operator_message_runs input_tokens
column operator_message_runs output_tokens
column operator_message_runs served_model
column operator_message_runs served_provider_id
column operator_message_runs usage_by_provider_model
constraint operator_message_runs operator_message_runs_input_tokens_check
constraint operator_message_runs operator_message_runs_output_tokens_check
constraint operator_message_runs operator_message_runs_usage_by_provider_model_check
""",
)

CARACAL_AUTH = later.CARACAL_AUTH
