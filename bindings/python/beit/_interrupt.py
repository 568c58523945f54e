"""Ctrl-C while the library computes.

Python runs its signal handlers between bytecodes, so not while the main thread is inside a long
call. But the number of each signal can be written to a file descriptor at once; a second thread
reads it and asks the library to stop.
"""
from __future__ import annotations

import contextlib
import signal
import socket
import threading
from typing import Callable, Iterator


def _watch(reader: socket.socket, stop: Callable[[], None]) -> None:
    while True:
        numbers = reader.recv(64)
        if not numbers:
            return
        if signal.SIGINT in numbers:
            stop()


@contextlib.contextmanager
def stop_on_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` from another thread as soon as SIGINT arrives."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)  # as set_wakeup_fd() demands
    previous = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(reader, stop), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
        writer.close()  # ends the watcher
        watcher.join()
        reader.close()
