# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Messages of the checks before a run: role settings, a database login, and the directory and server of a sandbox."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._drill import engine
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import preflight as login
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import BackupError
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import isolation, lease, marker, preflight, space, users
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox.info import AUTO, SandboxSpec, SourceFacts
from tools.snapshots import Snapshot
from unit.snapshots import role_words

INSTALL = Install("/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/17/lib", "/usr/share/postgresql/17", (17, 10), "pg_bin")
ROLES = ("caracal_backup", "caracal_restore")
DRILLS: tuple[dict[str, t.Any], ...] = ({"identity_files": []}, {"recipients": []}, {"jobs": 0}, {"shrink_budget": 200})
SANDBOX, ALLOWED = "sandbox", {"isolation": AUTO, "unisolated_reason": "a laptop"}
# Fields of a request. Paths are relative to the directory that stands in for /srv.
REQUESTS: dict[str, dict[str, t.Any]] = {
    "a relative path": {"directory": "relative"},
    "a path that no setting can hold": {"directory": "a,b"},
    "a path that is too long for a socket": {"directory": "/srv/" + "x" * 100},
    "a superuser that PostgreSQL does not take": {"superuser": "pg_x"},
    "a superuser with a quote": {"superuser": 'a"b'},
    "inside the source": {"directory": "data/sandbox", "source": SourceFacts(data_directory="data")},
    "beside the source": {"source": SourceFacts(data_directory="data")},
    "beside the source, allowed": {"source": SourceFacts(data_directory="data"), "allow_shared_filesystem": True, **ALLOWED},
    "a parent that is not there": {"directory": "none/sandbox"},
    "no room": {"minimum_free": 8 << 30},
    "a directory of somebody else": {"directory": "theirs"},
    "a symbolic link": {"directory": "link"},
    "isolation of another kind": {"isolation": "perhaps"},
    "isolation waived without a reason": {"isolation": AUTO},
    "isolation required": {},
    "isolation waived": ALLOWED,
    "a locale that is not here": {"source": SourceFacts(locale="xx_YY.UTF-8"), **ALLOWED},
}


@pytest.fixture
def srv(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Path]:
    """Yield a directory with a short path on a host without bubblewrap, with 1 GiB free and no encryption."""
    monkeypatch.setattr(preflight, "choose", lambda *_given, **_more: isolation.Launcher(None, None, "bubblewrap is not installed"))
    monkeypatch.setattr(space, "free_bytes", lambda _path: 1 << 30)
    monkeypatch.setattr(space, "protection", lambda _path: space.CLEAR)
    monkeypatch.setattr(users, "check_own_name", lambda: None)
    monkeypatch.setattr(preflight, "_has_locale", preflight.FALLBACK_LOCALE.__eq__)
    with tempfile.TemporaryDirectory(prefix="caracal-test-", dir="/var/tmp") as folder:
        root = Path(folder).resolve()
        (root / "data").mkdir()
        (root / "theirs").mkdir()
        (root / "theirs" / "file").touch()
        (root / "link").symlink_to("theirs")
        yield root


def asked(srv: Path, changes: dict[str, t.Any]) -> list[str]:
    """Return the result of the sandbox's preflight."""
    given = {"directory": SANDBOX, **changes}
    if given["directory"] != "relative":
        given["directory"] = str(srv / given["directory"])
    source = given.get("source")
    if source is not None and source.data_directory:
        given["source"] = SourceFacts(data_directory=str(srv / source.data_directory))
    return [one.replace(str(srv), "/srv") for one in answer(lambda: preflight.preflight(SandboxSpec(install=INSTALL, **given)).warnings)]


def answer(ask: t.Callable[[], t.Iterable[str]]) -> list[str]:
    """Return the warnings, or the error."""
    try:
        return [f"warning: {one}" for one in ask()]
    except BackupError as error:
        return [f"{type(error).__name__}: {error.msg}"]


@dataclasses.dataclass(frozen=True)
class Answers:
    """A database session that returns one login without any privileges."""

    database: str = "caracal"

    def rows(self, _query: str) -> list[tuple[t.Any, ...]]:
        return [("reader", False, False, False, False, 3)]


def refused(wrong: dict[str, t.Any]) -> list[str]:
    """Return a drill's message for settings in which only these are wrong."""
    place = {"repository": "/none", "deployment": "prod", "allowed_signers": "/none", "high_water_mark": "/none", "step": "preflight"}
    engine.check_settings(complete(engine.Options, {**place, "identity_files": ["/x"], "recipients": ["age1x"], **wrong}))
    return []


def held(srv: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Return the messages for a directory that has a sandbox: another drill's sandbox, and a sandbox whose server is dead."""
    (srv / SANDBOX).mkdir()
    monkeypatch.setattr(marker, "read", lambda _layout: marker.Marker(os.geteuid(), False, "", token="another"))
    monkeypatch.setattr(lease, "gone", lambda _controller: False)
    monkeypatch.setattr(marker, "running", lambda _marker: True)
    other = asked(srv, ALLOWED)
    monkeypatch.setattr(marker, "running", lambda _marker: False)
    return {"the sandbox of another drill": other, "a sandbox whose server is dead": asked(srv, ALLOWED)}


def test_preflight_messages_match_the_snapshot(snapshot: Snapshot, srv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = []
    for role in ROLES:
        text += [f"# Settings of the role {role}", "", *(f"- {one}" for one in role_words.settings_refused(role)), ""]
    text += ["# A drill", "", *_indented([message for wrong in DRILLS for message in answer(lambda: refused(wrong))]), ""]  # noqa: B023
    text += [
        "# A login",
        "",
        "it may log in and nothing else",
        *_indented(answer(lambda: [login.full_sight(t.cast(t.Any, Answers()))])),
        "",
    ]
    text += ["# A sandbox", ""]
    found = {title: asked(srv, changes) for title, changes in REQUESTS.items()}
    for title, message in {**found, **held(srv, monkeypatch)}.items():
        text += [title, *_indented(message)]
    snapshot("preflights.txt", "\n".join([*text, ""]))


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
