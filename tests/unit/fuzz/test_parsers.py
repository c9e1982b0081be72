# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every parser returns a value or fails with a one-line error, for altered valid samples and for random bytes.

The examples are the same in each run. `FUZZ_EXAMPLES` sets a larger number of examples.
"""

from __future__ import annotations

import datetime
import io
import json
import os
import tempfile
import typing as t
from pathlib import Path

import pyrage
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.caracal_ops.backup.plugins.module_utils import _deps
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains import audit_blocks, chain_content
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_blocks import Block, Collector
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.chains.audit_chains import AUDIT
from ansible_collections.caracal_ops.backup.plugins.module_utils._caracal.exports.export_files import Exports, Hour, hour_of
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto import header_proof, recipients, signer_lists, sshsig, timestamps
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.sealing import Opener, Sealer
from ansible_collections.caracal_ops.backup.plugins.module_utils._crypto.timestamps import Anchors
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.redis import resp
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.secrets import bundle
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.secrets.files import File
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import artifact as artifacts
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import entry as entries
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository import layout, manifest, parts
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.artifact import Artifact
from ansible_collections.caracal_ops.backup.plugins.module_utils._repository.manifest import Manifest, Pairing, Source
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage.local import LocalStore
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import compression, tar
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream.tar import Member
from scenes.timestamp_authority import Authority
from twin import exports as twin_exports

SET = "20261125T020000Z-aaaa"
NOW = datetime.datetime(2026, 11, 25, 2, tzinfo=datetime.timezone.utc)
IDENTITY = pyrage.x25519.Identity.generate()
OUTPUT_LIMIT = 64 << 20
Parser = t.Callable[[bytes], object]

usual = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "200")),
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@st.composite
def altered(draw: st.DrawFn, samples: t.Sequence[bytes]) -> bytes:
    """Return a strategy: one of the samples with up to four changes, or random bytes."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=2000))
    data = bytearray(draw(st.sampled_from(samples)))
    for _turn in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 40)))
        how = draw(st.sampled_from(["replace", "remove", "repeat", "cut", "flip"]))
        if how == "replace":
            data[start:end] = draw(st.binary(max_size=40))
        elif how == "remove":
            del data[start:end]
        elif how == "repeat":
            data[start:start] = data[start:end] * draw(st.integers(1, 50))
        elif how == "cut":
            del data[start:]
        elif start < len(data):
            data[start] ^= 1 << draw(st.integers(0, 7))
    return bytes(data)


def ends_well(parse: Parser, data: bytes) -> None:
    try:
        parse(data)
    except BackupError as exc:
        assert "\n" not in exc.msg and exc.msg.isprintable() and len(exc.msg) < 1000, exc.msg


def drained(source: t.Any) -> int:
    """Return the number of bytes. Fail if there are more than a sample can unpack to, because then it is a bomb."""
    total = 0
    while data := source.read(1 << 16):
        total += len(data)
        assert total < OUTPUT_LIMIT
    return total


def sealed_artifact(kind: str, path: str, **of: t.Any) -> Artifact:
    return Artifact(path, kind, 7, "0" * 64, "zstd", ("SHA256:abc",), **of)


ARTIFACTS = (
    sealed_artifact(artifacts.DUMP, layout.dump_key(SET, "caracal"), database="caracal"),
    sealed_artifact(artifacts.LEAF, layout.leaf_key("leaf", "1" * 64, SET), database="caracal", leaf="public.leaf"),
    artifacts.recovery(SET, b"text"),
)
MANIFEST = Manifest(
    set_id=SET,
    repository="0" * 32,
    deployment="prod",
    created=NOW,
    previous=None,
    family="secret_store",
    release="v1.0.0",
    sources=(Source("caracal", "7412345678901234567", 170010, NOW, "0/16B3748", False),),
    artifacts=ARTIFACTS,
    pairing=Pairing("pass", "all"),
    left_out={"redis": "not configured"},
).to_bytes()


@usual
@given(altered([MANIFEST]))
def test_manifest(data: bytes) -> None:
    ends_well(manifest.parse, data)


