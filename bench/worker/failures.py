"""What ended a training: its method, which counts at once, or the machine, which is tried again."""

from __future__ import annotations

import errno
import signal

from bench.errors import NotFiniteError

MEMORY = "out of memory"
DISK = "disk"
DEVICE = "no device"
LOST = "lost"
MACHINE = (MEMORY, DISK, DEVICE, LOST)  # the kinds that are not the method's failure
DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
# Torch, CUDA, safetensors and the loader of libraries raise errors of types of their own.
WORDS = {
    MEMORY: (
        "can't allocate memory",
        "not enough memory",
        "out of memory",
        "Cannot allocate memory",
        "bad_alloc",
        "CUBLAS_STATUS_ALLOC_FAILED",
        "can't start new thread",
        "failed to map segment",
        "can only be initialized once per process",  # torch, whose first import failed half-way
    ),
    DISK: (
        "No space left on device",
        "Disk quota exceeded",
        "File too large",
        "Read-only file system",
    ),
    DEVICE: (
        "No CUDA GPUs are available",
        "no CUDA-capable device is detected",
        "CUDA driver initialization failed",
        "Found no NVIDIA driver",
        "busy or unavailable",
        "not compiled with CUDA",
    ),
}
# Signals that a faulty program gets; all others come from outside.
OF_THE_PROGRAM = (
    signal.SIGSEGV,
    signal.SIGABRT,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGTRAP,
    signal.SIGSYS,
)


def describe_failure(problem: BaseException) -> tuple[str, str]:
    """The kind of a failure, and its message in one line."""
    text = _text_of(problem)
    if isinstance(problem, NotFiniteError):
        return "not finite", text
    if isinstance(problem, MemoryError):
        return MEMORY, text
    if isinstance(problem, OSError) and problem.errno in DISK_ERRORS:
        return DISK, text
    if isinstance(problem, OSError) and problem.errno == errno.ENOMEM:
        return MEMORY, text
    for kind, words in WORDS.items():
        if any(word in text for word in words):
            return kind, text
    return "error", f"{type(problem).__name__}: {text}"


def lacks_memory(problem: BaseException | None) -> bool:
    """Whether an exception, or one that it followed from, says that memory has run out."""
    while problem is not None:
        if describe_failure(problem)[0] == MEMORY:
            return True
        problem = problem.__cause__ or problem.__context__
    return False


def _text_of(problem: BaseException) -> str:
    """What an exception says, in one line that can be written and shown on a terminal."""
    try:
        said = str(problem)
    except Exception:
        said = ""
    written = said.encode(errors="replace").decode()
    line = " ".join(written.split())
    return "".join(filter(str.isprintable, line)) or type(problem).__name__


def describe_signal(number: int) -> tuple[str, str]:
    """The kind of a failure by a signal, and its message."""
    sent = signal.Signals(number)
    message = f"killed by {sent.name}"
    if sent in OF_THE_PROGRAM:
        return "crash", message
    if sent is signal.SIGKILL:
        return MEMORY, f"{message} (out of memory?)"
    return LOST, message
