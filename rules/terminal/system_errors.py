"""What the system refuses, such as room on a disk, as errors for the user, who can put it right."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

from cache.errors import StoreError
from rules.errors import FAILED, UserError

_HINTS = {
    errno.ENOSPC: "make room, or set RULES_STORE to a folder on another disk",
    errno.EDQUOT: "make room, or set RULES_STORE to a folder on another disk",
    errno.EFBIG: "raise the limit on the size of files: ulimit -f",
    errno.EMFILE: "raise the limit on open files (ulimit -n), or build fewer products at once: --jobs 1",
    errno.ENFILE: "close other programs, or build fewer products at once: --jobs 1",
    errno.ENOMEM: "raise the limit on memory (ulimit -v), or build with --profile memory_tight",
    errno.EAGAIN: "raise the limit on processes (ulimit -u), or build fewer products at once: --jobs 1",
}
_NAMES = """
    EACCES EPERM EROFS EIO ENOENT ENOTDIR EISDIR ELOOP ENAMETOOLONG ENXIO ENODEV ETXTBSY ESTALE EEXIST ENOTEMPTY EINVAL
    ENOTSUP EBUSY EMLINK ENOLCK EDEADLK ENOSYS EXDEV EOVERFLOW EUCLEAN EBADMSG ENETDOWN ENETUNREACH EHOSTUNREACH
    EHOSTDOWN ENOTCONN ETIMEDOUT EREMOTEIO
"""
_REFUSALS = frozenset(_HINTS) | {getattr(errno, name) for name in _NAMES.split() if hasattr(errno, name)}
"""What a system may refuse; some of it only one on Linux."""
_FEW_FILES = 64
_LITTLE_MEMORY = 3 << 30
"""Bytes. Libraries and the stacks of threads reserve far more than they use."""
_NO_THREAD = "can't start new thread"


def refused(error: BaseException) -> UserError | None:
    """Return an error as one of the user's if the system refused something; None for what may be our bug."""
    if isinstance(error, StoreError):
        return UserError(error.message, code="store", hint=error.hint, exit_code=FAILED)
    if isinstance(error, MemoryError) or (isinstance(error, ImportError) and _is_of_memory(str(error))):
        return _error("there is not enough memory", errno.ENOMEM)
    if isinstance(error, RuntimeError) and _NO_THREAD in str(error):
        return _error("no thread can be started: there is not enough memory, or there are too many", errno.ENOMEM)
    if not isinstance(error, OSError) or error.errno is None or error.errno not in _REFUSALS:
        return _starved()
    if error.errno == errno.ENOENT and not _has_folder():
        return _error("the current folder does not exist any more", errno.ENOENT)
    said = error.strerror or os.strerror(error.errno)
    named = error.filename2 or error.filename
    if named is None:
        return _error(f"the system refused: {said}", error.errno)
    return _error(f"cannot use {os.fsdecode(named) if not isinstance(named, int) else 'a file'}: {said}", error.errno)


def _starved() -> UserError | None:
    """Blame limits that are so low that libraries break in ways of their own, where there are such."""
    files, memory = (resource.getrlimit(one)[0] for one in (resource.RLIMIT_NOFILE, resource.RLIMIT_AS))
    if files != resource.RLIM_INFINITY and files < _FEW_FILES:
        return _error(f"only {files} files may be open at once, which is too few", errno.EMFILE)
    if memory != resource.RLIM_INFINITY and memory < _LITTLE_MEMORY:
        return _error(f"only {memory >> 20} MB of address space are allowed, which is too little", errno.ENOMEM)
    return None


def _error(message: str, number: int) -> UserError:
    return UserError(message, code="system", hint=_HINTS.get(number), exit_code=FAILED)


def _is_of_memory(message: str) -> bool:
    return any(part in message for part in ("Cannot allocate memory", "failed to map segment", "cannot allocate"))


def _has_folder() -> bool:
    try:
        Path.cwd()
    except OSError:
        return False
    return True
