# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import hashlib
import os
import threading
import typing as t
import uuid

import pytest
from botocore.paginate import Paginator

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    ObjectExists,
    ObjectMissing,
    OptionError,
    StorageError,
    TamperedData,
    Unreachable,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import BucketOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage import s3_lock, s3_parts, s3_prepare
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.s3 import S3Store
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.schemes import open_store
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import workers
from scenes.s3_server import S3Server

KEY = "sets/20261125T020000Z-k3f9/manifest.json"
ENTRY = "journal/0000000001.json"
BIG = "objects/audit/x/big"
PART_KEY = "sets/20261125T020000Z-k3f9/parts/postgres.json"
DAY = datetime.timedelta(days=1)


def new_store(s3: S3Server, bucket: str | None = None, prefix: str | None = None, **own: t.Any) -> S3Store:
    found = open_store(f"s3://{bucket or s3.shared}/{prefix or uuid.uuid4().hex}", BucketOptions(**s3.options(**own)))
    assert isinstance(found, S3Store)
    return found


def again(s3: S3Server, store: S3Store, **own: t.Any) -> S3Store:
    """Return the same location without any cached state."""
    return new_store(s3, store.bucket.name, store.bucket.root.rstrip("/"), **own)


@pytest.fixture
def store(s3: S3Server) -> S3Store:
    return new_store(s3)


@pytest.fixture
def locked(s3: S3Server) -> S3Store:
    return new_store(s3, lock_mode="GOVERNANCE", lock_days={"sets": 3})


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> int:
    """Make parts as small as a server accepts, so that a few megabytes have several parts."""
    monkeypatch.setattr(s3_parts, "PART", 5 << 20)
    return 5 << 20


def put_stream(store: S3Store, key: str, size: int, *, known: bool = True) -> str:
    """Write random bytes in pieces of odd sizes and return their SHA-256."""
    digest, left = hashlib.sha256(), size
    with store.writer(key.rpartition("/")[0], key if known else None) as out:
        while left:
            piece = os.urandom(min(left, 777_777))
            digest.update(piece)
            out.write(piece)
            left -= len(piece)
        assert out.publish(key).size == size
    return digest.hexdigest()


def sha256(store: S3Store, key: str) -> str:
    digest = hashlib.sha256()
    with store.open(key) as stream:
        while piece := stream.read(100_000):
            digest.update(piece)
    return digest.hexdigest()


def unfinished(store: S3Store) -> int:
    return len(list(s3_prepare.uploads(store.bucket, "")))


def version(store: S3Store, key: str) -> dict[str, t.Any]:
    """Return bucket, key and ID of the newest version."""
    return {**store.bucket.named(key), "VersionId": store.bucket.client.head_object(**store.bucket.named(key))["VersionId"]}


def test_stored_object_is_readable(store: S3Store) -> None:
    assert store.put(KEY, b"content").size == 7
    assert store.read(KEY) == b"content"
    assert store.stat(KEY) == store.list("sets")[0]
    with store.open(KEY) as stream:
        assert stream.read(3) == b"con" and stream.read() == b"tent"
    assert store.put("sets/empty", b"").size == 0 and store.read("sets/empty") == b""
    assert store.free_bytes() is None


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("size", [1, 5 << 20, (5 << 20) + 1, (17 << 20) + 3])
def test_stream_is_read_back_unchanged(store: S3Store, small_parts: int, size: int, known: bool) -> None:
    assert put_stream(store, BIG, size, known=known) == sha256(store, BIG)
    assert [(one.key, one.size) for one in store.list("")] == [(BIG, size)]
    assert unfinished(store) == 0


@pytest.mark.parametrize("size", [10, 11 << 20])
def test_a_stream_is_published_whole_or_not_at_all(store: S3Store, small_parts: int, size: int) -> None:
    with pytest.raises(RuntimeError, match="stage died"), store.writer("objects", BIG) as out:
        out.write(b"x" * size)
        assert store.list("") == []
        raise RuntimeError("stage died")
    assert store.list("") == [] and unfinished(store) == 0


@pytest.mark.mutation
@pytest.mark.parametrize("key", [KEY, "sets/a", PART_KEY, ENTRY, BIG])
@pytest.mark.parametrize("size", [6, 11 << 20])
def test_nothing_is_overwritten(store: S3Store, small_parts: int, key: str, size: int) -> None:
    store.put(key, b"first")
    with pytest.raises(ObjectExists, match="already exists; a repository never overwrites"):
        put_stream(store, key, size)
    with pytest.raises(ObjectExists, match="already exists; a repository never overwrites"):
        put_stream(store, key, size, known=False)
    assert store.read(key) == b"first" and store.layered() == [] and unfinished(store) == 0


