# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse text from the command line or a survey for a role variable that is a list or a dictionary."""

from __future__ import annotations

import contextlib
import json
import re
import typing as t

from ansible.module_utils.common.validation import check_type_dict


def as_list(value: t.Any) -> t.Any:
    """Return the items of a text, separated by commas or lines, or in JSON. Return any other value unchanged."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        with contextlib.suppress(ValueError):
            return json.loads(value)
    return [item for part in re.split(r"[,\n]", value) if (item := part.strip())]


def as_dict(value: t.Any) -> t.Any:
    """Return the pairs of a text, each `key=value`, or in JSON. Return any other value unchanged."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    parts = [text] if text.startswith("{") else [line for line in text.splitlines() if line.strip()]
    return {key: content for part in parts for key, content in check_type_dict(part).items()}
