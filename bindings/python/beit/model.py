"""The vision transformer: masked image modeling and classification."""
from __future__ import annotations

import ctypes
import os
from typing import Any, NamedTuple, Optional, Sequence, Union

import numpy as np

from . import enums, tensors
from ._ffi import byref, create, library
from ._handle import Handle
from ._structs import ADAPT_FN, AdaptOptions, ForwardOptions, ModelConfig
from .context import Context, owned_of, pointer_of
from .params import Params, Path

FEATURES_NORMED = -1
"""``block`` for the residual stream after the final norm."""


class Adaptation(NamedTuple):
    """Names of tensors by what :meth:`Model.adapt` did; for the changed ones, what they were made
    of."""

    taken: list[str]
    changed: dict[str, str]
    missing: list[str]
    left_over: list[str]


class Model(Handle):
    """A model; keyword arguments are fields of :class:`beit.ModelConfig`. ``num_classes`` makes it
    a classifier.

    Letters: B batch, C channels, N patches, T = N + 1 tokens, D width, V vocabulary, M masked
    patches of the batch, K classes.

    :param preset: "nano", "tiny", "small", "base" or "large"; single fields override it
    """

    _what = "model"
    _destroy = library.beit_model_destroy

    def __init__(
        self,
        preset: Optional[str] = None,
        *,
        context: Optional[Context] = None,
        **config: Any,
    ) -> None:
        settings = ModelConfig()
        if preset is not None:
            library.beit_model_config_preset(byref(settings), preset.encode())
        for name, value in config.items():
            setattr(settings, name, value)
        self._adopt(create("beit_model_create", pointer_of(context), byref(settings)), context)

    @classmethod
    def load(cls, path: Path, *, context: Optional[Context] = None) -> "Model":
        """Create a model from a file or folder: of :meth:`save`, unilm, timm, Hugging Face,
        mmpretrain."""
        self = cls.__new__(cls)
        file = os.fsencode(path)
        self._adopt(create("beit_model_load", pointer_of(context), file, None), context)
        return self

    def _adopt(self, pointer: int, context: Optional[Context]) -> None:
        self._own(pointer, owned_of(context))
        self._config = ModelConfig()
        library.beit_model_config(pointer, byref(self._config))

    @property
    def config(self) -> ModelConfig:
        """The configuration in force, with zeros resolved."""
        return ModelConfig.from_buffer_copy(self._config)

    @property
    def patches(self) -> int:
        """N, patches of an image."""
        config = self._config
        size = config.patch_size
        return (config.image_height // size) * (config.image_width // size)

    @property
    def params(self) -> Params:
        """The weights."""
        owned = self._alive()
        return Params(library.beit_model_params(owned.pointer), owned)

    @property
    def gradients(self) -> Optional[Params]:
        """The gradients; None before memory for training was planned."""
        owned = self._alive()
        pointer = library.beit_model_gradients(owned.pointer)
        return None if pointer is None else Params(pointer, owned)

    def save(self, path: Path) -> None:
        """Write weights and configuration to a safetensors file, atomically."""
        with self._use() as pointer:
            library.beit_model_save(pointer, os.fsencode(path), None)

    def reserve(self, batch: int, training: bool = False) -> None:
        """Plan memory for ``batch`` images now, so that later calls allocate nothing."""
        with self._use() as pointer:
            library.beit_model_reserve(pointer, batch, training)

    def encode(
        self,
        pixels: np.ndarray,
        mask: Optional[np.ndarray] = None,
        block: int = FEATURES_NORMED,
        out: Optional[np.ndarray] = None,
    ) -> np.ndarray:
        """Features, without dropout or stochastic depth.

        :param pixels: (B, C, H, W) float32
        :param mask: (B, N) uint8 or bool, 1 = replaced by the mask token; not for classifiers
        :param block: 0..depth-1: after that block; FEATURES_NORMED: after the final norm, or, in a
            classifier that averages, the last block as it is
        :returns: (B, T, D) float32, the class token first
        """
        pixels = tensors.source(pixels, "float32", "pixels")
        batch, *_ = tensors.extents(pixels, 4, "pixels")
        shape = (batch, self.patches + 1, self._config.embed_dim)
        features = tensors.target(out, "float32", shape, "out")
        hidden = None if mask is None else tensors.source(mask, "uint8", "mask")
        view = None if hidden is None else byref(tensors.describe(hidden))
        with self._use() as pointer:
            library.beit_model_encode(
                pointer, byref(tensors.describe(pixels)), view, block,
                byref(tensors.describe(features)),
            )
        return features

    def predict(
        self,
        pixels: np.ndarray,
        mask: Optional[np.ndarray] = None,
        out: Optional[np.ndarray] = None,
    ) -> np.ndarray:
        """Logits of every patch: (B, N, V) float32; arguments as in :meth:`encode`."""
        pixels = tensors.source(pixels, "float32", "pixels")
        batch, *_ = tensors.extents(pixels, 4, "pixels")
        shape = (batch, self.patches, self._config.vocab_size)
        logits = tensors.target(out, "float32", shape, "out")
        hidden = None if mask is None else tensors.source(mask, "uint8", "mask")
        view = None if hidden is None else byref(tensors.describe(hidden))
        with self._use() as pointer:
            library.beit_model_predict(
                pointer, byref(tensors.describe(pixels)), view, byref(tensors.describe(logits))
            )
        return logits

    def classify(self, pixels: np.ndarray, out: Optional[np.ndarray] = None) -> np.ndarray:
        """Logits of a classifier: (B, K) float32, without dropout or stochastic depth."""
        pixels = tensors.source(pixels, "float32", "pixels")
        batch, *_ = tensors.extents(pixels, 4, "pixels")
        logits = tensors.target(out, "float32", (batch, self._config.num_classes), "out")
        with self._use() as pointer:
            library.beit_model_classify(
                pointer, byref(tensors.describe(pixels)), byref(tensors.describe(logits))
            )
        return logits

    def forward(
        self,
        pixels: np.ndarray,
        mask: Optional[np.ndarray] = None,
        *,
        training: bool = False,
        seed: int = 0,
        step: int = 0,
        sample_ids: Optional[Sequence[int]] = None,
        out: Optional[np.ndarray] = None,
    ) -> np.ndarray:
        """Forward pass for hosts with their own loss; keeps what :meth:`backward` reads.

        :param pixels: (B, C, H, W) float32
        :param mask: (B, N) uint8 or bool with M >= 1 ones; None for a classifier
        :param training: dropout and stochastic depth act, keyed by seed, step and sample ids
        :returns: (M, V) float32, sample by sample, in row-major patch order; (B, K) of a classifier
        """
        pixels = tensors.source(pixels, "float32", "pixels")
        batch, *_ = tensors.extents(pixels, 4, "pixels")
        hidden = None if mask is None else tensors.source(mask, "uint8", "mask")
        view = None if hidden is None else byref(tensors.describe(hidden))
        masked = 0 if hidden is None else int(np.count_nonzero(hidden))
        classes = self._config.num_classes
        shape = (batch, classes) if classes else (masked, self._config.vocab_size)
        logits = tensors.target(out, "float32", shape, "out")
        options = ForwardOptions(training=training, seed=seed, step=step)
        if sample_ids is not None:
            keys = tensors.keys(sample_ids, batch)
            options.sample_ids = keys.ctypes.data
        with self._use() as pointer:
            library.beit_model_forward(
                pointer, byref(tensors.describe(pixels)), view, byref(options),
                byref(tensors.describe(logits)),
            )
        return logits

    def loss(
        self, logits: np.ndarray, labels: np.ndarray, smoothing: float = 0.0
    ) -> tuple[float, np.ndarray]:
        """Mean cross-entropy of the logits of the last :meth:`forward`, and its gradient.

        :param labels: int32, one per row of the logits
        :returns: the loss, and d(loss)/d(logits) for :meth:`backward`
        """
        logits = tensors.source(logits, "float32", "logits")
        labels = tensors.source(labels, "int32", "labels")
        gradient = np.empty_like(logits)
        value = ctypes.c_double()
        with self._use() as pointer:
            library.beit_model_loss(
                pointer, byref(tensors.describe(logits)), byref(tensors.describe(labels)),
                smoothing, byref(value), None, byref(tensors.describe(gradient)),
            )
        return value.value, gradient

    def backward(self, logits_grad: np.ndarray) -> None:
        """Add the gradients of the last :meth:`forward`.

        :param logits_grad: (M, V) float32, or (B, K) of a classifier: d(loss)/d(logits)
        """
        logits_grad = tensors.source(logits_grad, "float32", "logits_grad")
        with self._use() as pointer:
            library.beit_model_backward(pointer, byref(tensors.describe(logits_grad)))

    def zero_gradients(self) -> None:
        """Set all gradients to zero."""
        with self._use() as pointer:
            library.beit_model_zero_gradients(pointer)

    def adapt(
        self, source: "Model", table_resize: Union[str, int] = enums.TableResize.GEOMETRIC
    ) -> Adaptation:
        """Take over the weights of another model, which may have another head, another image size
        and other kinds of position tables. What is missing there keeps its value here.

        :param table_resize: "geometric", as unilm, or "linear", as timm
        """
        result = Adaptation([], {}, [], [])

        def note(_user: object, fate: int, name: bytes, how: bytes) -> None:
            if fate == enums.AdaptFate.CHANGED:
                result.changed[name.decode()] = how.decode()
            else:
                getattr(result, enums.AdaptFate(fate).name.lower()).append(name.decode())

        options = AdaptOptions(table_resize=table_resize)
        callback = options.each = ADAPT_FN(note)
        if source is self:
            raise ValueError("a model cannot be adapted to itself")
        with self._use() as pointer, source._use() as other:
            library.beit_model_adapt(pointer, other, byref(options), None)
        del callback
        return result
