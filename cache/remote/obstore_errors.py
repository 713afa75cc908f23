"""The errors of obstore as those of a bucket. No text of obstore is passed on, since it may hold a signed URL."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from typing import TypeVar

from obstore import exceptions

from cache.remote.bucket import AbsentError, BucketError, DeniedError, UnrangedError

T = TypeVar("T")
_DENIED = (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError)
_OF_MACHINES = ("169.254.169.254", "169.254.170.2", "metadata.google.internal")
"""Servers that give machines of the providers their credentials; others get no answer from them."""
_STATUS = re.compile(r"\b(?:status|code)\D{1,12}([45]\d\d)\b", re.IGNORECASE)
_OF_SYSTEM = re.compile(r"\(os error (\d+)\)")
"""How obstore tells what the system said of a file of a folder."""
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def done(work: Callable[[], T]) -> T:
    """Return what `work` returns. Raises `BucketError`, whose message names no server and no secret."""
    try:
        return work()
    except FileNotFoundError:
        raise AbsentError("there is no such object, or no such bucket") from None
    except _DENIED:
        raise DeniedError("access was denied") from None
    except exceptions.BaseError as error:
        text = str(error)
        if "NotPartial" in text:  # what its client of S3 makes of an answer with the whole
            raise UnrangedError("it gives no parts of objects") from None
        if any(server in text for server in _OF_MACHINES):
            raise DeniedError("no credentials were found") from None
        raise _of_system(text) or BucketError(_words(text)) from None
    except OSError as error:
        raise _of_number(error.errno) or _of_system(str(error)) or BucketError(type(error).__name__) from None
    except ValueError as error:
        raise BucketError(type(error).__name__) from None
    except BaseException as error:
        if type(error).__name__ == "PanicException":  # a bug of the client, which is no Exception
            raise BucketError("its client failed") from None
        raise


def _of_system(text: str) -> BucketError | None:
    """Return what the system said of a file, None if it said nothing."""
    found = _OF_SYSTEM.search(text)
    return _of_number(int(found[1])) if found is not None else None


def _of_number(number: int | None) -> BucketError | None:
    if number is None:
        return None
    return DeniedError("access was denied") if number in _REFUSED else BucketError(_lowered(os.strerror(number)))


def _lowered(text: str) -> str:
    """Return a sentence of the system as a clause."""
    return text[:1].lower() + text[1:]


def _words(text: str) -> str:
    """Say what kind of failure obstore tells of."""
    if "TimedOut" in text or "timed out" in text:
        return "it did not answer in time"
    if "Connect" in text:
        return "it cannot be reached"
    found = _STATUS.search(text)
    if found is not None:
        return f"it answered with status {found[1]}"
    return "a request failed"
