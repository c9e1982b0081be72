# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers of modules that do not run: the samples of their documentation."""

from __future__ import annotations

import importlib
import typing as t

import yaml

from tools.rules import tree

PLUGINS = "ansible_collections.caracal_ops.backup.plugins.modules"
# Documented for a failure, or for a verdict that does not pass.
_OF_FAILURES = ("msg", "problems")


def by_module() -> dict[str, dict[str, t.Any]]:
    """Return the answer of every module to a successful call."""
    names = sorted(path.stem for path in (tree.ROOT / "plugins" / "modules").glob("*.py") if path.stem != "__init__")
    return {name: of_module(name) for name in names}


def of_module(name: str) -> dict[str, t.Any]:
    documented: dict[str, t.Any] = yaml.safe_load(importlib.import_module(f"{PLUGINS}.{name}").RETURN) or {}
    found = {field: _sample(one) for field, one in documented.items() if field not in _OF_FAILURES}
    return {"changed": False, **found, **({"verdict": "pass"} if "verdict" in found else {})}


def _sample(documented: dict[str, t.Any]) -> t.Any:
    if "sample" in documented:
        return documented["sample"]
    inner = {field: _sample(one) for field, one in documented.get("contains", {}).items()}
    return [inner] if documented["type"] == "list" else inner
