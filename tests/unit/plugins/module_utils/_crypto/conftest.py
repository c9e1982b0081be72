# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real keys, created once."""

from __future__ import annotations

import dataclasses
import subprocess
import typing as t
from pathlib import Path

import pytest

from harness.fixtures import sandbox_path

KINDS = {"backup": "ed25519", "drill": "ed25519", "stranger": "ed25519", "rsa": "rsa", "ecdsa": "ecdsa"}


@dataclasses.dataclass(frozen=True)
class Keys:
    """Key pairs in a directory: `<name>` and `<name>.pub`. `locked` is `backup` with a passphrase."""

    folder: Path

    def private(self, name: str) -> str:
        return str(self.folder / name)

    def public(self, name: str) -> str:
        """Return type and key, without the comment."""
        return " ".join((self.folder / f"{name}.pub").read_text().split()[:2])

    def sign(self, name: str, data: bytes, namespace: str, *options: str) -> bytes:
        argv = ["ssh-keygen", "-Y", "sign", "-f", self.private(name), "-n", namespace, *options]
        return subprocess.run(argv, input=data, capture_output=True, check=True).stdout


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys")
    for name, kind in KINDS.items():
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"{name} key", "-f", str(folder / name)], check=True)
    locked = folder / "locked"
    locked.write_bytes((folder / "backup").read_bytes())
    locked.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret-words", "-f", str(locked)], check=True, stdout=subprocess.DEVNULL)
    return Keys(folder)


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[str]:
    """Run an agent without keys. `SSH_AUTH_SOCK` has its socket."""
    socket = f"{sandbox_path()}.agent"  # short, wherever the tests run
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        yield socket
        process.terminate()
