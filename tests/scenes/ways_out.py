# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A program for the inside of a sandbox that tries every known way out, and prints the result of each."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import typing as t
from pathlib import Path

from ansible_collections.caracal_ops.backup.plugins.module_utils._sandbox import isolation, users
from ansible_collections.caracal_ops.backup.plugins.module_utils._stream.process import run
from harness import small_programs

# There was no error, so this way leads out.
OUT = "it leads out"
CODE = r"""
import ctypes, fcntl, json, os, socket, stat, sys
given = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)

def call(number, *arguments):
    ctypes.set_errno(0)
    if libc.syscall(number, *arguments) == -1:
        raise OSError(ctypes.get_errno(), "refused")

def libcall(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), "refused")

def written(path, data):
    with open(path, "r+" if data is None else "w") as file:
        file.write(file.read() if data is None else data)

def again(path):
    with open(path) as file:
        value = file.read()
    written(path, value)

def connected(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.settimeout(5)
        one.connect(address)

def raw(family, kind):
    socket.socket(family, kind).close()

def there(path):
    os.stat(path)

def root():
    os.setuid(0)

def setuid_program():
    path = "/dev/shm/program"
    with open("/bin/sh", "rb") as source, open(path, "wb") as made:
        made.write(source.read())
    os.chmod(path, 0o6755)
    if os.spawnl(os.P_WAIT, path, path, "-c", 'grep -q "^NoNewPrivs:.1" /proc/self/status') == 0:
        raise OSError(1, "no new rights")

def typed():
    fcntl.ioctl(os.open("/dev/tty", os.O_RDWR), 0x5412, b"x")

def typed_anyhow():
    # 64 bits, of which the kernel reads 32.
    call(numbers["ioctl"], 0, ctypes.c_ulong(0x100005412), ctypes.c_char_p(b"x"))

def inherited():
    others = [one for one in os.listdir("/proc/self/fd") if int(one) > 2 and os.path.exists("/proc/self/fd/" + one)]
    if not others:
        raise OSError(9, "none")

def environment(path):
    with open(path, "rb") as file:
        if given["secret"].encode() in file.read():
            return
    raise OSError(2, "nothing of the host's")

def processes():
    # What stands around this one, and itself.
    if sum(one.isdecimal() for one in os.listdir("/proc")) <= 4:
        raise OSError(3, "none")

def covered(path):
    if os.path.isdir(path):
        if not os.listdir(path):
            raise OSError(2, "empty")
    else:
        with open(path, "rb") as file:
            file.read(1)

def capable():
    lines = dict(line.split(":", 1) for line in open("/proc/self/status") if line.startswith("Cap"))
    if not any(int(lines[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")):
        raise OSError(1, "none")

def bounding():
    line = next(line for line in open("/proc/self/status") if line.startswith("CapBnd"))
    if not int(line.split()[1], 16):
        raise OSError(1, "none")

def many():
    # Of an ordinary user all processes would count.
    import resource
    if resource.getrlimit(resource.RLIMIT_NPROC)[1] <= 4096 or not given["bounded"]:
        raise OSError(11, "bounded")

def cloned():
    made = libc.syscall(numbers["clone"], NEWUSER | 17, 0, 0, 0, 0)
    if made == 0:
        os._exit(0)
    if made == -1:
        raise OSError(ctypes.get_errno(), "refused")

numbers = given["numbers"]
NEWUSER, NEWNS = 0x10000000, 0x00020000
ways = {
    "a device": lambda: os.mknod("/dev/shm/device", stat.S_IFCHR | 0o600, os.makedev(1, 1)),
    "the memory": lambda: there("/dev/mem"),
    "a disk": lambda: [there(f"/dev/{name}") for name in given["disks"]] or there("/dev/none"),
    "a mount": lambda: libcall("mount", b"none", b"/dev/shm", b"tmpfs", 0, None),
    "a mount again, writable": lambda: libcall("mount", b"none", b"/usr", None, 32, None),
    "an unmount": lambda: libcall("umount2", b"/proc/sys", 2),
    "a mount by its new call": lambda: call(numbers["fsopen"], b"tmpfs", 0),
    "a kernel setting": lambda: again("/proc/sys/vm/stat_interval"),
    "the pattern of core files": lambda: again("/proc/sys/kernel/core_pattern"),
    "the magic key": lambda: written("/proc/sysrq-trigger", ""),
    "a key of the kernel": lambda: call(numbers["add_key"], b"user", b"one", b"1", 1, -4),
    "the session's keys": lambda: call(numbers["keyctl"], 0, -3, 0),
    "the names of keys": lambda: covered("/proc/keys"),
    "the kernel's messages": lambda: covered("/proc/kmsg"),
    "the kernel's addresses": lambda: covered("/proc/kallsyms"),
    "timers": lambda: covered("/proc/timer_list"),
    "interrupts": lambda: covered("/proc/irq"),
    "buses": lambda: covered("/proc/bus"),
    "devices of the kernel": lambda: there("/sys/kernel"),
    "the environment of the first process": lambda: environment("/proc/1/environ"),
    "the own environment": lambda: environment("/proc/self/environ"),
    "files of the first process": lambda: os.listdir("/proc/1/root/boot"),
    "a process of the host": processes,
    "a process of the host by its number": lambda: os.kill(given["victim"], 0) if given["victim"] > 50 else there("/none"),
    "a debugger": lambda: call(numbers["ptrace"], 0x4206, 1, 0, 0),
    "memory of another": lambda: call(numbers["process_vm_readv"], 1, 0, 0, 0, 0, 0),
    "a socket without a file": lambda: connected(socket.AF_UNIX, given["abstract"]),
    "a socket of another user": lambda: connected(socket.AF_UNIX, given["socket"]),
    "the container engine": lambda: connected(socket.AF_UNIX, "/var/run/docker.sock"),
    "the loopback of the host": lambda: connected(socket.AF_INET, ("127.0.0.1", given["port"])),
    "the network": lambda: connected(socket.AF_INET, ("192.0.2.1", 80)),
    "packets": lambda: raw(17, socket.SOCK_RAW),
    "the hypervisor": lambda: raw(40, socket.SOCK_STREAM),
    "a pair of sockets of the cluster": lambda: socket.socketpair(30, 5),
    "the kernel's ciphers": lambda: raw(38, 5),
    "the firewall": lambda: socket.socket(16, socket.SOCK_RAW, 12).close(),
    "transforms of packets": lambda: socket.socket(16, socket.SOCK_RAW, 6).close(),
    "a call of another machine": lambda: call(521, 0x4206, 1, 0, 0),
    "a program with its owner's rights": setuid_program,
    "root": root,
    "capabilities": capable,
    "capabilities to come": bounding,
    "a file of the system": lambda: written("/usr/bin/caracal-way-out", "x"),
    "a new file at the top": lambda: written("/caracal-way-out", "x"),
    "the files of the host": lambda: there(given["file"]),
    "another root": lambda: os.chroot("/dev/shm"),
    "another root, moved": lambda: call(numbers["pivot_root"], b"/dev/shm", b"/dev/shm"),
    "what was open": inherited,
    "a file by its handle": lambda: call(numbers["open_by_handle_at"], -100, 0, 0),
    "a terminal": typed,
    "a terminal, in more bits": typed_anyhow,
    "a user namespace": lambda: libcall("unshare", NEWUSER),
    "a user namespace with a process": cloned,
    "a namespace by its new call": lambda: call(435, 0, 0),
    "a namespace of another": lambda: libcall("setns", os.open("/proc/1/ns/mnt", os.O_RDONLY), 0),
    "programs in the kernel": lambda: call(numbers["bpf"], 0, 0, 0),
    "counters": lambda: call(numbers["perf_event_open"], 0, 0, -1, -1, 0),
    "faults in user space": lambda: call(numbers["userfaultfd"], 1),
    "rings": lambda: call(425, 1, 0),
    "a module": lambda: call(numbers["finit_module"], 0, b"", 0),
    "another kernel": lambda: call(numbers["kexec_load"], 0, 0, 0, 0),
    "the end of the host": lambda: call(numbers["reboot"], 0, 0, 0, 0),
    "swap": lambda: libcall("swapon", b"/dev/shm/one", 0),
    "the kernel's log": lambda: call(numbers["syslog"], 3, 0, 0),
    "the host's name": lambda: written("/proc/sys/kernel/hostname", "other"),
    "processes without end": many,
}
found = {}
for name, way in ways.items():
    try:
        way()
        found[name] = given["out"]
    except OSError as error:
        found[name] = f"{type(error).__name__} {error.errno}"
print(json.dumps(found))
"""
# By machine: x86_64, aarch64.
NUMBERS = {
    "add_key": (248, 217),
    "bpf": (321, 280),
    "clone": (56, 220),
    "finit_module": (313, 273),
    "fsopen": (430, 430),
    "ioctl": (16, 29),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "open_by_handle_at": (304, 265),
    "perf_event_open": (298, 241),
    "pivot_root": (155, 41),
    "process_vm_readv": (310, 270),
    "ptrace": (101, 117),
    "reboot": (169, 142),
    "syslog": (103, 116),
    "userfaultfd": (323, 282),
}
SECRET = "a secret of the host"