@pytest.mark.mutation
@pytest.mark.parametrize("key", [ENTRY, PART_KEY])
def test_one_of_several_concurrent_writes_succeeds(s3: S3Server, store: S3Store, key: str) -> None:
    won: list[int] = []
    start = threading.Barrier(6)
    writers = [again(s3, store) for _time in range(6)]

    def put(number: int) -> None:
        start.wait()
        try:
            writers[number].put(key, b"%d" % number)
            won.append(number)
        except ObjectExists:
            return

    threads = [threading.Thread(target=put, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 and store.read(key) == b"%d" % won[0] and store.layered() == []


def test_a_listing_is_sorted_and_of_a_folder(s3: S3Server, store: S3Store) -> None:
    for key in ("journal/2", "journal/1", "journal/a/3", "journals/4", "other"):
        store.put(key, b"")
    s3.client.put_object(Bucket=store.bucket.name, Key=f"{store.bucket.root}journal/with blank", Body=b"")
    s3.client.put_object(Bucket=store.bucket.name, Key=f"{store.bucket.root}journal/.x", Body=b"")
    s3.client.put_object(Bucket=store.bucket.name, Key=f"{store.bucket.root.rstrip('/')}x/journal/5", Body=b"")
    assert [one.key for one in store.list("journal")] == ["journal/1", "journal/2", "journal/a/3"]
    assert [one.key for one in store.list("journal/")] == ["journal/1", "journal/2", "journal/a/3"]
    assert len(store.list("")) == 5
    for after in ("journal", "journal/1", "journal/10", "journal/2", "journal/a/3", "journal/z", "k", "a"):
        assert store.list("", after) == [one for one in store.list("") if one.key > after]
    assert store.list("nowhere") == []


def test_a_listing_of_several_pages(s3: S3Server, store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The versions of one key are on two pages here."""
    for number in range(7):
        store.put(f"journal/{number}", b"x" * number)
    for _time in range(4):
        s3.client.put_object(**store.bucket.named("journal/3"), Body=b"other bytes")
    real = Paginator.paginate
    monkeypatch.setattr(Paginator, "paginate", lambda self, **given: real(self, **given, PaginationConfig={"PageSize": 3}))
    assert [(one.key, one.size) for one in store.list("journal")] == [(f"journal/{number}", number) for number in range(7)]


@pytest.mark.mutation
def test_a_missing_object_is_named(store: S3Store) -> None:
    for read in (store.read, store.open):
        with pytest.raises(ObjectMissing, match=f"{KEY} does not exist"):
            read(KEY)
    assert store.stat(KEY) is None
    with pytest.raises(TamperedData, match="is not a valid path"):
        store.read("../other/secret")


@pytest.mark.mutation
def test_an_object_over_its_limit_is_refused(store: S3Store) -> None:
    store.put(KEY, b"12345")
    assert store.read(KEY, limit=5) == b"12345"
    with pytest.raises(StorageError, match="larger than 4 bytes"):
        store.read(KEY, limit=4)


@pytest.mark.mutation
@pytest.mark.parametrize("key", [ENTRY, KEY, "repository.json", "sets/20261125T020000Z-k3f9/signatures/backup.sig"])
@pytest.mark.parametrize("marker", [True, False])
@pytest.mark.parametrize("other", [True, False])
def test_first_version_of_object_that_is_never_deleted_is_read(s3: S3Server, store: S3Store, key: str, marker: bool, other: bool) -> None:
    store.put(key, b"true")
    if marker:
        s3.client.delete_object(**store.bucket.named(key))
    if other:
        s3.client.put_object(**store.bucket.named(key), Body=b"forged")
    seen = again(s3, store)
    assert seen.read(key) == b"true" and seen.stat(key) is not None
    assert seen.layered() == ([key] if marker or other else [])
    with pytest.raises(ObjectExists):
        seen.put(key, b"mine")
    assert again(s3, store).read(key) == b"true"


@pytest.mark.mutation
def test_an_entry_of_the_journal_below_a_marker_is_listed(s3: S3Server, store: S3Store) -> None:
    store.put(ENTRY, b"true")
    s3.client.delete_object(**store.bucket.named(ENTRY))
    assert [one.key for one in again(s3, store).list("journal")] == [ENTRY]


@pytest.mark.parametrize("key", [PART_KEY, BIG])
def test_properly_deleted_object_is_gone_and_can_be_stored_again(store: S3Store, key: str) -> None:
    store.put(key, b"first")
    store.delete(key)
    store.delete(key)
    store.delete("never/was")
    assert store.stat(key) is None and store.list("") == [] and store.layered() == [key]
    store.put(key, b"second")
    assert store.read(key) == b"second" and store.layered() == [key]


def test_until_when_the_store_refuses(s3: S3Server, store: S3Store, locked: S3Store) -> None:
    store.put("sets/a", b"")
    assert store.locked_until("sets/a") is None and store.locked_until("sets/b") is None
    locked.put("sets/a", b"")
    until = locked.locked_until("sets/a")
    assert until and abs(until - locked.bucket.now() - 3 * DAY) < DAY / 24


@pytest.mark.mutation
def test_an_object_that_was_written_over_is_read_as_it_was(s3: S3Server, store: S3Store) -> None:
    store.put(BIG, b"true")
    s3.client.put_object(**store.bucket.named(BIG), Body=b"forged")
    assert store.read(BIG) == b"true" and store.layered() == [BIG]


def test_clear_takes_objects_and_what_killed_writers_left(s3: S3Server, store: S3Store, small_parts: int) -> None:
    store.put("sets/one/a", b"1")
    store.put("sets/two/a", b"2")
    writer = store.writer("sets/one", "sets/one/b")
    writer.write(b"x" * (6 << 20))
    assert store.clear("sets/one", dry=True) == 2
    assert len(store.list("")) == 2 and unfinished(store) == 1
    assert store.clear("sets/one") == 2
    assert store.clear("sets/one") == 0
    writer.discard()
    assert [one.key for one in store.list("")] == ["sets/two/a"]


def test_it_works_in_processes_side_by_side(store: S3Store) -> None:
    """A connection must not be shared with a fork."""
    store.put("sets/before", b"x")
    keys = [f"sets/{number}" for number in range(6)]
    sizes = workers.run_all([(_put_one, (store, key)) for key in keys], 3)
    assert sizes == [len(key) for key in keys]
    assert [store.read(key) for key in keys] == [key.encode() for key in keys]


def _put_one(store: S3Store, key: str) -> int:
    return store.put(key, key.encode()).size


@pytest.mark.parametrize("size", [10, 11 << 20])
@pytest.mark.parametrize("known", [True, False])
def test_every_object_is_locked_for_its_class(s3: S3Server, locked: S3Store, small_parts: int, size: int, known: bool) -> None:
    for key, days in (("sets/a", 3), (BIG, 35), ("journal/1", 400)):
        put_stream(locked, key, size, known=known)
        found = locked.bucket.client.get_object_retention(**version(locked, key))["Retention"]
        left = found["RetainUntilDate"] - locked.bucket.now()
        assert found["Mode"] == "GOVERNANCE" and datetime.timedelta(days=days) - DAY / 24 < left <= datetime.timedelta(days=days)
    locked.put(PART_KEY, b"")
    assert "ObjectLockMode" not in locked.bucket.client.head_object(**locked.bucket.named(PART_KEY))


@pytest.mark.no_false_alarm
def test_the_default_of_the_bucket_holds_where_nothing_is_asked(s3: S3Server) -> None:
    bucket = s3.bucket()
    s3.client.put_object_lock_configuration(
        Bucket=bucket,
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 2}}},
    )
    store = new_store(s3, bucket)
    store.put("sets/a", b"")
    assert store.bucket.client.head_object(**store.bucket.named("sets/a"))["ObjectLockMode"] == "COMPLIANCE"


def test_a_lock_is_extended_and_never_shortened(s3: S3Server, locked: S3Store) -> None:
    def until(store: S3Store) -> datetime.datetime:
        found: datetime.datetime = store.bucket.client.head_object(**version(store, "sets/a"))["ObjectLockRetainUntilDate"]
        return found

    locked.put("sets/a", b"")
    first = until(locked)
    longer = again(s3, locked, lock_mode="GOVERNANCE", lock_days={"sets": 9})
    longer.extend("sets/a")
    assert until(locked) - first > 5 * DAY
    locked.extend("sets/a")
    again(s3, locked).extend("sets/a")
    assert until(locked) - first > 5 * DAY


@pytest.mark.mutation
def test_a_lock_that_is_not_kept_is_found(s3: S3Server, s3_proxy: t.Any) -> None:
    store = new_store(s3, lock_mode="GOVERNANCE", s3_endpoint=s3_proxy.endpoint)
    s3_proxy.add("^HEAD .*/sets/a", change=lambda answer: answer.header("x-amz-object-lock-mode", "NOTHING"))
    with pytest.raises(StorageError, match="is locked NOTHING until"):
        store.put("sets/a", b"")
    s3_proxy.faults.clear()
    s3_proxy.add("^HEAD .*/sets/b", change=lambda answer: answer.header("x-amz-object-lock-retain-until-date", "2026-01-01T00:00:00Z"))
    with pytest.raises(StorageError, match="until 2026-01-01"):
        store.put("sets/b", b"")


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("days", "ceiling", "words"),
    [
        ({"journals": 3}, 400, "names the unknown class .*; the classes are sets, objects, secrets, journal, archive, drills"),
        ({"sets": "many"}, 400, "give a number of days"),
        ({"sets": -1}, 400, "give a number of days"),
        ({"sets": 4000}, 400, "more than lock_days_max 400"),
        ({}, 399, "lock_days of journal is 400, more than lock_days_max 399"),
    ],
)
def test_days_that_make_no_sense_are_refused(days: dict[str, t.Any], ceiling: int, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        s3_lock.make("COMPLIANCE", days, ceiling)


def test_days_count_from_the_write_and_zero_locks_nothing() -> None:
    now = datetime.datetime(2026, 6, 17, 12, 30, 0, 5, tzinfo=datetime.timezone.utc)
    lock = s3_lock.make("COMPLIANCE", {"sets": "7", "drills": 0}, 400)
    assert lock.arguments("sets/x", now) == {
        "ObjectLockMode": "COMPLIANCE",
        "ObjectLockRetainUntilDate": now.replace(day=24, microsecond=0),
    }
    assert lock.arguments("drills/x", now) == {} and lock.arguments(PART_KEY, now) == {}
    assert lock.until("objects/secrets/x", now) == lock.until("objects/audit/x", now)


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("lock", "versions", "mode", "words"),
    [
        (False, False, "none", "keeps no versions, so overwritten objects are lost; enable versioning"),
        (False, True, "GOVERNANCE", "has no Object Lock; create a bucket with Object Lock"),
    ],
)
def test_a_bucket_that_does_not_do_is_refused(s3: S3Server, lock: bool, versions: bool, mode: str, words: str) -> None:
    store = new_store(s3, s3.bucket(lock=lock, versions=versions), lock_mode=mode)
    with pytest.raises(StorageError, match=words):
        store.check_writable(probe=True)
    if mode == "none":
        with pytest.raises(StorageError, match="keeps no versions"):
            store.put("sets/a", b"")


@pytest.mark.no_false_alarm
def test_a_bucket_that_does_is_accepted(s3: S3Server, store: S3Store, locked: S3Store) -> None:
    new_store(s3, s3.bucket(lock=False)).check_writable(probe=True)
    store.check_writable(probe=False)
    locked.check_writable(probe=True)


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("own", "kind", "words"),
    [
        ({"s3_profile": "nobody"}, OptionError, "the profile is not in the credentials file"),
        ({"s3_credentials_file": "/nowhere"}, OptionError, "the profile is not in the credentials file"),
        ({"s3_endpoint": "http://127.0.0.1:1"}, Unreachable, "check s3_endpoint and the network"),
        ({"s3_endpoint": "ftp://x"}, OptionError, "s3_endpoint is not the address"),
        ({"s3_endpoint": "http://user:pass-word@x"}, OptionError, "s3_endpoint is not the address"),
    ],
)
def test_unusable_connection_is_reported(s3: S3Server, own: dict[str, t.Any], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words) as caught:
        new_store(s3, **own).check_writable(probe=False)
    assert "\n" not in str(caught.value) and "pass-word" not in str(caught.value)


@pytest.mark.mutation
def test_missing_bucket_and_wrong_credentials_are_reported(s3: S3Server, tmp_path: t.Any) -> None:
    with pytest.raises(StorageError, match="the bucket does not exist; correct the address"):
        new_store(s3, "test-nowhere").check_writable(probe=False)
    wrong = tmp_path / "credentials"
    wrong.write_text("[admin]\naws_access_key_id = admin\naws_secret_access_key = not-the-secret\n")
    with pytest.raises(Unreachable, match="does not accept these credentials") as caught:
        new_store(s3, s3_credentials_file=str(wrong)).check_writable(probe=False)
    assert "not-the-secret" not in str(caught.value)


def test_uploads_older_than_a_day_are_ended(s3: S3Server, store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    other = new_store(s3)
    for one in (store, other):
        s3.client.create_multipart_upload(**one.bucket.named("sets/a"))
    store.prepare()
    assert unfinished(store) == 1
    assert store.sweep(store.bucket.now() + DAY, dry=True) == 1 and unfinished(store) == 1
    later = store.bucket.now() + 2 * DAY
    monkeypatch.setattr(type(store.bucket), "now", staticmethod(lambda: later))
    store.prepare()
    assert unfinished(store) == 0
    assert unfinished(other) == 1
