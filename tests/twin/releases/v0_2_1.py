# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Caracal v0.2.1, family `secret_store`: v1.0.0 before its third migration."""

from __future__ import annotations

import dataclasses

from ..facts import changed
from . import v1_0_0 as later

RUNS = changed(
    later.CARACAL_TABLES["operator_message_runs"],
    drop=(
        "input_tokens",
        "output_tokens",
        "usage_by_provider_model",
        "served_provider_id",
        "served_model",
        "operator_message_runs_input_tokens_check",
        "operator_message_runs_output_tokens_check",
        "operator_message_runs_usage_by_provider_model_check",
    ),
)

CARACAL = dataclasses.replace(later.CARACAL, tables={**later.CARACAL_TABLES, "operator_message_runs": RUNS})

AUTH = later.AUTH

RELEASE = dataclasses.replace(
    later.RELEASE, name="v0.2.1", databases=(CARACAL, AUTH), migrations=("0001_baseline", "0002_approval_hardening")
)
