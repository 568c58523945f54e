"""What every test of the bindings needs: NumPy (without it a test is skipped, status 77), the
package, and small networks."""
import sys

try:
    import numpy as np
except ImportError:
    print("NumPy is missing: apt-get install python3-numpy")
    sys.exit(77)

import beit

VOCAB = 32


def pictures(count, seed=0):
    """(count, 40, 48, 3) uint8: coloured shapes, smooth enough to be learnt in a few steps."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:40, :48]
    made = np.empty((count, 40, 48, 3), np.uint8)
    for picture in made:
        angle, size = rng.uniform(0, 2 * np.pi), rng.uniform(6, 14)
        stripes = np.sin((x * np.cos(angle) + y * np.sin(angle)) / size) * 0.5 + 0.5
        picture[:] = stripes[..., None] * rng.integers(0, 255, 3)
    return made


def small_dvae(**config):
    """16 x 16 pixels to 4 x 4 tokens."""
    settings = dict(image_height=16, image_width=16, num_layers=2, vocab_size=VOCAB, hidden_dim=16,
                    codebook_dim=16)
    return beit.Dvae(**{**settings, **config})


def small_model(**config):
    """32 x 32 pixels, 4 x 4 patches."""
    settings = dict(image_height=32, image_width=32, patch_size=8, vocab_size=VOCAB, embed_dim=32,
                    depth=2, heads=2)
    return beit.Model(**{**settings, **config})


def small_masker(**config):
    return beit.Masker(**{**dict(rows=4, cols=4, target=6, min_block=2), **config})


def small_views(**config):
    settings = dict(pixels_height=32, pixels_width=32, tokens_height=16, tokens_width=16)
    return beit.Views(**{**settings, **config})


def batch(images, epoch=0):
    """Both views of each picture: (B, 3, 32, 32) and (B, 3, 16, 16) float32."""
    views = small_views(min_scale=0.5)
    pixels = np.empty((len(images), 3, 32, 32), np.float32)
    tokens = np.empty((len(images), 3, 16, 16), np.float32)
    for i, image in enumerate(images):
        views.make(image, seed=1, epoch=epoch, sample_id=i, out=(pixels[i], tokens[i]))
    return pixels, tokens
