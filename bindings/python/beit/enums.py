"""The library's enumerations. Wherever one is expected, its lower-case name will do as well."""
from __future__ import annotations

import enum
from typing import Any


class LogLevel(enum.IntEnum):
    """Severity of a log line."""

    OFF = 0
    ERROR = 1
    WARN = 2
    INFO = 3
    DEBUG = 4
    TRACE = 5


class MaskKind(enum.IntEnum):
    """How cells are chosen."""

    BLOCK = 1
    RANDOM = 2


class DvaeArch(enum.IntEnum):
    """Network family of a tokenizer."""

    DISCRETE = 1
    DALLE = 2


class DvaeLayout(enum.IntEnum):
    """Where DiscreteVAE's residual blocks stand."""

    U = 1
    L = 2


class ReconLoss(enum.IntEnum):
    """Reconstruction loss."""

    MSE = 1
    SMOOTH_L1 = 2


class Sampling(enum.IntEnum):
    """Gradient estimator of the discrete choice."""

    SOFT = 1
    STRAIGHT_THROUGH = 2
    REINMAX = 3


class KlReduction(enum.IntEnum):
    """What the KL term is summed over."""

    UPSTREAM_SUM = 1
    MEAN_PER_POSITION = 2
    MEAN_PER_IMAGE = 3


class KlDirection(enum.IntEnum):
    """Direction of the KL term."""

    Q_TO_UNIFORM = 1
    UNIFORM_TO_Q = 2


class DvaeNorm(enum.IntEnum):
    """Normalisation inside a tokenizer; 0 follows from its family and layout."""

    AUTO = 0
    NONE = 1
    SYMMETRIC = 2


class DvaeParts(enum.IntEnum):
    """Which halves a tokenizer holds."""

    BOTH = 0
    ENCODER_ONLY = 1
    DECODER_ONLY = 2


class Pooling(enum.IntEnum):
    """What a classifier's head sees; 0 is the mean, or nothing in masked modeling."""

    AUTO = 0
    MEAN = 1
    CLASS = 2


class TableResize(enum.IntEnum):
    """How relative tables are brought to another grid."""

    GEOMETRIC = 1
    LINEAR = 2


class AdaptFate(enum.IntEnum):
    """What became of a tensor."""

    TAKEN = 1
    CHANGED = 2
    MISSING = 3
    LEFT_OVER = 4


class TokenScaling(enum.IntEnum):
    """What is done to the token view's pixels after division by 255."""

    SYMMETRIC = 1
    LOGIT = 2
    UNIT = 3


class Filter(enum.IntEnum):
    """Resampling filter."""

    BILINEAR = 1
    BICUBIC = 2
    LANCZOS = 3


class Optimizer(enum.IntEnum):
    """Optimizer."""

    ADAMW = 1
    ADAM = 2


class LrSchedule(enum.IntEnum):
    """Shape of the learning rate's curve after warm-up."""

    COSINE = 1
    CONSTANT = 2
    DECAY = 3


class TemperatureSchedule(enum.IntEnum):
    """Course of the Gumbel temperature."""

    CONSTANT = 1
    EXPONENTIAL = 2
    UPSTREAM = 3
    ANNEAL = 4


def resolve(kind: type[enum.IntEnum], value: Any, field: str) -> enum.IntEnum:
    """The member that a member, number or name stands for."""
    try:
        if isinstance(value, str):
            return kind[value.upper()]
        return kind(value)
    except (KeyError, ValueError):
        names = ", ".join(member.name.lower() for member in kind)
        raise ValueError(f"{field} is {value!r}, allowed are {names}") from None
