# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Objects that a prune deletes or never deletes, and conditions that stop it, in real repositories in a directory."""

from __future__ import annotations

import datetime
import os
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.allowed_signers import Verifier
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    KeyProblem,
    ObjectMissing,
    OptionError,
    StorageError,
    TamperedData,
    VerificationFailed,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._evidence import access
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import decisions, layout, parts
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.manifest import Pairing
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from scenes.old_repository import HOUR, OldRepository
from scenes.scene import tree

PUBLIC = {"manifest.json", "signatures/backup.sig", "RECOVERY.md", "audit-blocks.tsv.zst"}


def left_of(old: OldRepository, set_id: str) -> set[str]:
    return {one.key.removeprefix(f"{layout.set_folder(set_id)}/") for one in old.store.list(layout.set_folder(set_id))}


def verified(old: OldRepository) -> None:
    """Assert that every remaining set is whole."""
    for set_id in old.sets():
        assert old.call("backup_set_verify", "operator", set_id=set_id)["verdict"] == "pass"


@pytest.mark.no_false_alarm
def test_sets_kept_by_no_rule_are_pruned_and_others_stay_whole(old: OldRepository) -> None:
    first, second, third, fourth, fifth, sixth = old.made
    before = tree(old.folder)
    predicted = old.prune(check_mode=True, seen=True)
    assert {name: one for name, one in tree(old.folder).items() if "mark" not in name and name != "."} == {
        name: one for name, one in before.items() if name != "."
    }
    done = old.prune()
    assert {**done, "journal_head": ""} == {**predicted, "journal_head": ""} and done["changed"]
    assert done["pruned"] == [first, second, third] and old.sets() == [fourth, fifth, sixth]
    reasons = {one["set_id"]: one["reasons"] for one in done["sets"]}
    assert reasons[first] == ["no rule keeps it"] and "the newest good set" in reasons[sixth]
    assert "the newest set that passed a drill" in reasons[fifth] and reasons[fourth] == ["a running backup may refer to it"]
    verified(old)
    for gone in done["pruned"]:
        assert left_of(old, gone) == PUBLIC
    # The first partition is shared by all sets. The others and the secrets were deleted with their sets.
    objects = {one.key for one in old.store.list("objects")}
    assert objects == {one.path for set_id in old.sets() for one in old.manifest_of(set_id).artifacts if one.path.startswith("objects/")}
    assert any(first in key for key in objects) and not any(second in key for key in objects)


def test_journal_records_deleted_objects_and_reasons(old: OldRepository) -> None:
    before = {one.key: one.size for one in old.store.list("")}
    done = old.prune()
    (entry,) = old.journal().of_kind(entries.PRUNE)
    record = decisions.prune(entry)
    assert record.sets == dict.fromkeys(done["pruned"], "no rule keeps it") and entry.principal == "prune@prod"
    gone = before.keys() - {one.key for one in old.store.list("")}
    assert set(record.keys) == gone and record.bytes == done["bytes"] == sum(before[key] for key in gone)
    assert set(entry.subjects) == {layout.manifest_key(one) for one in done["pruned"]}
    assert done["journal_head"] == str(old.journal().head)
    lines = done["diff"]["before"].splitlines()
    assert [line for line in lines if line not in done["diff"]["after"].splitlines()] == [
        f"set {one}: no rule keeps it" for one in done["pruned"]
    ]


def test_a_second_run_changes_nothing(old: OldRepository) -> None:
    old.prune()
    before = tree(Path(old.store.location))
    again = old.prune()
    assert not again["changed"] and again["pruned"] == [] and again["diff"]["before"] == again["diff"]["after"]
    assert tree(Path(old.store.location)) == before


