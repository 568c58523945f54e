"""Visual tokenizers."""
from __future__ import annotations

import math
import os
from typing import Any, Optional

import numpy as np

from . import tensors
from ._ffi import byref, create, library
from ._handle import Handle
from ._structs import DvaeConfig, TokenUsage
from .context import Context, owned_of, pointer_of
from .params import Params, Path


class Dvae(Handle):
    """A tokenizer; keyword arguments are fields of :class:`beit.DvaeConfig`.

    Letters: B batch, C channels, V vocabulary; h = H / 2**num_layers, w = W / 2**num_layers.
    """

    _what = "dvae"
    _destroy = library.beit_dvae_destroy

    def __init__(self, *, context: Optional[Context] = None, **config: Any) -> None:
        settings = DvaeConfig(**config)
        self._adopt(create("beit_dvae_create", pointer_of(context), byref(settings)), context)

    @classmethod
    def load(cls, path: Path, *, context: Optional[Context] = None) -> "Dvae":
        """Create a tokenizer from a file or folder: of :meth:`save`, unilm, DALLE-pytorch,
        OpenAI, FLAVA, mmpretrain."""
        self = cls.__new__(cls)
        file = os.fsencode(path)
        self._adopt(create("beit_dvae_load", pointer_of(context), file, None), context)
        return self

    def _adopt(self, pointer: int, context: Optional[Context]) -> None:
        self._own(pointer, owned_of(context))
        self._config = DvaeConfig()
        library.beit_dvae_config(pointer, byref(self._config))

    @property
    def config(self) -> DvaeConfig:
        """The configuration in force, with zeros resolved."""
        return DvaeConfig.from_buffer_copy(self._config)

    @property
    def params(self) -> Params:
        """The weights."""
        owned = self._alive()
        return Params(library.beit_dvae_params(owned.pointer), owned)

    def save(self, path: Path) -> None:
        """Write weights and configuration to a safetensors file, atomically."""
        with self._use() as pointer:
            library.beit_dvae_save(pointer, os.fsencode(path), None)

    def tokenize(
        self,
        pixels: np.ndarray,
        mask: Optional[np.ndarray] = None,
        out: Optional[np.ndarray] = None,
    ) -> np.ndarray:
        """Pixels to token ids, by arg-max.

        :param pixels: (B, C, H, W) float32, scaled as the tokenizer expects
        :param mask: (B, h, w) or (B, h*w) uint8 or bool; positions with 0 get -1
        :returns: (B, h, w) int32
        """
        pixels = tensors.source(pixels, "float32", "pixels")
        batch, _, height, width = tensors.extents(pixels, 4, "pixels")
        tokens = tensors.target(out, "int32", (batch, *self._grid(height, width)), "out")
        chosen = None if mask is None else tensors.source(mask, "uint8", "mask")
        view = None if chosen is None else byref(tensors.describe(chosen))
        with self._use() as pointer:
            library.beit_dvae_tokenize(
                pointer, byref(tensors.describe(pixels)), view, byref(tensors.describe(tokens))
            )
        return tokens

    def encode(self, pixels: np.ndarray, out: Optional[np.ndarray] = None) -> np.ndarray:
        """Pixels (B, C, H, W) float32 to logits (B, V, h, w) float32."""
        pixels = tensors.source(pixels, "float32", "pixels")
        batch, _, height, width = tensors.extents(pixels, 4, "pixels")
        shape = (batch, self._config.vocab_size, *self._grid(height, width))
        return self._map("beit_dvae_encode", pixels, tensors.target(out, "float32", shape, "out"))

    def decode(self, tokens: np.ndarray, out: Optional[np.ndarray] = None) -> np.ndarray:
        """Tokens (B, h, w) int32, or (B, n) with a square n, to pixels (B, C, H, W) float32."""
        tokens = tensors.source(tokens, "int32", "tokens")
        if tokens.ndim == 2:
            side = math.isqrt(tokens.shape[1])
            if side * side != tokens.shape[1]:
                raise ValueError(f"tokens has {tokens.shape[1]} per image, which is no square")
            tokens = tokens.reshape(-1, side, side)
        batch, rows, cols = tensors.extents(tokens, 3, "tokens")
        scale = 1 << self._config.num_layers
        shape = (batch, self._config.channels, rows * scale, cols * scale)
        return self._map("beit_dvae_decode", tokens, tensors.target(out, "float32", shape, "out"))

    def reconstruct(self, pixels: np.ndarray, out: Optional[np.ndarray] = None) -> np.ndarray:
        """Tokenize, then decode: (B, C, H, W) float32 both."""
        pixels = tensors.source(pixels, "float32", "pixels")
        made = tensors.target(out, "float32", pixels.shape, "out")
        return self._map("beit_dvae_reconstruct", pixels, made)

    def _grid(self, height: int, width: int) -> tuple[int, int]:
        return height >> self._config.num_layers, width >> self._config.num_layers

    def _map(self, function: str, given: np.ndarray, made: np.ndarray) -> np.ndarray:
        with self._use() as pointer:
            getattr(library, function)(
                pointer, byref(tensors.describe(given)), byref(tensors.describe(made))
            )
        return made


def token_usage(
    tokens: np.ndarray, vocab_size: int, histogram: Optional[np.ndarray] = None
) -> TokenUsage:
    """How evenly a vocabulary is used; watch ``perplexity``.

    :param tokens: any shape, int32; negative ids are left out
    :param histogram: (vocab_size) uint64, added to, so that several calls accumulate
    """
    tokens = tensors.source(tokens, "int32", "tokens")
    counts = np.zeros(vocab_size, np.uint64) if histogram is None else histogram
    if counts.dtype != np.uint64 or counts.shape != (vocab_size,) or not counts.flags.c_contiguous:
        raise ValueError(f"histogram must be a packed uint64 array of shape ({vocab_size},)")
    usage = TokenUsage()
    library.beit_token_usage(
        tokens.ctypes.data, tokens.size, vocab_size, counts.ctypes.data, byref(usage)
    )
    return usage
