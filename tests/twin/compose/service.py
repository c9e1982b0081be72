#!/usr/bin/env python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start the service with the name of this file. A set records the paths of running programs, but not their arguments."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

runpy.run_module(f"twin.services.{Path(sys.argv[0]).name}", run_name="__main__", alter_sys=True)
