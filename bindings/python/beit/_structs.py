"""The library's structs. Annotations say both the Python type and the C type, in C's order, and
are the only declaration: :func:`struct` makes the ctypes fields from them. A test compares every
size and offset with what the library reports.
"""
import ctypes
import operator
from typing import Annotated, Any, Optional, TypeVar, get_type_hints

from . import enums
from ._library import library

i32 = Annotated[int, ctypes.c_int32]
u32 = Annotated[int, ctypes.c_uint32]
i64 = Annotated[int, ctypes.c_int64]
u64 = Annotated[int, ctypes.c_uint64]
size = Annotated[int, ctypes.c_size_t]
f32 = Annotated[float, ctypes.c_float]
f64 = Annotated[float, ctypes.c_double]
text = Annotated[Optional[bytes], ctypes.c_char_p]
pointer = Annotated[Optional[int], ctypes.c_void_p]

LOG_FN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p)
ADAPT_FN = ctypes.CFUNCTYPE(
    None, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p)
PROGRESS_FN = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)

MAX_DIMS = 6


T = TypeVar("T", bound=type)


def struct(cls: T) -> T:
    """Class decorator: annotations become ctypes fields; a third argument of an annotation is the
    enumeration whose names the field takes."""
    hints = get_type_hints(cls, include_extras=True)
    metadata = {name: hints[name].__metadata__ for name in cls.__annotations__}
    types = {name: ctype for name, (ctype, *_) in metadata.items()}
    enumerated = {name: kind for name, (_, *kinds) in metadata.items() for kind in kinds}
    made: Any = cls
    made._fields_, made._types, made._enums = list(types.items()), types, enumerated
    return cls


class Struct(ctypes.Structure):
    """Base of all structs: knows its fields, takes them by keyword, refuses what does not fit."""

    _types: dict = {}
    _enums: dict = {}

    def __init__(self, **fields: Any) -> None:
        super().__init__()
        if "struct_size" in self._types:
            super().__setattr__("struct_size", ctypes.sizeof(self))
        for name, value in fields.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._types:
            known = ", ".join(self._plain_fields())
            raise TypeError(f"{type(self).__name__} has no field {name!r}; it has {known}")
        ctype = self._types[name]
        if name in self._enums:
            value = enums.resolve(self._enums[name], value, name)
        if ctype in _INTEGERS:
            value = operator.index(value)
            if ctype(value).value != value:
                raise ValueError(f"{name} is {value}, which does not fit {ctype.__name__}")
        elif issubclass(ctype, ctypes.Array) and not isinstance(value, ctype):
            if len(value) != ctype._length_:
                raise ValueError(f"{name} has {len(value)} values, it takes {ctype._length_}")
            value = ctype(*value)
        super().__setattr__(name, value)

    def asdict(self) -> dict:
        """Field values by name; enumerated ones by their lower-case names."""
        return {name: self._plain(name) for name in self._plain_fields()}

    def _plain_fields(self) -> list[str]:
        return [
            name
            for name, ctype in self._types.items()
            if name != "struct_size"
            and not name.startswith("reserved")
            and ctype not in (ctypes.c_void_p, LOG_FN, PROGRESS_FN, ADAPT_FN)
        ]

    def _plain(self, name: str) -> Any:
        value = getattr(self, name)
        if name in self._enums:
            return self._enums[name](value).name.lower()
        return list(value) if isinstance(value, ctypes.Array) else value

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self.asdict().items())
        return f"{type(self).__name__}({fields})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and bytes(self) == bytes(other)

    __hash__ = None  # type: ignore[assignment]


_INTEGERS = {ctypes.c_int32, ctypes.c_uint32, ctypes.c_int64, ctypes.c_uint64, ctypes.c_size_t}


class Config(Struct):
    """A configuration: starts from the defaults of the library that runs."""

    _init = ""

    def __init__(self, **fields: Any) -> None:
        init = getattr(library, self._init)
        init.restype, init.argtypes = None, (ctypes.c_void_p, ctypes.c_size_t)
        init(ctypes.byref(self), ctypes.sizeof(self))
        super().__init__(**fields)


