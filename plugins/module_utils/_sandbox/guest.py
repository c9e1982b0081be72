# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Start one client program of an image: `python guest.py PLAN ARGUMENTS...`.

A copy of this file runs on its own, so it imports nothing from this collection.

The program runs with a uid that nothing else on this host uses, gets passwords and keys as files in memory, and has no network
except its own loopback. This process listens on that loopback, and forwards connections to the one server in the plan.
"""

from __future__ import annotations

import ctypes
import dataclasses
import fcntl
import json
import os
import pwd
import random
import re
import signal
import socket
import sys
import threading
import typing as t

# Placeholders in the plan for values that are known only when the program starts.
UID, STATUS, GATE = -1, "{status}", "{gate}"
FILE_LIMIT = 1 << 20
PIECE = 1 << 18
CONNECTIONS = 256
CONNECT_SECONDS = 15
KILLED_FIRST = 1000
LOCALHOST = "localhost"
# The directories in which libpq looks for the default socket.
SOCKETS = ("/var/run/postgresql", "/tmp")
_GIVEN = re.compile(r"/proc/self/fd/([0-9]+)")
_FIELD = re.compile(r"((?:\\.|[^:\\])*):")
_PR_SET_PDEATHSIG, _NS_GET_USERNS, _IP_FREEBIND = 1, 0xB701, 15


@dataclasses.dataclass(frozen=True)
class GuestPlan:
    """How to start the program.

    `words` is its command line. `ids` are the first and last uid that it may get if this process is root. `taken` is a
    directory whose entries are uids in use. `kept` are the variables that it gets, and `files` are the variables in `kept` that
    contain paths. `host`, `address`, `port` and `encryption` are the variables with the server for libpq. `search` is the PATH
    for the first word.
    """

    words: t.Sequence[str]
    ids: tuple[int, int]
    taken: str
    kept: t.Sequence[str]
    files: t.Sequence[str]
    host: str
    address: str
    port: str
    encryption: str
    search: str


def main(plan: GuestPlan, arguments: t.Sequence[str]) -> t.NoReturn:
    """Become the program. The process that listens for it ends with it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    uid = _free_uid(plan) if os.geteuid() == 0 else None
    environment = {name: os.environ[name] for name in plan.kept if name in os.environ}
    servers, port = environment.get(plan.host, "").split(","), environment.get(plan.port, "")
    _give_files(plan, environment, [one or LOCALHOST for one in servers], uid)
    (status, reporter), (gate, opener), parent = os.pipe(), os.pipe(), os.getpid()
    if os.fork() == 0:
        _listen(servers if port else [], port, status, opener, parent)
    if port:
        environment[plan.host] = ",".join(one or LOCALHOST for one in servers)
        environment[plan.address] = ",".join(_loopback(at) for at in range(len(servers)))
        # Encryption protects networks. libpq does not request it on a socket.
        if all(_is_socket(one) for one in servers):
            environment[plan.encryption] = "disable"
    _keep_open([*arguments, *environment.values()], (reporter, gate))
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
        score.write(str(KILLED_FIRST))
    replaced = {STATUS: str(reporter), GATE: str(gate), f"--reuid={UID}": f"--reuid={uid}", f"--regid={UID}": f"--regid={uid}"}
    words = [replaced.get(word, word) for word in plan.words]
    os.execvpe(words[0], [*words, *arguments], {**environment, "PATH": plan.search})


def _is_socket(server: str) -> bool:
    return not server or server.startswith(("/", "@"))


def _give_files(plan: GuestPlan, environment: dict[str, str], hosts: t.Sequence[str], uid: int | None) -> None:
    for name in plan.files:
        if name in environment:
            data = _content(environment[name])
            wanted = _of_server(data, hosts, environment.get(plan.port, "")) if name == plan.files[0] else data
            environment[name] = _in_memory(name, wanted, uid)


