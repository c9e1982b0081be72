# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A service cannot choose the reason of a check.

At each step of a drill that reads a service's answer, the service answers with each reason of `_reasons`.
"""

from __future__ import annotations

import collections
import json
import types
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils import _reasons
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal import services
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary import (
    api_checks,
    audit_rows,
    dialect,
    exchange,
    gateway,
    jwks,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.asking import Refused, Services
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.exchange import Application
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.canary.facts import ActiveSet
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.causes import diagnosis
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import settling
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.releases import SECRET_STORE
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import service_sandbox
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.services.http import Answer
from ansible_collections.caracal_ops.backup.plugins.module_utils._report.check import Check
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import programs

REASONS = [value for name, value in vars(_reasons).items() if name.isupper()]
STS = next(one for one in services.services(SECRET_STORE) if one.name == "sts")
APPLICATION = Application("zone-1", "app-1", "secret", "resource://x", ours=True)


def body(word: str) -> bytes:
    return json.dumps({"ready": False, "reason": word, "error": word, "error_description": word}).encode()


def ready(word: str) -> Check:
    bundle = types.SimpleNamespace(run=lambda *_given, **_own: Answer(503, {}, body(word), "", 0.1))
    plan = types.SimpleNamespace(redact=lambda text: text, own={"sts": types.SimpleNamespace(command=("sts",), rootfs="")})
    return service_sandbox._ready(t.cast("t.Any", bundle), STS, t.cast("t.Any", plan), -1, collections.Counter())


def asked(word: str) -> Services:
    return Services(lambda *_given: Answer(503, {}, body(word), "", 0.1), {"sts": "http://sts", "gateway": "http://gateway"})


def dead_letters(word: str) -> Check:
    return settling.dead_letters({}, {"caracal.audit.events.dlq": 1}, {word: 1}).check


def exchanged(word: str) -> Check:
    return exchange.judge(exchange.ask(asked(word), APPLICATION, "read"), APPLICATION, {"kid"}, [word])


def routed(word: str) -> Check:
    return gateway.judge(gateway.ask(asked(word), "resource://x", "/", "token"), APPLICATION, None)


def stopped(word: str) -> Check:
    return gateway.stopped(Refused("a delegation", asked(word).call("sts", "GET", "/")), APPLICATION)


def keys_served(word: str) -> Check:
    return jwks.check(asked(word), [jwks.Key("zone-1", "kid", "x", "y")], [], [])


def zones_listed(word: str) -> Check:
    return api_checks.zones(asked(word), ["zone-1"])


def policy_active(word: str) -> Check:
    return api_checks.policy_active(asked(word), [ActiveSet("zone-1", "set-1", "version-1")], 0)


def audit_queried(word: str) -> Check:
    return api_checks.audit_query(asked(word), {"zone-1": "2026-11-25T02:16:44Z"})


def audited(word: str) -> Check:
    """The words of an audit row come from the audit service."""
    head = audit_rows.Head("zone-1", 0, "")
    row = audit_rows.Row(1, "one", word, word, word, word, word, word)
    return audit_rows.judge([(head, [row], {"one": "allow"})], None, 1.0)


def without_token(word: str) -> Check:
    return gateway.without_token(asked(word))


def revoked(word: str) -> Check:
    return gateway.revoked(asked(word), "resource://x", "token", "session")


def replayed(word: str) -> Check:
    first = gateway.ask(asked(word), "resource://x", "/", "token")
    return gateway.replayed(first, first.answer, dialect.Dialect(SECRET_STORE, False))


@pytest.fixture(autouse=True)
def _runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the service of the test run without a log."""
    monkeypatch.setattr(programs, "alive", lambda *_given: True)
    monkeypatch.setattr(programs, "log_lines", lambda *_given: [])


PLACES = (
    ready,
    dead_letters,
    exchanged,
    routed,
    stopped,
    keys_served,
    zones_listed,
    policy_active,
    audit_queried,
    audited,
    without_token,
    revoked,
    replayed,
)


@pytest.mark.mutation
@pytest.mark.parametrize("made", PLACES)
def test_an_answer_does_not_choose_the_reason(made: t.Callable[[str], Check]) -> None:
    other = made("another_word")
    for word in REASONS:
        found = made(word)
        assert (found.verdict, found.details.get("reason")) == (other.verdict, other.details.get("reason")), word
        assert diagnosis.diagnose([found]) == diagnosis.diagnose([other]), word
