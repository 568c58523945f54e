"""Masks and Python's generator."""
import random
import threading
import unittest

from support import np

import beit

# Specification, section 19.1: rows as integers, most significant bit is column 0.
SEED_0 = [0, 0, 0, 16160, 16128, 16128, 16320, 16320, 16320, 16320, 16128, 16128, 16128, 16128]


class Masks(unittest.TestCase):
    def test_conformance(self):
        rng = beit.PyRandom(0)
        mask = beit.Masker().generate_python(rng)
        rows = [int("".join(str(bit) for bit in row), 2) for row in mask]
        self.assertEqual(rows, SEED_0)
        self.assertEqual(rng.random(), 0.13927370519815263)

    def test_shape_and_bound(self):
        masker = beit.Masker(rows=9, cols=20, target=70)
        mask = masker.generate(1, 2, 3)
        self.assertEqual((mask.shape, mask.dtype), ((9, 20), np.uint8))
        self.assertLessEqual(mask.sum(), 70)
        self.assertEqual(set(np.unique(mask)), {0, 1})

    def test_function_of_its_keys(self):
        masker = beit.Masker()
        first = masker.generate(1, 2, 3)
        np.testing.assert_array_equal(first, beit.Masker().generate(1, 2, 3))
        for keys in ((2, 2, 3), (1, 3, 3), (1, 2, 4)):
            self.assertTrue((first != masker.generate(*keys)).any())

    def test_batch(self):
        masker = beit.Masker(kind="random", rows=4, cols=5, target=7)
        masks = masker.generate_batch(0, 1, [5, 6])
        self.assertEqual(masks.shape, (2, 20))
        np.testing.assert_array_equal(masks[1], masker.generate(0, 1, 6).reshape(-1))
        self.assertEqual(list(masks.sum(1)), [7, 7])

    def test_out(self):
        masker = beit.Masker()
        out = np.full((14, 14), 9, np.uint8)
        self.assertIs(masker.generate(0, 0, 0, out=out), out)
        np.testing.assert_array_equal(out, masker.generate(0, 0, 0))
        with self.assertRaisesRegex(beit.BeitArgumentError, "195"):
            masker.generate(0, 0, 0, out=np.empty(195, np.uint8))

    def test_config_reads_back(self):
        config = beit.Masker(target=60).config
        self.assertEqual((config.rows, config.target, config.max_block), (14, 60, 60))
        self.assertAlmostEqual(config.max_aspect, 1 / 0.3, places=6)

    def test_shared_by_threads(self):
        masker, wanted, found = beit.Masker(), {}, {}

        def draw(first):
            for sample in range(first, 400, 4):
                found[sample] = masker.generate(7, 0, sample)

        threads = [threading.Thread(target=draw, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wanted = {sample: masker.generate(7, 0, sample) for sample in range(400)}
        self.assertEqual(found.keys(), wanted.keys())
        for sample, mask in wanted.items():
            np.testing.assert_array_equal(found[sample], mask)


class Generator(unittest.TestCase):
    def test_equals_python(self):
        for seed in (0, 1, 12345, 2**32, 2**40 + 7, 2**64 - 1):
            ours, theirs = beit.PyRandom(seed), random.Random(seed)
            for _ in range(300):
                self.assertEqual(ours.next32(), theirs.getrandbits(32))
                self.assertEqual(ours.random(), theirs.random())
                self.assertEqual(ours.uniform(-3, 8), theirs.uniform(-3, 8))
                self.assertEqual(ours.randint(0, 10), theirs.randint(0, 10))
                self.assertEqual(ours.randint(-(2**63), 2**63 - 1),
                                 theirs.randint(-(2**63), 2**63 - 1))

    def test_refusals(self):
        for seed in (-1, 2**64):
            with self.assertRaisesRegex(ValueError, f"seed is {seed}"):
                beit.PyRandom(seed)
        with self.assertRaises(ValueError):
            beit.PyRandom(0).randint(3, 2)


if __name__ == "__main__":
    unittest.main()
