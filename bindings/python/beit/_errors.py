"""One exception class for each status of the library, below :class:`BeitError`.

Each also derives from the built-in class that fits, so that ``except ValueError`` works.
"""
from __future__ import annotations


class BeitError(Exception):
    """A call failed. ``status`` is the library's number, the text its line about the failure."""

    status = 0


class BeitArgumentError(BeitError, ValueError):
    """A stated precondition was not met."""

    status = -1


class BeitMemoryError(BeitError, MemoryError):
    """An allocation failed; the object is as before the call."""

    status = -2


class BeitStateError(BeitError, RuntimeError):
    """Not allowed now: apply without accumulate, a closed handle, one in use by another thread."""

    status = -3


class BeitShapeError(BeitError, ValueError):
    """Rank, extent, stride or dtype does not fit."""

    status = -4


class BeitIOError(BeitError, OSError):
    """Storage failed."""

    status = -5


class BeitFormatError(BeitError, ValueError):
    """The file is not what it claims to be."""

    status = -6


class BeitMismatchError(BeitError, ValueError):
    """The file, or a part, is sound but for another configuration."""

    status = -7


class BeitUnsupportedError(BeitError, NotImplementedError):
    """This build or backend cannot do it."""

    status = -8


class BeitNumericError(BeitError, ArithmeticError):
    """A loss or gradient is not finite; the weights are untouched."""

    status = -9


class BeitCancelledError(BeitError):
    """The host asked to stop; everything is consistent."""

    status = -10


class BeitBackendError(BeitError, RuntimeError):
    """The backend or its device failed."""

    status = -11


class BeitAbiError(BeitError, RuntimeError):
    """struct_size or ABI number not acceptable: library and bindings do not belong together."""

    status = -12


_CLASSES = {cls.status: cls for cls in BeitError.__subclasses__()}


def error_of(status: int, message: str) -> BeitError:
    """The exception for a status; unknown ones, of a newer library, give the base class."""
    error = _CLASSES.get(status, BeitError)(message)
    error.status = status
    return error
