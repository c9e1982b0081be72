# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Notifications of the end of a playbook are sent, with any result."""

from __future__ import annotations

import json
import time
import typing as t
from pathlib import Path

import pytest

from scenes import hook as hooks
from scenes import lying_host, role_settings
from scenes.hook import LONGEST, Hook
from scenes.old_repository import OldRepository
from scenes.playing import LOCAL, Play

SECRET = "s3cr3t-topic"
JOB = "verify_repository"


@pytest.fixture
def hook() -> t.Iterator[Hook]:
    with hooks.listening() as made:
        yield made


def played(
    old: OldRepository, channels: t.Sequence[t.Mapping[str, t.Any]], *options: str, inventory: Path | None = None, **own: str
) -> Play:
    """Start `verify_repository` of a small repository."""
    settings = {
        "repository": old.store.location,
        "deployment": "prod",
        "allowed_signers": str(old.allowed),
        "high_water_mark": str(old.mark("drill")),
        **own,
    }
    given = role_settings.of("caracal_repository", settings)
    return Play(JOB, {**given, "caracal_ops_deployment": "prod", "caracal_ops_notify": list(channels)}, old.folder, options, inventory)


def lied_to(old: OldRepository, hook: Hook, lie: dict[str, t.Any], *options: str, **inventory: t.Any) -> Play:
    """Start it with a host that sends these answers, and facts that would make the controller send to `/stolen`."""
    stolen = [{"kind": "webhook", "url": f"{hook.address}/stolen/{{job}}", "events": ["started", "succeeded", "failed"]}]
    names = ("caracal_ops_notify", "caracal_notify_channels", "__caracal_notify_channels")
    asked = {"channels": stolen, "job": "stolen", "deployment": "stolen", "made_up": []}
    facts = {
        **dict.fromkeys(names, stolen),
        **dict.fromkeys(("__caracal_notify_asked", "__caracal_notify_settled", "__caracal_notify_now"), asked),
        **dict.fromkeys(("caracal_ops_deployment", "caracal_notify_deployment", "caracal_notify_job"), "stolen"),
    }
    liar = lying_host.python(old.folder, {"repository_verify": {**lie, "ansible_facts": facts}})
    hosts = {"liar": {**LOCAL, "ansible_python_interpreter": str(liar), **inventory}, "localhost": LOCAL}
    (old.folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    settings = {
        "caracal_drill_hosts": "liar",
        "caracal_ops_repository": old.store.location,
        "caracal_ops_deployment": "prod",
        "caracal_ops_allowed_signers": str(old.allowed),
        "caracal_ops_high_water_mark": str(old.mark("drill")),
    }
    return Play(JOB, settings, old.folder, options, old.folder / "inventory.json")


def all_kinds(hook: Hook) -> list[dict[str, t.Any]]:
    return [
        {"kind": "ping", "url": f"{hook.address}/ping/{{job}}"},
        {"kind": "webhook", "url": f"{hook.address}/hook/{SECRET}"},
        {"kind": "ntfy", "url": f"{hook.address}/topic"},
        {"kind": "alertmanager", "url": f"{hook.address}/am"},
    ]


def gone(play: Play) -> bool:
    """Return whether nothing of a play remains after a short time."""
    until = time.monotonic() + LONGEST
    while play.left() and time.monotonic() < until:
        time.sleep(0.05)
    return not play.left()


@pytest.mark.no_false_alarm
def test_success_is_sent_to_the_channels_that_want_it(old: OldRepository, hook: Hook) -> None:
    play = played(old, [*all_kinds(hook), {"kind": "webhook", "url": f"{hook.address}/all", "events": ["started", "succeeded"]}])
    assert play.ended() == 0 and "changed=0" in play.output(), play.output()
    assert sorted(hook.paths) == sorted([f"/ping/{JOB}/start", "/all", f"/ping/{JOB}", "/all", "/am/api/v2/alerts"])
    assert gone(play)


@pytest.mark.mutation
@pytest.mark.parametrize("options", [(), ("--tags", "caracal_repository_verify")])
def test_failure_is_sent_with_its_message_and_stays_a_failure(old: OldRepository, hook: Hook, options: tuple[str, ...]) -> None:
    play = played(old, all_kinds(hook), *options, allowed_signers="/no/such/list")
    assert play.ended() == 2, play.output()
    assert {f"/ping/{JOB}/fail", f"/hook/{SECRET}", "/topic", "/am/api/v2/alerts"} <= set(hook.paths) and f"/ping/{JOB}" not in hook.paths
    notification = hook.json(f"/hook/{SECRET}")
    assert (notification["event"], notification["job"], notification["deployment"], notification["host"]) == (
        "failed",
        JOB,
        "prod",
        "localhost",
    )
    assert all("/no/such/list" in words for words in (notification["message"], hook.body("/topic"), hook.body(f"/ping/{JOB}/fail")))
    assert hook.json("/am/api/v2/alerts")[0]["labels"]["job"] == JOB
    assert SECRET not in play.output() and gone(play)


@pytest.mark.mutation
def test_a_play_without_notifications_fails_as_before(old: OldRepository, hook: Hook) -> None:
    play = played(old, [], "--tags", "caracal_repository_verify", allowed_signers="/no/such/list")
    assert play.ended() == 2, play.output()
    assert hook.sent == []


@pytest.mark.mutation
@pytest.mark.parametrize("channels", [0, 4], ids=["no channel", "all channels"])
def test_a_failure_is_printed_only_by_its_own_task(old: OldRepository, hook: Hook, channels: int) -> None:
    """Later failures name the task, so that the last lines lead to it."""
    play = played(old, all_kinds(hook)[:channels], allowed_signers="/no/such/list")
    assert play.ended() == 2, play.output()
    tasks = play.output().split("\nTASK [")
    [failed] = [one for one in tasks if "/no/such/list" in one]
    assert failed.count("FAILED!") == 1 and tasks[-1].count("FAILED!") == 1 and failed is not tasks[-1], play.output()
    assert failed.partition("]")[0].rpartition(" : ")[2] in tasks[-1], play.output()


@pytest.mark.mutation
@pytest.mark.parametrize("group", [False, True])
def test_a_killed_play_is_reported_as_failed(old: OldRepository, hook: Hook, group: bool) -> None:
    hook.hold.set()
    play = played(old, all_kinds(hook))
    hook.wait(f"/ping/{JOB}/start")
    assert play.kill(group)
    hook.hold.clear()
    hook.wait(f"/ping/{JOB}/fail")
    hook.wait(f"/hook/{SECRET}")
    assert hook.json(f"/hook/{SECRET}")["event"] == "failed" and gone(play)


@pytest.mark.mutation
def test_an_unreachable_host_is_reported_as_a_failure(old: OldRepository, hook: Hook) -> None:
    inventory = old.folder / "inventory.json"
    away = {"all": {"hosts": {"away": {**LOCAL, "ansible_remote_tmp": "/proc/no-such-folder"}, "localhost": LOCAL}}}
    inventory.write_text(json.dumps(away), encoding="utf-8")
    play = played(old, all_kinds(hook), "--extra-vars", "caracal_drill_hosts=away", inventory=inventory)
    assert play.ended() == 4, play.output()
    hook.wait(f"/ping/{JOB}/fail")
    hook.wait(f"/hook/{SECRET}")
    assert hook.json(f"/hook/{SECRET}")["event"] == "failed" and gone(play)


@pytest.mark.mutation
def test_a_broken_channel_fails_the_play(old: OldRepository, hook: Hook) -> None:
    channels = [{"kind": "webhook", "url": f"{hook.address}/broken/{SECRET}", "events": ["succeeded"]}]
    play = played(old, channels)
    assert play.ended() == 2 and "cannot notify by webhook" in play.output(), play.output()
    assert SECRET not in play.output() and gone(play)


@pytest.mark.mutation
def test_redirects_of_a_channel_are_not_followed(old: OldRepository, hook: Hook) -> None:
    channels = [{"kind": "webhook", "url": f"{hook.address}/moved/{status}", "events": ["succeeded"]} for status in (301, 302, 307)]
    play = Play("notify", {"caracal_ops_notify": channels, "caracal_notify_job": "cron", "caracal_notify_event": "succeeded"}, old.folder)
    assert play.ended() == 2, play.output()
    assert {*hook.paths} == {"/moved/301", "/moved/302", "/moved/307"}


@pytest.mark.mutation
def test_an_unknown_kind_of_channel_is_refused(old: OldRepository, hook: Hook) -> None:
    play = played(old, [{"kind": "pigeon", "url": hook.address}])
    assert play.ended() == 2 and "pigeon" in play.output() and hook.sent == []


def test_check_mode_sends_no_notification(old: OldRepository, hook: Hook) -> None:
    play = played(old, all_kinds(hook), "--check")
    assert play.ended() == 0 and hook.sent == [] and gone(play), play.output()


def test_notify_playbook_sends_one_event_of_another_job(old: OldRepository, hook: Hook) -> None:
    event = {
        "caracal_ops_notify": all_kinds(hook),
        "caracal_notify_job": "cron",
        "caracal_notify_event": "failed",
        "caracal_notify_message": "!",
    }
    play = Play("notify", event, old.folder)
    assert play.ended() == 0 and hook.body("/ping/cron/fail") == "!", play.output()


@pytest.mark.mutation
@pytest.mark.parametrize(("lie", "status"), [({}, 0), ({"verdict": "fail", "msg": "a lie"}, 2)], ids=["ended", "failed"])
def test_facts_of_a_host_add_no_notification(old: OldRepository, hook: Hook, lie: dict[str, t.Any], status: int) -> None:
    """Its facts are dropped, with a warning, so the play ends like one with an honest host."""
    play = lied_to(old, hook, lie)
    assert play.ended() == status and "caracal_ops_notify" in play.output(), play.output()
    assert hook.sent == [] and gone(play)


@pytest.mark.mutation
@pytest.mark.parametrize("options", [(), ("--tags", "caracal_repository_verify")])
def test_facts_of_a_host_redirect_no_failure_notification(old: OldRepository, hook: Hook, options: tuple[str, ...]) -> None:
    """Its facts would take precedence over the inventory's variables."""
    wanted = {"caracal_ops_notify": all_kinds(hook), "caracal_ops_deployment": "prod"}
    play = lied_to(old, hook, {"verdict": "fail", "msg": "a lie"}, *options, **wanted)
    assert play.ended() == 2 and gone(play), play.output()
    notification = hook.json(f"/hook/{SECRET}")
    assert (notification["event"], notification["job"], notification["deployment"], notification["host"]) == ("failed", JOB, "prod", "liar")
    assert not any("stolen" in path or "stolen" in body for path, body in hook.sent), hook.sent
    assert SECRET not in play.output()


@pytest.mark.mutation
def test_facts_of_a_host_redirect_no_success_notification(old: OldRepository, hook: Hook) -> None:
    wanted = {"caracal_ops_notify": all_kinds(hook), "caracal_ops_deployment": "prod"}
    play = lied_to(old, hook, {}, "-v", **wanted)
    assert play.ended() == 0 and gone(play), play.output()
    assert hook.paths == [f"/ping/{JOB}/start", f"/ping/{JOB}", "/am/api/v2/alerts"]
    assert hook.json("/am/api/v2/alerts")[0]["labels"]["deployment"] == "prod" and SECRET not in play.output()
