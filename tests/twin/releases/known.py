# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The releases that have a table of facts, oldest first."""

from __future__ import annotations

from ..facts import Release
from . import v0_1_0, v0_2_1, v1_0_0, v2026_06_04, v2026_06_21, v2026_06_25_rc_1

_MODULES = (v2026_06_04, v2026_06_21, v2026_06_25_rc_1, v0_1_0, v0_2_1, v1_0_0)
RELEASES: dict[str, Release] = {module.RELEASE.name: module.RELEASE for module in _MODULES}
