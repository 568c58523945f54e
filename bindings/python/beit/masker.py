"""Which patches are hidden."""
from __future__ import annotations

from typing import Any, Iterable, Optional

import numpy as np

from . import tensors
from ._ffi import byref, create, library
from ._handle import Handle
from ._structs import MaskerConfig
from .context import Context, owned_of, pointer_of


class PyRandom(Handle):
    """Python's ``random.Random(seed)``, bit for bit, for conformance with masks drawn upstream."""

    _what = "generator"
    _destroy = library.beit_pyrandom_destroy

    def __init__(self, seed: int, context: Optional[Context] = None) -> None:
        (word,) = tensors.words(seed=seed)
        self._own(create("beit_pyrandom_create", pointer_of(context), word), owned_of(context))

    def next32(self) -> int:
        """As ``getrandbits(32)``."""
        with self._use() as pointer:
            return library.beit_pyrandom_next32(pointer)

    def random(self) -> float:
        """As ``random()``."""
        with self._use() as pointer:
            return library.beit_pyrandom_random(pointer)

    def uniform(self, a: float, b: float) -> float:
        """As ``uniform(a, b)``."""
        with self._use() as pointer:
            return library.beit_pyrandom_uniform(pointer, a, b)

    def randint(self, a: int, b: int) -> int:
        """As ``randint(a, b)``, for 64-bit integers with a <= b."""
        if not -(1 << 63) <= a <= b < 1 << 63:
            raise ValueError(f"a, b are {a}, {b}; a <= b and 64 bits are needed")
        with self._use() as pointer:
            return library.beit_pyrandom_randint(pointer, a, b)


class Masker(Handle):
    """A mask generator; keyword arguments are fields of :class:`beit.MaskerConfig`.

    Immutable: several threads may draw from one masker at once.
    """

    _what = "masker"
    _shared = True
    _destroy = library.beit_masker_destroy

    def __init__(self, *, context: Optional[Context] = None, **config: Any) -> None:
        settings = MaskerConfig(**config)
        self._own(
            create("beit_masker_create", pointer_of(context), byref(settings)), owned_of(context)
        )

    @property
    def config(self) -> MaskerConfig:
        """The configuration in force, with zeros resolved."""
        config = MaskerConfig()
        with self._use() as pointer:
            library.beit_masker_config(pointer, byref(config))
        return config

    def generate(
        self, seed: int, epoch: int, sample_id: int, out: Optional[np.ndarray] = None
    ) -> np.ndarray:
        """Draw one mask, a function of its arguments and the configuration alone.

        :returns: (rows, cols) uint8, 1 = masked; blocks may mask fewer cells than ``target``
        """
        keys = tensors.words(seed=seed, epoch=epoch, sample_id=sample_id)
        mask = self._mask(out)
        with self._use() as pointer:
            library.beit_masker_generate(pointer, *keys, mask.ctypes.data, mask.size, None)
        return mask

    def generate_batch(self, seed: int, epoch: int, sample_ids: Iterable[int]) -> np.ndarray:
        """Draw a mask for each sample: (B, rows * cols) uint8, as models and trainers take it."""
        masks = [self.generate(seed, epoch, sample).reshape(-1) for sample in sample_ids]
        return np.stack(masks)

    def generate_python(self, rng: PyRandom, out: Optional[np.ndarray] = None) -> np.ndarray:
        """Draw one block mask from Python's generator, consuming the draws that upstream does.

        :returns: (rows, cols) uint8
        """
        mask = self._mask(out)
        with self._use() as pointer, rng._use() as source:
            library.beit_masker_generate_python(
                pointer, source, mask.ctypes.data, mask.size, None
            )
        return mask

    def _mask(self, out: Optional[np.ndarray]) -> np.ndarray:
        config = self.config
        return tensors.target(out, "uint8", (config.rows, config.cols), "out")
