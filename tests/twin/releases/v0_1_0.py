# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Caracal v0.1.0, family `secret_store`: v0.2.1 before its second migration."""

from __future__ import annotations

import dataclasses

from ..facts import changed
from . import v0_2_1 as later

TABLES = {
    **later.CARACAL.tables,
    "event_outbox": changed(later.CARACAL.tables["event_outbox"], drop=("caracalsts",)),
    "step_up_challenges": changed(
        later.CARACAL.tables["step_up_challenges"],
        drop=("subject_anchor", "consumed_authority_record_id", "step_up_challenges_sweep_idx"),
    ),
}

CARACAL = dataclasses.replace(later.CARACAL, tables=TABLES)

RELEASE = dataclasses.replace(later.RELEASE, name="v0.1.0", databases=(CARACAL, later.AUTH), migrations=("0001_baseline",))
