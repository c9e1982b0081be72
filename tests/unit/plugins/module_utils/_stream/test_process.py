# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from ansible_collections.caracal_ops.backup.plugins.module_utils._errors import MissingDependency, StageFailed
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream.process import (
    STDERR_LIMIT,
    Child,
    Identity,
    last_line,
    run,
    telling_lines,
)
from harness.waiting import PATIENCE


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def test_run_gives_stdout_and_feeds_stdin() -> None:
    assert run(python("import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])"), data=b"\x00abc\n") == b"\ncba\x00"


def test_without_data_stdin_is_at_its_end() -> None:
    assert run(python("import sys; print(len(sys.stdin.read()))")) == b"0\n"


def test_environment_and_folder_are_what_was_asked_for(tmp_path: os.PathLike[str]) -> None:
    code = "import os; print(os.getcwd(), os.environ.get('ONLY'), 'HOME' in os.environ)"
    assert run(python(code), env={"ONLY": "this"}, cwd=str(tmp_path)).decode() == f"{tmp_path} this False\n"


@pytest.mark.mutation
def test_an_exit_status_is_an_error_with_the_last_line_of_stderr() -> None:
    code = "import sys; print('first', file=sys.stderr); print('the reason', file=sys.stderr); print('  ', file=sys.stderr); sys.exit(3)"
    with pytest.raises(StageFailed) as caught:
        run(python(code))
    assert caught.value.msg == f"{os.path.basename(sys.executable)} failed (exit status 3): the reason"
    assert caught.value.details["stderr"] == "first\nthe reason"


@pytest.mark.mutation
def test_a_signal_is_an_error_even_after_output() -> None:
    with pytest.raises(StageFailed, match=r"failed \(signal 9\): no output"):
        run(python("import os; print('all well', flush=True); os.kill(os.getpid(), 9)"))


@pytest.mark.parametrize("program", ["/nonexistent/pg_dump", "no-such-program-here"])
def test_a_missing_program_is_named(program: str) -> None:
    with pytest.raises(MissingDependency, match=f"^cannot run {program}: No such file"):
        run([program])


def test_file_that_is_not_executable_is_named_in_error(tmp_path: os.PathLike[str]) -> None:
    path = os.path.join(tmp_path, "pg_dump")
    with open(path, "w") as stream:
        stream.write("#!/bin/sh\n")
    with pytest.raises(MissingDependency, match="pg_dump: Permission denied; "):
        run([path])


@pytest.mark.mutation
def test_a_timeout_ends_the_child() -> None:
    child = Child(python("import time; time.sleep(600)"))
    started = time.monotonic()
    with pytest.raises(StageFailed, match=r"did not end within 0 s and was stopped"):
        child.finish(timeout=0.2)
    assert time.monotonic() - started < PATIENCE
    assert child.process.returncode == -9


def test_arguments_reach_the_program_as_they_are() -> None:
    arguments = ["$HOME", "`id`", "; exit 1", "a b", "*", "'\"\n"]
    assert run([*python("import sys; print(ascii(sys.argv[1:]))"), *arguments]) == f"{arguments!a}\n".encode()


def test_stderr_is_kept_bounded() -> None:
    size = 4 * STDERR_LIMIT
    stderr = Child(python(f"import sys; sys.stderr.write('x' * {size} + 'end')")).finish()
    assert len(stderr) == STDERR_LIMIT
    assert stderr.endswith("xend")


def test_stderr_is_never_in_a_file() -> None:
    code = "import os, stat, sys; print(stat.S_ISFIFO(os.fstat(2).st_mode)); [os.write(2, b'x' * 65536) for n in range(1600)]"
    assert run(python(code)) == b"True\n"


def test_a_process_that_is_left_behind_is_not_waited_for() -> None:
    left = "import time; time.sleep(60)"
    code = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {left!r}]); sys.stderr.write(f'pid {{p.pid}}')"
    stderr = Child(python(code)).finish(timeout=30)
    os.kill(int(stderr.partition(" ")[2]), signal.SIGKILL)


def test_stderr_that_is_not_utf8_is_still_reported() -> None:
    with pytest.raises(StageFailed, match="�broken"):
        run(python(r"import sys; sys.stderr.buffer.write(b'\xffbroken'); sys.exit(1)"))


def test_kill_is_harmless_afterwards() -> None:
    child = Child(python("pass"))
    child.finish()
    child.kill()
    assert child.process.returncode == 0


def test_child_runs_as_given_user() -> None:
    mine = Identity(os.getuid(), os.getgid()) if os.getuid() else Identity(65534, 65533)
    code = "import os; print(os.getuid(), os.getgid(), os.getgroups())"
    if os.getuid():
        # An ordinary user cannot drop its groups and does not have to.
        assert run(python(code)).decode().startswith(f"{mine.uid} {mine.gid} ")
    else:
        assert (
            run(["/usr/bin/env", "python3", "-S", "-c", code], identity=mine, cwd="/", env={"PATH": "/usr/bin:/bin"}) == b"65534 65533 []\n"
        )


def test_only_what_is_passed_on_is_open_in_a_child() -> None:
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    # The listing itself opens a descriptor, which is closed again.
    code = "import os; print([n for n in map(int, os.listdir('/proc/self/fd')) if n > 2 and os.path.exists(f'/proc/self/fd/{n}')])"
    with open("/dev/null", "rb") as null, open(read_end), open(write_end, "w"):
        read, write = os.pipe()
        Child(python(code), stdout=write, pass_fds=[null.fileno()]).finish()
        os.close(write)
        with open(read, "rb") as stream:
            assert stream.read() == f"[{null.fileno()}]\n".encode()


PG_RESTORE = """pg_restore: error: COPY failed for table "secrets": ERROR:  invalid input syntax for type json
DETAIL:  Token "value-of-a-row" is invalid.
CONTEXT:  COPY secrets, line 1, column payload: "value-of-a-row"
pg_restore: warning: something
"""


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("a\nb\n \n", ["a", "b"]),
        (PG_RESTORE, PG_RESTORE.splitlines()[:1]),
        (f"{PG_RESTORE}pg_restore: error: a worker process died unexpectedly\n", PG_RESTORE.splitlines()[:1]),
        ("pg_restore: error: a worker process died unexpectedly", ["pg_restore: error: a worker process died unexpectedly"]),
        ("psql: error: FATAL:  no\npassword retrieved from file", ["psql: error: FATAL:  no"]),
    ],
)
def test_lines_that_give_the_reason(text: str, lines: list[str]) -> None:
    assert telling_lines(text) == lines
    assert last_line(text) == (lines[-1] if lines else "no output")
