"""Arrays pass without copies, or are refused with a line that says how to copy."""
import array
import unittest

import support
from support import np

import beit
from beit import tensors


class Inputs(unittest.TestCase):
    def test_packed_arrays_pass_as_they_are(self):
        whole = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
        for good in (whole, whole[1], whole[:1], whole[1:, :, :], whole.reshape(4, 6),
                     np.float32(1.5)[None], np.zeros((), np.float32), whole[:, :1][:1]):
            passed = tensors.source(good, "float32", "x")
            self.assertEqual(passed.ctypes.data, good.ctypes.data)

    def test_gaps_are_refused(self):
        x = np.zeros((4, 6), np.float32)
        broadcast = np.broadcast_to(np.zeros(6, np.float32), (4, 6))
        for bad in (x.T, x[:, ::2], x[::2], x[::-1], x[:, 1:], np.asfortranarray(x), broadcast):
            line = r"x is not C-contiguous.*beit.packed\(x, 'float32'\)"
            with self.assertRaisesRegex(ValueError, line):
                tensors.source(bad, "float32", "x")
            copy = beit.packed(bad, "float32")
            np.testing.assert_array_equal(tensors.source(copy, "float32", "x"), bad)

    def test_other_dtypes_are_refused(self):
        for dtype in ("float64", "float16", "int32", ">f4", "complex64", "U4", "O"):
            with self.assertRaisesRegex(TypeError, "x has dtype .*, float32 is needed"):
                tensors.source(np.zeros(3, dtype), "float32", "x")
        with self.assertRaises(TypeError):
            tensors.source(np.zeros(3, np.int64), "int32", "tokens")

    def test_bool_passes_as_bytes(self):
        mask = np.array([True, False, True])
        passed = tensors.source(mask, "uint8", "mask")
        self.assertEqual((passed.dtype, passed.ctypes.data), (np.uint8, mask.ctypes.data))

    def test_lists_are_refused(self):
        for bad in ([1.0, 2.0], 3.0, None, "text"):
            with self.assertRaisesRegex(TypeError, f"x is a {type(bad).__name__}; a NumPy array"):
                tensors.source(bad, "float32", "x")

    def test_other_owners_of_memory(self):
        numbers = array.array("f", [1, 2, 3])
        passed = tensors.source(numbers, "float32", "x")
        numbers[1] = 9
        self.assertEqual(passed[1], 9)
        self.assertEqual(tensors.source(memoryview(bytes(4)), "uint8", "x").shape, (4,))

        base = np.arange(4, dtype=np.float32)

        class Capsule:
            def __dlpack__(self, **keywords):
                return base.__dlpack__(**keywords)

            def __dlpack_device__(self):
                return base.__dlpack_device__()

        class Interface:
            __array_interface__ = base.__array_interface__

        for foreign in (Capsule(), Interface()):
            self.assertEqual(tensors.source(foreign, "float32", "x").ctypes.data, base.ctypes.data)

    def test_too_many_dimensions(self):
        with self.assertRaisesRegex(ValueError, "x has 7 dimensions, at most 6"):
            tensors.source(np.zeros((1,) * 7, np.float32), "float32", "x")

    def test_description(self):
        view = tensors.describe(np.zeros((2, 3, 4), np.int32))
        self.assertEqual((view.dtype, view.ndim), (3, 3))
        self.assertEqual((list(view.shape[:3]), list(view.stride[:3])), ([2, 3, 4], [12, 4, 1]))


