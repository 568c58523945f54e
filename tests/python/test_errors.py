"""Failures arrive as exceptions of the right class, with the library's line."""
import pathlib
import tempfile
import unittest

import support
from support import np

import beit
from beit import _errors


class Classes(unittest.TestCase):
    def test_statuses(self):
        built_in = {
            beit.BeitArgumentError: ValueError,
            beit.BeitMemoryError: MemoryError,
            beit.BeitStateError: RuntimeError,
            beit.BeitShapeError: ValueError,
            beit.BeitIOError: OSError,
            beit.BeitFormatError: ValueError,
            beit.BeitMismatchError: ValueError,
            beit.BeitUnsupportedError: NotImplementedError,
            beit.BeitNumericError: ArithmeticError,
            beit.BeitBackendError: RuntimeError,
            beit.BeitAbiError: RuntimeError,
        }
        for cls, base in built_in.items():
            error = _errors.error_of(cls.status, "what was wrong")
            self.assertIs(type(error), cls)
            self.assertIsInstance(error, base)
            self.assertEqual(str(error), "what was wrong")
            self.assertEqual(error.status, cls.status)

    def test_a_status_of_a_newer_library(self):
        error = _errors.error_of(-99, "news")
        self.assertIs(type(error), beit.BeitError)
        self.assertEqual(error.status, -99)


class Failures(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def test_argument(self):
        with self.assertRaisesRegex(beit.BeitArgumentError, "target is 999, allowed are 1 to 196"):
            beit.Masker(target=999)
        with self.assertRaisesRegex(beit.BeitArgumentError, "nano"):
            beit.Model("gigantic")
        with self.assertRaisesRegex(ValueError, "backend is 'abacus'"):
            beit.Context(backend="abacus")

    def test_shape(self):
        model = support.small_model()
        with self.assertRaisesRegex(beit.BeitShapeError, "pixels"):
            model.encode(np.zeros((1, 3, 16, 32), np.float32))
        with self.assertRaisesRegex(ValueError, "pixels has 3 dimensions, 4 are needed"):
            model.encode(np.zeros((3, 32, 32), np.float32))

    def test_state(self):
        model = support.small_model()
        with self.assertRaises(beit.BeitStateError):
            model.backward(np.zeros((1, support.VOCAB), np.float32))
        trainer = beit.Trainer.mim(model, total_steps=1, warmup_steps=0)
        with self.assertRaises(beit.BeitStateError):
            trainer.apply()

    def test_storage(self):
        with self.assertRaisesRegex(beit.BeitIOError, "absent"):
            beit.Model.load(self.folder / "absent.safetensors")
        with self.assertRaises(OSError):
            support.small_model().save(self.folder / "no" / "such" / "folder")

    def test_format(self):
        page = self.folder / "page.safetensors"
        page.write_bytes(b"<html>not found</html>")
        with self.assertRaises(beit.BeitFormatError):
            beit.Model.load(page)

    def test_mismatch(self):
        file = self.folder / "model.safetensors"
        support.small_model().save(file)
        with self.assertRaises(beit.BeitMismatchError):
            support.small_model(depth=3).params.load(file)
        with self.assertRaises(beit.BeitMismatchError):
            beit.Trainer.mim(support.small_model(), support.small_dvae(vocab_size=8))

    def test_unsupported(self):
        masker = beit.Masker(kind="random")
        with self.assertRaises(beit.BeitUnsupportedError):
            masker.generate_python(beit.PyRandom(0))

    def test_numeric(self):
        model = support.small_model()
        trainer = beit.Trainer.mim(model, total_steps=1, warmup_steps=0)
        before = model.params.read("cls_token")
        with self.assertRaises(beit.BeitNumericError):
            trainer.step(
                pixels=np.full((1, 3, 32, 32), np.nan, np.float32),
                tokens=np.zeros((1, 16), np.int32),
                mask=np.ones((1, 16), np.uint8),
            )
        np.testing.assert_array_equal(model.params["cls_token"], before)
        self.assertEqual(trainer.steps, 0)

    def test_cancelled(self):
        trainer = beit.Trainer.mim(support.small_model(), total_steps=1, warmup_steps=0)
        trainer.request_stop()
        with self.assertRaises(beit.BeitCancelledError):
            trainer.step(
                pixels=np.zeros((1, 3, 32, 32), np.float32),
                tokens=np.zeros((1, 16), np.int32),
                mask=np.ones((1, 16), np.uint8),
            )


class Settings(unittest.TestCase):
    def test_unknown_fields_are_refused(self):
        line = "MaskerConfig has no field 'rwos'; it has kind, rows"
        with self.assertRaisesRegex(TypeError, line):
            beit.Masker(rwos=4)
        config = beit.MaskerConfig()
        with self.assertRaises(TypeError):
            config.rwos = 4

    def test_values_that_do_not_fit_are_refused(self):
        with self.assertRaisesRegex(ValueError, "rows is 4294967310, which does not fit c_int"):
            beit.MaskerConfig(rows=2**32 + 14)
        with self.assertRaises(TypeError):
            beit.MaskerConfig(rows=14.5)
        with self.assertRaisesRegex(ValueError, "mean has 2 values, it takes 3"):
            beit.ViewsConfig(mean=[0, 1])
        with self.assertRaisesRegex(ValueError, "seed is -1"):
            beit.Masker().generate(-1, 0, 0)

    def test_enumerations_by_member_number_and_name(self):
        for kind in (beit.MaskKind.RANDOM, 2, "random", "RANDOM"):
            self.assertEqual(beit.MaskerConfig(kind=kind).kind, 2)
        with self.assertRaisesRegex(ValueError, "kind is 'stripes', allowed are block, random"):
            beit.MaskerConfig(kind="stripes")

    def test_defaults_come_from_the_library(self):
        config = beit.ModelConfig()
        self.assertEqual((config.embed_dim, config.depth, config.heads), (768, 12, 12))
        self.assertEqual(beit.TrainerConfig().total_steps, 500000)
        self.assertEqual(config, beit.ModelConfig())
        self.assertNotEqual(config, beit.ModelConfig(depth=3))
        self.assertIn("embed_dim=768", repr(config))
        self.assertEqual(beit.MaskerConfig().asdict()["kind"], "block")


if __name__ == "__main__":
    unittest.main()
