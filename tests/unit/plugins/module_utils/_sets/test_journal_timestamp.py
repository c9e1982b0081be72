# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A timestamp next to the journal's newest entry, and its effect on a verification of the repository."""

from __future__ import annotations

import dataclasses
import datetime
import shutil
import typing as t
import uuid
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    KeyProblem,
    OptionError,
    StorageError,
    TamperedData,
    Unreachable,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from scenes import s3_policies
from scenes.old_repository import OldRepository
from scenes.s3_server import BACKUP, DRILL, S3Server
from scenes.scene import Result, tree
from scenes.timestamp_authority import Authority, Server, serve

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


@dataclasses.dataclass(frozen=True)
class Place:
    """A repository, an authority, and the file with its root certificate."""

    old: OldRepository
    server: Server
    roots: str

    @property
    def authority(self) -> Authority:
        return self.server.authority

    @property
    def head(self) -> entries.Entry:
        return self.old.journal().entries[-1]

    @property
    def slot(self) -> str:
        """Return the key of the newest entry's timestamp."""
        return layout.entry_timestamp_key(self.head.sequence, self.head.sha256)

    def stamp(self, **own: t.Any) -> Result:
        return self.old.call("journal_timestamp", "backup", **{"timestamp_url": self.server.url, "timestamp_roots": self.roots, **own})

    def entry(self, number: int) -> bytes:
        return self.old.store.read(layout.entry_key(number))

    def put(self, number: int, content: bytes | None = None) -> str:
        """Store a timestamp of an older entry, new or as given."""
        data = self.entry(number)
        key = layout.entry_timestamp_key(number, entries.sha256(data))
        self.old.store.put(key, self.authority.stamp(data) if content is None else content)
        return key

    def verify(self, **own: t.Any) -> Result:
        return self.old.call("repository_verify", "drill", **{"signing_key": None, "timestamp_roots": self.roots, **own})

    def checked(self, **own: t.Any) -> dict[str, t.Any]:
        (check,) = [one for one in self.verify(**own)["checks"] if one["id"] == "journal.timestamps"]
        return check


@pytest.fixture
def place(old: OldRepository, tmp_path: Path) -> t.Iterator[Place]:
    authority = Authority()
    with serve(authority) as server:
        yield Place(old, server, authority.roots(tmp_path))


@pytest.mark.no_false_alarm
def test_the_newest_entry_is_stamped_once(place: Place) -> None:
    place.old.see("backup")
    before = tree(place.old.folder)
    predicted = place.stamp(check_mode=True)
    assert tree(place.old.folder) == before and place.server.asked == [], "check mode asks nobody"
    done = place.stamp()
    unknown = {"time": None, "authority": None, "verdict": "unproven", "message": "no timestamp was requested"}
    assert {**done, **unknown} == predicted and done["changed"] and done["verdict"] == "pass"
    assert done["diff"] == {"before": "", "after": f"{place.slot}\n"} and done["key"] == place.slot
    assert (done["sequence"], done["sha256"]) == (place.head.sequence, place.head.sha256)
    assert done["authority"] == "CN=Test Stamper" and done["time"] >= NOW.strftime("%Y-%m-%dT%H:%M:%S")
    stored = tree(place.old.folder)
    for check_mode in (True, False):
        again = place.stamp(check_mode=check_mode)
        assert again == {**done, "changed": False, "diff": {"before": "", "after": ""}}
    assert tree(place.old.folder) == stored and len(place.server.asked) == 1
    place.old.add(0.1)
    assert place.stamp()["changed"] and len(place.server.asked) == 2, "a new head is another matter"


@pytest.mark.no_false_alarm
def test_a_repository_with_timestamps_is_whole_is_copied_and_pruned(place: Place) -> None:
    assert place.checked()["message"] == "the journal contains no timestamp"
    place.stamp()
    first = place.slot
    place.old.prune()
    check = place.checked()
    assert check["verdict"] == "pass" and check["required"] and check["message"].startswith("1 timestamp verified, newest for entry"), check
    assert check["details"]["entries_after"] == 1 and "entries after it: 1" in check["message"]
    place.stamp()
    assert place.checked()["details"]["timestamps"] == 2 and place.checked()["details"]["entries_after"] == 0
    assert place.verify()["verdict"] == "pass"
    copy = str(place.old.folder / "copy")
    for copied in (True, False):
        assert place.old.call("repository_copy", "operator", destination=copy)["changed"] is copied
    assert Path(copy, first).read_bytes() == place.old.store.read(first)
    assert place.checked(repository=copy)["details"]["timestamps"] == 2
    Path(copy, first).unlink()
    assert place.old.call("repository_copy", "operator", destination=copy)["diff"]["after"] == f"{first}\n", "also one that came late"
    place.old.call("repository_copy", "operator", destination=copy, read_all=True)


