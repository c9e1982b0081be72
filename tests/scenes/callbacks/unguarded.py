# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Remove the guard from a play: every answer of a host is used unchecked."""

from __future__ import annotations

from ansible.plugins.callback import CallbackBase

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible import answers


class CallbackModule(CallbackBase):
    """Loaded before the play forks its workers."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "unguarded"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        answers.cleaned = lambda answer, host: dict(answer)
        answers.refuse_own_names = lambda facts, host: None
