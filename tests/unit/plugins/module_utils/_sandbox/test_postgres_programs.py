# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Client programs from an image: they dump and restore like the host's own programs, and cannot see this host."""

from __future__ import annotations

import os
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._ansible.boundary import Invocation, complete
from ansible_collections.caracal_ops.backup.plugins.module_utils._deployment import postgres_programs
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres import client_binaries, tools
from ansible_collections.caracal_ops.backup.plugins.module_utils._drivers.postgres.server_binaries import Install
from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import MissingDependency, StageFailed
from ansible_collections.caracal_ops.backup.plugins.module_utils._images import cache
from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import guest, image_clients, isolation, users
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream.process import Child
from harness.fixtures import FreshCluster
from harness.waiting import eventually
from scenes import image_scene
from scenes.engine_stand_in import Engine
from scenes.image_scene import Image, archive, symlink
from scenes.scene import Scene
from scenes.twin_database import TwinCluster


@pytest.fixture(scope="module")
def image(server_install: Install) -> Image:
    found = client_binaries.find(server_install.bindir, minimum_major=0, tools=tools.PROGRAMS)
    return image_scene.programs(list(found.paths.values()), "/usr/local/pgsql/bin", ("bin/sh", Path("/bin/sh").read_bytes()))


@pytest.fixture
def bring(engine: Engine, tmp_path: Path) -> t.Callable[..., dict[str, t.Any]]:
    """Return a function that runs the module for an image that the engine has."""

    def run(image: Image, environment: t.Sequence[str] = ()) -> dict[str, t.Any]:
        engine.images = {image[0]: (list(environment), image[1])}
        given = {"image": image[0], "engine": engine.address, "directory": str(tmp_path / "images")}
        return postgres_programs.run(Invocation(complete(postgres_programs.Options, given), False, [].append))

    return run


Bring = t.Callable[..., dict[str, t.Any]]


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the host's own client programs."""
    monkeypatch.setattr(postgres_programs, "_installed", lambda _major: None)


@pytest.mark.mutation
@pytest.mark.parametrize("variables", [[], ["PG_MAJOR=999"], ["PG_MAJOR=\u0663"]], ids=["nothing", "another", "not a number"])
def test_an_image_does_not_make_its_own_programs_run(bring: Bring, image: Image, server_install: Install, variables: list[str]) -> None:
    here = client_binaries.find(None, minimum_major=server_install.version[0], tools=tools.PROGRAMS)
    assert bring(image, variables)["pg_bin"] == here.bindir


def test_programs_of_this_host_are_taken_where_they_fit(engine: Engine, bring: Bring, tmp_path: Path) -> None:
    here = client_binaries.find(None, minimum_major=0, tools=tools.PROGRAMS)
    found = bring(("sha256:" + "0" * 64, b""), [f"PG_MAJOR={here.version[0]}"])
    assert (found["changed"], found["pg_bin"], found["version"]) == (False, here.bindir, here.version_text)
    assert not (tmp_path / "images").exists() and not any(path.endswith("/get") for path in engine.asked)


@pytest.mark.usefixtures("nothing_installed")
def test_a_later_major_comes_out_of_the_image(engine: Engine, bring: Bring, image: Image, server_install: Install, tmp_path: Path) -> None:
    for changed in (True, False):
        found = bring(image, ["PG_MAJOR=999"])
        assert (found["changed"], found["version"]) == (changed, server_install.version_text)
        assert found["pg_bin"] == str(tmp_path / "images" / image[0].removeprefix("sha256:") / "bin")
    assert [path for path in engine.asked if path.endswith("/get")] == [f"/v1.41/images/{image[0]}/get"]


