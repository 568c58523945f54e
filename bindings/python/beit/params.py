"""Named parameter sets: weights, gradients, optimizer moments."""
from __future__ import annotations

import os
from typing import Any, Iterator, MutableMapping, NamedTuple, Optional, Union

import numpy as np

from . import tensors
from ._errors import BeitUnsupportedError
from ._ffi import byref, library
from ._handle import Owned
from ._structs import ParamInfo

Path = Union[str, bytes, "os.PathLike[str]"]

NO_DECAY = 1
FROZEN = 2
_PARTIAL = 1
_IGNORE_EXTRA = 2


class Description(NamedTuple):
    """What a set says about one tensor."""

    name: str
    shape: tuple[int, ...]
    no_decay: bool
    frozen: bool


class Params(MutableMapping):
    """A mapping from upstream's names to float32 tensors, in registration order.

    ``params[name]`` is a read-only NumPy view of the live tensor: it shows later changes, and keeps
    the memory alive. ``params[name] = array`` copies values in. Names can be neither added nor
    deleted. Used by one thread at a time, together with the handle it came from.
    """

    def __init__(self, pointer: int, owned: Owned) -> None:
        self._pointer = pointer
        self._owned = owned
        self._infos = [self._info(i) for i in range(library.beit_params_count(pointer))]
        self._index = {info.name.decode(): i for i, info in enumerate(self._infos)}

    def _info(self, index: int) -> ParamInfo:
        info = ParamInfo()
        library.beit_params_info(self._pointer, index, byref(info))
        return info

    def __len__(self) -> int:
        return len(self._infos)

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.view(name)

    def __setitem__(self, name: str, value: Any) -> None:
        array = tensors.source(value, "float32", name)
        index = self._index[name]
        with self._owned.guard.hold():
            library.beit_params_write(self._pointer, index, byref(tensors.describe(array)))

    def __delitem__(self, name: str) -> None:
        raise TypeError("the tensors of a parameter set are fixed")

    def __repr__(self) -> str:
        return f"Params({len(self)} tensors, {self.elements} elements)"

    @property
    def elements(self) -> int:
        """Number of values over all tensors."""
        return library.beit_params_elements(self._pointer)

    def describe(self, name: str) -> Description:
        """Shape and flags of a tensor."""
        info = self._infos[self._index[name]]
        shape = tuple(info.value.shape[: info.value.ndim])
        return Description(name, shape, bool(info.flags & NO_DECAY), bool(info.flags & FROZEN))

    def view(self, name: str, writable: bool = False) -> np.ndarray:
        """The live tensor without a copy; write to it only between calls."""
        info = self._infos[self._index[name]]
        if not info.value.data:
            raise BeitUnsupportedError(f"{name} is not in host memory; use read()")
        return tensors.view_of(info.value, self._owned, writable)

    def read(self, name: str, out: Optional[np.ndarray] = None) -> np.ndarray:
        """A copy of the tensor, also of one in a device's memory."""
        array = tensors.target(out, "float32", self.describe(name).shape, "out")
        with self._owned.guard.hold():
            library.beit_params_read(
                self._pointer, self._index[name], byref(tensors.describe(array))
            )
        return array

    def save(self, path: Path) -> None:
        """Write all tensors to a safetensors file, atomically."""
        with self._owned.guard.hold():
            library.beit_params_save(self._pointer, os.fsencode(path), None)

    def load(self, path: Path, *, partial: bool = False, ignore_extra: bool = False) -> None:
        """Read values from a safetensors file; nothing changes unless everything fits.

        :param partial: names absent from the file keep their values
        :param ignore_extra: names unknown to the set are passed over
        """
        flags = partial * _PARTIAL | ignore_extra * _IGNORE_EXTRA
        with self._owned.guard.hold():
            library.beit_params_load(self._pointer, os.fsencode(path), None, flags)
