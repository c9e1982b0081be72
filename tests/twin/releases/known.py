# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The releases that have a table of facts."""

from __future__ import annotations

from ..facts import Release
from . import v1_0_0

RELEASES: dict[str, Release] = {release.name: release for release in (v1_0_0.RELEASE,)}
