# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A complete deployment with a committed set, and drills of it in this process, step by step, with hooks to break something."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import sys
import typing as t
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, answer, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import drill_state, engine
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill.steps.step import FINGERPRINTS, SECRETS, Work
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import server_binaries
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import lifecycle
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.bundle import Bundle
from harness.fixtures import make_twin, sandbox_path
from scenes import redis_server, secrets_scene
from scenes.playing import drill_settings
from scenes.redis_server import RedisServer
from scenes.scene import Scene
from scenes.secrets_scene import Deployment
from scenes.twin_database import TwinCluster
from tools import docs_checks
from tools.rules import tree
from twin import load, surroundings
from twin.spec import Spec

TESTS = str(Path(load.__file__).resolve().parents[1])
STEPS = tuple(step.name for step in engine.STEPS)
Hook = t.Callable[[], None]
SERVICES = ("audit", "sts", "api", "coordinator", "gateway")


@dataclasses.dataclass(frozen=True)
class Source:
    """A running deployment with everything that a set can contain. `backup` creates a set of it."""

    deployment: Deployment
    redis: RedisServer
    replay: Path

    @property
    def cluster(self) -> TwinCluster:
        return self.deployment.cluster

    @property
    def scene(self) -> Scene:
        return self.deployment.scene

    def backup(self, services: t.Sequence[t.Mapping[str, t.Any]] = (), **secrets: t.Any) -> str:
        """Create a committed set in the same order as the role; return its ID. `services` are recorded as the running ones."""
        set_id = self.deployment.opened()
        volumes = [{"service": name, "path": str(self.replay / name)} for name in surroundings.IN_FILES]
        own = {
            "secrets_bundle": self.deployment.sources(**secrets),
            "replay_volume_archive": {"volumes": volumes},
            "redis_stream_snapshot": self.redis.login,
        }
        for name, given in own.items():
            self.scene.call(name, set_id=set_id, reading=1, **given)
        self.scene.call("pg_encrypted_dump", set_id=set_id)
        for name, given in reversed(own.items()):
            self.scene.call(name, set_id=set_id, reading=2, **given)
        self.scene.call("backup_set", state="committed", set_id=set_id, services=list(services))
        return set_id


@contextlib.contextmanager
def source(install: server_binaries.Install, root: Path, release: str) -> t.Iterator[Source]:
    """Yield a small deployment of this release that was started just now."""
    spec = Spec(events=200, zones=2, seed=f"drill {release}", months=3, release=release)
    with make_twin(install, spec) as cluster, redis_server.start() as redis:
        client = surroundings.connect(f"unix://{redis.socket}", None)
        surroundings.create(cluster.target, spec.seed, client, root / "replay")
        client.close()
        yield Source(secrets_scene.make(root / "scene", cluster), redis, root / "replay")