def _free_uid(plan: GuestPlan) -> int:
    """Return a uid that no process, user or sandbox has."""
    taken = {int(name) for name in _names(plan.taken) if name.isdecimal()}
    for number in filter(str.isdecimal, os.listdir("/proc")):
        try:
            taken.add(os.stat(f"/proc/{number}").st_uid)
        except OSError:
            continue
    ids = list(range(plan.ids[0], plan.ids[1] + 1))
    random.SystemRandom().shuffle(ids)
    for uid in ids:
        if uid not in taken and not _is_named(uid):
            return uid
    raise SystemExit(f"no uid between {plan.ids[0]} and {plan.ids[1]} is free; end processes that use these uids")


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _is_named(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _content(path: str) -> bytes:
    """Return the content of a file, or nothing if the file does not exist. libpq works without it."""
    try:
        with open(path, "rb") as source:
            return source.read(FILE_LIMIT)
    except OSError:
        return b""


def _of_server(passwords: bytes, hosts: t.Sequence[str], port: str) -> bytes:
    """Return the lines of a password file for this server. Lines for other servers stay secret."""

    def fits(line: bytes) -> bool:
        fields = [re.sub(r"\\(.)", r"\1", one) for one in _FIELD.findall(line.decode("utf-8", "surrogateescape"))]
        return len(fields) > 1 and fields[0] in (*hosts, LOCALHOST, "*") and fields[1] in (port, "*")

    return b"".join(line for line in passwords.splitlines(keepends=True) if fits(line))


def _in_memory(name: str, data: bytes, uid: int | None) -> str:
    """Return the path of a file in memory that only the program can open."""
    number = os.memfd_create(name, 0)
    os.write(number, data)
    os.fchmod(number, 0o600)
    if uid is not None:
        os.fchown(number, uid, uid)
    return f"/proc/self/fd/{number}"


def _keep_open(words: t.Sequence[str], own: t.Collection[int]) -> None:
    """Close all other file descriptors on exec, except the three standard streams, `own`, and those named in `words`."""
    named = {int(number) for word in words for number in _GIVEN.findall(word)}
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            os.set_inheritable(number, number <= 2 or number in named or number in own)
        except OSError:
            # This was the descriptor that listed the directory.
            continue


def _loopback(at: int) -> str:
    """Return a separate loopback address for each host."""
    return f"127.0.0.{at + 1}"


def _listen(servers: t.Sequence[str], port: str, status: int, opener: int, parent: int) -> t.NoReturn:
    """Listen for the program, in a process that stays in this host's network and ends with the program.

    The program starts when all sockets listen, or when listening failed.
    """
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == parent:
            _close_others(status, opener)
            _wait_for_start(status)
            listeners = _listeners(_last_below(parent), len(servers), int(port or 0))
            os.close(opener)
            for listener, server in zip(listeners, servers, strict=True):
                threading.Thread(target=_accept, args=(listener, server, int(port))).start()
            signal.pause()
    finally:
        os._exit(0)


def _close_others(*kept: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in map(int, os.listdir("/proc/self/fd")):
        if number <= 2:
            os.dup2(nothing, number)
        elif number not in (nothing, *kept):
            try:
                os.close(number)
            except OSError:
                # This was the descriptor that listed the directory.
                continue


def _wait_for_start(status: int) -> None:
    """Wait until bubblewrap reports that its second process exists. That process then waits at the gate."""
    with open(status, encoding="utf-8") as report:
        for line in report:
            if "}" in line:
                return
    raise EOFError("bubblewrap has ended")


def _last_below(pid: int) -> int:
    """Return the last process in a chain that starts at `pid` and in which each process has one child, without this process.

    bubblewrap reports a process ID too, but in another PID namespace.
    """
    parents = dict(_parents())
    del parents[os.getpid()]
    while below := [child for child, parent in parents.items() if parent == pid]:
        (pid,) = below
    return pid


def _parents() -> t.Iterator[tuple[int, int]]:
    """Yield each process of this host and its parent."""
    for number in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{number}/stat", "rb") as file:
                yield int(number), int(file.read().rpartition(b")")[2].split()[1])
        except OSError:
            continue


def _listeners(inside: int, number: int, port: int) -> list[socket.socket]:
    """Return sockets in the network of the process. A child enters that network and passes the sockets back."""
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        try:
            _enter(inside)
            made = [_bound(_loopback(at), port) for at in range(number)]
            socket.send_fds(theirs, [b"."], [one.fileno() for one in made])
        finally:
            os._exit(0)
    theirs.close()
    _data, numbers, _flags, _address = socket.recv_fds(ours, 1, max(number, 1))
    os.waitpid(child, 0)
    return [socket.socket(fileno=one) for one in numbers]


def _bound(address: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # The loopback may not be up yet.
    made.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
    made.bind((address, port))
    made.listen(CONNECTIONS)
    return made


def _enter(inside: int) -> None:
    """Enter the network of a process, and first its user namespace, if that is not the current one."""
    network = os.open(f"/proc/{inside}/ns/net", os.O_RDONLY)
    owner = fcntl.ioctl(network, _NS_GET_USERNS)
    places = [network] if os.path.samestat(os.fstat(owner), os.stat("/proc/self/ns/user")) else [owner, network]
    for place in places:
        if ctypes.CDLL(None).setns(place, 0) != 0:
            raise OSError(f"cannot enter the network of process {inside}")


def _accept(listener: socket.socket, server: str, port: int) -> None:
    room = threading.Semaphore(CONNECTIONS)
    while True:
        inside, _address = listener.accept()
        room.acquire()
        threading.Thread(target=_pass_on, args=(inside, server, port, room)).start()


def _pass_on(inside: socket.socket, server: str, port: int, room: threading.Semaphore) -> None:
    try:
        with inside, _connected(server, port) as outside:
            back = threading.Thread(target=_copy, args=(outside, inside))
            back.start()
            _copy(inside, outside)
            back.join()
    except OSError:
        return
    finally:
        room.release()


def _connected(server: str, port: int) -> socket.socket:
    if not _is_socket(server):
        made = socket.create_connection((server, port), CONNECT_SECONDS)
        made.settimeout(None)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made
    usual = next((one for one in SOCKETS if os.path.exists(f"{one}/.s.PGSQL.{port}")), SOCKETS[0])
    path = f"{server or usual}/.s.PGSQL.{port}"
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.connect(f"\0{path[1:]}" if path.startswith("@") else path)
    return made


def _copy(source: socket.socket, sink: socket.socket) -> None:
    buffer = memoryview(bytearray(PIECE))
    try:
        while size := source.recv_into(buffer):
            sink.sendall(buffer[:size])
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


if __name__ == "__main__":
    main(GuestPlan(**json.loads(sys.argv[1])), sys.argv[2:])
