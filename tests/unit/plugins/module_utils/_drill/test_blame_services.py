# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import blame, service_option
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.service_option import ServiceStart
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import OptionError

Result = dict[str, t.Any]


def check(check_id: str, verdict: str, required: bool = True) -> Result:
    return {"id": check_id, "verdict": verdict, "message": "words", "required": required, "details": {}}


FAILED = [check("canary.jwks", "fail"), check("settled.backlog", "fail"), check("services.gateway.ready", "fail")]


@pytest.mark.mutation
def test_failed_answer_is_unproven_if_service_does_not_run() -> None:
    found = blame.without_services(FAILED, [check("services.sts.ready", "unproven")])
    assert {one["verdict"] for one in found} == {"unproven"} and all("sts" in one["message"] for one in found)


@pytest.mark.parametrize(
    "before",
    [
        check("services.sts.ready", "pass"),
        check("services.sts.ready", "fail"),
        check("services.web.ready", "unproven", required=False),
        check("services.release", "unproven"),
    ],
    ids=["runs", "answers that it is not ready", "is optional", "is another check"],
)
def test_a_failure_stays_if_every_service_ran(before: Result) -> None:
    assert blame.without_services(FAILED, [before]) == FAILED


@pytest.mark.mutation
def test_failed_check_not_answered_by_service_stays_failed() -> None:
    found = [check("sandbox.isolated", "fail"), check("services.sts.ready", "unproven"), check("secrets.streams_key", "fail")]
    assert blame.without_services(found, []) == found


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("sts", "SECRET_STORE_KEK_FILE"), ("sts", "ZONE_KEK"), ("gateway", "DATABASE_URL_FILE"), ("audit", "REDIS_URL"),
        ("gateway", "AUDIT_REPLAY_DIR"), ("api", "API_READY_OUTBOX_DEAD_MAX"),
    ],
)  # fmt: skip
def test_no_variable_of_the_set_is_overruled(name: str, variable: str) -> None:
    with pytest.raises(OptionError, match=variable):
        service_option.check(ServiceStart(name=name, command=("/x",), environment={variable: "/other"}))


@pytest.mark.no_false_alarm
def test_other_variables_are_the_operators() -> None:
    service_option.check(ServiceStart(name="sts", command=("/x",), environment={"CARACAL_MODE": "dev", "HTTP_PROXY": "x"}))
