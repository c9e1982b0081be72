# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets that the product would refuse or silently replace, each with its own message, and every source of secrets."""

from __future__ import annotations

import base64
import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError, KeyProblem, OptionError
from scenes import secrets_scene
from scenes.secrets_scene import Deployment, contents
from scenes.twin_database import TwinCluster

KEY = "0f" + "c3" * 31
Change = t.Callable[[Deployment], t.Any]


@pytest.fixture
def made(tmp_path: Path, caracal_database: TwinCluster) -> Deployment:
    deployment = secrets_scene.make(tmp_path / "scene", caracal_database)
    deployment.scene.call("backup_set", state="open", create_repository=True)
    return deployment


def refused(made: Deployment, kind: type[BackupError], *words: str, **given: t.Any) -> str:
    """Assert that the module refuses the input with these words and without any value. Return the message."""
    message = made.scene.refused("secrets_bundle", kind, *words, set_id=made.scene.new_id(), reading=1, **made.sources(**given))
    values = {path.read_text(errors="replace").strip() for path in made.directory.rglob("*") if path.is_file()} - {""}
    assert not [value for value in values if value in message]
    return message


def put(name: str, content: str | bytes) -> Change:
    return lambda made: made.put(name, content)


def gone(name: str) -> Change:
    return lambda made: (made.directory / name).unlink()


KEK, AUDIT = "secretStoreKek", "auditHmacKey"
BAD: dict[str, tuple[Change, tuple[str, ...]]] = {
    "no KEK": (gone(KEK), ("no source contains secretStoreKek or zoneKek", "silently create a new KEK")),
    "two KEKs": (put("zoneKek", KEY), ("zoneKek", "secretStoreKek", "no release uses both")),
    "empty KEK": (put(KEK, ""), (f"/{KEK} is empty", "silently create a new")),
    "blank KEK": (put(KEK, " \n"), (f"/{KEK} is empty",)),
    "short KEK": (put(KEK, KEY[:-2]), (f"/{KEK} has 31 bytes", "exactly 32")),
    "KEK in base64": (put(KEK, base64.b64encode(bytes.fromhex(KEY))), (f"/{KEK} is not hexadecimal", "not base64")),
    "binary KEK": (put(KEK, bytes.fromhex(KEY)), (f"/{KEK} is not hexadecimal",)),
    "patterned KEK": (put(KEK, "ab" * 32), (f"/{KEK} is not a random key", "one repeated byte")),
    "blank before the KEK": (put(KEK, " " + KEY), (f"/{KEK} has blanks",)),
    "no audit key": (gone(AUDIT), (f"no source contains secret {AUDIT}", "silently create a new one")),
    "empty audit key": (put(AUDIT, ""), (f"/{AUDIT} is empty", "silently create a new")),
    "short audit key": (put(AUDIT, KEY[:-2]), (f"/{AUDIT} has 31 bytes", "at least 32")),
    "audit key in base64": (put(AUDIT, base64.b64encode(bytes.fromhex(KEY))), (f"/{AUDIT} is not hexadecimal", "not base64")),
    "no streams key": (gone("streamsHmacKey"), ("no source contains secret streamsHmacKey",)),
    "streams key that is none": (put("streamsHmacKey", "x" * 64), ("streamsHmacKey is not hexadecimal", "the streamsHmacKey")),
    "no idempotency key": (gone("idempotencyHmacKey"), ("no source contains secret idempotencyHmacKey",)),
    "no admin token": (gone("caracalAdminToken"), ("no source contains secret caracalAdminToken",)),
    "empty database password": (put("apiDbPassword", ""), ("/apiDbPassword is empty", "silently create a new apiDbPassword")),
    "previous KEK that is none": (put("secretStoreKekPrevious", "ab" * 32), ("secretStoreKekPrevious is not a random key",)),
    "name with a newline": (put("odd\nname", KEY), ("cannot be stored as",)),
    "name that is not UTF-8": (put(os.fsdecode(b"odd\xff\x1b"), KEY), ("cannot be stored as",)),
    "large file": (put("core", b"x" * ((1 << 20) + 1)), ("/core is larger than 1 MiB",)),
    "too much": (
        lambda made: [made.put(f"core{number}", b"x" * (1 << 20)) for number in range(33)],
        ("contains more than 1000 files or 32 MiB", "correct the option directory"),
    ),
    "link that leads out": (
        lambda made: (made.directory / "link").symlink_to(made.scene.root / "allowed_signers"),
        ("/link' is a link to a file outside", "files"),
    ),
}


@pytest.mark.mutation
@pytest.mark.parametrize("name", BAD)
def test_bad_secrets_are_refused_by_name(made: Deployment, name: str) -> None:
    change, words = BAD[name]
    change(made)
    assert refused(made, OptionError, *words).count("; ") >= 1


def test_error_names_an_unreadable_source(made: Deployment) -> None:
    refused(made, KeyProblem, "cannot read directory ", "nowhere: No such file", directory=str(made.scene.root / "nowhere"))
    refused(made, KeyProblem, "cannot read ", "env: No such file", environment_file=str(made.scene.root / "env"))
    (made.directory / "dangling").symlink_to("nothing")
    refused(made, KeyProblem, "cannot read ", "dangling: ")
    (made.directory / "dangling").unlink()
    os.mkfifo(made.directory / "pipe")
    refused(made, KeyProblem, "cannot read ", "pipe: ", "regular file")


