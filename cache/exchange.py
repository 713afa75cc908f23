"""Renames that the system does in one step: onto a name that must be free, and two names exchanged.

Python offers neither. Linux has `renameat2`, macOS `renamex_np`; a file system may lack them.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Literal

_FLAGS = {"darwin": {"free": 4, "exchange": 2}}.get(sys.platform, {"free": 1, "exchange": 2})
"""RENAME_EXCL and RENAME_SWAP; RENAME_NOREPLACE and RENAME_EXCHANGE."""
_HERE = -100
"""AT_FDCWD: paths are as the process has them."""
_LACKING = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


def renamed(source: str, target: str, how: Literal["free", "exchange"]) -> bool:
    """Rename a file or folder in one step, and return whether the system could. Raises OSError.

    free: the target must not exist, which is FileExistsError. exchange: both must exist, and change names.
    """
    import ctypes  # the no-op path does without

    library = ctypes.CDLL(None, use_errno=True)
    old, new, flag = os.fsencode(source), os.fsencode(target), _FLAGS[how]
    if sys.platform == "darwin":
        call, arguments = getattr(library, "renamex_np", None), (old, new, flag)
    else:
        call, arguments = getattr(library, "renameat2", None), (_HERE, old, _HERE, new, flag)
    if call is None:
        return False
    if call(*arguments) == 0:
        return True
    number = ctypes.get_errno()
    if number in _LACKING:
        return False
    raise OSError(number, os.strerror(number), source, None, target)
