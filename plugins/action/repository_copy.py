# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show the progress of `repository_copy` on a terminal."""

from __future__ import annotations

from ..plugin_utils.with_progress import ActionModule

__all__ = ("ActionModule",)