def test_without_roots_a_timestamp_proves_nothing(place: Place) -> None:
    place.stamp()
    check = place.checked(timestamp_roots=None)
    assert (check["verdict"], check["required"]) == (
        "not_applicable",
        False,
    ) and "1 timestamp of the journal could not be verified" in check["message"]
    (orphans,) = [one for one in place.verify(timestamp_roots=None)["checks"] if one["id"] == "repository.orphans"]
    assert orphans["verdict"] == "pass"


@pytest.mark.mutation
def test_an_answer_that_proves_nothing_is_not_stored(place: Place) -> None:
    place.old.see("backup")
    before = tree(Path(place.old.store.location))
    place.authority.nonce = 5
    with pytest.raises(TamperedData, match="another request"):
        place.stamp()
    place.server.code = 500
    with pytest.raises(Unreachable, match="HTTP status 500"):
        place.stamp()
    assert tree(Path(place.old.store.location)) == before


@pytest.mark.mutation
def test_optional_timestamp_failure_is_unproven_with_reason(place: Place) -> None:
    place.server.code = 500
    found = place.stamp(require_valid=False)
    assert found["verdict"] == "unproven" and not found["changed"] and place.server.url in found["message"]
    place.server.code = 200
    assert place.stamp(require_valid=False)["verdict"] == "pass"


@pytest.mark.mutation
def test_fast_host_clock_is_reported_and_nothing_is_stored(place: Place) -> None:
    before = tree(Path(place.old.store.location))
    place.authority.time = (place.head.judged - datetime.timedelta(minutes=5, seconds=2)).replace(microsecond=0)
    with pytest.raises(TamperedData, match="was dated forward; correct the clock of"):
        place.stamp()
    assert tree(Path(place.old.store.location)) == before
    place.authority.time += datetime.timedelta(seconds=3)
    assert place.stamp()["changed"] and place.checked()["verdict"] == "pass", "clocks differ a little"


@pytest.mark.mutation
def test_invalid_stored_timestamp_is_an_error(place: Place) -> None:
    place.old.store.put(place.slot, b"?")
    place.old.refused(TamperedData, place.slot, "not a valid timestamp", call=place.stamp)
    assert place.server.asked == []


@pytest.mark.mutation
def test_valid_timestamp_stored_first_by_another_host_is_accepted(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = LocalStore.put
    others: list[bytes] = []

    def put(store: LocalStore, key: str, data: bytes) -> t.Any:
        if others:
            real(store, key, others.pop())
        return real(store, key, data)

    monkeypatch.setattr(LocalStore, "put", put)
    place.authority.time = NOW - datetime.timedelta(seconds=7)
    others.append(place.authority.stamp(place.entry(place.head.sequence)))
    place.authority.time = None
    done = place.stamp()
    assert not done["changed"] and done["time"] == (NOW - datetime.timedelta(seconds=7)).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    place.old.add(0.1)
    others.append(b"?")
    with pytest.raises(TamperedData, match="not a valid timestamp"):
        place.stamp()


@pytest.mark.mutation
def test_a_store_that_gives_back_something_else_is_found(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = LocalStore.put
    place.authority.time = NOW - datetime.timedelta(seconds=7)
    wrong = place.authority.stamp(place.entry(place.head.sequence))
    place.authority.time = None
    monkeypatch.setattr(LocalStore, "put", lambda store, key, _data: real(store, key, wrong))
    with pytest.raises(StorageError, match="was read back with other content"):
        place.stamp()


def test_unusable_options_are_refused_before_authority_is_contacted(place: Place) -> None:
    place.old.see("backup")
    roots = Path(place.old.store.location, "roots.pem")
    shutil.copy(place.roots, roots)
    place.old.refused(OptionError, "timestamp_roots", "is inside the repository", call=place.stamp, timestamp_roots=str(roots))
    roots.unlink()
    place.old.refused(OptionError, "timestamp_url", call=place.stamp, timestamp_url="https://u:p@tsa.example.org")
    place.old.refused(KeyProblem, "timestamp_roots", "cannot be read", call=place.stamp, timestamp_roots="/nowhere.pem")
    assert place.server.asked == []


Damage = t.Callable[[Place], t.Any]


def _flipped(place: Place) -> None:
    path = place.old.path(place.slot)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _cut(place: Place) -> None:
    path = place.old.path(place.slot)
    path.write_bytes(path.read_bytes()[:-1])


def _too_large(place: Place) -> None:
    place.old.path(place.slot).write_bytes(b"x" * (1 << 20 | 1))


def _of_another_entry(place: Place) -> None:
    place.old.path(place.slot).write_bytes(place.authority.stamp(place.entry(place.head.sequence - 1)))


def _by_an_unknown_authority(place: Place) -> None:
    place.old.path(place.slot).write_bytes(Authority("Stranger").stamp(place.entry(place.head.sequence)))


def _of_no_entry(place: Place) -> None:
    place.old.store.put(layout.entry_timestamp_key(place.head.sequence + 1, "0" * 64), place.authority.stamp(b"x"))


def _of_a_fork(place: Place) -> None:
    place.old.store.put(layout.entry_timestamp_key(place.head.sequence, "0" * 64), place.authority.stamp(b"x"))


def _without_a_number(place: Place) -> None:
    place.old.store.put("journal/x.tsr", place.authority.stamp(b"x"))


def _dated_forward(place: Place) -> None:
    """The signer of the newest entry dates it nine minutes ahead, which is accepted. The authority's timestamp is of now."""
    place.old.add(1.15)
    place.put(place.head.sequence)


def _dated_forward_and_seen_later(place: Place) -> None:
    """The same, but only a later entry has a timestamp."""
    place.old.add(1.15)
    place.old.drill(place.old.made[-1])
    place.put(place.head.sequence)


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_flipped, "has no valid signature"),
        (_cut, "is not a valid timestamp"),
        (_too_large, "is larger than"),
        (_of_another_entry, "is a timestamp of other data"),
        (_by_an_unknown_authority, "is not signed by an authority in"),
        (_of_no_entry, "of an entry that the journal lacks"),
        (_of_a_fork, "of an entry that the journal lacks"),
        (_without_a_number, "of an entry that the journal lacks"),
        (_dated_forward, "dated forward"),
        (_dated_forward_and_seen_later, "dated forward"),
    ],
)
def test_a_verification_finds_what_is_wrong_with_timestamps(place: Place, damage: Damage, words: str) -> None:
    place.stamp()
    assert place.checked()["verdict"] == "pass"
    damage(place)
    result, check = place.verify(), place.checked()
    assert result["failed"] and result["verdict"] == "fail" and result["failed_sets"] == []
    assert check["verdict"] == "fail" and check["required"] and words in check["message"] and "\n" not in check["message"], check
    assert len(check["details"]["faults"]) >= 1


