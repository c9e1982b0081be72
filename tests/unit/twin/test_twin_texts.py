# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts that must equal the server's: COPY lines, jsonb and IDs. Also console output and output files."""

from __future__ import annotations

import datetime as dt
import io
import json
import pathlib
import stat
import typing as t
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twin import __main__ as cli
from twin import copytext, dice, envelopes, keys
from twin.copytext import Json

AT = dt.datetime(2026, 3, 15, 12, 30, 15, 123457, tzinfo=dt.timezone.utc)


@pytest.mark.parametrize("text", [*dice.AWKWARD, *(chr(code) for code in range(1, 0x20)), "\x7f\x80\u2028\ufffe"])
def test_jsonb_text_equals_the_servers(database: t.Any, text: str) -> None:
    value = {"longer key": [1, -2, True, None, {"b": text, "a": {}}], "ä": text, text or "k": [], "zz": "", "z": 10**20}
    with database.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb::text", [json.dumps(value)])
        assert copytext.jsonb(value) == cursor.fetchone()[0]


def test_floats_have_no_fixed_text() -> None:
    with pytest.raises(TypeError, match="no fixed jsonb text"):
        copytext.jsonb({"a": [1.5]})


def test_copied_values_survive_a_round_trip(database: t.Any) -> None:
    rows = [(text, list(dice.AWKWARD), b"\x00\xff\\x", Json({"k": text}), AT, True, 7, None) for text in dice.AWKWARD]
    with database.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE c (a text, b text[], c bytea, d jsonb, e timestamptz, f boolean, g bigint, h text)")
        cursor.copy_expert("COPY c FROM STDIN", copytext.ByteStream(copytext.line(row) for row in rows))
        cursor.execute("SELECT * FROM c")
        found = [(a, b, bytes(c), Json(d), *rest) for a, b, c, d, *rest in cursor.fetchall()]
    assert found == rows


@given(st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=40), max_size=1500), st.integers(1, 4096))
def test_a_byte_stream_loses_nothing(lines: list[str], size: int) -> None:
    stream = copytext.ByteStream(iter(lines))
    read = io.BytesIO()
    while piece := stream.read(size):
        assert len(piece) <= size
        read.write(piece)
    assert read.getvalue() == "".join(lines).encode()


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1))
def test_uuid7_has_version_variant_and_time(ms: int, chance: int) -> None:
    text = dice.uuid7(ms, chance)
    parsed = uuid.UUID(text)
    assert str(parsed) == text
    assert (parsed.version, parsed.variant, parsed.int >> 80) == (7, uuid.RFC_4122, ms)


def test_an_envelope_opens_only_with_its_kek() -> None:
    kek = keys.for_seed(1).secret_store_kek
    envelope = envelopes.seal(kek, "here", b"value", dice.Dice(1, "test"))
    assert envelopes.unseal(kek, "here", envelope) == b"value"
    assert len(envelope) == 100 + len(b"value")
    with pytest.raises(ValueError, match="another KEK"):
        envelopes.unseal(keys.for_seed(2).secret_store_kek, "here", envelope)
    with pytest.raises(ValueError, match="not a CSS1"):
        envelopes.unseal(kek, "here", b"CSS2" + envelope[4:])


def test_the_command_writes_keys_and_refuses_a_second_twin(
    twin: dict[str, t.Any], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "secrets"
    assert cli.main(["create", "--host", twin["host"], "--seed", "unit", "--secrets", str(folder)]) == 1
    assert capsys.readouterr().err.splitlines() == ["twin: the cluster has a database caracal already; drop it or take another cluster"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / "auditHmacKey").read_text() == keys.for_seed("unit").audit_hmac_key.hex()


@pytest.mark.parametrize("arguments", [["--zones", "0"], ["--host", "/nonexistent"]])
def test_the_command_fails_in_one_line(twin: dict[str, t.Any], arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["create", "--host", twin["host"], *arguments]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("twin: ")
