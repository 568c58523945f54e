"""Ownership of library handles, and their guard against simultaneous use.

The C object lives as long as somebody refers to it: the Python handle, a parameter set, a NumPy
view of a weight. ``close()`` drops the handle's own reference, so that no view is ever left
without memory.
"""
from __future__ import annotations

import contextlib
import threading
import weakref
from typing import Any, Callable, Iterator, Optional

from ._errors import BeitStateError


class Guard:
    """One exclusive user or several shared ones; others are refused at once, not kept waiting,
    because a second thread in the same handle is a mistake in the program."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._lock = threading.Lock()
        self._users = 0
        self._exclusive = False

    @contextlib.contextmanager
    def hold(self, shared: bool = False) -> Iterator[None]:
        """Use the handle within a ``with`` block."""
        with self._lock:
            if self._exclusive or (self._users and not shared):
                raise BeitStateError(
                    f"the {self._what} is in use by another call; a handle serves one thread at a "
                    "time"
                )
            self._users += 1
            self._exclusive = not shared
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                self._exclusive = False


class Owned:
    """A C object, destroyed when the last reference to this goes. ``keep`` holds what the C object
    points to: callbacks, the context."""

    def __init__(
        self, pointer: int, destroy: Callable[[int], None], what: str, keep: tuple = ()
    ) -> None:
        self.pointer = pointer
        self.guard = Guard(what)
        self.keep = keep
        # At exit the system takes the memory back; threads may still be inside the library then.
        weakref.finalize(self, destroy, pointer).atexit = False


class Handle:
    """Base of the public classes: a context manager that owns one C object."""

    _what = "handle"
    _shared = False  # may several threads use it at once?
    _destroy: Callable[[int], None]

    def _own(self, pointer: int, *keep: Any) -> None:
        self._owned: Optional[Owned] = Owned(pointer, type(self)._destroy, self._what, keep)

    def _alive(self) -> Owned:
        owned = getattr(self, "_owned", None)
        if owned is None:
            raise BeitStateError(f"the {self._what} is closed")
        return owned

    @contextlib.contextmanager
    def _use(self) -> Iterator[int]:
        """The pointer, guarded for the length of a call."""
        owned = self._alive()
        with owned.guard.hold(self._shared):
            yield owned.pointer

    @property
    def closed(self) -> bool:
        """True after :meth:`close`."""
        return getattr(self, "_owned", None) is None

    def close(self) -> None:
        """Let the handle go; twice is fine. Memory that NumPy views show lives as long as they."""
        if not self.closed:
            with self._use():
                self._owned = None

    def __enter__(self):
        self._alive()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
