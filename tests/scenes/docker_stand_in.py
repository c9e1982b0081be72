# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A program that answers what we ask of `docker`, as its documentation says, from a file; and refuses everything else."""

from __future__ import annotations

import dataclasses
import json
import sys
import typing as t
from pathlib import Path

SOCKET = "unix:///var/run/docker.sock"
PROJECT, VOLUME = "com.docker.compose.project", "com.docker.compose.volume"
# What docker says on stderr, of client and daemon 20 to 29.
REFUSALS = {
    "denied": "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get "
    '"http://%2Fvar%2Frun%2Fdocker.sock/v1.47/volumes": dial unix /var/run/docker.sock: connect: permission denied',
    "denied, newer": "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock",
    "dead": "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
    "dead, newer": "failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the daemon is "
    "running: dial unix /var/run/docker.sock: connect: no such file or directory",
    "broken": "Error response from daemon: something went wrong",
}


@dataclasses.dataclass
class StandIn:
    """`program` is what to call; `said` are the arguments of all its calls so far."""

    folder: Path
    state: dict[str, t.Any] = dataclasses.field(default_factory=lambda: {"context": SOCKET, "volumes": [], "containers": [], "refusal": ""})

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self._program.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} {self.folder} "$@"\n', encoding="utf-8")
        self._program.chmod(0o755)
        self._save()

    @property
    def _program(self) -> Path:
        return self.folder / "docker"

    @property
    def program(self) -> str:
        return str(self._program)

    @property
    def said(self) -> list[list[str]]:
        log = self.folder / "log"
        return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []

    def _save(self) -> None:
        (self.folder / "state").write_text(json.dumps(self.state), encoding="utf-8")

    def volume(self, project: str, name: str, mountpoint: str, driver: str = "local") -> None:
        """As `docker volume inspect` shows a volume that Compose made."""
        labels = {"com.docker.compose.config-hash": "5d0b7a", PROJECT: project, "com.docker.compose.version": "2.39.4", VOLUME: name}
        about = {"CreatedAt": "2026-11-20T11:00:21Z", "Driver": driver, "Labels": labels, "Mountpoint": mountpoint}
        self.state["volumes"].append({**about, "Name": f"{project}_{name}", "Options": None, "Scope": "local"})
        self._save()

    def foreign(self) -> None:
        """A volume that no Compose project made."""
        about = {"CreatedAt": "2026-11-20T11:00:21Z", "Driver": "local", "Labels": None, "Mountpoint": "/nowhere"}
        self.state["volumes"].append({**about, "Name": "stsReplay", "Options": None, "Scope": "local"})
        self._save()

    def set(self, **state: t.Any) -> None:
        self.state.update(state)
        self._save()


def _has(labels: dict[str, str] | None, wanted: str) -> bool:
    name, equals, value = wanted.removeprefix("label=").partition("=")
    return name in (labels or {}) and (not equals or (labels or {})[name] == value)


def answer(state: dict[str, t.Any], arguments: list[str]) -> str | None:
    """What docker prints; None for what it is not to be asked."""
    volumes = state["volumes"]
    if arguments == ["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]:
        return f"{state['context']}\n"
    if arguments[:4] == ["volume", "ls", "--quiet", "--filter"] and len(arguments) == 5:
        return "".join(f"{one['Name']}\n" for one in volumes if _has(one["Labels"], arguments[4]))
    if arguments[:2] == ["volume", "inspect"] and arguments[2:]:
        found = [one for one in volumes if one["Name"] in arguments[2:]]
        return state.get("inspected") or json.dumps(found, indent=4) + "\n"
    if arguments[:4] == ["ps", "--all", "--quiet", "--filter"] and len(arguments) == 5:
        return "".join(f"{number:012x}\n" for number, labels in enumerate(state["containers"]) if _has(labels, arguments[4]))
    return None


def main(folder: str, *arguments: str) -> int:
    state = json.loads((Path(folder) / "state").read_text(encoding="utf-8"))
    with open(Path(folder) / "log", "a", encoding="utf-8") as log:
        log.write(json.dumps(arguments) + "\n")
    if state["refusal"] and arguments[0] != "context":
        sys.stderr.write(REFUSALS[state["refusal"]] + "\n")
        return 1
    told = answer(state, list(arguments))
    if told is None:
        sys.stderr.write(f"unknown command: docker {arguments}\n")
        return 125
    sys.stdout.write(told)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