def command(name: str, **environment: str) -> dict[str, t.Any]:
    """Return a stand-in for a service of Caracal, in the form of the option `services`."""
    return {
        "name": name,
        "command": [sys.executable, "-m", f"twin.services.{name}"],
        "environment": {"PYTHONPATH": TESTS, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        "readable": sorted({sys.prefix, sys.base_prefix, TESTS}),
    }


def services(**environments: dict[str, str]) -> list[dict[str, t.Any]]:
    """Return all services, some of them with more variables."""
    return [command(name, **environments.get(name, {})) for name in SERVICES]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """The result of a drill. `document` is its report, or None if there could be none; `error` is the reason of a failed play."""

    document: dict[str, t.Any] | None
    error: str
    lines: list[str]
    left_out: frozenset[str] = frozenset()

    @property
    def verdict(self) -> str:
        return str(self.document["verdict"]) if self.document else "none"

    @property
    def checks(self) -> dict[str, dict[str, t.Any]]:
        return {one["id"]: one for one in self.document["checks"]} if self.document else {}

    def of(self, *verdicts: str, required: bool = True) -> set[str]:
        """Return the IDs of the checks with one of these verdicts, either the required or the other ones."""
        return {name for name, one in self.checks.items() if one["verdict"] in verdicts and one["required"] is required}

    @property
    def failed(self) -> set[str]:
        return self.of("fail")

    @property
    def unproven(self) -> set[str]:
        """Return the unproven checks, except for steps that the test left out."""
        return self.of("unproven") - {f"drill.{step}" for step in self.left_out}

    @property
    def causes(self) -> list[str]:
        return [one["id"] for one in self.document["diagnosis"]] if self.document else []

    def summary(self) -> str:
        """Return a text for the message of an assertion."""
        bad = [one for one in self.checks.values() if one["verdict"] not in ("pass", "not_applicable")]
        lines = [f"{one['verdict']} {'' if one['required'] else '(not required) '}{one['id']}: {one['message']}" for one in bad]
        return "\n".join([f"{self.verdict} {self.causes} {self.error}", *lines])


@dataclasses.dataclass
class Drill:
    """A drill of the newest set of a scene. A test changes `settings` (of the role), and breaks things in `before` and `after` a step."""

    scene: Scene
    directory: str
    settings: dict[str, t.Any]
    spec: Spec
    before: dict[str, Hook] = dataclasses.field(default_factory=dict)
    after: dict[str, Hook] = dataclasses.field(default_factory=dict)

    @property
    def sandbox(self) -> Path:
        return Path(self.directory)

    @property
    def secrets(self) -> Path:
        return self.sandbox / "secrets"

    @property
    def bundle(self) -> Bundle:
        """Return the sandbox, once it exists."""
        return Bundle.of(self.directory)

    @property
    def cluster(self) -> TwinCluster:
        """Return the copy, once it exists."""
        return TwinCluster(lifecycle.attach(self.directory), self.spec)

    def damage(self, *statements: str) -> None:
        """Change the copy. As in a restore, triggers are off, so constraints do not prevent the change."""
        self.cluster.execute("SET session_replication_role = replica", *statements)

    def put(self, name: str, content: str | None) -> None:
        """Replace or remove a restored secret, as if the set had this content."""
        self._put(self.secrets / name, content)
        mark, directory = (self._own()[name] for name in ("high_water_mark", "sandbox_directory"))
        drill = json.loads(Path(drill_state.place_in(mark, directory)).read_text(encoding="utf-8"))["drill"]
        own = complete(engine.Options, {**self._own(), "step": "services", "drill": drill})
        state = drill_state.load(own)
        names = [one for one in state.kept[SECRETS] if (self.sandbox / one).exists()]
        work = Work(Invocation(own, False, lambda _text: None), state)
        state.kept.update({SECRETS: names, FINGERPRINTS: work.fingerprints(names)})
        state.save()

    @staticmethod
    def _put(path: Path, content: str | None) -> None:
        if content is None:
            path.unlink()
            return
        about = path.stat()
        path.unlink()
        path.write_text(content, encoding="ascii")
        path.chmod(about.st_mode)
        os.chown(path, about.st_uid, about.st_gid)

    def run(self, until: str = "settle", without: t.Collection[str] = (), stays: bool = False, check_mode: bool = False) -> Outcome:
        """Run the steps up to `until`, without some of them. With `stays`, the sandbox belongs to another drill and is not removed."""
        assert {until, *without, *self.before, *self.after} <= {*STEPS, "report"}
        left_out = {*STEPS[STEPS.index(until) + 1 :], *without}
        begun = self.take("verify", check_mode=check_mode)
        lines: list[str] = []
        if not begun.get("failed"):
            for step in (*STEPS[1:], "report"):
                if step not in left_out:
                    lines = self.take(step, begun["drill"], check_mode).get("summary_lines", [])
        self.take("destroy", begun.get("drill", "none"), check_mode)
        ended = begun if begun.get("failed") else self.take("verdict", begun["drill"], check_mode)
        error = str(ended.get("msg", ""))
        assert self.sandbox.exists() is stays, "the sandbox is still there, or another's is gone"
        self.scene.is_clean(error)
        outcome = Outcome(_document(Path(self.settings["caracal_ops_report_dir"])), error, lines, frozenset(left_out))
        assert docs_checks.undescribed(outcome.checks, docs_checks.known(tree.ROOT)) == [], "the documentation lacks these checks"
        return outcome

    def take(self, step: str, drill: str | None = None, check_mode: bool = False) -> dict[str, t.Any]:
        """Run one step like its module; return its result."""
        self.before.get(step, _nothing)()
        given = {**self._own(), "step": step, **({"drill": drill} if drill else {})}
        found = answer(engine.run, Invocation(complete(engine.Options, given), check_mode, lambda _text: None))
        self.after.get(step, _nothing)()
        return found

    def _own(self) -> dict[str, t.Any]:
        return {name.removeprefix("caracal_drill_").removeprefix("caracal_ops_"): value for name, value in self.settings.items()}


def _nothing() -> None:
    """Do nothing, as a hook."""


def drill(of: Source, root: Path) -> Drill:
    """Return a drill with a copy of the repository and of all hosts."""
    scene = of.scene.copy(root / "scene")
    directory = sandbox_path()
    (root / "reports").mkdir()
    identity = scene.root / of.deployment.identity.relative_to(of.scene.root)
    info = of.cluster.info
    settings = {
        **drill_settings(scene, directory),
        "caracal_drill_secrets_identity_files": [str(identity)],
        "caracal_drill_services": services(),
        "caracal_drill_production": [os.path.join(info.socket_dir, f".s.PGSQL.{info.port}"), str(of.redis.socket)],
        "caracal_ops_report_dir": str(root / "reports"),
        "caracal_drill_settle_timeout": 60,
        "caracal_drill_ready_timeout": 60,
    }
    return Drill(scene, directory, settings, of.cluster.spec)


def remove(made: Drill) -> None:
    """Remove the remains of a drill that could not end."""
    lifecycle.destroy(made.directory)
    shutil.rmtree(made.directory, ignore_errors=True)


def _document(reports: Path) -> dict[str, t.Any] | None:
    """Return the only report in the folder."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in reports.glob("*/report.json")]
    assert len(found) < 2
    return found[0] if found else None
