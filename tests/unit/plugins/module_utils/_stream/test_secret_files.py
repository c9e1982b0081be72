# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A password file that other users of the host can read is not used, no matter which option or library names it."""

from __future__ import annotations

import os
import shutil
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server import Server
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.redis.connection import Address
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import KeyProblem
from ansible_collections.caracal_ops.backup.plugins.module_utils._options.shared import PostgresOptions, RedisOptions
from ansible_collections.caracal_ops.backup.plugins.module_utils._storage import s3_client
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream import secret_files
from harness import runs
from harness.users import only_root

FOREIGN_UID = 64999


def of_postgres(path: Path) -> None:
    Server.from_options(PostgresOptions(login_password_file=str(path))).password()


def of_redis(path: Path) -> None:
    Address.from_options(RedisOptions(redis_password_file=str(path))).password()


def of_a_store(path: Path) -> None:
    s3_client.connect("s3://b/p", s3_client.Connection(region="x", credentials_file=str(path)))


def of_a_store_by_itself(path: Path) -> None:
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(path)
    s3_client.connect("s3://b/p", s3_client.Connection(region="x"))


def of_libpq(path: Path) -> None:
    os.environ["PGPASSFILE"] = str(path)
    Server.from_options(PostgresOptions())


READERS: list[t.Callable[[Path], None]] = [of_postgres, of_redis, of_a_store, of_a_store_by_itself, of_libpq]


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Path]:
    """Return a path in a subdirectory of a directory that every user may enter."""
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "PGPASSFILE"):
        monkeypatch.setenv(name, "/nonexistent")
    above = Path(runs.path("secrets", runs.DISK))
    (above / "folder").mkdir(parents=True)
    for one in (above, above / "folder"):
        one.chmod(0o755)
    found = above / "folder" / "file"
    found.write_text("[default]\naws_access_key_id=a\naws_secret_access_key=b\n")
    found.chmod(0o600)
    yield found
    shutil.rmtree(above)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_file_readable_only_by_owner_is_used(path: Path, read: t.Callable[[Path], None], mode: int) -> None:
    path.chmod(mode)
    read(path)


@pytest.mark.mutation
@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o444])
def test_file_readable_by_others_is_refused(path: Path, read: t.Callable[[Path], None], mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(KeyProblem) as refused:
        read(path)
    assert f"chmod 600 {path}" in refused.value.msg and "\n" not in refused.value.msg


@pytest.mark.mutation
def test_link_is_evaluated_by_its_target(path: Path, tmp_path: Path) -> None:
    """The same rule as for a signing key: a private directory of the link does not protect a file elsewhere."""
    path.chmod(0o644)
    link = tmp_path / "link"
    link.symlink_to(path)
    link.parent.chmod(0o700)
    with pytest.raises(KeyProblem):
        of_postgres(link)
    path.chmod(0o600)
    of_postgres(link)


@pytest.mark.no_false_alarm
@pytest.mark.parametrize("read", READERS[:-1])
def test_secrets_of_caracal_in_their_folder_are_used(path: Path, read: t.Callable[[Path], None]) -> None:
    path.chmod(0o444)
    path.parent.chmod(0o700)
    read(path)


@pytest.mark.mutation
def test_private_directory_does_not_make_readable_file_safe_for_libpq(path: Path) -> None:
    path.chmod(0o444)
    path.parent.chmod(0o700)
    with pytest.raises(KeyProblem):
        of_libpq(path)


@pytest.mark.mutation
@pytest.mark.parametrize("mode", [0o710, 0o701])
def test_a_folder_that_others_may_pass_hides_nothing(path: Path, mode: int) -> None:
    path.chmod(0o644)
    path.parent.chmod(mode)
    with pytest.raises(KeyProblem):
        of_redis(path)


@pytest.mark.mutation
@only_root
def test_directory_of_another_user_does_not_protect_readable_file(path: Path) -> None:
    path.chmod(0o644)
    path.parent.chmod(0o700)
    os.chown(path.parent, FOREIGN_UID, FOREIGN_UID)
    with pytest.raises(KeyProblem):
        of_redis(path)
    os.chown(path, FOREIGN_UID, FOREIGN_UID)
    of_redis(path)


def test_a_file_that_cannot_be_read_names_its_option(path: Path) -> None:
    path.write_bytes(b"\xff")
    for one, words in (
        (path, "is not UTF-8 text"),
        (path.parent, "cannot be read: "),
        (path / "none", "cannot be read: "),
    ):
        with pytest.raises(KeyProblem, match=f"^login_password_file {one} {words}"):
            secret_files.text(str(one), "login_password_file")
