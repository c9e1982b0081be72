# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An archive of secrets compared with its index, and names of states that reveal nothing."""

from __future__ import annotations

import io
import json
import typing as t

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.secrets import bundle
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.secrets.files import File
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, TamperedData, VersionMismatch
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import tar
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream.tar import Member

FILES = (File("secrets/a", "/x/a", 0o444, b"value of a"), File("secrets/b/c", "/x/c", 0o600, b""))
KEY = bundle.state_key(b"k" * 32, b"a" * 32)


def members() -> dict[str, tuple[int, bytes]]:
    sink = io.BytesIO()
    bundle.write(sink, "secret_store", FILES)
    return {member.name: (member.mode, data.read()) for member, data in tar.members(io.BytesIO(sink.getvalue()), "it")}


def archive(files: dict[str, tuple[int, bytes]]) -> io.BytesIO:
    sink = io.BytesIO()
    writer = tar.Writer(sink)
    for name, (mode, content) in files.items():
        writer.add(Member(name, len(content), 0, mode, 0, 0), io.BytesIO(content))
    writer.finish()
    return io.BytesIO(sink.getvalue())


@pytest.mark.no_false_alarm
def test_bundle_is_read_as_written() -> None:
    found = bundle.read(archive(members()), "it")
    assert found.family == "secret_store"
    assert [(one.name, one.mode, one.content) for one in found.files] == [(one.name, one.mode, one.content) for one in FILES]
    assert list(members())[-1] == "index.json"


def test_fingerprints_are_under_a_key_of_their_own() -> None:
    first, second = (json.loads(members()["index.json"][1]) for _number in range(2))
    assert first["fingerprint_key"] != second["fingerprint_key"] and first["members"] != second["members"]


def index(**changed: t.Any) -> t.Callable[[dict[str, tuple[int, bytes]]], None]:
    def change(found: dict[str, tuple[int, bytes]]) -> None:
        document = {**json.loads(found["index.json"][1]), **changed}
        found["index.json"] = (0o600, json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n")

    return change


def put(name: str, mode: int, content: bytes) -> t.Callable[[dict[str, tuple[int, bytes]]], None]:
    return lambda found: found.update({name: (mode, content)})


@pytest.mark.mutation
@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (put("secrets/a", 0o444, b"value of b"), TamperedData, "does not match the file 'secrets/a'"),
        (put("secrets/a", 0o600, b"value of a"), TamperedData, "does not match the file 'secrets/a'"),
        (put("secrets/a", 0o444, b"value"), TamperedData, "does not match the file 'secrets/a'"),
        (put("secrets/d", 0o444, b"more"), TamperedData, "does not list every file"),
        (put("secrets/d", 0o444, b"x" * ((1 << 20) + 1)), TamperedData, "contains a file that is not a secret"),
        (lambda found: found.pop("secrets/b/c"), TamperedData, "does not match the file 'secrets/b/c'"),
        (lambda found: found.pop("index.json"), TamperedData, "has no index.json"),
        (index(format=2), VersionMismatch, "newer"),
        (index(type="backup-set"), TamperedData, "not secrets-bundle"),
        (index(fingerprint_key="00" * 32), TamperedData, "does not match the file"),
        (index(more=1), TamperedData, "unknown field"),
    ],
)
def test_bundle_that_index_does_not_prove_is_refused(change: t.Any, kind: type[BackupError], words: str) -> None:
    found = members()
    change(found)
    with pytest.raises(BackupError, match=words) as raised:
        bundle.read(archive(found), "it")
    assert raised.type is kind and "value of" not in raised.value.msg


def test_a_state_has_one_name_and_needs_the_keys() -> None:
    name = bundle.key_set(KEY, FILES)
    assert name == bundle.key_set(KEY, FILES) and len(name) == 16
    others = [
        (File("secrets/a", "/x/a", 0o444, b"value of b"), FILES[1]),
        (File("secrets/a", "/x/a", 0o400, b"value of a"), FILES[1]),
        (File("secrets/z", "/x/a", 0o444, b"value of a"), FILES[1]),
        FILES[:1],
    ]
    assert len({name, *(bundle.key_set(KEY, one) for one in others)}) == 5
    assert bundle.key_set(bundle.state_key(b"l" * 32, b"a" * 32), FILES) != name != bundle.key_set(bundle.state_key(b"k" * 32, b"b"), FILES)
    states = bundle.states(KEY, FILES)
    assert set(states) == {one.name for one in FILES} and states != bundle.states(bundle.state_key(b"k" * 32, b"b"), FILES)


def test_no_value_is_in_what_python_shows() -> None:
    assert "value" not in repr(FILES) + repr(bundle.read(archive(members()), "it"))