ENTRY = json.dumps(
    {
        "_type": entries.STATEMENT_TYPE,
        "predicateType": entries.PREDICATE_TYPE,
        "subject": [{"name": "x", "digest": {"sha256": "0" * 64}}],
        "predicate": {
            "kind": "checkpoint",
            "format": 1,
            "repository": "r",
            "deployment": "prod",
            "sequence": 1,
            "previous": None,
            "time": {"host": "2026-11-25T02:00:01.000000Z", "database": None, "store": None},
            "writer": {"principal": "backup@prod", "machine": "host-1"},
            "body": {},
        },
    }
).encode()


def entry(data: bytes) -> object:
    return entries.parse(data, "entry 1", "r", "prod")


@usual
@given(altered([ENTRY]))
def test_journal_entry(data: bytes) -> None:
    ends_well(entry, data)


def part_sample() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        store = LocalStore(f"{folder}/store")
        parts.write(store, SET, "replay.sts-1.1", {"artifacts": [ARTIFACTS[0].to_dict()], "result": {}, "left_out": {"a": "b"}}, None)
        return store.read(layout.part_key(SET, "replay.sts-1.1"))


def part(data: bytes) -> object:
    with tempfile.TemporaryDirectory() as folder:
        store = LocalStore(folder)
        path = Path(folder) / layout.part_key(SET, "replay.sts-1.1")
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        found = parts.read_unsigned(store, SET)
        return [artifacts.parse(one, "a part", SET) for content in found.values() for one in content.get("artifacts", [])]


@usual
@given(altered([part_sample()]))
def test_part(data: bytes) -> None:
    ends_well(part, data)


def tar_sample() -> bytes:
    out = io.BytesIO()
    writer = tar.Writer(out)
    for name, content in (("one", b"1" * 700), ("incomplete/" + "long" * 40, b"2"), ("é", b"")):
        writer.add(Member(name, len(content), 1_700_000_000_123_456_789, 0o600, 0, 2**22), io.BytesIO(content))
    writer.finish()
    return out.getvalue()


def untarred(data: bytes) -> object:
    return sum(drained(content) for _member, content in tar.members(io.BytesIO(data), "the archive"))


@usual
@given(altered([tar_sample()]))
def test_tar(data: bytes) -> None:
    ends_well(untarred, data)


def bundle_sample() -> bytes:
    out = io.BytesIO()
    bundle.write(out, "secret_store", [File("secrets/one", "x", 0o444, b"secret")])
    return out.getvalue()


@usual
@given(altered([bundle_sample()]))
def test_bundle_of_secrets(data: bytes) -> None:
    ends_well(lambda given: bundle.read(io.BytesIO(given), "the bundle"), data)


@usual
@given(altered([compression.compress(b"content " * 5000), compression.compress(b"")]))
def test_zstd(data: bytes) -> None:
    ends_well(lambda given: drained(compression.Decompressor(io.BytesIO(given), "x.zst")), data)


def sealed_sample() -> bytes:
    out = io.BytesIO()
    sealer = Sealer(out, [recipients.parse(str(one.to_public()), "test") for one in (IDENTITY, pyrage.x25519.Identity.generate())])
    sealer.write(b"content " * 500)
    sealer.finish()
    return out.getvalue()


def opened(data: bytes) -> object:
    with Opener(io.BytesIO(data), [IDENTITY], "x.age") as source:
        return drained(source)


@usual
@given(altered([sealed_sample()]))
def test_age_file(data: bytes) -> None:
    ends_well(opened, data)


@usual
@given(altered([sealed_sample()[:400]]))
def test_age_header(data: bytes) -> None:
    ends_well(lambda given: header_proof.opens(header_proof.header(io.BytesIO(given), "x.age"), IDENTITY, "x.age"), data)


POINT = sshsig.wire_string(b"ssh-ed25519") + sshsig.wire_string(bytes(range(32)))
WIRE = b"SSHSIG\0\0\0\1" + b"".join(
    sshsig.wire_string(one)
    for one in (POINT, b"set@caracal-ops", b"", b"sha512", sshsig.wire_string(b"ssh-ed25519") + sshsig.wire_string(bytes(64)))
)


@usual
@given(altered([sshsig.armor(WIRE)]))
def test_ssh_signature(data: bytes) -> None:
    ends_well(lambda given: sshsig.parse(given, "x.sig").covers(b"data"), data)


@usual
@given(altered([WIRE]))
def test_ssh_signature_inside_its_armor(data: bytes) -> None:
    ends_well(lambda given: sshsig.parse(sshsig.armor(given), "x.sig").covers(b"data"), data)


