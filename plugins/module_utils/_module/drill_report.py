# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Use case of the module of the same name: what the other modules found becomes signed evidence."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import math
import os
import platform
import typing as t

from .. import _deps
from .._argspec import ArgumentSpec
from .._backupset import journal as journals
from .._backupset import layout
from .._backupset.catalog import OpenSet
from .._crypto import recipients as age
from .._crypto import strict_json
from .._crypto.recipients import Recipient
from .._crypto.sealing import Sealer
from .._crypto.signing import Signer
from .._errors import OptionError
from .._report import document, html, junit, summary, waiver
from .._report.check import PASS, VERDICTS, Check
from .._report.document import Drill, RestoredSet, Step, Who
from .._report.text import clean
from .._storage.local import LocalStore
from . import options
from .boundary import Invocation
from .options import Opened


def own_options() -> ArgumentSpec:
    check = {
        "id": {"type": "str", "required": True},
        "verdict": {"type": "str", "required": True, "choices": list(VERDICTS)},
        "message": {"type": "str", "required": True},
        "required": {"type": "bool", "default": True},
        "details": {"type": "dict", "default": {}},
    }
    step = {"name": {"type": "str", "required": True}, "seconds": {"type": "float", "required": True}, "bytes": {"type": "int"}}
    waived = {name: {"type": "str", "required": True} for name in ("check", "reason", "expires")}
    return ArgumentSpec(
        {
            "set_id": {"type": "str", "required": True},
            "started": {"type": "str", "required": True},
            "checks": {"type": "list", "elements": "dict", "required": True, "options": check},
            "steps": {"type": "list", "elements": "dict", "default": [], "options": step},
            "sandbox": {"type": "dict", "default": {}},
            "waivers": {"type": "list", "elements": "dict", "default": [], "options": waived},
            "report_dir": {"type": "path"},
            "require_valid": {"type": "bool", "default": True},
        }
    )


@dataclasses.dataclass(frozen=True)
class Evidence:
    """A drill and all that is needed to make its report stand."""

    opened: Opened
    open_set: OpenSet
    signer: Signer
    recipients: t.Sequence[Recipient]
    drill: Drill


def run(invocation: Invocation) -> dict[str, t.Any]:
    """Preflight; then (not in check mode) report files, signatures, journal entry, local copy."""
    given = invocation.options
    now = datetime.datetime.now(datetime.timezone.utc)
    evidence = _prepare(given, now)
    local = _local_folder(given["report_dir"])
    if invocation.check_mode:
        files = _files(evidence, b"")
    else:
        files = _files(evidence, _sealed(evidence))
        _publish(evidence, files)
        if local:
            for key, data in files.items():
                local.put(key.removeprefix(f"{layout.DRILLS}/"), data)
    return _result(evidence, files, local or evidence.opened.store.location, given["require_valid"])
