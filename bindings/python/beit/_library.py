"""Find and load the shared library, and refuse one of another ABI.

Search order: the file that ``BEIT_LIBRARY`` names, a ``libbeit.so`` beside this module (wheels
carry one), the system's ``libbeit.so.<ABI>``.
"""
from __future__ import annotations

import ctypes
import os
import pathlib
from typing import Iterator

ABI = 0
"""ABI number that these bindings were written for, `BEIT_ABI` in `beit/version.h`."""

SONAME = f"libbeit.so.{ABI}"


def candidates() -> Iterator[str]:
    """Files to try, in order; the environment variable leaves no other choice."""
    chosen = os.environ.get("BEIT_LIBRARY")
    if chosen:
        yield chosen
        return
    folder = pathlib.Path(__file__).resolve().parent
    yield from (str(folder / name) for name in (SONAME, "libbeit.so") if (folder / name).exists())
    yield SONAME


def check_abi(library: ctypes.CDLL, name: str) -> None:
    """Compare the library's ABI number with ours."""
    try:
        function = library.beit_abi_version
    except AttributeError:
        raise ImportError(f"{name} is not libbeit: it has no beit_abi_version()") from None
    function.restype = ctypes.c_uint32
    function.argtypes = ()
    found = function()
    if found != ABI:
        raise ImportError(
            f"{name} has ABI {found}, these bindings need ABI {ABI}; install matching versions, "
            f"or point BEIT_LIBRARY to a {SONAME}"
        )


def load() -> ctypes.CDLL:
    """The first candidate, checked."""
    name = next(candidates())
    try:
        library = ctypes.CDLL(name)
    except OSError as error:
        raise ImportError(
            f"cannot load {name} ({error}); install libbeit, or set BEIT_LIBRARY to its path"
        ) from None
    check_abi(library, name)
    return library


library = load()