@pytest.mark.usefixtures("nothing_installed")
def test_a_backup_and_a_restore_by_programs_of_an_image(
    bring: Bring, image: Image, scene: Scene, caracal_database: TwinCluster, fresh_cluster: FreshCluster
) -> None:
    """The program inherits memory files with a password, archives and lists."""
    caracal_database.execute("CREATE ROLE image_reader LOGIN SUPERUSER PASSWORD 'secret'")
    try:
        password = scene.root / "backup" / "password"
        password.write_text("secret\n")
        password.chmod(0o600)
        pg_bin = bring(image)["pg_bin"]
        scene.backup(pg_bin=pg_bin, login_user="image_reader", login_password_file=str(password))
    finally:
        caracal_database.execute("DROP ROLE image_reader")
    target = TwinCluster(fresh_cluster(), caracal_database.spec)
    where = {
        "login_unix_socket": target.info.socket_dir,
        "signing_key": str(scene.key("operator")),
        "high_water_mark": str(scene.mark("operator")),
        "pg_bin": pg_bin,
    }
    restored = scene.call("pg_encrypted_restore", **where)
    assert [one["database"] for one in restored["databases"]] == ["caracal", "caracal_auth"]
    query = "SELECT count(*) FROM audit_events"
    assert target.execute(query) == caracal_database.execute(query) != [(0,)]


@pytest.fixture
def inside(bring: Bring, image: Image, nothing_installed: None) -> t.Callable[..., list[str]]:
    """Return a function that runs a shell script in the programs' environment and returns its lines."""

    def run(script: str, *, pass_fds: t.Sequence[int] = (), **environment: str) -> list[str]:
        found = subprocess.run(
            [shell(bring(image)["pg_bin"]), "-c", script], env=environment, check=True, capture_output=True, text=True, pass_fds=pass_fds
        )
        return found.stdout.splitlines()

    return run


def shell(pg_bin: str) -> str:
    made = Path(pg_bin, "shell")
    made.write_text(Path(pg_bin, "psql").read_text().replace("/usr/local/pgsql/bin/psql", "/bin/sh"))
    made.chmod(0o755)
    return str(made)


Inside = t.Callable[..., list[str]]


@pytest.mark.mutation
def test_program_sees_only_host_files_named_by_libpq_settings(inside: Inside, tmp_path: Path) -> None:
    secret, key = tmp_path / "secret", tmp_path / "client's key"
    secret.write_text("of this host")
    key.write_text("the key\n")
    script = f'cat=; read -r cat < "$PGSSLKEY"; echo "$cat"; echo /*; [ -e {secret} ] || echo gone; (: > /usr/new) 2>&- || echo read-only'
    lines = inside(script, PGSSLKEY=str(key), PGSSLCERT=str(tmp_path / "none"))
    assert lines[0] == "the key" and lines[2:] == ["gone", "read-only"]
    assert set(lines[1].split()) <= {"/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/usr"}


@pytest.mark.mutation
def test_no_variable_and_no_open_file_of_ours_reaches_a_program(inside: Inside, tmp_path: Path) -> None:
    (tmp_path / "open").write_text("of this host")
    with open(tmp_path / "open", "rb") as opened:
        script = f"set; own=/proc/self; [ -e $own/fd/{opened.fileno()} ] || echo closed"
        lines = inside(script, pass_fds=[opened.fileno()], CARACAL_SECRET="a secret", PGUSER="one")
        named = inside(f"[ -e /proc/self/fd/{opened.fileno()} ] && echo open # /proc/self/fd/{opened.fileno()}", pass_fds=[opened.fileno()])
    assert lines[-1] == "closed" and not [line for line in lines if "a secret" in line]
    assert "PGUSER='one'" in lines and named == ["open"]


@pytest.mark.mutation
def test_program_gets_only_passwords_of_its_server(inside: Inside, tmp_path: Path) -> None:
    lines = ["db:5432:*:one:first", "db:5433:*:one:second", "other:5432:*:one:third", r"d\:b:5432:*:one:fourth", "*:*:*:one:fifth", "# db:"]
    (tmp_path / "passwords").write_text("\n".join([*lines, ""]))
    script = 'while read -r line; do echo "$line"; done < "$PGPASSFILE"'
    assert inside(script, PGPASSFILE=str(tmp_path / "passwords"), PGHOST="db", PGPORT="5432") == [lines[0], lines[4]]


