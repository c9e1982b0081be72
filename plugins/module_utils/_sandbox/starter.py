# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start bubblewrap: `python starter.py FILTER BWRAP WORDS...`, with the filter of system calls in hexadecimal.

A copy of this file runs on its own, so it imports nothing from this collection.

It writes the filter and the rules for user lookups to memory files and becomes bubblewrap. For a program that ends with its
caller (`--die-with-parent`), it adds a PID namespace around bubblewrap. bubblewrap's second process requests the death signal
late. If its first process is killed before that, the second one would remain. The kernel ends a PID namespace as a whole.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import typing as t

# Placeholders for values that are known only when a program starts: descriptors of files in memory, and the caller's locale.
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
    """Continue as the first process of a new PID namespace.

    It ends with the process that stays outside, which passes its exit status on. If the system forbids such a namespace
    (AppArmor of newer Ubuntu releases for ordinary users), continue without one.
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
    # The process outside may have ended before the signal was requested.
    died = select.poll()
    died.register(alive, select.POLLHUP)
    if died.poll(0):
        os._exit(BY_SIGNAL + signal.SIGKILL)
    os.close(alive)


def _is_allowed() -> bool:
    """Return True if a namespace can be created.

    It is tried in a separate process, since a process cannot leave a user namespace that turns out to be unusable.
    """
    trial = os.fork()
    if trial == 0:
        try:
            _unshare()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(trial, 0)[1] == 0


def _unshare() -> None:
    """Make the next child the first process of a new PID namespace.

    For an ordinary user, that namespace belongs to a new user namespace, in which the user keeps its uid. Raises OSError.
    """
    uid, gid = os.geteuid(), os.getegid()
    if ctypes.CDLL(None).unshare(_CLONE_NEWPID | (_CLONE_NEWUSER if uid else 0)) != 0:
        raise PermissionError("cannot create a namespace")
    if uid:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)


def _pass_on_status(first: int, held: int) -> t.NoReturn:
    """Close all files that the program could wait for to close, wait for it, and exit with its status."""
    for number in map(int, os.listdir("/proc/self/fd")):
        if number != held:
            try:
                os.close(number)
            except OSError:
                # This was the descriptor that listed the directory.
                continue
    status = os.waitpid(first, 0)[1]
    os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else BY_SIGNAL + os.WTERMSIG(status))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
