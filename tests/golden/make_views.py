#!/usr/bin/env python3
"""Write views.h: what Pillow makes of small pictures given by formula.

The pixels of a resize depend on the library that makes it, so the version is pinned:

    apt-get install python3-pil=9.4.0*        (or: pip install Pillow==9.4.0)
    tests/golden/make_views.py > tests/golden/views.h

Expected bytes stand as CRC-32 with the first pixels of the middle row, by which a difference can
be told from a shift. The same formulas are in tests/unit/picture.h.
"""
import itertools
import sys
import textwrap
import zlib

import PIL
from PIL import Image, ImageEnhance

PILLOW = "9.4.0"
FILTERS = {1: Image.BILINEAR, 2: Image.BICUBIC, 3: Image.LANCZOS}
SHOWN = 4  # pixels of the middle row


def curves(y, x, c):
    return (x * x * 3 + y * y * 5 + x * y * (c + 1) + c * 85) // 16 % 256


def grey(y, x, c):
    return curves(y, x, 0)


def noise(y, x, c):
    value = (y * 73856093 ^ x * 19349663 ^ c * 83492791) & 0xFFFFFFFF
    value = (value ^ value >> 15) * 0x2C1B3C6D & 0xFFFFFFFF
    return value >> 24


def checks(y, x, c):
    return (x // 3 + y // 2 + c) % 2 * 255


FORMULAS = [curves, grey, noise, checks]


def picture(formula, height, width):
    size = itertools.product(range(height), range(width), range(3))
    return Image.frombytes("RGB", (width, height), bytes(FORMULAS[formula](*at) for at in size))


def resized(image, box, size, kind):
    """Crop, then resize: the support ends at the crop's edges, as in torchvision."""
    left, top, width, height = box
    cropped = image.crop((left, top, left + width, top + height))
    return cropped.resize((size[1], size[0]), FILTERS[kind])


def jittered(image, order, factors):
    operations = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for operation in order:
        image = operations[operation](image).enhance(factors[operation])
    return image


def braces(values):
    return "{" + ", ".join(str(value) for value in values) + "}"


def golden(image):
    """Initialiser of a golden_t."""
    data = image.tobytes()
    row = image.height // 2 * image.width * 3
    shown = min(SHOWN, image.width) * 3
    return f"{{0x{zlib.crc32(data):08x}, {braces(data[row:row + shown])}}}"


# formula, (height, width), box (left, top, width, height), (out height, out width)
RESIZES = [
    (0, (75, 100), (0, 0, 100, 75), (28, 28)),  # reduction
    (2, (75, 100), (0, 0, 100, 75), (28, 28)),
    (3, (20, 31), (0, 0, 31, 20), (56, 64)),  # enlargement
    (2, (20, 31), (0, 0, 31, 20), (56, 64)),
    (1, (64, 48), (5, 7, 40, 51), (32, 32)),  # a crop of a grey picture
    (0, (64, 48), (0, 0, 48, 64), (64, 20)),  # horizontal pass alone
    (0, (64, 48), (0, 0, 48, 64), (9, 48)),  # vertical pass alone
    (2, (64, 48), (3, 3, 40, 40), (40, 40)),  # no pass: the crop itself
    (2, (9, 9), (4, 4, 1, 1), (7, 5)),  # one pixel
    (2, (9, 9), (2, 3, 2, 1), (16, 16)),
    (2, (1, 400), (0, 0, 400, 1), (3, 7)),  # a line across
    (2, (400, 1), (0, 0, 1, 400), (7, 3)),  # a line down
    (3, (211, 2), (0, 0, 2, 211), (1, 150)),
    (2, (120, 130), (0, 0, 130, 120), (1, 1)),  # everything in one pixel
    (3, (97, 89), (1, 2, 83, 91), (96, 82)),  # close to no change
]

# Each order of the operations; factors brightness, contrast, saturation
JITTERS = [
    ((0, 1, 2), (1.25, 0.75, 1.375)),
    ((0, 2, 1), (0.625, 1.3125, 0.6875)),
    ((1, 0, 2), (1.4, 1.4, 1.4)),
    ((1, 2, 0), (0.6, 0.6, 0.6)),
    ((2, 0, 1), (0.9, 1.1, 0.0)),
    ((2, 1, 0), (1.0, 2.5, 3.0)),
    ((0, 1, 2), (0.0, 1.0, 1.0)),
    ((0, 1, 2), (1.0, 0.0, 1.0)),
    ((2, 1, 0), (1.0, 1.0, 1.0)),
]


def resize_cases():
    for formula, size, box, out in RESIZES:
        for kind in FILTERS:
            made = resized(picture(formula, *size), box, out, kind)
            sizes = f"{braces(size)}, {braces(box)}, {braces(out)}"
            yield f"{{{formula}, {sizes}, {kind}, {golden(made)}}}"


def view_case(formula, size, box, jitter, flip, outs):
    order, factors = jitter
    image = jittered(picture(formula, *size), order, factors)
    if flip:
        image = image.transpose(Image.FLIP_LEFT_RIGHT)
    views = [golden(resized(image, box, out, kind)) for out, kind in zip(outs, (2, 3))]
    numbers = braces(f"{factor!r}f" for factor in factors)
    return (f"{{{formula}, {braces(size)}, {braces(box)}, {braces(order)}, {numbers}, {flip}, "
            f"{braces(outs[0])}, {braces(outs[1])}, {views[0]}, {views[1]}}}")


def view_cases():
    for jitter, formula, flip in itertools.product(JITTERS, (0, 2), (0, 1)):
        yield view_case(formula, (50, 61), (9, 4, 37, 41), jitter, flip, ((28, 24), (14, 16)))
    yield view_case(0, (375, 500), (70, 20, 331, 270), JITTERS[1], 1, ((224, 224), (112, 112)))


HEAD = """\
/* Made by make_views.py with Pillow %s; do not edit. */
/* clang-format off */
#ifndef TESTS_GOLDEN_VIEWS_H
#define TESTS_GOLDEN_VIEWS_H

#include <stdint.h>

typedef struct golden {
    uint32_t crc;
    uint8_t middle[%d]; /* first pixels of the middle row */
} golden_t;

typedef struct golden_resize {
    int32_t formula, size[2], box[4], out[2], filter;
    golden_t made;
} golden_resize_t;

typedef struct golden_views {
    int32_t formula, size[2], box[4], order[3];
    float factors[3];
    int32_t flip, pixels_size[2], tokens_size[2];
    golden_t pixels, tokens;
} golden_views_t;
"""


def main():
    if PIL.__version__ != PILLOW:
        sys.exit(f"Pillow is {PIL.__version__}, these figures are of {PILLOW}")
    print(HEAD % (PILLOW, SHOWN * 3))
    for kind, cases in (("resize", resize_cases()), ("views", view_cases())):
        print(f"static const golden_{kind}_t golden_{kind}[] = {{")
        for case in cases:
            print(textwrap.fill(case + ",", 96, initial_indent=" " * 4, subsequent_indent=" " * 8))
        print("};\n")
    print("#endif")


main()
