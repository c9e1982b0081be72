# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Metrics in the text format of Prometheus."""

from __future__ import annotations

import hmac
import typing as t

from .environment import Environment
from .http import Handler, Refusal, Request, Response


def render(samples: t.Mapping[str, float]) -> bytes:
    """Return the samples as text. Names with the suffix `_total` are counters, all others gauges; a label set may follow the name."""
    lines = []
    for name, value in samples.items():
        bare = name.partition("{")[0]
        kind = "counter" if bare.endswith("_total") else "gauge"
        lines += [f"# TYPE {bare} {kind}", f"{name} {value:.17g}"]
    return ("\n".join(lines) + "\n").encode()


def handler(environment: Environment, samples: t.Callable[[], t.Mapping[str, float]]) -> Handler:
    """Return a handler that requires METRICS_BEARER. Without that variable, only the mode `dev` answers."""
    expected = environment.optional("METRICS_BEARER")

    def answer(request: Request) -> Response:
        good = hmac.compare_digest(request.bearer, expected) if expected else not environment.published
        if not good:
            raise Refusal(401, {"error": "unauthorized"})
        return Response(200, render(samples()), {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    return answer
