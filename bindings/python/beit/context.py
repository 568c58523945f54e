"""The shared environment of handles: threads, backend, log."""
from __future__ import annotations

import ctypes
import sys
from typing import Callable, Optional, Union

from . import enums
from ._ffi import byref, create, library
from ._handle import Handle
from ._structs import LOG_FN, ContextConfig

LogFunction = Callable[[enums.LogLevel, str], None]


def _log_callback(function: LogFunction) -> object:
    """A C callback; what the function raises is reported and goes no further."""

    def forward(_user: object, level: int, line: bytes) -> None:
        try:
            function(enums.LogLevel(level), line.decode(errors="replace"))
        except Exception:  # an exception cannot cross C frames
            sys.excepthook(*sys.exc_info())

    return LOG_FN(forward)


class Context(Handle):
    """Threads, backend and log of the handles made with it. Handles may share one, also in
    different threads.

    :param threads: size of the library's own pool, 0 = CPUs this process may use
    :param backend: "cblas", "reference", or None for the best that is built in
    :param backend_options: "key=value,key=value", e.g. "isa=avx2,blas_threads=1"
    :param log: called with (level, line) on the thread that made the call
    :param log_level: highest level passed on
    """

    _what = "context"
    _shared = True
    _destroy = library.beit_context_unref

    def __init__(
        self,
        *,
        threads: int = 0,
        backend: Optional[str] = None,
        backend_options: Optional[str] = None,
        log: Optional[LogFunction] = None,
        log_level: Union[enums.LogLevel, str] = enums.LogLevel.WARN,
    ) -> None:
        config = ContextConfig(threads=threads, log_level=log_level)
        if backend is not None:
            config.backend = library.beit_backend_builtin(backend.encode())
            if config.backend is None:
                raise ValueError(f"backend is {backend!r}, this build has no such backend")
        if backend_options is not None:
            config.backend_options = backend_options.encode()
        callback = None
        if log is not None:
            callback = config.log = _log_callback(log)
        self._own(create("beit_context_create", byref(config)), callback)

    @property
    def description(self) -> str:
        """One line: backend, instruction set, BLAS, threads."""
        with self._use() as pointer:
            return library.beit_context_describe(pointer).decode()

    @property
    def memory(self) -> tuple[int, int]:
        """Bytes that this context's handles hold now, and at most so far."""
        now, peak = ctypes.c_size_t(), ctypes.c_size_t()
        with self._use() as pointer:
            library.beit_context_memory(pointer, byref(now), byref(peak))
        return now.value, peak.value


def pointer_of(context: Optional[Context]) -> Optional[int]:
    """What a create function takes; None stands for defaults."""
    return None if context is None else context._alive().pointer


def owned_of(context: Optional[Context]) -> object:
    """What a handle keeps, so that the log callback outlives it."""
    return None if context is None else context._alive()