def test_pruned_set_is_reported_as_pruned_and_its_id_is_never_used_again(old: OldRepository) -> None:
    (first, *_rest) = old.prune()["pruned"]

    def on(name: str, role: str) -> t.Callable[..., t.Any]:
        return lambda check_mode, **own: old.call(name, role, check_mode=check_mode, **own)

    old.refused(ObjectMissing, first, "was pruned", "entry", call=on("backup_set_verify", "operator"), set_id=first)
    old.refused(OptionError, first, "committed", call=on("backup_set", "backup"), state="open", set_id=first)
    old.refused(OptionError, first, "committed", call=on("backup_set", "backup"), state="aborted", set_id=first)
    old.refused(ObjectMissing, first, "was pruned", call=on("backup_set", "backup"), state="committed", set_id=first)
    assert old.call("backup_set_info", "drill")["sets"][0]["set_id"] == old.made[3]
    assert old.catalog().read(first).manifest.set_id == first, "its audit blocks are still evidence"


@pytest.mark.mutation
def test_a_killed_prune_is_finished_by_the_next_run(old: OldRepository, role_keys: Path, tmp_path: Path) -> None:
    """Killed at every change of the store: the journal and every object. Once the entry exists, the sets are pruned."""
    repository, aside = Path(old.store.location), tmp_path / "aside"
    shutil.copytree(repository, aside)
    whole = old.prune()
    wanted = {one.key for one in old.store.list("sets")} | {one.key for one in old.store.list("objects")}
    killed = 0
    for number in range(whole["objects"] + 3):
        shutil.rmtree(repository)
        shutil.copytree(aside, repository)
        for role in ("prune", "operator"):
            old.mark(role).unlink(missing_ok=True)
        if not old.killed_at(number):
            break
        killed += 1
        ended = bool(old.journal().of_kind(entries.PRUNE))
        assert ended == (number >= 2)
        verified(old)
        again = old.prune()
        assert set(again["pruned"]) <= set(whole["pruned"]) and (ended or again["pruned"] == whole["pruned"])
        assert {one.key for one in old.store.list("sets")} | {one.key for one in old.store.list("objects")} == wanted
        assert len(old.journal().of_kind(entries.PRUNE)) == 1
        assert not old.prune()["changed"]
    assert killed == whole["objects"] + 2


def test_a_hold_keeps_a_set_and_its_objects_until_the_last_one_is_released(old: OldRepository) -> None:
    second = old.made[1]
    for name in ("case-1", "case-2"):
        held = old.call("backup_hold", "operator", set_id=second, hold=name, reason="evidence")
        assert held["changed"] and name in [one["hold"] for one in held["holds"]]
    done = old.prune()
    assert second in old.sets() and done["pruned"] == [old.made[0], old.made[2]]
    assert {one["set_id"]: one["reasons"] for one in done["sets"]}[second] == ["held: case-1, case-2"]
    verified(old)
    old.call("backup_hold", "operator", set_id=second, hold="case-1", reason="closed", state="absent")
    assert not old.prune()["changed"]
    old.call("backup_hold", "operator", set_id=second, hold="case-2", reason="closed", state="absent")
    assert old.prune()["pruned"] == [second]


