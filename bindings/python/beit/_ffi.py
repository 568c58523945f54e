"""Signatures of the library's functions. Those that return a status raise on failure."""
from __future__ import annotations

from ctypes import POINTER, byref, c_char_p, c_double, c_float, c_int, c_int32, c_int64
from ctypes import c_size_t, c_uint32, c_uint64, c_void_p

from . import _structs as s
from ._errors import error_of
from ._library import library

__all__ = ["byref", "library"]

_OUT = POINTER(c_void_p)
_TENSOR = POINTER(s.Tensor)
_SIZE_OUT = POINTER(c_size_t)

# Functions with a status, by what they take.
_STATUS = {
    "beit_context_create": (_OUT, POINTER(s.ContextConfig)),
    "beit_params_info": (c_void_p, c_size_t, POINTER(s.ParamInfo)),
    "beit_params_find": (c_void_p, c_char_p, _SIZE_OUT),
    "beit_params_read": (c_void_p, c_size_t, _TENSOR),
    "beit_params_write": (c_void_p, c_size_t, _TENSOR),
    "beit_params_save": (c_void_p, c_char_p, c_void_p),
    "beit_params_load": (c_void_p, c_char_p, c_void_p, c_uint32),
    "beit_masker_create": (_OUT, c_void_p, POINTER(s.MaskerConfig)),
    "beit_masker_config": (c_void_p, POINTER(s.MaskerConfig)),
    "beit_masker_generate": (
        c_void_p, c_uint64, c_uint64, c_uint64, c_void_p, c_size_t, _SIZE_OUT),
    "beit_masker_generate_python": (c_void_p, c_void_p, c_void_p, c_size_t, _SIZE_OUT),
    "beit_pyrandom_create": (_OUT, c_void_p, c_uint64),
    "beit_dvae_create": (_OUT, c_void_p, POINTER(s.DvaeConfig)),
    "beit_dvae_config": (c_void_p, POINTER(s.DvaeConfig)),
    "beit_dvae_tokenize": (c_void_p, _TENSOR, _TENSOR, _TENSOR),
    "beit_dvae_encode": (c_void_p, _TENSOR, _TENSOR),
    "beit_dvae_decode": (c_void_p, _TENSOR, _TENSOR),
    "beit_dvae_reconstruct": (c_void_p, _TENSOR, _TENSOR),
    "beit_dvae_save": (c_void_p, c_char_p, c_void_p),
    "beit_dvae_load": (_OUT, c_void_p, c_char_p, c_void_p),
    "beit_token_usage": (c_void_p, c_size_t, c_int32, c_void_p, POINTER(s.TokenUsage)),
    "beit_model_config_preset": (POINTER(s.ModelConfig), c_char_p),
    "beit_model_create": (_OUT, c_void_p, POINTER(s.ModelConfig)),
    "beit_model_config": (c_void_p, POINTER(s.ModelConfig)),
    "beit_model_reserve": (c_void_p, c_int64, c_int),
    "beit_model_encode": (c_void_p, _TENSOR, _TENSOR, c_int32, _TENSOR),
    "beit_model_predict": (c_void_p, _TENSOR, _TENSOR, _TENSOR),
    "beit_model_forward": (c_void_p, _TENSOR, _TENSOR, POINTER(s.ForwardOptions), _TENSOR),
    "beit_model_classify": (c_void_p, _TENSOR, _TENSOR),
    "beit_model_loss": (
        c_void_p, _TENSOR, _TENSOR, c_float, POINTER(c_double), POINTER(c_int64), _TENSOR),
    "beit_model_backward": (c_void_p, _TENSOR),
    "beit_model_adapt": (c_void_p, c_void_p, POINTER(s.AdaptOptions), POINTER(s.AdaptReport)),
    "beit_model_zero_gradients": (c_void_p,),
    "beit_model_save": (c_void_p, c_char_p, c_void_p),
    "beit_model_load": (_OUT, c_void_p, c_char_p, c_void_p),
    "beit_trainer_create_mim": (_OUT, c_void_p, c_void_p, c_void_p, POINTER(s.TrainerConfig)),
    "beit_trainer_create_dvae": (_OUT, c_void_p, POINTER(s.TrainerConfig)),
    "beit_trainer_config": (c_void_p, POINTER(s.TrainerConfig)),
    "beit_trainer_accumulate": (c_void_p, POINTER(s.Batch)),
    "beit_trainer_apply": (c_void_p, POINTER(s.StepReport)),
    "beit_trainer_step": (c_void_p, POINTER(s.Batch), POINTER(s.StepReport)),
    "beit_trainer_evaluate": (c_void_p, POINTER(s.Batch), POINTER(s.StepReport)),
    "beit_trainer_set_group": (c_void_p, c_char_p, c_float, c_int),
    "beit_trainer_memory": (c_void_p, POINTER(s.MemoryReport)),
    "beit_trainer_save": (c_void_p, c_char_p, c_void_p),
    "beit_trainer_resume": (c_void_p, c_char_p, c_void_p),
    "beit_views_draw": (
        POINTER(s.ViewsConfig), c_uint64, c_uint64, c_uint64, c_int32, c_int32,
        POINTER(s.ViewDraw)),
    "beit_views_apply": (
        c_void_p, POINTER(s.ViewsConfig), POINTER(s.ViewDraw), _TENSOR, _TENSOR, _TENSOR),
    "beit_views_make": (
        c_void_p, POINTER(s.ViewsConfig), c_uint64, c_uint64, c_uint64, _TENSOR, _TENSOR,
        _TENSOR),
    "beit_image_resize": (c_void_p, _TENSOR, POINTER(c_int32), c_int, _TENSOR),
}