@contextlib.contextmanager
def host(folder: Path) -> t.Iterator[dict[str, t.Any]]:
    """Yield the addresses and paths of this host that the program tries to reach."""
    folder.chmod(0o755)
    file = folder / "file"
    file.write_text("of the host")
    at = os.uname().machine == "aarch64"
    with contextlib.ExitStack() as opened:
        network = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        abstract, named = (opened.enter_context(socket.socket(socket.AF_UNIX)) for _number in range(2))
        abstract.bind(f"\0caracal-way-out-{os.getpid()}")
        named.bind(str(folder / "socket"))
        os.chmod(folder / "socket", 0o777)
        for one in (abstract, named):
            one.listen()
        yield {
            "abstract": f"\0caracal-way-out-{os.getpid()}",
            "socket": str(folder / "socket"),
            "port": network.getsockname()[1],
            "file": str(file),
            "victim": os.getpid(),
            "disks": sorted(name for name in os.listdir("/dev") if name.startswith(("sd", "vd", "nvme", "xvd")))[:1],
            "numbers": {name: number[at] for name, number in NUMBERS.items()},
            "secret": SECRET,
            "out": OUT,
        }


def tried(given: dict[str, t.Any]) -> dict[str, str]:
    """Return the result of each way for the current user."""
    os.environ["CARACAL_WAY_OUT"] = SECRET
    bwrap = isolation.find_bwrap()
    identity = users.server_identity()
    arguments = json.dumps({**given, "bounded": identity is not None})
    launcher = isolation.Launcher(identity, bwrap)
    words = launcher.command(small_programs.python(CODE, arguments), readable=[], writable=[], passwd=None, bound=True)
    found: dict[str, str] = json.loads(run(isolation.limited(words, identity), env=isolation.ENVIRONMENT, timeout=60))
    return found