def test_sources_that_contradict_each_other_are_refused(made: Deployment) -> None:
    other = made.file("other", KEY)
    refused(made, OptionError, "no source of secrets", directory=None)
    refused(made, OptionError, "are both sources of secrets/secretStoreKek", files={KEK: str(other)})
    refused(made, OptionError, "is not an absolute path", "tmpfs", files={"x": "other"})
    refused(made, OptionError, "is not an absolute path", files={"x": 7})
    refused(made, OptionError, "cannot be stored as", files={"a\nb": str(other)})
    refused(made, OptionError, "cannot be stored as", files={"../x": str(other)})
    first, second = made.scene.root / "one", made.scene.root / "two"
    for folder in (first, second):
        folder.mkdir()
        (folder / "ca.pem").write_text("x")
    refused(made, OptionError, "are both sources of extra/ca.pem", extra_files=[str(first / "ca.pem"), str(second / "ca.pem")])
    made.put("secretStoreKekPrevious", "1d" + "e7" * 31)
    refused(made, OptionError, "previous_kek", previous_kek=str(other))
    empty = made.scene.root / "empty"
    empty.mkdir()
    refused(made, OptionError, "contains no file", directory=str(empty))


def test_value_given_instead_of_a_path_is_not_printed(made: Deployment) -> None:
    """The error names the option's entry, not the value."""
    assert KEY not in refused(made, OptionError, "files['metricsBearer']", files={"metricsBearer": KEY})


@pytest.mark.no_false_alarm
def test_a_newline_at_the_end_is_kept(made: Deployment) -> None:
    made.put(KEK, KEY + "\r\n")
    result = made.bundle(made.scene.new_id(), 1)
    made.put(KEK, KEY)
    other = made.bundle(made.scene.new_id(), 1)
    assert result["key_ids"] == other["key_ids"] and result["key_set"] != other["key_set"]


@pytest.mark.no_false_alarm
def test_a_projected_secret_of_kubernetes_is_read_through_its_links(made: Deployment) -> None:
    projected = made.scene.root / "projected"
    (projected / "..2026_11_25").mkdir(parents=True)
    (projected / "..data").symlink_to("..2026_11_25")
    for path in made.directory.iterdir():
        (projected / "..2026_11_25" / path.name).write_bytes(path.read_bytes())
        (projected / path.name).symlink_to(f"..data/{path.name}")
    result = made.bundle(made.scene.new_id(), 1, directory=str(projected))
    assert result["names"] == [f"secrets/{name}" for name in sorted(os.listdir(made.directory))]


@pytest.mark.no_false_alarm
def test_files_by_name_are_the_same_as_a_directory(made: Deployment) -> None:
    files = {path.name: str(path) for path in made.directory.iterdir()}
    by_name = made.bundle(made.scene.new_id(), 1, directory=None, files=files)
    assert by_name["key_set"] == made.bundle(made.scene.new_id(), 1)["key_set"]


def test_warns_of_missing_files_that_an_installer_would_create(made: Deployment) -> None:
    warned: list[str] = []
    made.scene.call("secrets_bundle", warn=warned.append, set_id=made.scene.new_id(), reading=1, **made.sources())
    assert warned == [
        "these secrets are not in any source or in the set: caracalAuthSecret, metricsBearer, postgresPassword, redisPassword; "
        "an installer creates new values for them"
    ]


def test_ignores_temporary_files_of_a_killed_restore(made: Deployment) -> None:
    made.put(".caracal-ops-0011223344556677", "half")
    assert not [name for name in made.bundle(made.scene.new_id(), 1)["names"] if "caracal-ops" in name]
    assert ".caracal-ops-0011223344556677" in contents(made.directory)


def warnings_with(made: Deployment, environment: str) -> list[str]:
    """Return warnings about a `caracal.env`. None of them may contain a value."""
    warned: list[str] = []
    given = made.sources(environment_file=str(made.file("caracal.env", environment)))
    made.scene.call("secrets_bundle", warn=warned.append, set_id=made.scene.new_id(), reading=1, **given)
    values = [path.read_text().strip() for path in made.directory.rglob("*") if path.is_file()]
    assert not [value for value in (*values, KEY) if value in " ".join(warned)]
    return [one for one in warned if "caracal.env" in one]


@pytest.mark.mutation
def test_warns_of_environment_keys_that_override_files(made: Deployment) -> None:
    same = (made.directory / "auditHmacKey").read_text()
    warnings = warnings_with(made, f"export SECRET_STORE_KEK='{KEY}'\nAUDIT_HMAC_KEY={same}\nCARACAL_API_DB_PASSWORD=\"{KEY}\"\n")
    assert len(warnings) == 3 and all(one.endswith("; keep the value only in the file") for one in warnings), warnings
    assert "sets CARACAL_API_DB_PASSWORD, which overrides the file apiDbPassword, with another value" in warnings[0]
    assert "sets AUDIT_HMAC_KEY, which overrides the file auditHmacKey, currently with the same value" in warnings[1]
    assert (
        "sets SECRET_STORE_KEK, which overrides the file secretStoreKek, with another value, so the value in the file is not" in warnings[2]
    )


@pytest.mark.no_false_alarm
def test_no_warning_if_the_environment_overrides_no_file(made: Deployment) -> None:
    lines = [
        "# AUDIT_HMAC_KEY=x",
        "AUDIT_HMAC_KEY=",
        "AUDIT_HMAC_KEY_FILE=/run/secrets/auditHmacKey",
        "STS_ADMIN_TOKEN=x",
        "REDIS_PASSWORD=x",
    ]
    assert warnings_with(made, "\n".join(lines)) == []
