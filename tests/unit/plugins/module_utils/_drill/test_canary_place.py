# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The addresses that canaries use, and the upstream that is served during a canary run."""

from __future__ import annotations

import socket
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.releases import SECRET_STORE
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import canary_place
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.canary_place import Place
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import Busy, ObjectMissing, OptionError
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import Bundle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import SandboxInfo

HERE = Place({}, None)


def of(sandbox: str | None = None, **urls: t.Any) -> Place:
    return canary_place.of(urls or {}, sandbox, SECRET_STORE)


def test_only_services_with_an_address_are_asked() -> None:
    assert of(sts="http://127.0.0.1:1", api=None).urls == {"sts": "http://127.0.0.1:1"}


def test_in_a_sandbox_all_are_on_their_own_ports(postgres_server: SandboxInfo) -> None:
    made = of(postgres_server.directory, gateway="http://127.0.0.1:9999")
    assert made.urls == {
        "sts": "http://127.0.0.1:8080",
        "api": "http://127.0.0.1:3000",
        "coordinator": "http://127.0.0.1:4000",
        "gateway": "http://127.0.0.1:9999",
    }
    with pytest.raises(ObjectMissing):
        of("/var/tmp/caracal-no-sandbox")


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://a", "http://", "http://a?x=1", "http://user@a", "http://user:word@a"])
def test_invalid_service_address_is_refused(url: str) -> None:
    with pytest.raises(OptionError, match=r"urls\.sts is not the") as raised:
        of(sts=url)
    assert "word" not in raised.value.msg


def test_an_upstream_is_served_while_it_is_asked_for() -> None:
    port = HERE.free_port()
    upstream = HERE.upstream(port)
    answer = upstream.ask("GET", f"http://127.0.0.1:{port}/any/path?x=1", {"Authorization": "Bearer x"}, None)
    assert (answer.status, answer.body.decode()) == (200, upstream.nonce) and len(upstream.nonce) == 32
    assert HERE.ask("GET", f"http://127.0.0.1:{port}/", {}, None).status is None
    assert HERE.upstream(port).nonce != upstream.nonce


def test_inside_a_sandbox_it_is_served_inside(postgres_server: SandboxInfo) -> None:
    assert Bundle(postgres_server).isolated
    inside = Place({}, Bundle(postgres_server))
    port = inside.free_port()
    upstream = inside.upstream(port)
    assert upstream.ask("GET", f"http://127.0.0.1:{port}/", {}, None).body.decode() == upstream.nonce
    with socket.create_server(("127.0.0.1", 0)) as outside:
        reply = inside.ask("GET", f"http://127.0.0.1:{outside.getsockname()[1]}/", {}, None)
    assert reply.status is None and "Connection refused" in reply.error


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Busy, match=f"the canary cannot listen on port {port} of the sandbox"):
            HERE.upstream(port).ask("GET", "http://127.0.0.1:9/", {}, None)
