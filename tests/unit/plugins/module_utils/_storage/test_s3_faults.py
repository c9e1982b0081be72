# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Failures of a store and a network: one helpful line, no partial object, no endless retry."""

from __future__ import annotations

import typing as t
import uuid

import botocore.retries.standard
import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import (
    BackupError,
    ObjectExists,
    ObjectMissing,
    OptionError,
    PermissionMissing,
    StorageError,
    Unreachable,
)
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import BucketOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage import s3_parts, s3_prepare, s3_upload
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.s3 import S3Store
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.s3_bucket import Bucket
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.s3_client import ATTEMPTS
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.schemes import open_store
from scenes.fault_proxy import Answer, FaultProxy
from scenes.password_listener import Listener
from scenes.s3_server import S3Server

BIG = "objects/audit/x/big"
PARTS = "PUT .*partNumber="
FIVE = 5 << 20


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the number of tries, but remove the pauses between them."""
    monkeypatch.setattr(botocore.retries.standard.ExponentialBackoff, "delay_amount", lambda *_given: 0)
    monkeypatch.setattr(Bucket, "pause", staticmethod(lambda _attempt: None))
    monkeypatch.setattr(s3_parts, "PART", FIVE)


@pytest.fixture
def store(s3: S3Server, s3_proxy: FaultProxy) -> S3Store:
    found = open_store(f"s3://{s3.shared}/{uuid.uuid4().hex}", BucketOptions(**s3.options(s3_endpoint=s3_proxy.endpoint)))
    assert isinstance(found, S3Store)
    return found


def put_big(store: S3Store, key: str = BIG) -> bytes:
    data = bytes(range(256)) * ((16 << 20) // 256)
    with store.writer("objects", key) as out:
        for start in range(0, len(data), 1 << 20):
            out.write(data[start : start + (1 << 20)])
        out.publish(key)
    return data


def nothing_is_left(store: S3Store, proxy: FaultProxy) -> None:
    proxy.faults.clear()
    assert store.list("") == [] and list(s3_prepare.uploads(store.bucket, "")) == []


def refused(kind: type[BackupError], words: str, work: t.Callable[[], object]) -> None:
    with pytest.raises(BackupError) as caught:
        work()
    assert caught.type is kind and words in caught.value.msg, caught.value.msg
    assert "\n" not in caught.value.msg and "made by a test" not in caught.value.msg


REFUSALS = [
    (403, "AccessDenied", PermissionMissing, "is not allowed; give this identity the policy in the S3 guide", 1),
    (403, "RequestTimeTooSkewed", StorageError, "the clocks of this host and the store differ; synchronize this host's clock by NTP", 1),
    (403, "InvalidAccessKeyId", Unreachable, "does not accept these credentials", 1),
    (400, "ExpiredToken", Unreachable, "the credentials have expired; use credentials that are renewed", 1),
    (404, "NoSuchBucket", StorageError, "the bucket does not exist", 1),
    (400, "AuthorizationHeaderMalformed", OptionError, "is in another region; set s3_region", 1),
    (400, "BadDigest", StorageError, "the store received other bytes than were sent", 1),
    (500, "InternalError", StorageError, "overloaded or broken, even after 6 tries", ATTEMPTS),
    (503, "SlowDown", StorageError, "overloaded or broken, even after 6 tries", ATTEMPTS),
]


@pytest.mark.mutation
@pytest.mark.parametrize(("status", "code", "kind", "words", "tries"), REFUSALS, ids=[one[1] for one in REFUSALS])
@pytest.mark.parametrize("what", ["small", "begin", "part", "end"])
def test_request_refused_by_store_is_reported_and_leaves_nothing(
    store: S3Store, s3_proxy: FaultProxy, what: str, status: int, code: str, kind: type[BackupError], words: str, tries: int
) -> None:
    request, skip = {"small": ("PUT", 0), "begin": ("POST .*uploads", 0), "part": (PARTS, 1), "end": ("POST .*uploadId", 0)}[what]
    fault = s3_proxy.add(request, status=status, code=code, skip=skip)
    refused(kind, words, lambda: store.put("sets/a", b"x") if what == "small" else put_big(store))
    # Parts that were uploaded at the same time were each tried this often.
    assert tries <= fault.hits <= tries * (s3_upload.WORKERS if what == "part" else 1)
    nothing_is_left(store, s3_proxy)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("code", ["InternalError", "SlowDown"])
@pytest.mark.parametrize("request_line", ["PUT", "POST .*uploads", PARTS, "POST .*uploadId", "HEAD", "GET .*versions", "GET .*versionId"])
def test_temporary_store_error_is_retried(store: S3Store, s3_proxy: FaultProxy, code: str, request_line: str) -> None:
    s3_proxy.add(request_line, status=503, code=code, times=2)
    data = put_big(store)
    with store.open(BIG) as stream:
        assert stream.read() == data
    assert store.list("objects")[0].size == len(data)


@pytest.mark.no_false_alarm
def test_a_connection_that_breaks_in_a_part_is_taken_up(store: S3Store, s3_proxy: FaultProxy) -> None:
    fault = s3_proxy.add(PARTS, cut=100_000, times=3)
    data = put_big(store)
    assert fault.hits == 3 and store.read(BIG, limit=len(data)) == data


@pytest.mark.mutation
def test_a_connection_that_always_breaks_ends_the_upload(store: S3Store, s3_proxy: FaultProxy) -> None:
    s3_proxy.add(PARTS, cut=100_000)
    refused(Unreachable, "no answer after 6 tries", lambda: put_big(store))
    assert s3_proxy.count(PARTS) <= ATTEMPTS * s3_upload.WORKERS
    nothing_is_left(store, s3_proxy)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("size", ["small", "big"])
def test_an_answer_that_is_lost_does_not_make_two_of_one(store: S3Store, s3_proxy: FaultProxy, size: str) -> None:
    """The second try finds the object and recognises it as its own."""
    fault = s3_proxy.add("PUT" if size == "small" else "POST .*uploadId", lost=True, times=1)
    if size == "small":
        assert store.put("journal/0000000001.json", b"mine").size == 4
    else:
        put_big(store)
    assert fault.hits == 1 and len(store.list("")) == 1 and store.layered() == []


@pytest.mark.mutation
def test_another_s_object_is_not_taken_for_ones_own(s3: S3Server, store: S3Store, s3_proxy: FaultProxy) -> None:
    key = "sets/20261125T020000Z-k3f9/parts/x.json"

    def other(answer: Answer) -> Answer:
        return answer

    s3.client.put_object(**store.bucket.named(key), Body=b"mine")
    s3_proxy.add("PUT", status=503, code="SlowDown", times=1, change=other)
    refused(ObjectExists, "already exists", lambda: store.put(key, b"mine"))


@pytest.mark.no_false_alarm
def test_a_conflict_of_two_writers_is_tried_again(store: S3Store, s3_proxy: FaultProxy) -> None:
    s3_proxy.add("PUT", status=409, code="ConditionalRequestConflict", times=3)
    assert store.put("journal/0000000001.json", b"x").size == 1


@pytest.mark.mutation
def test_lasting_conflict_is_reported(store: S3Store, s3_proxy: FaultProxy) -> None:
    fault = s3_proxy.add("PUT", status=409, code="ConditionalRequestConflict")
    refused(StorageError, "another writer keeps writing this object", lambda: store.put("journal/0000000001.json", b"x"))
    assert fault.hits == s3_upload.CONFLICTS
    nothing_is_left(store, s3_proxy)


@pytest.mark.mutation
@pytest.mark.parametrize("what", ["part", "end", "small", "copy"])
def test_false_checksum_is_found(store: S3Store, s3_proxy: FaultProxy, what: str) -> None:
    lie = s3_parts.text(bytes(32))
    s3_proxy.add(PARTS if what == "part" else "HEAD", change=lambda answer: answer.header("x-amz-checksum-sha256", lie))
    if what == "copy":
        s3_proxy.faults.clear()
        s3_proxy.add(
            "PUT .*/objects/.*partNumber=2",
            change=lambda answer: Answer(
                answer.status, [one for one in answer.headers if one[0].lower() != "content-length"], _lying(answer.body)
            ),
        )

    def work() -> None:
        if what == "small":
            store.put("sets/a", b"x")
        elif what == "copy":
            with store.writer("objects") as out:
                for _part in range(11):
                    out.write(bytes(1 << 20))
                out.publish(BIG)
        else:
            put_big(store)

    with pytest.raises(StorageError, match="SHA-256"):
        work()
    s3_proxy.faults.clear()
    if what in ("part", "copy"):
        assert store.stat(BIG) is None and list(s3_prepare.uploads(store.bucket, "")) == []


def _lying(body: bytes) -> bytes:
    start = body.index(b"<ChecksumSHA256>") + len(b"<ChecksumSHA256>")
    return body[:start] + s3_parts.text(bytes(32)).encode() + body[start + 44 :]


def _flip(answer: Answer) -> Answer:
    return Answer(answer.status, answer.headers, answer.body[:-1] + bytes([answer.body[-1] ^ 1]))


@pytest.mark.mutation
@pytest.mark.parametrize("big", [True, False])
def test_bytes_that_change_on_their_way_out_are_found(store: S3Store, s3_proxy: FaultProxy, big: bool) -> None:
    key = BIG if big else "sets/a"
    size = len(put_big(store)) if big else store.put(key, b"some bytes").size
    s3_proxy.add("GET .*versionId", change=_flip)
    with pytest.raises(StorageError, match="do not match its own checksum; try again, or use another copy"):
        store.read(key, limit=size)


@pytest.mark.no_false_alarm
def test_a_read_that_breaks_is_taken_up_where_it_broke(store: S3Store, s3_proxy: FaultProxy) -> None:
    data = put_big(store)
    fault = s3_proxy.add("GET .*versionId", short=2_000_000, times=3)
    assert store.read(BIG, limit=len(data)) == data
    assert fault.hits == 3


@pytest.mark.mutation
def test_a_read_that_always_breaks_ends(store: S3Store, s3_proxy: FaultProxy) -> None:
    data = put_big(store)
    fault = s3_proxy.add("GET .*versionId", short=1000)
    refused(Unreachable, "the connection broke 6 times", lambda: store.read(BIG, limit=len(data)))
    assert fault.hits <= ATTEMPTS * ATTEMPTS


@pytest.mark.mutation
def test_credentials_that_expire_in_a_long_upload_end_it(store: S3Store, s3_proxy: FaultProxy) -> None:
    """The upload cannot be aborted then. A later run aborts it."""
    s3_proxy.add(PARTS, skip=2, status=400, code="ExpiredToken")
    s3_proxy.add("DELETE", status=400, code="ExpiredToken")
    refused(Unreachable, "the credentials have expired", lambda: put_big(store))
    s3_proxy.faults.clear()
    assert store.list("") == [] and len(list(s3_prepare.uploads(store.bucket, ""))) == 1


@pytest.mark.mutation
def test_upload_aborted_by_another_client_is_reported(store: S3Store, s3_proxy: FaultProxy) -> None:
    with pytest.raises(StorageError, match="the upload was aborted while it ran"), store.writer("objects", BIG) as out:
        out.write(bytes(11 << 20))
        for one in list(s3_prepare.uploads(store.bucket, "")):
            s3_prepare.abort(store.bucket, one)
        out.publish(BIG)
    nothing_is_left(store, s3_proxy)


@pytest.mark.mutation
def test_object_that_vanishes_during_read_is_reported(store: S3Store, s3_proxy: FaultProxy) -> None:
    store.put("sets/a", b"x")
    s3_proxy.add("GET .*versionId", status=404, code="NoSuchVersion")
    refused(ObjectMissing, "does not exist", lambda: store.read("sets/a"))


@pytest.mark.mutation
def test_an_identity_that_may_not_write_is_found_before_the_work(store: S3Store, s3_proxy: FaultProxy) -> None:
    s3_proxy.add("POST .*uploads", status=403, code="AccessDenied")
    store.check_writable(probe=False)
    refused(PermissionMissing, "CreateMultipartUpload is not allowed", lambda: store.check_writable(probe=True))
    s3_proxy.faults.clear()
    store.check_writable(probe=True)
    nothing_is_left(store, s3_proxy)


@pytest.mark.mutation
@pytest.mark.parametrize("status", [301, 302, 307])
@pytest.mark.parametrize("region", ["elsewhere", "x@127.0.0.1:{port}/#"], ids=["another region", "a region that is an address"])
def test_a_redirect_leads_to_no_other_host(store: S3Store, s3_proxy: FaultProxy, status: int, region: str) -> None:
    store.put("sets/a", b"x")
    other = Listener()
    address = f"http://127.0.0.1:{other.port}/bucket/key"
    headers = [("Location", address), ("x-amz-bucket-region", region.format(port=other.port))]
    s3_proxy.add("", change=lambda _answer: Answer(status, headers, f"<Error><Endpoint>{address}</Endpoint></Error>".encode()))
    try:
        for act in (lambda: store.read("sets/a"), lambda: store.put("sets/b", b"x"), lambda: store.list("sets")):
            with pytest.raises(BackupError):
                act()
    finally:
        other.close()
    assert (other.visits, other.heard) == (0, [])
