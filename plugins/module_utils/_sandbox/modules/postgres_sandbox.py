# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The use case of the module postgres_sandbox: options in, result out."""

from __future__ import annotations

import typing as t

from ..._ansible.argspec import ArgumentSpec
from ..._ansible.boundary import Invocation
from ..._drivers.postgres.server_binaries import Install
from ..._errors import OptionError
from ..._images import options as images
from .. import lifecycle, probe, tools
from ..bundle import Bundle
from ..info import AUTO, LEASE_SECONDS, REQUIRED, SandboxSpec, SourceFacts


def argument_spec() -> ArgumentSpec:
    return ArgumentSpec(
        {
            "directory": {"type": "path", "required": True},
            "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
            "superuser": {"type": "str", "default": "caracal"},
            "pg_bin": {"type": "path"},
            "minimum_major": {"type": "int", "default": 17},
            "minimum_free_mb": {"type": "int", "default": 1024},
            "isolation": {"type": "str", "default": REQUIRED, "choices": [AUTO, REQUIRED]},
            "unisolated_reason": {"type": "str", "default": ""},
            "production": {"type": "list", "elements": "str", "default": []},
            "lease": {"type": "int", "default": LEASE_SECONDS},
            "maximum_mb": {"type": "int"},
            "token": {"type": "str", "default": "", "no_log": False},
            "locale": {"type": "str"},
            "source_data_directory": {"type": "path"},
            "allow_shared_filesystem": {"type": "bool", "default": False},
            "image": {"type": "str", "default": ""},
            "reference": {"type": "str", "default": ""},
            **images.images(),
        }
    )


def run(call: Invocation) -> dict[str, t.Any]:
    return _absent(call) if call.options["state"] == "absent" else _present(call)


def _absent(call: Invocation) -> dict[str, t.Any]:
    directory, token = call.options["directory"], call.options["token"]
    if token and not lifecycle.is_of(directory, token):
        return {"changed": False}
    return {"changed": lifecycle.exists(directory) if call.check_mode else lifecycle.destroy(directory)}


def _present(call: Invocation) -> dict[str, t.Any]:
    options = call.options
    production = [probe.parse(one) for one in options["production"]]
    spec = SandboxSpec(
        directory=options["directory"],
        install=_install(options),
        superuser=options["superuser"],
        minimum_free=options["minimum_free_mb"] << 20,
        source=SourceFacts(data_directory=options["source_data_directory"], locale=options["locale"]),
        isolation=options["isolation"],
        unisolated_reason=options["unisolated_reason"],
        allow_shared_filesystem=options["allow_shared_filesystem"],
        token=options["token"],
        lease=options["lease"],
        maximum=None if options["maximum_mb"] is None else options["maximum_mb"] << 20,
    )
    outcome = lifecycle.predict(spec) if call.check_mode else lifecycle.create(spec)
    for warning in outcome.info.warnings:
        call.warn(warning)
    checks = [] if call.check_mode else [probe.verify(Bundle.of(outcome.info.directory), production, options["unisolated_reason"])]
    return {"changed": outcome.changed, "sandbox": outcome.info.to_result(), "checks": [check.to_result() for check in checks]}


def _install(options: t.Mapping[str, t.Any]) -> Install:
    if not options["image"]:
        return tools.find(options["pg_bin"], options["minimum_major"], options["isolation"])
    if options["pg_bin"]:
        raise OptionError("image and pg_bin both name a server; leave one of them out")
    from .. import image_server

    tools.refuse_lacking(REQUIRED)
    return image_server.find(images.bring(options), options["minimum_major"])
