# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests in which another user acts, or that need files only root can create."""

from __future__ import annotations

import os

import pytest

# Only root can give a file away, become another user or make a device. The gate and the workflows run as root, so nothing is left out
# there.
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user, or make a device")