PUBLIC = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
SIGNERS = (
    b'"backup@prod,two words" namespaces="set@*,!x",valid-after="20260101Z",valid-before="203001010000" ' + PUBLIC + b" comment\n# c\n"
)


def listed(read: t.Callable[[str], object]) -> Parser:
    def parse(data: bytes) -> object:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "list"
            path.write_bytes(data)
            return read(str(path))

    return parse


@usual
@given(altered([SIGNERS, b"backup@prod " + PUBLIC + b"\n"]))
def test_allowed_signers(data: bytes) -> None:
    ends_well(listed(signer_lists.read_allowed), data)


@usual
@given(altered([PUBLIC + b"\n", b"# none\n"]))
def test_revoked_keys(data: bytes) -> None:
    ends_well(listed(signer_lists.read_revoked), data)


@usual
@given(altered([str(IDENTITY.to_public()).encode(), PUBLIC + b" comment\n"]))
def test_recipients(data: bytes) -> None:
    ends_well(listed(lambda path: recipients.load([], [path])), data)


STAMPER = Authority()
with tempfile.TemporaryDirectory() as _folder:
    ANCHORS = Anchors.load(STAMPER.roots(Path(_folder)))


@usual
@given(altered([STAMPER.stamp(b"data")]))
def test_timestamp_token(data: bytes) -> None:
    ends_well(lambda given: (timestamps.refusal(given), ANCHORS.verify(given, "0" * 64, "x.tsr")), data)


def export_sample() -> bytes:
    row = {name: "x" if str(kind) == "string" else 1 for name, kind in twin_exports.COLUMNS.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/a/x.parquet"
        twin_exports.write(path, [row, row])
        return Path(path).read_bytes()


def exported(data: bytes) -> object:
    found = Exports(_deps.require_pyarrow(), [Hour(hour_of(NOW), "x")], [], lambda _hour: io.BytesIO(data))
    return [len(rows) for hour in found.hours for rows in found.rows(hour)]


@usual
@given(altered([export_sample()]))
def test_parquet_export(data: bytes) -> None:
    ends_well(exported, data)


@usual
@given(altered([resp.encode([b"XADD", b"stream", b"1-1", b"field", b"value" * 50]) + resp.encode([b"PING"])]))
def test_redis_commands(data: bytes) -> None:
    ends_well(lambda given: sum(len(one) for one in resp.commands(io.BytesIO(given), "x.resp")), data)


@usual
@given(altered([audit_blocks.to_tsv([Block("audit", "zone", "leaf", "0", 5, "1", "5", "0" * 64, "1" * 64)])]))
def test_audit_blocks(data: bytes) -> None:
    """The parser raises ValueError; its callers report it."""
    try:
        audit_blocks.from_tsv(data)
    except ValueError as exc:
        assert len(str(exc)) < 1000


COLUMNS = [*AUDIT.content, *(name for name in AUDIT.chain if name not in AUDIT.content), "zone_id", "chain_seq"]
LINE = b"\t".join(
    {"chain_seq": b"7", "occurred_at": b"2026-06-17 12:30:00.25+00"}.get(name, b"a\\tb\\\\") for name in dict.fromkeys(COLUMNS)
)


def copied(data: bytes) -> object:
    found: list[object] = [chain_content.event()(data.split(b"\t") + [b""] * 20)]
    for step in (1, -1):
        collector = Collector(AUDIT, "leaf", list(dict.fromkeys(COLUMNS))[::step])
        for line in data.split(b"\n"):
            collector.write(b"\t".join(line.split(b"\t")[::step]) + b"\n")
        found += collector.finish()
    return found


@usual
@given(altered([LINE, LINE + b"\n" + LINE]))
def test_copy_text(data: bytes) -> None:
    ends_well(copied, data)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize(
    ("parse", "sample"),
    [
        (manifest.parse, MANIFEST),
        (entry, ENTRY),
        (part, part_sample()),
        (untarred, tar_sample()),
        (opened, sealed_sample()),
        (exported, export_sample()),
        (copied, LINE),
        (listed(signer_lists.read_allowed), SIGNERS),
    ],
    ids=["manifest", "entry", "part", "tar", "age", "parquet", "copy", "signers"],
)
def test_the_samples_are_valid(parse: Parser, sample: bytes) -> None:
    assert parse(sample)
