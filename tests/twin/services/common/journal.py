# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The log of a service: one JSON object per line on standard error."""

from __future__ import annotations

import json
import sys
import threading
import time
import typing as t

_lock = threading.Lock()


def log(level: str, message: str, **fields: t.Any) -> None:
    """Write one line. Values that JSON cannot represent are written as text."""
    line = json.dumps({"level": level, "time": time.time(), "msg": message, **fields}, default=str)
    with _lock:
        print(line, file=sys.stderr, flush=True)
