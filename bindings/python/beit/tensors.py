"""NumPy arrays as the library's tensor views and back, without copies.

An argument must already have the dtype that a function asks for and lie packed in memory; nothing
is converted or copied behind the caller's back. :func:`packed` is the copy for those who want one.
"""
from __future__ import annotations

import ctypes
import operator
from typing import Any, Optional, Sequence

import numpy as np

from ._structs import MAX_DIMS, Tensor

_NUMBERS = {"float32": 1, "uint8": 2, "int32": 3, "int64": 4, "float16": 5, "float64": 7}
_NAMES = {number: name for name, number in _NUMBERS.items()}


def packed(value: Any, dtype: Any) -> np.ndarray:
    """A C-contiguous array of this dtype: ``value`` itself if it is one already, else a copy."""
    return np.ascontiguousarray(value, dtype=dtype)


def _as_array(value: Any, name: str) -> np.ndarray:
    """An array over the same memory: from an array, the array interface, DLPack or a buffer."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "__array_interface__"):
        return np.asarray(value)
    if hasattr(value, "__dlpack__"):
        return np.from_dlpack(value)
    try:
        return np.asarray(memoryview(value))
    except TypeError:
        raise TypeError(
            f"{name} is a {type(value).__name__}; a NumPy array is needed, or what shares its "
            "memory by buffer, array interface or DLPack"
        ) from None


def source(value: Any, dtype: str, name: str) -> np.ndarray:
    """Check an input: exact dtype (bool passes as uint8), packed."""
    array = _as_array(value, name)
    if dtype == "uint8" and array.dtype == np.bool_:
        array = array.view(np.uint8)
    if array.dtype != np.dtype(dtype):
        raise TypeError(
            f"{name} has dtype {array.dtype}, {dtype} is needed; beit.packed({name}, {dtype!r}) "
            "makes a copy"
        )
    if not array.flags.c_contiguous:
        raise ValueError(
            f"{name} is not C-contiguous (shape {array.shape}, strides {array.strides}); "
            f"beit.packed({name}, {dtype!r}) makes a copy"
        )
    if array.ndim > MAX_DIMS:
        raise ValueError(f"{name} has {array.ndim} dimensions, at most {MAX_DIMS} are possible")
    return array


def target(value: Optional[Any], dtype: str, shape: Sequence[int], name: str) -> np.ndarray:
    """Check an output, or make a new one where it is None."""
    if value is None:
        return np.empty(shape, dtype)
    array = source(value, dtype, name)
    if not array.flags.writeable:
        raise ValueError(f"{name} is read-only, but results are to be written to it")
    return array


def extents(array: np.ndarray, ndim: int, name: str) -> tuple[int, ...]:
    """The shape of an array that must have ``ndim`` dimensions."""
    if array.ndim != ndim:
        raise ValueError(f"{name} has {array.ndim} dimensions, {ndim} are needed")
    return array.shape


def keys(sample_ids: Sequence[int], samples: int) -> np.ndarray:
    """Keys of random draws, one for each sample, as (B) uint64."""
    named = {f"sample_ids[{i}]": key for i, key in enumerate(sample_ids)}
    array = np.array(words(**named), np.uint64)
    if array.size != samples:
        raise ValueError(f"sample_ids has {array.size} keys for a batch of {samples}")
    return array


def words(**values: int) -> list[int]:
    """Check that named integers fit uint64; ctypes would wrap them silently."""
    for name, value in values.items():
        if not 0 <= operator.index(value) < 1 << 64:
            raise ValueError(f"{name} is {value}, allowed are 0 to 2**64 - 1")
    return [operator.index(value) for value in values.values()]


def describe(array: np.ndarray) -> Tensor:
    """The library's view of a checked array, which must outlive it."""
    view = Tensor(data=array.ctypes.data, dtype=_NUMBERS[array.dtype.name], ndim=array.ndim)
    stride = 1
    for axis in reversed(range(array.ndim)):
        view.shape[axis] = array.shape[axis]
        view.stride[axis] = stride
        stride *= array.shape[axis]
    return view


def view_of(tensor: Tensor, owner: object, writable: bool) -> np.ndarray:
    """An array over the library's memory; it keeps ``owner`` alive."""
    shape = tuple(tensor.shape[: tensor.ndim])
    dtype = np.dtype(_NAMES[tensor.dtype])
    count = int(np.prod(shape, dtype=np.int64))
    assert tensor.data is not None
    memory: Any = (ctypes.c_char * (count * dtype.itemsize)).from_address(tensor.data)
    memory.owner = owner
    array = np.frombuffer(memory, dtype).reshape(shape)
    array.flags.writeable = writable
    return array
