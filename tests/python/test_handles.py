"""Lifetimes and threads: nothing that Python can do with a handle reaches freed memory."""
import gc
import threading
import unittest
import weakref

import support
from support import np

import beit


class Lifetimes(unittest.TestCase):
    def test_closed_handles_refuse(self):
        model = support.small_model()
        model.close()
        model.close()
        self.assertTrue(model.closed)
        for use in (lambda: model.params, lambda: model.reserve(1), model.__enter__,
                    lambda: beit.Trainer.mim(model)):
            with self.assertRaisesRegex(beit.BeitStateError, "the model is closed"):
                use()

    def test_with_block_closes(self):
        with beit.Masker() as masker:
            self.assertFalse(masker.closed)
        self.assertTrue(masker.closed)

    def test_views_outlive_their_handle(self):
        context = beit.Context(threads=1)
        model = support.small_model(context=context)
        params, view = model.params, model.params["blocks.1.mlp.fc1.weight"]
        wanted = view.copy()
        model.close()
        del model, params
        gc.collect()
        noise = [np.ones(view.shape, np.float32) for _ in range(50)]  # would take freed memory
        np.testing.assert_array_equal(view, wanted)
        held, _ = context.memory
        del view
        gc.collect()
        self.assertLess(context.memory[0], held)
        self.assertEqual(len(noise), 50)

    def test_trainers_keep_their_parts(self):
        model, dvae, masker = support.small_model(), support.small_dvae(), support.small_masker()
        trainer = beit.Trainer.mim(model, dvae, masker, total_steps=9, warmup_steps=0)
        model.close(), dvae.close(), masker.close()
        del model, dvae, masker
        gc.collect()
        pixels, tokens = support.batch(support.pictures(2))
        self.assertGreater(trainer.step(pixels=pixels, token_pixels=tokens).loss, 0)

    def test_memory_returns(self):
        context = beit.Context(threads=1)
        before, _ = context.memory
        with support.small_model(context=context) as model, \
                support.small_dvae(context=context) as dvae:
            model.encode(np.zeros((2, 3, 32, 32), np.float32))
            with beit.Trainer.mim(model, dvae, support.small_masker(context=context)):
                self.assertGreater(context.memory[0], before)
        gc.collect()
        self.assertEqual(context.memory[0], before)

    def test_cycles_through_callbacks_are_collected(self):
        context = beit.Context(threads=1)
        before, _ = context.memory

        def make():
            here = []
            model = support.small_model(context=context)
            here.append(beit.Trainer.mim(model, progress=lambda report: here[0].steps))
            return weakref.ref(here[0])

        gone = make()
        gc.collect()
        self.assertIsNone(gone())
        self.assertEqual(context.memory[0], before)

    def test_a_failed_creation_leaves_nothing_to_close(self):
        with self.assertRaises(beit.BeitArgumentError):
            support.small_model(depth=-1)
        with self.assertRaisesRegex(TypeError, r"use Trainer.mim\(\) or Trainer.dvae\(\)"):
            beit.Trainer()


class Log(unittest.TestCase):
    def test_lines_arrive(self):
        lines = []
        context = beit.Context(log=lambda level, line: lines.append((level, line)))
        masker = beit.Masker(context=context, rows=6, cols=6, target=14)
        context.close()
        self.assertIn((beit.LogLevel.WARN, "masker: min_block 16 exceeds target 14, so many masks "
                       "will be empty; lower min_block or set exact_count"), lines)
        gc.collect()
        masker.generate(0, 0, 0)  # the context, and its callback, live on in the masker

    def test_level_is_obeyed(self):
        lines = []
        context = beit.Context(log=lambda *line: lines.append(line), log_level="error")
        beit.Masker(context=context, rows=6, cols=6, target=14)
        self.assertEqual(lines, [])

    def test_description(self):
        with beit.Context(backend="reference", threads=1) as context:
            self.assertIn("reference", context.description)


class Threads(unittest.TestCase):
    def test_a_second_thread_is_refused(self):
        """Two threads in one model: each call either works or raises, nothing crashes, and what
        worked is right."""
        model = support.small_model()
        pixels = np.random.default_rng(0).standard_normal((4, 3, 32, 32), np.float32)
        wanted, refused, wrong = model.encode(pixels), [], []
        start = threading.Barrier(3)

        def work():
            start.wait()
            for _ in range(50):
                try:
                    if not np.array_equal(model.encode(pixels), wanted):
                        wrong.append(1)
                except beit.BeitStateError as error:
                    refused.append(str(error))

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertGreater(len(refused), 0)
        self.assertIn("the model is in use by another call", refused[0])
        np.testing.assert_array_equal(model.encode(pixels), wanted)  # free again

    def test_a_trainer_uses_its_parts(self):
        """From within a step's callback its handles are in use; the masker may still be."""
        model, dvae, masker = support.small_model(), support.small_dvae(), support.small_masker()
        pixels, tokens = support.batch(support.pictures(2))
        seen = {}

        def progress(_report):
            for name, use in {
                "trainer": lambda: trainer.steps,
                "model": lambda: model.encode(pixels),
                "dvae": lambda: dvae.tokenize(tokens),
                "weights": lambda: model.params.read("cls_token"),
                "close": trainer.close,
                "masker": lambda: masker.generate(0, 0, 0),
            }.items():
                try:
                    use()
                    seen[name] = None
                except beit.BeitStateError as error:
                    seen[name] = str(error)

        trainer = beit.Trainer.mim(model, dvae, masker, progress=progress)
        trainer.step(pixels=pixels, token_pixels=tokens)
        self.assertIsNone(seen.pop("masker"))
        self.assertEqual(len(seen), 5)
        for name, message in seen.items():
            self.assertIn("in use", message or "", name)
        trainer.close()

    def test_different_handles_run_together(self):
        context = beit.Context(threads=2)
        models = [support.small_model(context=context, init_seed=i) for i in range(3)]
        pixels = np.random.default_rng(0).standard_normal((4, 3, 32, 32), np.float32)
        wanted, wrong = [model.encode(pixels) for model in models], []

        def work(i):
            for _ in range(20):
                if not np.array_equal(models[i].encode(pixels), wanted[i]):
                    wrong.append(i)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main()
