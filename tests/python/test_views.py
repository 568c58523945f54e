"""The two views, and the resampler against Pillow where it is installed."""
import unittest

import support
from support import np

import beit

PIXEL_EXACT = "9.4.0"  # the Pillow that the specification was checked against


class TwoViews(unittest.TestCase):
    def setUp(self):
        self.rgb = support.pictures(1)[0]

    def test_make_is_draw_and_apply(self):
        views = beit.Views()
        draw = views.draw(40, 48, seed=1, epoch=2, sample_id=3)
        applied = views.apply(self.rgb, draw)
        made = views.make(self.rgb, seed=1, epoch=2, sample_id=3)
        self.assertEqual([x.shape for x in made], [(3, 224, 224), (3, 112, 112)])
        for a, b in zip(applied, made):
            np.testing.assert_array_equal(a, b)
        self.assertLessEqual(draw.left + draw.width, 48)
        self.assertEqual(sorted(draw.jitter_order), [0, 1, 2])

    def test_a_prescribed_draw(self):
        views = support.small_views(pixels_height=5, pixels_width=6, tokens_scaling="unit")
        draw = beit.ViewDraw(left=3, top=2, width=6, height=5, flip=1, jitter_order=[0, 1, 2],
                             brightness=1, contrast=1, saturation=1)
        pixels, _ = views.apply(self.rgb, draw)
        box = self.rgb[2:7, ::-1][:, 3:9].astype(np.float32)
        wanted = (box.transpose(2, 0, 1) / np.float32(255) - np.float32(0.5)) / np.float32(0.5)
        np.testing.assert_array_equal(pixels, wanted)

    def test_rows_of_a_batch(self):
        views = support.small_views()
        pixels, tokens = np.zeros((3, 3, 32, 32), np.float32), np.zeros((3, 3, 16, 16), np.float32)
        views.make(self.rgb, seed=0, epoch=0, sample_id=7, out=(pixels[1], tokens[1]))
        single = views.make(self.rgb, seed=0, epoch=0, sample_id=7)
        np.testing.assert_array_equal(pixels[1], single[0])
        np.testing.assert_array_equal(tokens[1], single[1])
        self.assertFalse(pixels[[0, 2]].any() or tokens[[0, 2]].any())

    def test_refusals(self):
        views = beit.Views()
        with self.assertRaisesRegex(TypeError, "rgb has dtype float64, uint8 is needed"):
            views.make(self.rgb / 255.0, seed=0, epoch=0, sample_id=0)
        with self.assertRaisesRegex(ValueError, "rgb is not C-contiguous"):
            views.make(self.rgb[:, ::2], seed=0, epoch=0, sample_id=0)
        with self.assertRaises(beit.BeitShapeError):
            views.make(np.zeros((4, 4, 4), np.uint8), seed=0, epoch=0, sample_id=0)
        with self.assertRaisesRegex(beit.BeitArgumentError, "std"):
            beit.Views(std=[1, 0, 1]).draw(4, 4, seed=0, epoch=0, sample_id=0)
        with self.assertRaisesRegex(ValueError, "epoch is -1"):
            views.draw(4, 4, seed=0, epoch=-1, sample_id=0)


class Resize(unittest.TestCase):
    def test_same_size_is_a_copy(self):
        rgb = support.pictures(1)[0]
        made = beit.resize(rgb, 40, 48)
        np.testing.assert_array_equal(made, rgb)
        self.assertNotEqual(made.ctypes.data, rgb.ctypes.data)
        np.testing.assert_array_equal(beit.resize(rgb, 5, 6, box=(1, 2, 6, 5)), rgb[2:7, 1:7])

    def test_equals_pillow(self):
        try:
            import PIL
            from PIL import Image
        except ImportError:
            self.skipTest("Pillow is not installed")
        if PIL.__version__ != PIXEL_EXACT:
            self.skipTest(f"Pillow is {PIL.__version__}, the comparison is with {PIXEL_EXACT}")
        kinds = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}
        rng = np.random.default_rng(0)
        for _ in range(100):
            height, width, out_height, out_width = rng.integers(1, 80, 4).tolist()
            rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            for name, kind in kinds.items():
                made = beit.resize(rgb, out_height, out_width, name)
                wanted = Image.fromarray(rgb).resize((out_width, out_height), kind)
                np.testing.assert_array_equal(made, np.asarray(wanted))


if __name__ == "__main__":
    unittest.main()
