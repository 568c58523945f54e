"""Python bindings of libbeit: self-supervised pre-training of BEiT vision transformers.

Names are the C library's; its documentation holds here too. Arrays pass without copies: inputs
must have the stated dtype and be packed, outputs are new arrays or the ones given as ``out``.
"""
from __future__ import annotations

from . import _ffi
from ._errors import (
    BeitAbiError,
    BeitArgumentError,
    BeitBackendError,
    BeitCancelledError,
    BeitError,
    BeitFormatError,
    BeitIOError,
    BeitMemoryError,
    BeitMismatchError,
    BeitNumericError,
    BeitShapeError,
    BeitStateError,
    BeitUnsupportedError,
)
from ._library import ABI
from ._structs import (
    DvaeConfig,
    MaskerConfig,
    MemoryReport,
    ModelConfig,
    StepReport,
    TokenUsage,
    TrainerConfig,
    ViewDraw,
    ViewsConfig,
)
from .context import Context
from .dvae import Dvae, token_usage
from .enums import (
    AdaptFate,
    DvaeArch,
    DvaeLayout,
    DvaeNorm,
    DvaeParts,
    Filter,
    KlDirection,
    KlReduction,
    LogLevel,
    LrSchedule,
    MaskKind,
    Optimizer,
    Pooling,
    ReconLoss,
    Sampling,
    TableResize,
    TemperatureSchedule,
    TokenScaling,
)
from .masker import Masker, PyRandom
from .model import FEATURES_NORMED, Adaptation, Model
from .params import Description, Params
from .tensors import packed
from .trainer import Trainer
from .views import Views, resize


def version() -> str:
    """Version of the library that runs."""
    number = _ffi.library.beit_version()
    return f"{number >> 16}.{number >> 8 & 255}.{number & 255}"


def build_info() -> str:
    """One line about the library's build."""
    return _ffi.library.beit_build_info().decode()


__all__ = [
    "ABI",
    "AdaptFate",
    "Adaptation",
    "BeitAbiError",
    "BeitArgumentError",
    "BeitBackendError",
    "BeitCancelledError",
    "BeitError",
    "BeitFormatError",
    "BeitIOError",
    "BeitMemoryError",
    "BeitMismatchError",
    "BeitNumericError",
    "BeitShapeError",
    "BeitStateError",
    "BeitUnsupportedError",
    "Context",
    "Description",
    "Dvae",
    "DvaeArch",
    "DvaeConfig",
    "DvaeLayout",
    "DvaeNorm",
    "DvaeParts",
    "FEATURES_NORMED",
    "Filter",
    "KlDirection",
    "KlReduction",
    "LogLevel",
    "LrSchedule",
    "MaskKind",
    "Masker",
    "MaskerConfig",
    "MemoryReport",
    "Model",
    "ModelConfig",
    "Optimizer",
    "Params",
    "Pooling",
    "PyRandom",
    "ReconLoss",
    "Sampling",
    "StepReport",
    "TableResize",
    "TemperatureSchedule",
    "TokenScaling",
    "TokenUsage",
    "Trainer",
    "TrainerConfig",
    "ViewDraw",
    "Views",
    "ViewsConfig",
    "build_info",
    "packed",
    "resize",
    "token_usage",
    "version",
]
