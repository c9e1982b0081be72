# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The use case of the module redis_sandbox: options in, result out."""

from __future__ import annotations

import typing as t

from ..._ansible.argspec import ArgumentSpec
from ..._ansible.boundary import Invocation
from ..._drivers.redis import preflight
from ..._errors import OptionError
from ..._images import options as images
from .. import programs, redis_server
from ..bundle import Bundle
from . import before

if t.TYPE_CHECKING:
    from ..._images.cache import Unpacked

PATIENCE = 5.0


def argument_spec() -> ArgumentSpec:
    return ArgumentSpec(
        {
            "sandbox": {"type": "path", "required": True},
            "state": {"type": "str", "default": "present", "choices": ["present", "absent"]},
            "redis_server": {"type": "path"},
            "image": {"type": "str", "default": ""},
            "reference": {"type": "str", "default": ""},
            **images.images(),
        }
    )


def run(call: Invocation) -> dict[str, t.Any]:
    bundle = Bundle.of(call.options["sandbox"])
    runs = programs.alive(bundle, redis_server.NAME)
    if call.options["state"] == "absent":
        return {"changed": runs if call.check_mode else programs.stop(bundle, redis_server.NAME, PATIENCE)}
    bring = _bring(call.options)
    if call.check_mode and not runs:
        server = redis_server.look(bundle, call.options["redis_server"], bring)
        found = redis_server.predict(bundle, server.version, redis_server.PORT if bundle.isolated else 0, server.image_id)
        return {"changed": True, "redis": {**found.to_result(), "confirmation": ""}}
    found, changed = redis_server.start(bundle, call.options["redis_server"], bring)
    with before.redis(bundle) as session:
        confirmation = f"{session.address}@{preflight.examine(session).run_id}"
    return {"changed": changed, "redis": {**found.to_result(), "confirmation": confirmation}}


def _bring(options: t.Mapping[str, t.Any]) -> t.Callable[[], Unpacked] | None:
    if not options["image"]:
        return None
    if options["redis_server"]:
        raise OptionError("image and redis_server both name a server; leave one of them out")
    return lambda: images.bring(options)
