# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of all tests, and the scenes that many of them share."""

from __future__ import annotations

pytest_plugins = ("harness.fixtures", "scenes.fixtures")