@struct
class Tensor(Struct):
    """`beit_tensor`: a view of memory. Strides count elements."""

    data: pointer
    dtype: i32
    ndim: i32
    shape: Annotated[ctypes.Array[ctypes.c_int64], ctypes.c_int64 * MAX_DIMS]
    stride: Annotated[ctypes.Array[ctypes.c_int64], ctypes.c_int64 * MAX_DIMS]
    memory: i32
    reserved: i32


@struct
class ContextConfig(Config):
    """`beit_context_config`."""

    _init = "beit_context_config_init"

    struct_size: size
    allocator: pointer
    executor: pointer
    backend: pointer
    backend_options: text
    log: Annotated[Any, LOG_FN]
    log_user: pointer
    log_level: Annotated[int, ctypes.c_int32, enums.LogLevel]
    threads: i32


@struct
class MaskerConfig(Config):
    """`beit_masker_config`: a grid of rows x cols, of which at most `target` cells are masked."""

    _init = "beit_masker_config_init"

    struct_size: size
    kind: Annotated[int, ctypes.c_int32, enums.MaskKind]
    rows: i32
    cols: i32
    target: i32
    min_block: i32
    max_block: i32
    attempts: i32
    exact_count: i32
    min_aspect: f32
    max_aspect: f32


@struct
class DvaeConfig(Config):
    """`beit_dvae_config`."""

    _init = "beit_dvae_config_init"

    struct_size: size
    init_seed: u64
    arch: Annotated[int, ctypes.c_int32, enums.DvaeArch]
    layout: Annotated[int, ctypes.c_int32, enums.DvaeLayout]
    image_height: i32
    image_width: i32
    channels: i32
    vocab_size: i32
    codebook_dim: i32
    hidden_dim: i32
    num_layers: i32
    num_resnet_blocks: i32
    recon_loss: Annotated[int, ctypes.c_int32, enums.ReconLoss]
    sampling: Annotated[int, ctypes.c_int32, enums.Sampling]
    kl_reduction: Annotated[int, ctypes.c_int32, enums.KlReduction]
    kl_direction: Annotated[int, ctypes.c_int32, enums.KlDirection]
    input_norm: Annotated[int, ctypes.c_int32, enums.DvaeNorm]
    blocks_per_group: i32
    decoder_init: i32
    parts: Annotated[int, ctypes.c_int32, enums.DvaeParts]


@struct
class TokenUsage(Struct):
    """`beit_token_usage`: how evenly a vocabulary is used."""

    struct_size: size
    tokens: u64
    used: u64
    entropy: f64
    perplexity: f64
    top_share: f64


@struct
class ModelConfig(Config):
    """`beit_model_config`; defaults are the published base model."""

    _init = "beit_model_config_init"

    struct_size: size
    init_seed: u64
    image_height: i32
    image_width: i32
    patch_size: i32
    channels: i32
    vocab_size: i32
    embed_dim: i32
    depth: i32
    heads: i32
    mlp_dim: i32
    attn_head_dim: i32
    shared_rel_pos: i32
    rel_pos: i32
    abs_pos: i32
    qkv_bias: i32
    layer_scale: f32
    drop_path: f32
    norm_eps: f32
    init_std: f32
    drop_rate: f32
    attn_drop_rate: f32
    qk_scale: f32
    head_init_scale: f32
    num_classes: i32
    pooling: Annotated[int, ctypes.c_int32, enums.Pooling]


@struct
class ForwardOptions(Config):
    """`beit_forward_options`."""

    _init = "beit_forward_options_init"

    struct_size: size
    seed: u64
    step: u64
    sample_ids: pointer
    training: i32
    reserved: i32


@struct
class AdaptOptions(Config):
    """`beit_adapt_options`."""

    _init = "beit_adapt_options_init"

    struct_size: size
    each: Annotated[Any, ADAPT_FN]
    user: pointer
    table_resize: Annotated[int, ctypes.c_int32, enums.TableResize]
    reserved: i32


@struct
class AdaptReport(Struct):
    """`beit_adapt_report`: numbers of tensors."""

    struct_size: size
    taken: u64
    changed: u64
    missing: u64
    left_over: u64


@struct
class ParamInfo(Struct):
    """`beit_param_info`."""

    struct_size: size
    name: Annotated[bytes, ctypes.c_char_p]
    value: Annotated[Tensor, Tensor]
    flags: u32
    reserved: u32


