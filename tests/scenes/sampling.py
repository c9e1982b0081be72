# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Data that every user of a host can see while a play runs: Ansible's temporary files, all processes' arguments and environments."""

from __future__ import annotations

import base64
import os
import re
import threading
import typing as t
from pathlib import Path

PAUSE = 0.002


def forms(value: str) -> list[bytes]:
    """Return the encodings in which a secret could be exposed."""
    text = value.strip()
    found = [text.encode(), text.upper().encode(), base64.b64encode(text.encode()), text.encode().hex().encode()]
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return found
    return [*found, raw, base64.b64encode(raw), base64.urlsafe_b64encode(raw)]


class Needles:
    """Secrets by name, searched in all their encodings at once."""

    def __init__(self, secrets: t.Mapping[str, str]) -> None:
        self._names = {form: name for name, value in secrets.items() for form in forms(value)}
        self._pattern = re.compile(b"|".join(re.escape(form) for form in sorted(self._names, key=len, reverse=True)))

    def within(self, data: bytes) -> set[str]:
        """Return the names of the secrets in `data`."""
        return {self._names[found] for found in self._pattern.findall(data)}

    def below(self, *folders: Path, but: t.Collection[Path] = ()) -> set[tuple[str, str]]:
        """Return the names of secrets, and the file of each, in all files of some folders."""
        files = {path for folder in folders for path in folder.rglob("*") if path.is_file() and path not in but}
        return {(name, str(path)) for path in files for name in self.within(path.read_bytes())}


class Sampler:
    """Samples continuously, in a thread. `found` are pairs of a secret's name and the location where it was found.

    The other fields are the control: names of the files below `folder` and of programs that were found, and the number
    of environments that contain `mark`.
    """

    def __init__(self, folder: Path, needles: Needles, mark: str) -> None:
        self._folder, self._needles, self._mark = folder, needles, mark.encode()
        self.found: set[tuple[str, str]] = set()
        self.files: set[str] = set()
        self.programs: set[str] = set()
        self.environments = self.rounds = 0
        self._known: set[tuple[str, int]] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(PAUSE):
            self.rounds += 1
            for parent, _folders, names in os.walk(self._folder):
                for name in names:
                    if self._read(os.path.join(parent, name), name):
                        self.files.add(name)
            for name in filter(str.isdigit, os.listdir("/proc")):
                arguments = self._read(f"/proc/{name}/cmdline", f"arguments of process {name}")
                environment = self._read(f"/proc/{name}/environ", f"environment of process {name}")
                if arguments:
                    self.programs.add(os.path.basename(arguments.split(b"\0")[0]).decode(errors="replace"))
                self.environments += self._mark in environment

    def _read(self, path: str, where: str) -> bytes:
        """Return the content, or nothing if the file is gone. Each different content is searched once."""
        try:
            data = Path(path).read_bytes()
        except OSError:
            return b""
        if (path, hash(data)) not in self._known:
            self._known.add((path, hash(data)))
            self.found |= {(name, where) for name in self._needles.within(data)}
        return data
