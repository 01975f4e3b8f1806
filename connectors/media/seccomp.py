"""Restricts the system calls of this process to a short list (seccomp-bpf).

The filter is short enough to assemble by hand. That avoids a C library in the one
process that should contain as little code as possible. The numbers come from the
kernel's system call tables.
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_PR_SET_NO_NEW_PRIVS, _PR_GET_NO_NEW_PRIVS = 38, 39
_PR_SET_SECCOMP = 22
_FILTER_MODE = 2

_ALLOW = 0x7FFF0000
KILL = 0x80000000
REFUSE = 0x00050000 | errno.EPERM
_UNKNOWN_CALL = 0x00050000 | errno.ENOSYS

_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_PROT_EXEC, _CLONE_THREAD = 0x4, 0x10000


class _Machine(NamedTuple):
    audit: int
    calls: Mapping[str, int]


_X86_64 = _Machine(
    0xC000003E,
    {
        "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "mmap": 9,
        "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14,
        "rt_sigreturn": 15, "writev": 20, "sched_yield": 24, "mremap": 25, "madvise": 28,
        "nanosleep": 35, "getpid": 39, "clone": 56, "exit": 60, "uname": 63, "gettimeofday": 96,
        "getrusage": 98, "sysinfo": 99, "getuid": 102, "getgid": 104, "geteuid": 107,
        "getegid": 108, "getppid": 110, "sigaltstack": 131, "prctl": 157, "gettid": 186,
        "time": 201, "futex": 202, "sched_getaffinity": 204, "restart_syscall": 219,
        "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230, "exit_group": 231,
        "tgkill": 234,
        "ppoll": 271, "set_robust_list": 273, "prlimit64": 302, "getrandom": 318,
        "membarrier": 324, "rseq": 334, "clone3": 435,
    },
)  # fmt: skip
_AARCH64 = _Machine(
    0xC00000B7,
    {
        "close": 57, "lseek": 62, "read": 63, "write": 64, "writev": 66, "ppoll": 73, "fstat": 80,
        "exit": 93, "exit_group": 94, "futex": 98, "set_robust_list": 99, "nanosleep": 101,
        "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115, "sched_getaffinity": 123,
        "sched_yield": 124, "restart_syscall": 128, "tgkill": 131, "sigaltstack": 132,
        "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "uname": 160,
        "getrusage": 165, "prctl": 167, "gettimeofday": 169, "getpid": 172, "getppid": 173,
        "getuid": 174, "geteuid": 175, "getgid": 176, "getegid": 177, "gettid": 178,
        "sysinfo": 179, "brk": 214, "munmap": 215, "mremap": 216, "clone": 220, "mmap": 222,
        "mprotect": 226, "madvise": 233,
        "prlimit64": 261, "getrandom": 278, "membarrier": 283, "rseq": 293, "clone3": 435,
    },
)  # fmt: skip
_MACHINES = {"x86_64": _X86_64, "aarch64": _AARCH64}
_WITH_CONDITION = frozenset({"mmap", "mprotect", "clone", "clone3", "tgkill", "prctl", "prlimit64"})


def available() -> bool:
    """True if this module knows the machine.

    Only trying shows whether the kernel agrees.
    """
    return sys.platform == "linux" and platform.machine() in _MACHINES


def confine(otherwise: int = REFUSE) -> None:
    """Allows only memory, threads, clocks and open descriptors; other calls are refused.

    Memory cannot be made executable, new threads cannot become processes, and signals
    reach only this process. The filter lasts until the process ends. `otherwise` is
    KILL in tests which show that nothing else is even tried. Raises OSError if the
    kernel or the machine has no such filter.
    """
    if not available():
        raise OSError(errno.ENOSYS, f"no filter for {sys.platform} on {platform.machine()}")
    program = b"".join(_assembled(_MACHINES[platform.machine()], otherwise))
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs")
    if libc.prctl(_PR_SET_SECCOMP, _FILTER_MODE, ctypes.c_char_p(head), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


def _assembled(machine: _Machine, otherwise: int) -> Iterator[bytes]:
    yield _step(_LOAD, _ARCHITECTURE)
    yield _step(_EQUAL, machine.audit, 1, 0)
    yield _step(_RETURN, KILL)
    yield _step(_LOAD, _NUMBER)
    for name, number in machine.calls.items():
        if name not in _WITH_CONDITION:
            yield from (_step(_EQUAL, number, 0, 1), _step(_RETURN, _ALLOW))
    calls = machine.calls
    yield from _when_any_bit(calls["mmap"], 2, _PROT_EXEC, otherwise, _ALLOW)
    yield from _when_any_bit(calls["mprotect"], 2, _PROT_EXEC, otherwise, _ALLOW)
    yield from _when_any_bit(calls["clone"], 0, _CLONE_THREAD, _ALLOW, otherwise)
    # clone3 has its flags in memory, which a filter cannot read. With ENOSYS the C
    # library falls back to clone.
    yield from (_step(_EQUAL, calls["clone3"], 0, 1), _step(_RETURN, _UNKNOWN_CALL))
    yield from _when_equal(calls["tgkill"], 0, os.getpid(), _ALLOW, otherwise)
    yield from _when_equal(calls["prctl"], 0, _PR_GET_NO_NEW_PRIVS, _ALLOW, otherwise)
    yield from _when_any_bit(calls["prlimit64"], 2, 0xFFFFFFFF, otherwise, _ALLOW)
    yield _step(_RETURN, otherwise)


def _when_any_bit(call: int, argument: int, bits: int, then: int, otherwise: int) -> list[bytes]:
    return _when(call, argument, _step(_ANY_BIT, bits, 0, 1), then, otherwise)


def _when_equal(call: int, argument: int, value: int, then: int, otherwise: int) -> list[bytes]:
    return _when(call, argument, _step(_EQUAL, value, 0, 1), then, otherwise)


def _when(call: int, argument: int, test: bytes, then: int, otherwise: int) -> list[bytes]:
    """Tests the lower half of an argument, which comes first on both machines."""
    return [
        _step(_EQUAL, call, 0, 4),
        _step(_LOAD, _ARGUMENTS + 8 * argument),
        test,
        _step(_RETURN, then),
        _step(_RETURN, otherwise),
    ]


def _step(code: int, value: int, when_true: int = 0, when_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, when_true, when_false, value)
