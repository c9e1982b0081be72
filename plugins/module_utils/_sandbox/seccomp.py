# Copyright (c) 2026, Caracal Ops
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""System calls that programs inside a sandbox do not need, as a filter that bubblewrap loads before the program starts.

The filter is a program for the kernel's classic BPF machine. It is assembled here, so no library is needed. Sources:
linux/seccomp.h, linux/filter.h, and the tables of system calls of the two architectures that container images are built for.
"""

from __future__ import annotations

import errno
import os
import struct
import typing as t

# By architecture: the kernel's number for it, and the index of its system call numbers in the tables below.
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# Calls from this number on, which is the same on both architectures, are refused, since newer calls of the kernel are unknown
# here. They include the calls of the x32 ABI. It sets a high bit, and before Linux 5.4 denied calls could also be made with
# other numbers without that bit.
_LATER = 463
# Kernel keys, mounts, other processes, modules, clocks of the host, files by handle: (x86_64, aarch64), None if an architecture
# lacks the call.
DENIED: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "create_module": (174, None),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "name_to_handle_at": (303, 264),
    "nfsservctl": (180, 42),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}
# Programs work without these calls if the kernel does not have them. The flags of clone3 are in memory, which a filter cannot read.
UNKNOWN: dict[str, tuple[int, int]] = {
    "clone3": (435, 435),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
}
_CLONE, _IOCTL, _SOCKET, _PAIR = (56, 220), (16, 29), (41, 198), (53, 199)
# All namespaces: mount, cgroup, uts, ipc, user, pid, network.
_CLONE_NEW = 0x7E020000
# These write into a terminal as if its user typed.
_TERMINAL = (0x5412, 0x541C)
# Unix, IPv4, IPv6. Other families, such as sockets to a hypervisor, do not belong to a namespace.
_FAMILIES = (1, 2, 10)
# For pairs of connected sockets, only the Unix family is allowed. The kernel would also create pairs of other families.
_PAIRS = 1
# For netlink, only the protocol that reads the addresses of the own network is allowed. Others access firewalls, ciphers and so
# on in the kernel.
_NETLINK, _ROUTE = 16, 0
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND, _THIRD = 0, 4, 16, 24, 32
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


def program(machine: str = "") -> bytes:
    """Return the filter for this architecture. It is empty for an architecture without a table of system calls."""
    machine = machine or os.uname().machine
    if machine not in _ARCHITECTURES:
        return b""
    at = list(_ARCHITECTURES).index(machine)
    parts = [
        _step(_LOAD, _ARCHITECTURE),
        # Other architectures that this machine can run have other numbers.
        *_unless(_EQUAL, _ARCHITECTURES[machine], _refuse(errno.ENOSYS)),
        _step(_LOAD, _NUMBER),
        *_when(_AT_LEAST, _LATER, _refuse(errno.ENOSYS)),
    ]
    for numbers in DENIED.values():
        number = numbers[at]
        parts += _when(_EQUAL, number, _refuse(errno.EPERM)) if number is not None else []
    for known in UNKNOWN.values():
        parts += _when(_EQUAL, known[at], _refuse(errno.ENOSYS))
    parts += _when(_EQUAL, _CLONE[at], [_step(_LOAD, _FIRST), *_when(_ANY_BIT, _CLONE_NEW, _refuse(errno.EPERM)), *_allow()])
    terminal = [step for number in _TERMINAL for step in _when(_EQUAL, number, _refuse(errno.EPERM))]
    parts += _when(_EQUAL, _IOCTL[at], [_step(_LOAD, _SECOND), *terminal, *_allow()])
    families = [step for number in _FAMILIES for step in _when(_EQUAL, number, _allow())]
    netlink = _when(_EQUAL, _NETLINK, [_step(_LOAD, _THIRD), *_when(_EQUAL, _ROUTE, _allow()), *_refuse(errno.EPROTONOSUPPORT)])
    parts += _when(_EQUAL, _SOCKET[at], [_step(_LOAD, _FIRST), *families, *netlink, *_refuse(errno.EAFNOSUPPORT)])
    pair = [*_when(_EQUAL, _PAIRS, _allow()), *_refuse(errno.EAFNOSUPPORT)]
    parts += _when(_EQUAL, _PAIR[at], [_step(_LOAD, _FIRST), *pair])
    return b"".join([*parts, *_allow()])


def _step(code: int, value: int, jump: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, jump, otherwise, value)


def _when(test: int, value: int, then: t.Sequence[bytes]) -> list[bytes]:
    return [_step(test, value, 0, len(then)), *then]


def _unless(test: int, value: int, then: t.Sequence[bytes]) -> list[bytes]:
    return [_step(test, value, len(then), 0), *then]


def _refuse(number: int) -> list[bytes]:
    return [_step(_RETURN, _ERRNO | number)]


def _allow() -> list[bytes]:
    return [_step(_RETURN, _ALLOW)]