def test_objects_locked_by_store_are_retained(old: OldRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = old.made[:3]
    until = datetime.datetime.now(datetime.timezone.utc) + 24 * HOUR
    locked = {layout.dump_key(second, "caracal"), *(one.key for one in old.store.list("objects") if third in one.key)}
    monkeypatch.setattr(LocalStore, "locked_until", lambda _store, key: until if key in locked else None)
    done = old.prune()
    what = {one["set_id"]: one["decision"] for one in done["sets"]}
    assert (what[first], what[second], what[third]) == ("pruned", "retained", "pruned")
    assert {one["key"] for one in done["retained"]} == {key for key in locked if third in key and "/secrets/" in key} | {
        key for key in locked if third in key and "/audit/" in key
    }
    assert second in old.sets() and all(old.store.stat(key) for key in locked)
    verified(old)
    monkeypatch.undo()
    later = old.prune()
    assert later["pruned"] == [second] and not any(old.store.stat(key) for key in locked)


# ---- reasons to stop


def stopped(old: OldRepository, *words: str, **own: t.Any) -> None:
    """Assert that both modes fail with the reason and leave the repository unchanged."""
    before = tree(Path(old.store.location))
    for check_mode in (True, False):
        result = old.prune(check_mode=check_mode, **own)
        assert result["failed"] and not result["changed"] and result["pruned"] == []
        assert [word for word in words if word not in result["msg"]] == [], result["msg"]
        assert {one["decision"] for one in result["sets"]} == {"kept"}
    assert tree(Path(old.store.location)) == before


@pytest.mark.mutation
def test_poisoned_looking_sets_stop_it(old: OldRepository) -> None:
    small = old.add(0.1, size=1, share=False)
    stopped(old, small, "but the sets before it")
    assert not old.prune(check_mode=True, max_shrinkage=0.95)["stopped"]
    assert not old.prune(check_mode=True, accepted_sets=[small])["stopped"]
    bare = old.add(0.1, secrets=False)
    stopped(old, bare, "has no secrets")
    assert old.prune(check_mode=True, accepted_sets=[small, bare])["changed"]


@pytest.mark.mutation
def test_a_burst_of_sets_stops_it(old: OldRepository) -> None:
    made = [old.add(0.05) for _number in range(3)]
    stopped(old, "more than 2 sets were created within 24 hours", made[0], made[2], max_sets_per_day=2, accepted_sets=old.made[:6])
    assert old.prune(max_sets_per_day=4)["changed"]


@pytest.mark.mutation
def test_a_set_that_failed_stops_it(old: OldRepository) -> None:
    old.drill(old.made[5], "fail")
    stopped(old, old.made[5], "failed its last drill")
    unpaired = old.add(0.1, pairing=Pairing("fail", "no"))
    stopped(old, unpaired, "its own secrets do not")


@pytest.mark.mutation
def test_failures_that_a_drill_key_enters_do_not_shorten_retention(old: OldRepository) -> None:
    """A holder of a drill key enters failed drills or verifications for all sets before the newest set."""
    old.drill(old.made[5])
    for set_id in old.made[:3]:
        old.drill(set_id, "fail")
    body = decisions.Verification(1, 1, 9, tuple(old.made[:5])).to_body()
    old.append(entries.VERIFICATION, "drill", subjects=[entries.subject(layout.REPOSITORY, old.load().sha256)], body=body)
    for rules in ({"keep_last": 6}, {"keep_daily": 6}, {"keep_within": 400.0, "keep_last": 0}, {"keep_last": 1, "minimum": 6}):
        assert old.prune(check_mode=True, **rules)["pruned"] == []


@pytest.mark.mutation
def test_a_newer_set_that_is_not_whole_stops_it_and_an_older_one_does_not_count(old: OldRepository) -> None:
    old.store.delete(layout.dump_key(old.made[0], "caracal"))
    done = old.prune(check_mode=True)
    assert done["sets"][0]["reasons"] == [f"incomplete: {layout.dump_key(old.made[0], 'caracal')} is missing or has another size"]
    old.store.delete(layout.inventory_key(old.made[5]))
    stopped(old, old.made[5], "is incomplete", "inventory")


@pytest.mark.mutation
@pytest.mark.parametrize("name", ["manifest.json", "signatures/backup.sig", "RECOVERY.md"])
@pytest.mark.parametrize("gone", [True, False])
def test_missing_or_altered_manifest_stops_prune(old: OldRepository, name: str, gone: bool) -> None:
    """This applies to any set that is not pruned, here to the oldest."""
    path = Path(old.store.location) / layout.set_folder(old.made[0]) / name
    if gone:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-3] + b"xy\n")
    kind = ObjectMissing if gone else TamperedData
    old.see("prune")
    old.refused(kind, "nothing is pruned", call=lambda check_mode: old.prune(check_mode=check_mode, seen=False))


@pytest.mark.mutation
def test_an_entry_that_cannot_be_understood_stops_it(old: OldRepository) -> None:
    old.see("prune")
    digest = old.catalog().get(old.made[0]).manifest_sha256
    body = {"set": old.made[0], "hold": "x", "state": "perhaps", "reason": "y"}
    old.append(entries.HOLD, "operator", subjects=[entries.subject(layout.manifest_key(old.made[0]), digest)], body=body)
    old.refused(TamperedData, "nothing is pruned", "unknown state", call=lambda check_mode: old.prune(check_mode=check_mode, seen=False))