@pytest.mark.mutation
def test_remaining_timestamp_reveals_rolled_back_journal(place: Place) -> None:
    """Also on a host that has never seen the repository."""
    place.stamp()
    head = place.head
    for key in (layout.entry_key(head.sequence), layout.entry_signature_key(head.sequence, head.sha256)):
        place.old.path(key).unlink()
    check = place.checked()
    assert check["verdict"] == "fail" and "rolled back" in check["message"] and place.old.journal().head.sequence == head.sequence - 1


@pytest.mark.no_false_alarm
def test_entry_and_timestamp_added_during_check_still_pass(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.stamp()
    real, calls = LocalStore.list, iter(range(2))

    def listed(store: LocalStore, prefix: str, after: str = "") -> t.Any:
        if prefix == layout.JOURNAL and next(calls, None) == 1:  # the journal was read, timestamps are next
            place.old.add(0.1)
            place.put(place.head.sequence)
        return real(store, prefix, after)

    monkeypatch.setattr(LocalStore, "list", listed)
    check = place.checked()
    assert check["verdict"] == "pass" and check["details"]["timestamps"] == 2 and next(calls, None) is None


@pytest.mark.no_false_alarm
def test_in_a_bucket_the_policies_of_the_guide_are_enough_and_a_timestamp_is_locked_like_the_journal(
    s3: S3Server, role_keys: Path, tmp_path: Path
) -> None:
    bucket, prefix = s3.bucket(), uuid.uuid4().hex
    old = OldRepository(tmp_path, role_keys, 25, f"s3://{bucket}/{prefix}", s3.options(lock_mode="GOVERNANCE"))
    old.add()
    s3_policies.enforce(s3, bucket, prefix)
    authority = Authority()
    with serve(authority) as server:
        place = Place(old, server, authority.roots(tmp_path))
        for changed in (True, False):
            assert place.stamp(s3_profile=BACKUP)["changed"] is changed
        until = old.store.locked_until(place.slot)
        assert until and until - NOW > datetime.timedelta(days=399)
        result, check = place.verify(s3_profile=DRILL), place.checked(s3_profile=DRILL)
        assert check["verdict"] == "pass" and "fail" not in {one["verdict"] for one in result["checks"]}, result["checks"]
        s3.client.put_object(Bucket=bucket, Key=f"{prefix}/{place.slot}", Body=b"?")
        result = place.verify(s3_profile=DRILL)
    verdicts = {one["id"]: one["verdict"] for one in result["checks"]}
    assert verdicts["journal.timestamps"] == "pass" and verdicts["repository.shadowed"] == "warn", "the first version counts"


@pytest.mark.no_false_alarm
def test_an_old_entry_may_be_stamped_late(place: Place) -> None:
    place.put(1)
    check = place.checked()
    assert check["verdict"] == "pass" and check["details"]["entry"] == 1 and check["details"]["entries_after"] == place.head.sequence - 1