@struct
class TrainerConfig(Config):
    """`beit_trainer_config`; defaults follow the published base recipe."""

    _init = "beit_trainer_config_init"

    struct_size: size
    seed: u64
    total_steps: u64
    warmup_steps: u64
    temperature_steps: u64
    decay_interval: u64
    progress: Annotated[Any, PROGRESS_FN]
    progress_user: pointer
    micro_batch: i32
    optimizer: Annotated[int, ctypes.c_int32, enums.Optimizer]
    lr_schedule: Annotated[int, ctypes.c_int32, enums.LrSchedule]
    temperature_schedule: Annotated[int, ctypes.c_int32, enums.TemperatureSchedule]
    lr: f32
    min_lr: f32
    warmup_lr: f32
    lr_decay: f32
    clip_norm: f32
    beta1: f32
    beta2: f32
    eps: f32
    weight_decay: f32
    weight_decay_end: f32
    temperature: f32
    temperature_end: f32
    temperature_rate: f32
    kl_weight: f32
    balance_weight: f32
    sharpness_weight: f32


@struct
class Batch(Config):
    """`beit_batch`."""

    _init = "beit_batch_init"

    struct_size: size
    epoch: u64
    sample_ids: pointer
    pixels: Annotated[Tensor, Tensor]
    token_pixels: Annotated[Tensor, Tensor]
    tokens: Annotated[Tensor, Tensor]
    mask: Annotated[Tensor, Tensor]


@struct
class StepReport(Struct):
    """`beit_step_report`: outcome of a step or an evaluation."""

    struct_size: size
    step: u64
    samples: u64
    masked: u64
    loss: f64
    accuracy: f64
    grad_norm: f64
    lr: f64
    weight_decay: f64
    seconds: f64
    recon_loss: f64
    kl: f64
    balance: f64
    sharpness: f64
    perplexity: f64
    temperature: f64
    tokenize_seconds: f64


@struct
class MemoryReport(Struct):
    """`beit_memory_report`: bytes held for training."""

    struct_size: size
    weights: u64
    gradients: u64
    moments: u64
    activations: u64
    tokenizer: u64
    total: u64


@struct
class ViewsConfig(Config):
    """`beit_views_config`."""

    _init = "beit_views_config_init"

    struct_size: size
    pixels_height: i32
    pixels_width: i32
    tokens_height: i32
    tokens_width: i32
    tokens_scaling: Annotated[int, ctypes.c_int32, enums.TokenScaling]
    pixels_filter: Annotated[int, ctypes.c_int32, enums.Filter]
    tokens_filter: Annotated[int, ctypes.c_int32, enums.Filter]
    reserved: i32
    min_scale: f32
    max_scale: f32
    min_ratio: f32
    max_ratio: f32
    flip: f32
    brightness: f32
    contrast: f32
    saturation: f32
    mean: Annotated[ctypes.Array[ctypes.c_float], ctypes.c_float * 3]
    std: Annotated[ctypes.Array[ctypes.c_float], ctypes.c_float * 3]
    reserved2: Annotated[ctypes.Array[ctypes.c_float], ctypes.c_float * 2]


@struct
class ViewDraw(Struct):
    """`beit_view_draw`: one augmentation. The box lies in the flipped picture; `jitter_order` is a
    permutation of 0 brightness, 1 contrast, 2 saturation."""

    struct_size: size
    left: i32
    top: i32
    width: i32
    height: i32
    flip: i32
    jitter_order: Annotated[ctypes.Array[ctypes.c_int32], ctypes.c_int32 * 3]
    brightness: f32
    contrast: f32
    saturation: f32
    reserved: f32


C_NAMES = {
    "beit_tensor": Tensor,
    "beit_context_config": ContextConfig,
    "beit_masker_config": MaskerConfig,
    "beit_dvae_config": DvaeConfig,
    "beit_token_usage": TokenUsage,
    "beit_model_config": ModelConfig,
    "beit_forward_options": ForwardOptions,
    "beit_adapt_options": AdaptOptions,
    "beit_adapt_report": AdaptReport,
    "beit_param_info": ParamInfo,
    "beit_trainer_config": TrainerConfig,
    "beit_batch": Batch,
    "beit_step_report": StepReport,
    "beit_memory_report": MemoryReport,
    "beit_views_config": ViewsConfig,
    "beit_view_draw": ViewDraw,
}
"""Every mirrored struct by its name in C."""
