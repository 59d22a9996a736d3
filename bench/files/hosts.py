"""Which machine this is, for files in a folder that several machines write."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from functools import lru_cache
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # on Linux
NUMBERS = Path("/proc/self/ns/pid")  # names the namespace of process numbers, on Linux
JOB_VARIABLES = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")
# As `temporary_name` names a file, and what SQLite keeps beside one.
TEMPORARY = re.compile(r"\..+?(?:\.@([0-9a-f]{12}))?\.(\d+)(?:-journal|-wal|-shm)?")


@lru_cache(maxsize=1)
def kernel_id() -> str:
    """Twelve hex characters that all processes under one running kernel share.

    Containers of one machine have one kernel and may have one process number in common; they see
    each other's file locks. Names of hosts need not differ.
    """
    try:
        known = BOOT_ID.read_text()
    except OSError:
        known = host_name()
    return hashlib.sha256(known.encode()).hexdigest()[:12]


def processes_id() -> str:
    """Twelve hex characters that all processes share which see each other by their numbers.

    Those of two containers do not, though both are under one kernel.
    """
    try:
        namespace = NUMBERS.readlink().name
    except OSError:
        namespace = ""
    return hashlib.sha256(f"{kernel_id()} {namespace}".encode()).hexdigest()[:12]


def host_name() -> str:
    """The name of this machine, to be shown."""
    return socket.gethostname()


def queue_job() -> str:
    """The number of the job of a queue that this process belongs to; "" outside of one."""
    numbers = [os.environ.get(name, "") for name in JOB_VARIABLES]
    return next(filter(None, numbers), "")


def temporary_name(file: Path) -> Path:
    """A name beside a file that no other process uses, on this machine or another one."""
    return file.with_name(f".{file.name}.@{processes_id()}.{os.getpid()}")
