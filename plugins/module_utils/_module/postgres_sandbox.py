# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The use case of the module postgres_sandbox: options in, result out."""

from __future__ import annotations

import typing as t

from .._argspec import ArgumentSpec
from .._sources import server_binaries
from .._sources.sandbox import lifecycle
from .._sources.sandbox.info import AUTO, REQUIRED, SandboxSpec, SourceFacts
from .boundary import Invocation


def argument_spec() -> ArgumentSpec:
    return ArgumentSpec(
        {
            "directory": {"type": "path", "required": True},
            "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
            "superuser": {"type": "str", "default": "caracal"},
            "pg_bin": {"type": "path"},
            "minimum_major": {"type": "int", "default": 17},
            "minimum_free_mb": {"type": "int", "default": 1024},
            "isolation": {"type": "str", "default": AUTO, "choices": [AUTO, REQUIRED]},
            "locale": {"type": "str"},
            "source_data_directory": {"type": "path"},
            "allow_shared_filesystem": {"type": "bool", "default": False},
        }
    )


def use_case(call: Invocation) -> dict[str, t.Any]:
    return _absent(call) if call.options["state"] == "absent" else _present(call)


def _absent(call: Invocation) -> dict[str, t.Any]:
    directory = call.options["directory"]
    return {"changed": lifecycle.exists(directory) if call.check_mode else lifecycle.destroy(directory)}


def _present(call: Invocation) -> dict[str, t.Any]:
    options = call.options
    spec = SandboxSpec(
        directory=options["directory"],
        install=server_binaries.find(options["pg_bin"], minimum_major=options["minimum_major"]),
        superuser=options["superuser"],
        minimum_free=options["minimum_free_mb"] << 20,
        source=SourceFacts(data_directory=options["source_data_directory"], locale=options["locale"]),
        isolation=options["isolation"],
        allow_shared_filesystem=options["allow_shared_filesystem"],
    )
    outcome = lifecycle.predict(spec) if call.check_mode else lifecycle.create(spec)
    for warning in outcome.info.warnings:
        call.warn(warning)
    return {"changed": outcome.changed, "sandbox": outcome.info.to_result()}
