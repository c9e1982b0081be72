# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Starts bubblewrap: `python starter.py FILTER BWRAP WORDS...`, with the filter of system calls as hexadecimal digits. A copy of this file
runs by itself, so it imports nothing of ours.

It puts the filter and the rules for looking users up into memory and becomes bubblewrap. A program that dies with its caller
(`--die-with-parent`) gets a PID namespace around bubblewrap as well: bubblewrap's second process asks for the death signal late, and one
whose first process was killed before that would stay. The kernel ends a PID namespace as a whole.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import typing as t

# Words that are known only when a program starts: numbers of files in memory, and the locale of the caller.
FILTER, LOOKUP, LOCALE = "{filter}", "{lookup}", "{locale}"
DIES_WITH_CALLER = "--die-with-parent"
USERS_LOOKUP = b"passwd: files\ngroup: files\nhosts: files dns\n"
BY_SIGNAL = 128
_PR_SET_PDEATHSIG, _CLONE_NEWUSER, _CLONE_NEWPID = 1, 0x10000000, 0x20000000


def main(seccomp: str, words: list[str]) -> t.NoReturn:
    """Become bubblewrap, whose path is the first word."""
    known = {
        FILTER: lambda: _in_memory(bytes.fromhex(seccomp)),
        LOOKUP: lambda: _in_memory(USERS_LOOKUP),
        LOCALE: lambda: "LC_ALL=" + os.environ.get("LC_ALL", "C"),
    }
    replaced = [known[word]() if word in known else word for word in words]
    if DIES_WITH_CALLER in replaced:
        _enter_namespace()
    os.execv(replaced[0], replaced)


def _in_memory(data: bytes) -> str:
    number = os.memfd_create("given", 0)
    os.write(number, data)
    os.lseek(number, 0, 0)
    return str(number)


def _enter_namespace() -> None:
    """Go on as the first process of a new PID namespace. It dies with the process that stays behind, which passes its exit status on.

    Where the system forbids such a namespace (AppArmor of newer Ubuntus for ordinary users), go on without.
    """
    if not _is_allowed():
        return
    _unshare()
    alive, held = os.pipe()
    first = os.fork()
    if first != 0:
        _pass_on_status(first, held)
    os.close(held)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Who stayed behind may have died before the signal was asked for.
    died = select.poll()
    died.register(alive, select.POLLHUP)
    if died.poll(0):
        os._exit(BY_SIGNAL + signal.SIGKILL)
    os.close(alive)


def _is_allowed() -> bool:
    """A trial in a process of its own, since a user namespace that refuses its user cannot be left again."""
    trial = os.fork()
    if trial == 0:
        try:
            _unshare()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(trial, 0)[1] == 0


def _unshare() -> None:
    """The next child is the first of a new PID namespace. For an ordinary user, that belongs to a user namespace, in which it stays itself.

    Raises OSError.
    """
    uid, gid = os.geteuid(), os.getegid()
    if ctypes.CDLL(None).unshare(_CLONE_NEWPID | (_CLONE_NEWUSER if uid else 0)) != 0:
        raise PermissionError("cannot create a namespace")
    if uid:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)


def _pass_on_status(first: int, held: int) -> t.NoReturn:
    """Hold nothing open that the program closes, wait for it, and end as it did."""
    for number in map(int, os.listdir("/proc/self/fd")):
        if number != held:
            try:
                os.close(number)
            except OSError:
                # The one that was open to list them.
                continue
    status = os.waitpid(first, 0)[1]
    os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else BY_SIGNAL + os.WTERMSIG(status))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