# All others: result, then what they take.
_PLAIN = {
    "beit_version": (c_uint32,),
    "beit_build_info": (c_char_p,),
    "beit_status_string": (c_char_p, c_int),
    "beit_last_error": (c_char_p,),
    "beit_struct_layouts": (c_char_p,),
    "beit_backend_builtin": (c_void_p, c_char_p),
    "beit_context_unref": (None, c_void_p),
    "beit_context_describe": (c_char_p, c_void_p),
    "beit_context_memory": (None, c_void_p, _SIZE_OUT, _SIZE_OUT),
    "beit_params_count": (c_size_t, c_void_p),
    "beit_params_elements": (c_uint64, c_void_p),
    "beit_masker_destroy": (None, c_void_p),
    "beit_pyrandom_destroy": (None, c_void_p),
    "beit_pyrandom_next32": (c_uint32, c_void_p),
    "beit_pyrandom_random": (c_double, c_void_p),
    "beit_pyrandom_uniform": (c_double, c_void_p, c_double, c_double),
    "beit_pyrandom_randint": (c_int64, c_void_p, c_int64, c_int64),
    "beit_dvae_destroy": (None, c_void_p),
    "beit_dvae_params": (c_void_p, c_void_p),
    "beit_model_destroy": (None, c_void_p),
    "beit_model_params": (c_void_p, c_void_p),
    "beit_model_gradients": (c_void_p, c_void_p),
    "beit_trainer_destroy": (None, c_void_p),
    "beit_trainer_request_stop": (None, c_void_p),
    "beit_trainer_steps": (c_uint64, c_void_p),
    "beit_trainer_gradients": (c_void_p, c_void_p),
    "beit_trainer_moments": (c_void_p, c_void_p, c_int),
}


def _raise_on_failure(status: int, _function: object, _arguments: object) -> None:
    if status != 0:
        raise error_of(status, library.beit_last_error().decode())


def _declare() -> None:
    for name, (result, *arguments) in _PLAIN.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    for name, taken in _STATUS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = c_int, taken
        function.errcheck = _raise_on_failure


_declare()


def create(name: str, *arguments: object) -> int:
    """Call a function whose first argument takes a new handle, and return that."""
    handle = c_void_p()
    getattr(library, name)(byref(handle), *arguments)
    assert handle.value is not None
    return handle.value