class Outputs(unittest.TestCase):
    def setUp(self):
        self.dvae = support.small_dvae()
        self.pixels = np.random.default_rng(0).standard_normal((2, 3, 16, 16), np.float32)

    def test_out_is_written_and_returned(self):
        wanted = self.dvae.tokenize(self.pixels)
        out = np.full((2, 4, 4), -7, np.int32)
        self.assertIs(self.dvae.tokenize(self.pixels, out=out), out)
        np.testing.assert_array_equal(out, wanted)
        flat = np.empty((2, 16), np.int32)
        self.dvae.tokenize(self.pixels, out=flat)
        np.testing.assert_array_equal(flat, wanted.reshape(2, 16))

    def test_read_only_is_refused(self):
        out = np.empty((2, 4, 4), np.int32)
        out.flags.writeable = False
        with self.assertRaisesRegex(ValueError, "out is read-only"):
            self.dvae.tokenize(self.pixels, out=out)
        self.pixels.flags.writeable = False
        self.dvae.tokenize(self.pixels)  # inputs may be

    def test_wrong_outputs_are_refused(self):
        with self.assertRaisesRegex(TypeError, "out has dtype int64, int32 is needed"):
            self.dvae.tokenize(self.pixels, out=np.empty((2, 4, 4), np.int64))
        with self.assertRaisesRegex(ValueError, "out is not C-contiguous"):
            self.dvae.tokenize(self.pixels, out=np.empty((2, 4, 8), np.int32)[:, :, ::2])
        with self.assertRaises(beit.BeitShapeError):
            self.dvae.tokenize(self.pixels, out=np.empty((2, 4, 5), np.int32))

    def test_empty_batches_are_refused(self):
        with self.assertRaises(beit.BeitShapeError):
            self.dvae.tokenize(np.zeros((0, 3, 16, 16), np.float32))

    def test_shapes_of_the_tokenizer(self):
        tokens = self.dvae.tokenize(self.pixels)
        self.assertEqual(self.dvae.encode(self.pixels).shape, (2, support.VOCAB, 4, 4))
        np.testing.assert_array_equal(self.dvae.encode(self.pixels).argmax(1), tokens)
        decoded = self.dvae.decode(tokens)
        self.assertEqual(decoded.shape, (2, 3, 16, 16))
        np.testing.assert_array_equal(self.dvae.decode(tokens.reshape(2, 16)), decoded)
        np.testing.assert_array_equal(self.dvae.reconstruct(self.pixels), decoded)
        with self.assertRaisesRegex(ValueError, "15 per image, which is no square"):
            self.dvae.decode(np.zeros((2, 15), np.int32))
        large = np.zeros((1, 3, 24, 32), np.float32)
        self.assertEqual(self.dvae.tokenize(large).shape, (1, 6, 8))

    def test_masked_tokens(self):
        mask = np.zeros((2, 16), bool)
        mask[:, 3] = True
        tokens = self.dvae.tokenize(self.pixels, mask).reshape(2, 16)
        whole = self.dvae.tokenize(self.pixels).reshape(2, 16)
        np.testing.assert_array_equal(tokens[:, 3], whole[:, 3])
        self.assertTrue((np.delete(tokens, 3, axis=1) == -1).all())

    def test_usage_accumulates(self):
        histogram = np.zeros(8, np.uint64)
        beit.token_usage(np.array([1, 1, -1, 5], np.int32), 8, histogram)
        usage = beit.token_usage(np.array([5], np.int32), 8, histogram)
        self.assertEqual(list(histogram), [0, 2, 0, 0, 0, 2, 0, 0])
        self.assertEqual((usage.tokens, usage.used), (4, 2))
        self.assertAlmostEqual(usage.perplexity, 2, places=12)
        with self.assertRaisesRegex(ValueError, "histogram"):
            beit.token_usage(np.zeros(1, np.int32), 8, np.zeros(8, np.int64))


class Parameters(unittest.TestCase):
    def setUp(self):
        self.model = support.small_model()
        self.params = self.model.params

    def test_mapping(self):
        self.assertEqual(len(self.params), len(list(self.params)))
        self.assertIn("blocks.0.attn.qkv.weight", self.params)
        self.assertNotIn("nonsense", self.params)
        with self.assertRaises(KeyError):
            self.params["nonsense"]
        with self.assertRaises(TypeError):
            del self.params["cls_token"]
        self.assertEqual(sum(x.size for x in self.params.values()), self.params.elements)
        described = self.params.describe("cls_token")
        self.assertEqual((described.shape, described.no_decay), ((1, 1, 32), True))
        self.assertFalse(self.params.describe("blocks.0.mlp.fc1.weight").no_decay)

    def test_views_are_live_and_read_only(self):
        name = "blocks.0.mlp.fc1.bias"
        view = self.params[name]
        with self.assertRaises(ValueError):
            view[0] = 1
        self.params[name] = np.arange(view.size, dtype=np.float32)
        self.assertEqual(view[3], 3)
        self.params.view(name, writable=True)[3] = 5
        self.assertEqual(self.model.params[name][3], 5)
        copy = self.params.read(name)
        self.params.view(name, writable=True)[3] = 6
        self.assertEqual((copy[3], view[3]), (5, 6))

    def test_writes_are_checked(self):
        with self.assertRaises(beit.BeitShapeError):
            self.params["cls_token"] = np.zeros((1, 1, 31), np.float32)
        with self.assertRaises(TypeError):
            self.params["cls_token"] = np.zeros((1, 1, 32))
        with self.assertRaises(KeyError):
            self.params["nonsense"] = np.zeros(1, np.float32)

    def test_a_change_reaches_the_computation(self):
        pixels = np.zeros((1, 3, 32, 32), np.float32)
        before = self.model.encode(pixels)
        self.params["norm.bias"] = np.ones(32, np.float32)
        np.testing.assert_allclose(self.model.encode(pixels), before + 1, atol=1e-6)


if __name__ == "__main__":
    unittest.main()
