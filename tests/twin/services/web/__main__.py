# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m twin.services.web`."""

from __future__ import annotations

from ..common.main import main
from .app import Web

if __name__ == "__main__":
    main(Web, 3002)
