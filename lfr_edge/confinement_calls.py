"""Numbers of the system calls that a confined process is refused, for the two processors the product runs on.

From the kernel's ``asm/unistd_64.h`` (x86_64) and ``asm-generic/unistd.h`` (aarch64); None: does not exist there.
"""

from __future__ import annotations

from typing import Final

# name: (x86_64, aarch64)
# fmt: off
NUMBERS: Final[dict[str, tuple[int | None, int | None]]] = {
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "personality": (135, 92),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "kcmp": (312, 272),
    "fanotify_init": (300, 262),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "migrate_pages": (256, 238),
    "fork": (57, None),
    "vfork": (58, None),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "chmod": (90, None),
    "fchmodat": (268, 53),
    "fchmod": (91, 52),
    "chown": (92, None),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "fchown": (93, 55),
    "link": (86, None),
    "linkat": (265, 37),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "rmdir": (84, None),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "truncate": (76, 45),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "utimensat": (280, 88),
    "setuid": (105, 146),
    "setgid": (106, 144),
    "setreuid": (113, 145),
    "setregid": (114, 143),
    "setresuid": (117, 147),
    "setresgid": (119, 149),
    "setgroups": (116, 159),
    "setfsuid": (122, 151),
    "setfsgid": (123, 152),
    "capset": (126, 91),
    "setrlimit": (160, 164),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "tkill": (200, 130),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "sendto": (44, 206),
    "open": (2, None),
    "creat": (85, None),
    "openat": (257, 56),
    "openat2": (437, 437),
    "clone": (56, 220),
    "clone3": (435, 435),
    "kill": (62, 129),
    "tgkill": (234, 131),
    "prctl": (157, 167),
    "prlimit64": (302, 261),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "pkey_mprotect": (329, 288),
    "open_tree_attr": (467, 467),
}
# fmt: on

# Never needed by a process that only decodes or only computes.
_NEVER_TEXT: Final = (
    # other programs, other processes
    "execve execveat fork vfork ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp "
    "pidfd_getfd pidfd_open pidfd_send_signal rt_sigqueueinfo rt_tgsigqueueinfo tkill "
    # the kernel's larger attack surface
    "kexec_load kexec_file_load init_module finit_module delete_module bpf perf_event_open userfaultfd keyctl "
    "add_key request_key io_uring_setup io_uring_enter io_uring_register lookup_dcookie nfsservctl acct quotactl "
    "syslog swapon swapoff reboot iopl ioperm personality fanotify_init migrate_pages "
    # name spaces and mounts
    "mount umount2 pivot_root chroot move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick "
    "mount_setattr unshare setns open_by_handle_at name_to_handle_at sethostname setdomainname "
    # time
    "settimeofday clock_settime clock_adjtime adjtimex "
    # changing the file system
    "creat chmod fchmod fchmodat chown fchown lchown fchownat link linkat symlink symlinkat rename renameat "
    "renameat2 unlink unlinkat rmdir mkdir mkdirat mknod mknodat truncate setxattr lsetxattr fsetxattr "
    "removexattr lremovexattr fremovexattr utimensat memfd_create memfd_secret "
    # rights
    "setuid setgid setreuid setregid setresuid setresgid setgroups setfsuid setfsgid capset setrlimit"
)
NEVER: Final = tuple(_NEVER_TEXT.split())

# The recogniser keeps the descriptors it was given and gets no new way out.
NETWORK: Final = ("socket", "connect", "bind", "listen", "accept", "accept4")

# Whoever runs as the same user may slow another process down by these. ONNX Runtime pins its own threads.
SCHEDULING: Final = (
    "setpriority",
    "ioprio_set",
    "sched_setparam",
    "sched_setscheduler",
    "sched_setaffinity",
    "sched_setattr",
)
