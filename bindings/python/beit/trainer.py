"""Training steps for both networks."""
from __future__ import annotations

import contextlib
import ctypes
import os
import warnings
from typing import Any, Callable, Iterator, Optional, Sequence

import numpy as np

from . import tensors
from ._errors import BeitCancelledError, BeitError
from ._ffi import byref, create, library
from ._handle import Handle, Owned
from ._interrupt import stop_on_interrupt
from ._structs import PROGRESS_FN, Batch, MemoryReport, StepReport, TrainerConfig
from .dvae import Dvae
from .masker import Masker
from .model import Model
from .params import Params, Path

Progress = Callable[[StepReport], object]

_DTYPES = {"pixels": "float32", "token_pixels": "float32", "tokens": "int32", "mask": "uint8"}


def _report_at(address: int) -> StepReport:
    """A copy of the library's report, which may be shorter than ours."""
    length = ctypes.c_size_t.from_address(address).value
    report = StepReport()
    ctypes.memmove(byref(report), address, min(length, ctypes.sizeof(report)))
    return report


def _progress_callback(function: Progress, raised: list[BaseException]) -> object:
    """A C callback; what the function raises stops the step and is raised again after it."""

    def forward(_user: object, address: int) -> int:
        try:
            return int(bool(function(_report_at(address))))
        except BaseException as error:  # an exception cannot cross C frames
            raised.append(error)
            return 1

    return PROGRESS_FN(forward)


def _batch(
    epoch: int, sample_ids: Optional[Sequence[int]], arrays: dict[str, Optional[np.ndarray]]
) -> tuple[Batch, list]:
    """The library's batch and what must stay alive as long."""
    batch, keep = Batch(epoch=epoch), []
    for name, value in arrays.items():
        if value is not None:
            array = tensors.source(value, _DTYPES[name], name)
            setattr(batch, name, tensors.describe(array))
            keep.append(array)
    if sample_ids is not None:
        samples = keep[0].shape[0] if keep and keep[0].ndim else 0
        keys = tensors.keys(sample_ids, samples)
        batch.sample_ids = keys.ctypes.data
        keep.append(keys)
    return batch, keep


