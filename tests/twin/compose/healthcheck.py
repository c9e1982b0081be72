#!/usr/bin/env python
# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Request `/ready`, or the path in `HEALTH_PATH`, from the service of this container. A failure raises an exception, so
the exit status is 1.
"""

from __future__ import annotations

import os
import urllib.request

urllib.request.urlopen(f"http://127.0.0.1:{os.environ['PORT']}{os.environ.get('HEALTH_PATH', '/ready')}", timeout=3).close()