@pytest.mark.mutation
def test_a_host_that_sees_the_repository_for_the_first_time_deletes_nothing(old: OldRepository) -> None:
    """A rolled-back journal would make the newest sets look like leftovers."""
    before = tree(Path(old.store.location))
    for check_mode in (True, False):
        result = old.prune(seen=False, check_mode=check_mode)
        assert result["failed"] and "for the first time" in result["msg"] and str(old.journal().head) in result["msg"]
    assert tree(Path(old.store.location)) == before
    assert old.prune(seen=False)["changed"], "now it has seen it"


@pytest.mark.mutation
def test_a_journal_that_was_rolled_back_stops_it(old: OldRepository) -> None:
    old.see("prune")
    head = old.journal().head
    for path in (Path(old.store.location) / "journal").glob(f"{head.sequence:010d}*"):
        path.unlink()
    old.refused(TamperedData, "rolled back", call=lambda check_mode: old.prune(check_mode=check_mode, seen=False))


def test_only_the_prune_key_prunes_and_only_the_operator_holds(old: OldRepository) -> None:
    old.see("prune")
    for role in ("backup", "drill", "operator", "stranger"):
        key = str(old.keys / role)
        old.refused(KeyProblem, key, call=lambda check_mode, key=key: old.prune(check_mode=check_mode, seen=False, signing_key=key))
    hold = {"set_id": old.made[0], "hold": "x", "reason": "y", "signing_key": str(old.keys / "prune")}
    old.see("operator")
    old.refused(KeyProblem, "prune", call=lambda check_mode: old.call("backup_hold", "operator", check_mode=check_mode, **hold))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"keep_last": 0}, "no retention rule is set"),
        ({"keep_daily": -1}, "keep_daily is -1"),
        ({"minimum": 0}, "minimum is 0"),
        ({"grace": 0.5}, "grace"),
        ({"grace": float("nan")}, "grace"),
        ({"keep_within": float("inf")}, "keep_within"),
        ({"max_shrinkage": 1.0}, "max_shrinkage is 1.0"),
        ({"accepted_sets": ["x"]}, "'x'"),
        ({"max_sets_per_day": 0}, "max_sets_per_day is 0"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(old: OldRepository, given: dict[str, t.Any], words: str) -> None:
    old.see("prune")
    old.refused(OptionError, words, call=lambda check_mode: old.prune(check_mode=check_mode, seen=False, **given))


@pytest.mark.mutation
def test_an_entry_that_ends_a_held_set_ends_nothing(old: OldRepository) -> None:
    """An attacker has stolen the prune key, and the store has kept the objects."""
    first, second = old.made[:2]
    old.call("backup_hold", "operator", set_id=first, hold="x", reason="evidence")
    records = {one.set_id: one for one in old.catalog().sets()}
    subjects = [entries.subject(layout.manifest_key(one), records[one].manifest_sha256) for one in (first, second)]
    body = decisions.Prune(dict.fromkeys((first, second), "because"), (), 0).to_body()
    old.append(entries.PRUNE, "prune", subjects=subjects, body=body)
    assert old.sets() == old.made, "nor does it end one whose bytes are there"
    assert old.call("backup_set_verify", "operator", set_id=first)["verdict"] == "pass"
    assert first not in old.prune()["pruned"]
    assert old.call("backup_set_verify", "operator", set_id=first)["verdict"] == "pass"


def forge(old: OldRepository, *ends: str) -> entries.Entry:
    """Append an entry like a thief of the prune key. The store keeps the objects."""
    records = {one.set_id: one for one in old.catalog().sets()}
    subjects = [entries.subject(layout.manifest_key(one), records[one].manifest_sha256) for one in ends]
    body = decisions.Prune(dict.fromkeys(ends, "because"), (), 0).to_body()
    return old.append(entries.PRUNE, "prune", subjects=subjects, body=body)


@pytest.mark.mutation
def test_an_entry_alone_ends_no_set(old: OldRepository) -> None:
    forge(old, *old.made)
    assert old.sets() == old.made
    assert old.call("backup_set_verify", "operator", set_id="latest")["set_id"] == old.made[-1]
    done = old.prune()
    assert done["pruned"] == old.made[:3] and old.sets() == old.made[3:], "and the rules still say what stays"
    verified(old)
    assert not old.prune()["changed"]


@pytest.mark.mutation
def test_an_entry_that_the_operator_takes_back_condemns_nothing(old: OldRepository) -> None:
    forged = forge(old, old.made[0])
    hold = {"set_id": old.made[0], "hold": "x", "reason": "evidence"}
    old.see("operator")
    old.refused(
        ObjectMissing,
        "was pruned, see entry",
        "journal_correct",
        call=lambda check_mode: old.call("backup_hold", "operator", check_mode=check_mode, **hold),
    )
    name = f"{forged.sequence}-{forged.sha256[:16]}"
    assert old.call("journal_correct", "operator", entries=[name], what="everything", reason="stolen")["changed"]
    assert old.call("backup_hold", "operator", **hold)["changed"]
    assert old.journal().of_kind(entries.PRUNE) == [] and old.made[0] not in old.prune()["pruned"]


@pytest.mark.mutation
def test_a_hold_that_the_operator_takes_back_holds_nothing(old: OldRepository) -> None:
    old.call("backup_hold", "operator", set_id=old.made[0], hold="x", reason="evidence")
    head = str(old.journal().head)
    old.call("journal_correct", "operator", entries=[head], what="everything", reason="the wrong set")
    assert old.made[0] in old.prune()["pruned"]


@pytest.mark.mutation
def test_object_that_store_only_claims_to_delete_is_reported(old: OldRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    key = layout.inventory_key(old.made[0])
    real = LocalStore.purge
    monkeypatch.setattr(
        LocalStore, "purge", lambda store, one: None if one.startswith(layout.set_folder(old.made[0])) else real(store, one)
    )
    with pytest.raises(StorageError, match=f"{key} still exists"):
        old.prune()
    assert old.made[0] in old.sets()


# ---- the clock


def clock_at(monkeypatch: pytest.MonkeyPatch, **ahead: float) -> None:
    """Set this host's clock ahead, also for signature checks."""

    def now() -> datetime.datetime:
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**ahead)

    monkeypatch.setattr(access, "now", now)
    monkeypatch.setattr(Verifier.load.__func__, "__defaults__", (None, now))


@pytest.mark.mutation
@pytest.mark.parametrize("own", [{"keep_last": 0, "keep_within": 240.0}, {}])
def test_a_clock_ten_years_ahead_prunes_nothing(old: OldRepository, monkeypatch: pytest.MonkeyPatch, own: dict[str, t.Any]) -> None:
    """Also if the store's clock is this host's own."""
    old.see("prune")
    clock_at(monkeypatch, days=3653)
    monkeypatch.setattr(LocalStore, "clock", lambda _store: access.now())
    stopped(old, "newest entry", "correct the clock", seen=False, **own)


@pytest.mark.mutation
@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_differs_from_the_stores_prunes_nothing(old: OldRepository, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    """The file system's clock is read from the time of a newly written file."""
    old.see("prune")
    monkeypatch.setattr(access, "now", lambda: datetime.datetime.now(datetime.timezone.utc) + hours * HOUR)
    old.refused(
        VerificationFailed,
        old.store.location,
        "synchronize the wrong clock",
        call=lambda check_mode: old.prune(check_mode=check_mode, seen=False),
    )


# ---- leftovers


def test_remains_of_killed_runs_are_deleted_after_grace_time(old: OldRepository) -> None:
    now = datetime.datetime.now(datetime.timezone.utc)
    long_ago, just_now = (layout.new_set_id(now - hours * HOUR, b"killd") for hours in (72, 2))
    for set_id in (long_ago, just_now):
        for key in (
            layout.dump_key(set_id, "caracal"),
            layout.leaf_key("audit_events_x", "2" * 64, set_id),
            layout.part_key(set_id, "x"),
            layout.checkpoint_key(set_id),
            layout.drill_report_key(set_id),
        ):
            old.store.put(key, b"{}")
    partials = [Path(old.store.location) / "objects" / f".{number:016x}.partial" for number in (1, 2)]
    for path in partials:
        path.write_bytes(b"half")
    os.utime(partials[0], (0, 0))
    strange = Path(old.store.location) / "sets" / "notes.txt"
    strange.write_text("who knows")
    predicted = old.prune(check_mode=True)
    done = old.prune()
    assert {**done, "journal_head": ""} == {**predicted, "journal_head": ""}
    assert len(done["garbage"]) == 5 and all(long_ago in key for key in done["garbage"]) and done["partials"] == 1
    assert [path.exists() for path in partials] == [False, True] and strange.exists()
    assert not (Path(old.store.location) / layout.set_folder(long_ago)).exists()
    assert len([one for one in old.store.list("") if just_now in one.key]) == 5
    verified(old)


def test_garbage_alone_is_entered_too(old: OldRepository) -> None:
    old.prune()
    killed = layout.new_set_id(datetime.datetime.now(datetime.timezone.utc) - 72 * HOUR, b"killd")
    old.store.put(layout.dump_key(killed, "caracal"), b"x")
    assert old.prune()["garbage"] == [layout.dump_key(killed, "caracal")]
    last = old.journal().of_kind(entries.PRUNE)[-1]
    assert decisions.prune(last).sets == {} and list(last.subjects) == ["repository.json"]


def test_objects_named_by_open_set_are_kept(old: OldRepository) -> None:
    """The open set shares a partition and the secrets of a set that no rule keeps."""
    second = old.made[1]
    shared = [one for one in old.manifest_of(second).artifacts if one.path.startswith("objects/") and second in one.path]
    running = layout.new_set_id(datetime.datetime.now(datetime.timezone.utc) - 2 * HOUR, b"runng")
    parts.write(
        old.store, running, "postgres", {"databases": [{"leaves": [one.to_dict() for one in shared[:1]]}], "x": shared[1].to_dict()}, None
    )
    assert second in old.prune()["pruned"]
    assert len(shared) == 2 and all(old.store.stat(one.path) for one in shared)
    old.call("backup_set", "backup", state="aborted", set_id=running)
    assert old.prune()["objects"] == 2


def test_an_entry_that_comes_between_makes_a_new_plan(old: OldRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hold that is entered while the prune plans is respected."""
    second, real = old.made[1], LocalStore.put
    old.see("prune")

    def put(store: LocalStore, key: str, data: bytes) -> t.Any:
        if key.startswith("journal/") and key.endswith(".json"):
            monkeypatch.setattr(LocalStore, "put", real)
            old.call("backup_hold", "operator", set_id=second, hold="x", reason="just in time")
        return real(store, key, data)

    monkeypatch.setattr(LocalStore, "put", put)
    done = old.prune(seen=False)
    assert second not in done["pruned"] and second in old.sets() and old.made[0] in done["pruned"]
    verified(old)


def test_prune_reports_newest_set_that_needs_each_identity(old: OldRepository) -> None:
    former = old.recipient.fingerprint
    old.recipient = old.new_identity(old.folder / "identity2")
    last = old.add(0.5, share=False)
    by_recipient = {one["recipient"]: one for one in old.prune()["recipients"]}
    assert (
        by_recipient[former]["current"] is False
        and by_recipient[former]["newest_set"] == old.made[-2]
        and by_recipient[former]["sets"] == len(old.sets()) - 1
    )
    assert by_recipient[old.recipient.fingerprint] == {
        **by_recipient[old.recipient.fingerprint],
        "sets": 1,
        "newest_set": last,
        "current": True,
    }
