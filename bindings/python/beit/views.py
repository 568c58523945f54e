"""The two views of one crop, from decoded RGB; pixel arithmetic equals Pillow's."""
from __future__ import annotations

import ctypes
from typing import Any, Optional, Sequence, Union

import numpy as np

from . import enums, tensors
from ._ffi import byref, library
from ._structs import ViewDraw, ViewsConfig
from .context import Context, pointer_of


class Views:
    """How views are made; keyword arguments are fields of :class:`beit.ViewsConfig`.

    Holds no library memory and may be used by several threads at once.
    """

    def __init__(self, **config: Any) -> None:
        self.config = ViewsConfig(**config)

    def draw(
        self, height: int, width: int, *, seed: int, epoch: int, sample_id: int
    ) -> ViewDraw:
        """Draw an augmentation for a picture of height x width, a function of its arguments."""
        draw = ViewDraw()
        library.beit_views_draw(
            byref(self.config), *tensors.words(seed=seed, epoch=epoch, sample_id=sample_id),
            height, width, byref(draw),
        )
        return draw

    def apply(
        self,
        rgb: np.ndarray,
        draw: ViewDraw,
        out: tuple[Optional[np.ndarray], Optional[np.ndarray]] = (None, None),
        context: Optional[Context] = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Make the views that ``draw`` prescribes.

        :param rgb: (H, W, 3) uint8
        :returns: patch view (3, pixels_height, pixels_width) and token view (3, tokens_height,
            tokens_width), float32; ``out`` gives places for them, e.g. rows of a batch
        """
        rgb = tensors.source(rgb, "uint8", "rgb")
        made = self._outputs(out)
        views = [byref(tensors.describe(array)) for array in made]
        library.beit_views_apply(
            pointer_of(context), byref(self.config), byref(draw), byref(tensors.describe(rgb)),
            *views,
        )
        return made

    def make(
        self,
        rgb: np.ndarray,
        *,
        seed: int,
        epoch: int,
        sample_id: int,
        out: tuple[Optional[np.ndarray], Optional[np.ndarray]] = (None, None),
        context: Optional[Context] = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """:meth:`draw` and :meth:`apply` in one."""
        rgb = tensors.source(rgb, "uint8", "rgb")
        made = self._outputs(out)
        views = [byref(tensors.describe(array)) for array in made]
        library.beit_views_make(
            pointer_of(context), byref(self.config),
            *tensors.words(seed=seed, epoch=epoch, sample_id=sample_id),
            byref(tensors.describe(rgb)), *views,
        )
        return made

    def _outputs(
        self, out: tuple[Optional[np.ndarray], Optional[np.ndarray]]
    ) -> tuple[np.ndarray, np.ndarray]:
        config = self.config
        pixels = (3, config.pixels_height, config.pixels_width)
        tokens = (3, config.tokens_height, config.tokens_width)
        return (
            tensors.target(out[0], "float32", pixels, "out[0]"),
            tensors.target(out[1], "float32", tokens, "out[1]"),
        )


def resize(
    rgb: np.ndarray,
    height: int,
    width: int,
    filter: Union[enums.Filter, str] = enums.Filter.BICUBIC,
    box: Optional[Sequence[int]] = None,
    out: Optional[np.ndarray] = None,
) -> np.ndarray:
    """Resize (H, W, 3) uint8 to (height, width, 3), as Pillow's ``crop(box).resize(size)``.

    :param box: left, top, width, height; None = all
    """
    rgb = tensors.source(rgb, "uint8", "rgb")
    made = tensors.target(out, "uint8", (height, width, 3), "out")
    corners = None if box is None else (ctypes.c_int32 * 4)(*box)
    library.beit_image_resize(
        None, byref(tensors.describe(rgb)), corners, enums.resolve(enums.Filter, filter, "filter"),
        byref(tensors.describe(made)),
    )
    return made
