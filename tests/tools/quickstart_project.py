# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Compose project of the quickstart: an image with the stand-in services, and the public images of PostgreSQL and Redis.

Its containers, volumes, networks and its image have the same name. They are found and removed by that name, however a
run ended.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import importlib.metadata
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import typing as t
from pathlib import Path

import twin
from twin import secret_files
from twin.spec import Spec

# The collection uses this socket too, even if the user selected another context for the command line.
SOCKET = "unix:///var/run/docker.sock"
TWIN = Path(next(iter(twin.__path__)))
COMPOSE = TWIN / "compose"
SERVICES = ("audit", "sts", "api", "coordinator", "gateway", "web")
# Libraries that the services import, from the clone's environment.
LIBRARIES = ("psycopg2-binary", "redis", "cryptography", "cffi", "pycparser")
# The folder in the quickstart's directory into which the drill unpacks images.
IMAGES = "images"
LABEL = "label=com.docker.compose.project"
# A hundred years. With the default, the audit service would drop the older months of the sample deployment.
RETENTION_DAYS = 36500


class ProjectFailed(Exception):
    """The project cannot be created on this machine; the message contains the reason."""


@dataclasses.dataclass(frozen=True)
class Project:
    """The Compose project of a quickstart directory."""

    name: str
    directory: Path

    def settings(self) -> list[str]:
        """Return the variables of the playbook."""
        return ["quickstart_deployment=compose"]

    def address(self, service: str, port: int) -> str:
        """Return the address on this host of a service's port. Raises ProjectFailed."""
        done = _docker("compose", "--project-directory", str(self.directory), "port", service, str(port))
        if done.returncode:
            raise ProjectFailed(f"{service} of {self.name} publishes no port: {' '.join(done.stderr.split())[:300]}")
        return done.stdout.strip()


def of(directory: Path) -> Project:
    """Return the project of a directory. Two clones have two projects."""
    return Project(f"caracal-quickstart-{hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]}", directory / "compose")


@contextlib.contextmanager
def project(directory: Path) -> t.Iterator[Project]:
    """Yield the project. Remove what an earlier run left before, and everything afterwards."""
    check()
    made = of(directory)
    remove(made)
    try:
        yield made
    finally:
        # A second Ctrl-C would interrupt the cleanup that the first one started.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        remove(made)
        shutil.rmtree(directory / IMAGES, ignore_errors=True)
        signal.signal(signal.SIGINT, before)


def check() -> None:
    """Raise ProjectFailed, with one line, if Compose cannot be used."""
    if os.geteuid():
        raise ProjectFailed("DEPLOYMENT=compose reads Docker's volumes, which belong to root; run it as root")
    if shutil.which("docker") is None:
        raise ProjectFailed("docker is missing; install Docker and its Compose plugin")
    if _docker("version", "--format", "{{.Server.Version}}").returncode:
        raise ProjectFailed(f"no container engine answers on {SOCKET}; start Docker")
    if _docker("compose", "version").returncode:
        raise ProjectFailed("docker compose is missing; install Docker's Compose plugin")


def install(made: Project, seed: int | str) -> None:
    """Write what the product's installer writes on a host: the Compose file, its settings, and the secrets, derived from the seed."""
    made.directory.mkdir(mode=0o700, exist_ok=True)
    shutil.copyfile(COMPOSE / "compose.yml", made.directory / "compose.yml")
    settings = {"COMPOSE_PROJECT_NAME": made.name, "CARACAL_IMAGE": made.name, "AUDIT_RETENTION_DAYS": str(RETENTION_DAYS)}
    (made.directory / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()), encoding="utf-8")
    secret_files.write(made.directory / "secrets", secret_files.of_compose(seed, Spec().release))


def build(made: Project) -> None:
    """Build the image of the services, for the Python version of the libraries. Raises ProjectFailed."""
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder))
        version = f"PYTHON={sys.version_info.major}.{sys.version_info.minor}"
        dockerfile = str(COMPOSE / "Dockerfile")
        built = _docker("build", "--quiet", "--tag", made.name, "--build-arg", version, "--file", dockerfile, folder)
    if built.returncode:
        raise ProjectFailed(f"docker build: {' '.join(built.stderr.split())[-500:]}")


def fill(folder: Path) -> None:
    """Write the files that the image has besides Python. They are readable for every user."""
    shutil.copytree(TWIN, folder / "twin", ignore=shutil.ignore_patterns("__pycache__"))
    for file in (file for name in LIBRARIES for file in importlib.metadata.files(name) or ()):
        if ".." not in file.parts and "__pycache__" not in file.parts:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(file.locate()), folder / file)
    for name in ("service.py", "healthcheck.py"):
        shutil.copyfile(COMPOSE / name, folder / name)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() or path.parent == folder else 0o644)
    for name in SERVICES:
        (folder / name).symlink_to("service.py")


def remove(made: Project) -> None:
    """Remove everything with the project's name. Raises ProjectFailed if the engine does not remove it."""
    mine = f"{LABEL}={made.name}"
    for kind, listed, removes in (
        ("containers", ("ps", "--all", "--quiet", "--filter", mine), ("rm", "--force", "--volumes")),
        ("volumes", ("volume", "ls", "--quiet", "--filter", mine), ("volume", "rm", "--force")),
        ("networks", ("network", "ls", "--quiet", "--filter", mine), ("network", "rm")),
        ("images", ("image", "ls", "--quiet", made.name), ("image", "rm", "--force")),
    ):
        found = sorted(set(_docker(*listed).stdout.split()))
        if found and (gone := _docker(*removes, *found)).returncode:
            raise ProjectFailed(f"{kind} of {made.name} cannot be removed: {' '.join(gone.stderr.split())[:300]}")


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    # A separate session, so that Ctrl-C ends the quickstart and not its cleanup.
    return subprocess.run(
        ["docker", *arguments],
        env={**os.environ, "DOCKER_HOST": SOCKET},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )


def main(arguments: t.Sequence[str] | None = None) -> str | None:
    parser = argparse.ArgumentParser(prog="quickstart_project", description=__doc__)
    parser.add_argument("--directory", required=True, type=Path, help="directory of the quickstart")
    parser.add_argument("step", choices=("install", "reinstall", "remove"), help="reinstall: install after a loss, with new secrets")
    options = parser.parse_args(arguments)
    made = of(options.directory)
    try:
        check()
        if options.step == "remove":
            remove(made)
        elif options.step == "install":
            install(made, Spec().seed)
            build(made)
        else:
            install(made, "installed anew")
    except (ProjectFailed, OSError) as error:
        return f"quickstart_project: {error}"
    print(made.name)
    return None


if __name__ == "__main__":
    sys.exit(main())