@pytest.mark.mutation
def test_a_program_is_nothing_else_of_this_host_and_has_no_right(inside: Inside) -> None:
    found = [
        dict(line.split(":", 1) for line in inside('while read -r line; do echo "$line"; done < /proc/self/status')) for _run in range(2)
    ]
    for one in found:
        assert not [name for name in ("CapInh", "CapPrm", "CapEff", "CapAmb") if int(one[name], 16)] and one["NoNewPrivs"].strip() == "1"
        assert os.geteuid() != 0 or {*map(int, one["Uid"].split())} & {*users.FREE_IDS} == {*map(int, one["Uid"].split())}
        assert os.geteuid() != 0 or {*one["Groups"].split()} <= {*one["Gid"].split()}


@pytest.mark.mutation
@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize("switch", ["passwd: files\n", "passwd: evil files\n", ""], ids=["files", "a library", "nothing"])
def test_image_cannot_choose_user_that_runs_its_programs(bring: Bring, server_install: Install, switch: str) -> None:
    """A program of this host that still has root's rights looks up a number as a name first."""
    found = client_binaries.find(server_install.bindir, minimum_major=0, tools=tools.PROGRAMS)
    root = "".join(f"{uid}:x:0:0::/:/bin/sh\n" for uid in users.FREE_IDS).encode()
    groups = "".join(f"{gid}:x:0:\n" for gid in users.FREE_IDS).encode()
    files = {"etc/passwd": root, "etc/group": groups, "etc/nsswitch.conf": switch.encode(), "bin/sh": Path("/bin/sh").read_bytes()}
    path = shell(bring(image_scene.programs(list(found.paths.values()), "/usr/local/pgsql/bin", *files.items()))["pg_bin"])
    script = 'while read -r line; do echo "$line"; done < /proc/self/status; read -r line < /etc/passwd; echo "$line"; echo "$LC_ALL"'
    given = {"env": {"LC_ALL": "C.UTF-8"}, "capture_output": True, "text": True}
    lines = subprocess.run([path, "-c", script], check=False, **given).stdout.splitlines()
    about = dict(line.split(":", 1) for line in lines[:-2])
    assert os.geteuid() != 0 or {*map(int, about["Uid"].split()), *map(int, about["Gid"].split())} <= {*users.FREE_IDS}
    assert lines[-2:] == ["", "C.UTF-8"]


@pytest.mark.mutation
@pytest.mark.parametrize("path", isolation.USERS)
def test_image_files_for_user_lookup_are_left_out(tmp_path: Path, path: str) -> None:
    """A link in a parent directory does not change this."""
    place = tmp_path / path[1:]
    place.parent.mkdir(parents=True)
    place.touch()
    words = isolation.Launcher(None, "bwrap").command(["/x"], readable=[], writable=[], passwd=None, rootfs=str(tmp_path))
    assert str(place) not in words
    place.unlink()
    place.parent.rmdir()
    place.parent.symlink_to("/srv")
    words = isolation.Launcher(None, "bwrap").command(["/x"], readable=[], writable=[], passwd=None, rootfs=str(tmp_path))
    assert "--symlink" not in words[: words.index("--setenv")]


@pytest.mark.mutation
@pytest.mark.parametrize("word", [isolation.FILTER, isolation.LOOKUP, isolation.LOCALE, guest.STATUS, guest.GATE])
def test_image_link_to_launcher_placeholder_is_left_out(tmp_path: Path, word: str) -> None:
    (tmp_path / "link").symlink_to(word)
    (tmp_path / "other").symlink_to("usr")
    words = isolation.Launcher(None, "bwrap").command(["/x"], readable=[], writable=[], passwd=None, rootfs=str(tmp_path))
    assert "/link" not in words and "/other" in words


@pytest.mark.mutation
def test_a_program_of_an_image_changes_no_setting_of_the_kernel(inside: Inside) -> None:
    """An image's pg_dump could do this before it was fixed."""
    place = "/proc/sys/vm/stat_interval"
    before = Path(place).read_text()
    assert inside(f"read -r value < {place}; (echo $value > {place}) 2>&- || echo refused") == ["refused"]
    assert Path(place).read_text() == before


@pytest.mark.mutation
def test_a_program_of_an_image_has_a_network_of_its_own(inside: Inside) -> None:
    assert [line.split(":")[0].strip() for line in inside('while read -r line; do echo "$line"; done < /proc/net/dev')[2:]] == ["lo"]