class Trainer(Handle):
    """A trainer, made by :meth:`mim` or :meth:`dvae`; keyword arguments are fields of
    :class:`beit.TrainerConfig`.

    A batch is given by keyword: ``pixels`` (B, C, H, W) float32, the patch view; ``token_pixels``
    (B, C, S, S) float32, the token view, or what a dVAE trains on; ``tokens`` (B, N) int32 in place
    of the tokenizer; ``mask`` (B, N) uint8 or bool in place of the masker; ``epoch``, key of the
    masks; ``sample_ids``, B keys of every random draw.

    While a call runs, ``progress`` included, model, tokenizer and masker are in use too.
    """

    _what = "trainer"
    _destroy = library.beit_trainer_destroy
    _parts: list[tuple[Owned, bool]]  # what a call uses besides, and whether it may be shared
    _raised: list[BaseException]  # by the progress callback

    def __init__(self) -> None:
        raise TypeError("use Trainer.mim() or Trainer.dvae()")

    @classmethod
    def mim(
        cls,
        model: Model,
        dvae: Optional[Dvae] = None,
        masker: Optional[Masker] = None,
        *,
        progress: Optional[Progress] = None,
        **config: Any,
    ) -> "Trainer":
        """A trainer for masked image modeling.

        :param dvae: may be None when every batch brings tokens
        :param masker: may be None when every batch brings masks
        :param progress: called with the report of each applied step; a true result stops the call
            with :class:`beit.BeitCancelledError`, and the step counts
        """
        return cls._create("beit_trainer_create_mim", [model, dvae, masker], progress, config)

    @classmethod
    def dvae(
        cls, dvae: Dvae, *, progress: Optional[Progress] = None, **config: Any
    ) -> "Trainer":
        """A trainer for a DiscreteVAE."""
        return cls._create("beit_trainer_create_dvae", [dvae], progress, config)

    @classmethod
    def _create(
        cls,
        function: str,
        parts: Sequence[Optional[Handle]],
        progress: Optional[Progress],
        config: dict[str, Any],
    ) -> "Trainer":
        self = cls.__new__(cls)
        settings = TrainerConfig(**config)
        self._raised = []
        callback = None
        if progress is not None:
            callback = settings.progress = _progress_callback(progress, self._raised)
        self._parts = [(part._alive(), part._shared) for part in parts if part is not None]
        pointers = [None if part is None else part._alive().pointer for part in parts]
        with self._use_parts():
            pointer = create(function, *pointers, byref(settings))
        self._own(pointer, callback, *(owned for owned, _ in self._parts))
        return self

    @contextlib.contextmanager
    def _use_parts(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for owned, shared in self._parts:
                stack.enter_context(owned.guard.hold(shared))
            yield

    @contextlib.contextmanager
    def _use(self) -> Iterator[int]:
        with super()._use() as pointer, self._use_parts():
            yield pointer

    def _run(self, function: str, *arguments: object) -> None:
        """Call a function that may call back."""
        try:
            with self._use() as pointer:
                getattr(library, function)(pointer, *arguments)
        except BeitCancelledError:
            if self._raised:
                raise self._raised.pop() from None
            raise

    @property
    def config(self) -> TrainerConfig:
        """The configuration in force."""
        config = TrainerConfig()
        with self._use() as pointer:
            library.beit_trainer_config(pointer, byref(config))
        return config

    @property
    def steps(self) -> int:
        """Steps applied so far."""
        with self._use() as pointer:
            return library.beit_trainer_steps(pointer)

    def accumulate(
        self,
        *,
        epoch: int = 0,
        sample_ids: Optional[Sequence[int]] = None,
        pixels: Optional[np.ndarray] = None,
        token_pixels: Optional[np.ndarray] = None,
        tokens: Optional[np.ndarray] = None,
        mask: Optional[np.ndarray] = None,
    ) -> None:
        """Add a batch to the gradients; several calls give the gradient of their union."""
        arrays = dict(pixels=pixels, token_pixels=token_pixels, tokens=tokens, mask=mask)
        batch, _keep = _batch(epoch, sample_ids, arrays)
        self._run("beit_trainer_accumulate", byref(batch))

    def apply(self) -> StepReport:
        """Norm, clip, update, reset."""
        report = StepReport()
        self._run("beit_trainer_apply", byref(report))
        return report

    def step(
        self,
        *,
        epoch: int = 0,
        sample_ids: Optional[Sequence[int]] = None,
        pixels: Optional[np.ndarray] = None,
        token_pixels: Optional[np.ndarray] = None,
        tokens: Optional[np.ndarray] = None,
        mask: Optional[np.ndarray] = None,
    ) -> StepReport:
        """:meth:`accumulate` and :meth:`apply` in one."""
        return self._report(
            "beit_trainer_step", epoch, sample_ids,
            dict(pixels=pixels, token_pixels=token_pixels, tokens=tokens, mask=mask),
        )

    def evaluate(
        self,
        *,
        epoch: int = 0,
        sample_ids: Optional[Sequence[int]] = None,
        pixels: Optional[np.ndarray] = None,
        token_pixels: Optional[np.ndarray] = None,
        tokens: Optional[np.ndarray] = None,
        mask: Optional[np.ndarray] = None,
    ) -> StepReport:
        """Loss and accuracy of a batch without dropout, noise or gradients."""
        return self._report(
            "beit_trainer_evaluate", epoch, sample_ids,
            dict(pixels=pixels, token_pixels=token_pixels, tokens=tokens, mask=mask),
        )

    def _report(
        self,
        function: str,
        epoch: int,
        sample_ids: Optional[Sequence[int]],
        arrays: dict[str, Optional[np.ndarray]],
    ) -> StepReport:
        batch, _keep = _batch(epoch, sample_ids, arrays)
        report = StepReport()
        self._run(function, byref(batch), byref(report))
        return report

    def set_group(
        self, pattern: str, lr_scale: float = 1.0, decay: Optional[bool] = None
    ) -> None:
        """Give every tensor whose name matches the glob a rate scale and a decay flag.

        :param decay: None leaves the flag as it is
        """
        flag = -1 if decay is None else int(decay)
        with self._use() as pointer:
            library.beit_trainer_set_group(pointer, pattern.encode(), lr_scale, flag)

    def request_stop(self) -> None:
        """Ask the running call, or else the next one, to stop after the micro-batch at hand; from
        any thread. That call raises :class:`beit.BeitCancelledError`, the one after it works."""
        library.beit_trainer_request_stop(self._alive().pointer)

    @contextlib.contextmanager
    def interruptible(self, checkpoint: Optional[Path] = None) -> Iterator["Trainer"]:
        """Within this block Ctrl-C stops a running step at its next micro-batch instead of at its
        end; then the state of the last complete step goes to ``checkpoint``, and
        ``KeyboardInterrupt`` goes on to the caller. In the main thread only; elsewhere it does
        nothing."""
        try:
            with stop_on_interrupt(self.request_stop):
                yield self
        except KeyboardInterrupt:
            if checkpoint is not None:
                self._save_if_possible(checkpoint)
            raise

    def _save_if_possible(self, checkpoint: Path) -> None:
        try:
            self.save(checkpoint)
        except BeitError as error:
            warnings.warn(
                f"interrupted, and {os.fsdecode(checkpoint)} was not saved: {error}", stacklevel=2
            )

    @property
    def gradients(self) -> Params:
        """Gradient sums between accumulate and apply."""
        owned = self._alive()
        return Params(library.beit_trainer_gradients(owned.pointer), owned)

    def moments(self, second: bool = False) -> Params:
        """First (``exp_avg``) or second (``exp_avg_sq``) moments."""
        owned = self._alive()
        return Params(library.beit_trainer_moments(owned.pointer, second), owned)

    @property
    def memory(self) -> MemoryReport:
        """Bytes held for training."""
        report = MemoryReport()
        with self._use() as pointer:
            library.beit_trainer_memory(pointer, byref(report))
        return report

    def save(self, path: Path) -> None:
        """Write all that a bit-identical continuation needs to a safetensors file, atomically."""
        with self._use() as pointer:
            library.beit_trainer_save(pointer, os.fsencode(path), None)

    def resume(self, path: Path) -> None:
        """Continue from a file that :meth:`save` wrote, in a trainer created alike."""
        with self._use() as pointer:
            library.beit_trainer_resume(pointer, os.fsencode(path), None)
