#!/usr/bin/python3
"""Runs a command as systemd would under a unit's seccomp filters, without systemd: what the filter does not list kills.

    sandbox.py FILTER COMMAND ARG...       FILTER: names of system calls, by white space

Also: sockets of the Internet and Unix only, no memory that can be written and executed, no capabilities, no new privileges.
Each is stricter than or as strict as what systemd/modelwatch-.service.d asks for (there a refused call fails by EPERM).
"""
import ctypes
import errno
import os
import sys

ALLOW, KILL_PROCESS = 0x7FFF0000, 0x80000000
EQUAL, GREATER, MASKED = 4, 6, 7                            # of libseccomp's enum scmp_compare
PR_CAPBSET_DROP = 24
PROT_WRITE, PROT_EXEC = 2, 4
AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10

seccomp = ctypes.CDLL("libseccomp.so.2")
libc = ctypes.CDLL(None, use_errno=True)


class Compare(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("how", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


seccomp.seccomp_init.restype = ctypes.c_void_p
seccomp.seccomp_init.argtypes = [ctypes.c_uint32]
seccomp.seccomp_load.argtypes = [ctypes.c_void_p]
seccomp.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint,
                                           ctypes.POINTER(Compare)]


def fail(number):
    return 0x00050000 | number


def add(context, action, name, *compares):
    """Names that this architecture does not have are passed over, as systemd does."""
    number = seccomp.seccomp_syscall_resolve_name(name.encode())
    if number < 0:
        return
    result = seccomp.seccomp_rule_add_array(context, action, number, len(compares), (Compare * len(compares))(*compares))
    if result:
        sys.exit(f"sandbox: {name}: {os.strerror(-result)}")


def load(context):
    """libseccomp sets no_new_privs before."""
    if result := seccomp.seccomp_load(context):
        sys.exit(f"sandbox: seccomp: {os.strerror(-result)}")


def drop_capabilities():
    """What the bounding set lacks, no program that is started from here on has, also if it is root's."""
    for capability in range(64 if os.geteuid() == 0 else 0):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) and ctypes.get_errno() != errno.EINVAL:
            sys.exit(f"sandbox: capability {capability}: {os.strerror(ctypes.get_errno())}")


def restrict_arguments():
    context = seccomp.seccomp_init(ALLOW)
    add(context, fail(errno.EAFNOSUPPORT), "socket", Compare(0, GREATER, AF_INET6))
    for family in range(AF_INET6):
        if family not in (AF_UNIX, AF_INET):
            add(context, fail(errno.EAFNOSUPPORT), "socket", Compare(0, EQUAL, family))
    both = PROT_WRITE | PROT_EXEC
    add(context, fail(errno.EPERM), "mmap", Compare(2, MASKED, both, both))
    for name in ("mprotect", "pkey_mprotect"):
        add(context, fail(errno.EPERM), name, Compare(2, MASKED, PROT_EXEC, PROT_EXEC))
    load(context)


def restrict_calls(names):
    context = seccomp.seccomp_init(KILL_PROCESS)
    for name in names:
        add(context, ALLOW, name)
    load(context)


def main(filter_path, *command):
    with open(filter_path) as file:
        names = file.read().split()
    drop_capabilities()
    restrict_arguments()
    restrict_calls(names)
    os.execv(command[0], command)


main(*sys.argv[1:])