@pytest.mark.mutation
def test_file_name_that_is_not_text_is_left_out(tmp_path: Path) -> None:
    entries = [(f"usr/bin/{name}", b"") for name in tools.PROGRAMS]
    made, data = image_scene.saved([archive([*entries, ("\udcff", b""), symlink("link", "\udcfe")])], ["PATH=/usr/bin"])
    (tmp_path / "images").mkdir(mode=0o755)
    unpacked, _new = cache.unpacked(str(tmp_path / "images"), made, [image_scene.saver(data)])
    script = Path(image_clients.programs(unpacked), "psql").read_text()
    assert "udcff" not in script and "udcfe" not in script and '"/usr"' in script


@pytest.mark.mutation
@pytest.mark.usefixtures("nothing_installed")
def test_program_ends_with_the_process_that_started_it(bring: Bring, image: Image, tmp_path: Path) -> None:
    path = shell(bring(image)["pg_bin"])
    # The path makes it different from every other script, also if this test was killed before.
    script = f"while :; do read -r nothing; done # {tmp_path}"
    with open("/dev/zero", "rb") as endless:
        child = Child([path, "-c", script], stdin=endless.fileno(), env={"CARACAL_OPS_TEST": str(tmp_path)})
    # The starting programs have the script among their arguments too. They are bound to us only when the script runs.
    eventually(lambda: any(one[1:3] == ["-c", script] for one in running(script)))
    child.kill()
    eventually(lambda: not running(script))


def running(script: str) -> list[list[str]]:
    """Return the commands of the processes that have the script as an argument."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path("/proc", pid, "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if script in command:
            found.append(command)
    return found


def test_image_without_client_programs_is_refused(bring: Bring) -> None:
    others = archive([("usr/bin/pg_dump", b"#!/bin/sh\n"), symlink("usr/bin/psql", "wrapper"), ("usr/bin/wrapper", b"#!/bin/sh\n")])
    with pytest.raises(MissingDependency, match="has no pg_dump, pg_restore, psql"):
        bring(image_scene.saved([others], ["PATH=/usr/bin"]))


def test_a_script_that_chooses_a_release_is_passed_over(tmp_path: Path) -> None:
    scripts = [("usr/share/wrapper", b""), *(symlink(f"usr/bin/{name}", "../share/wrapper") for name in tools.PROGRAMS)]
    real = [(f"usr/lib/postgresql/18/bin/{name}", b"") for name in tools.PROGRAMS]
    made, data = image_scene.saved([archive([*scripts, *real])], ["PATH=/usr/bin:/usr/lib/postgresql/18/bin"])
    engine = image_scene.saver(data)
    (tmp_path / "images").mkdir(mode=0o755)
    unpacked, _new = cache.unpacked(str(tmp_path / "images"), made, [engine])
    assert "/usr/lib/postgresql/18/bin/psql" in Path(image_clients.programs(unpacked), "psql").read_text()


def test_without_bubblewrap_the_package_is_named(bring: Bring, image: Image, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "find_bwrap", lambda: None)
    with pytest.raises(MissingDependency, match="install the package bubblewrap"):
        bring(image)


@pytest.mark.mutation
def test_an_image_that_is_another_one_is_refused(engine: Engine, bring: Bring, image: Image, tmp_path: Path) -> None:
    other = "sha256:" + "1" * 64
    with pytest.raises(MissingDependency):
        bring((other, image[1]))
    with pytest.raises(StageFailed):
        engine.images = {}
        given = {"image": other, "engine": engine.address, "directory": str(tmp_path / "images")}
        postgres_programs.run(Invocation(complete(postgres_programs.Options, given), False, [].append))
    assert not [path for path in (tmp_path / "images").iterdir() if path.suffix != ".lock"]


@pytest.mark.usefixtures("nothing_installed")
def test_changed_scripts_are_created_again(bring: Bring, image: Image) -> None:
    pg_bin = Path(bring(image)["pg_bin"])
    before = (pg_bin / "psql").read_text()
    (pg_bin / "psql").write_text("#!/bin/sh\nexit 1\n")
    shutil.rmtree(pg_bin / "none", ignore_errors=True)
    assert Path(bring(image)["pg_bin"], "psql").read_text() == before
    assert sorted(path.name for path in pg_bin.iterdir()) == sorted(tools.PROGRAMS)
