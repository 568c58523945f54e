"""A tiny pre-training: tokenizer, tokens, masked modeling, checkpoint, bit-identical resume."""
import math
import os
import pathlib
import signal
import tempfile
import threading
import time
import unittest

import support
from support import VOCAB, np

import beit

PICTURES = support.pictures(8)


def train_dvae(steps=60):
    dvae = support.small_dvae()
    losses = []
    with beit.Trainer.dvae(dvae, total_steps=steps, warmup_steps=0, optimizer="adam",
                           lr=5e-3, clip_norm=0, weight_decay=0, weight_decay_end=0) as trainer:
        for epoch in range(steps):
            _, tokens = support.batch(PICTURES, epoch % 4)
            losses.append(trainer.step(token_pixels=tokens, epoch=epoch).recon_loss)
    return dvae, losses


def mim_trainer(model, dvae, **config):
    settings = dict(total_steps=60, warmup_steps=2, lr=3e-3, micro_batch=4, seed=5)
    return beit.Trainer.mim(model, dvae, support.small_masker(), **{**settings, **config})


class PreTraining(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dvae, cls.dvae_losses = train_dvae()
        cls.batches = [support.batch(PICTURES, epoch) for epoch in range(4)]

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def step(self, trainer, number):
        pixels, tokens = self.batches[number % 4]
        return trainer.step(pixels=pixels, token_pixels=tokens, epoch=number)

    def test_tokenizer_learns(self):
        """60 steps take the reconstruction error to less than half; it was seen to fall to 0.2."""
        first, last = np.mean(self.dvae_losses[:4]), np.mean(self.dvae_losses[-4:])
        self.assertLess(last, first / 2)

    def test_model_learns(self):
        """A fresh model's loss is about ln V; 60 steps over 4 batches take off more than a nat."""
        trainer = mim_trainer(support.small_model(), self.dvae)
        reports = [self.step(trainer, i) for i in range(60)]
        self.assertAlmostEqual(reports[0].loss, math.log(VOCAB), delta=0.3)
        last = np.mean([report.loss for report in reports[-4:]])
        self.assertLess(last, reports[0].loss - 1)
        self.assertEqual([report.step for report in reports], list(range(1, 61)))
        self.assertEqual(reports[0].samples, 8)
        self.assertGreater(reports[0].masked, 8)
        self.assertGreater(reports[-1].accuracy, 0.3)
        self.assertGreater(reports[0].grad_norm, 0)
        pixels, tokens = self.batches[0]
        evaluated = trainer.evaluate(pixels=pixels, token_pixels=tokens)
        self.assertLess(evaluated.loss, reports[0].loss - 1)
        self.assertEqual(trainer.steps, 60)

    def test_resume_is_bit_identical(self):
        model = support.small_model()
        trainer = mim_trainer(model, self.dvae)
        for i in range(3):
            self.step(trainer, i)
        trainer.save(self.folder / "trainer.safetensors")
        for i in range(3, 6):
            self.step(trainer, i)

        again = support.small_model(init_seed=99)
        resumed = mim_trainer(again, self.dvae)
        resumed.resume(self.folder / "trainer.safetensors")
        self.assertEqual(resumed.steps, 3)
        for i in range(3, 6):
            self.step(resumed, i)
        for name, weight in model.params.items():
            np.testing.assert_array_equal(again.params[name], weight, name)
        for second in (False, True):
            moments, wanted = resumed.moments(second), trainer.moments(second)
            for name, moment in wanted.items():
                np.testing.assert_array_equal(moments[name], moment, name)

    def test_weights_travel_by_file(self):
        model = support.small_model(init_seed=3)
        model.save(self.folder / "model.safetensors")
        loaded = beit.Model.load(self.folder / "model.safetensors")
        self.assertEqual(loaded.config, model.config)
        pixels = self.batches[0][0]
        np.testing.assert_array_equal(loaded.encode(pixels), model.encode(pixels))
        self.dvae.save(self.folder / "dvae.safetensors")
        tokens = self.batches[0][1]
        np.testing.assert_array_equal(
            beit.Dvae.load(self.folder / "dvae.safetensors").tokenize(tokens),
            self.dvae.tokenize(tokens))
        other = support.small_model()
        other.params.load(os.fsencode(self.folder / "model.safetensors"))
        np.testing.assert_array_equal(other.encode(pixels), model.encode(pixels))

    def test_partial_and_extra_names(self):
        self.dvae.params.save(self.folder / "dvae.safetensors")
        params = support.small_model().params
        with self.assertRaises(beit.BeitMismatchError):
            params.load(self.folder / "dvae.safetensors", partial=True)
        params.load(self.folder / "dvae.safetensors", partial=True, ignore_extra=True)

    def test_own_loss_by_forward_and_backward(self):
        """A host that computes cross-entropy itself finds the trainer's gradient: the same f32
        operations in another order, so 1e-5 relative to the largest value is generous."""
        pixels, token_pixels = self.batches[0]
        tokens = self.dvae.tokenize(token_pixels).reshape(8, 16)
        mask = support.small_masker().generate_batch(0, 0, range(8))
        model = support.small_model(drop_path=0)
        logits = model.forward(pixels, mask).astype(np.float64)
        self.assertEqual(logits.shape, (mask.sum(), VOCAB))
        labels = tokens[mask == 1]
        p = np.exp(logits - logits.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        p[np.arange(len(labels)), labels] -= 1
        model.zero_gradients()
        model.backward((p / len(labels)).astype(np.float32))

        twin = support.small_model(drop_path=0)
        trainer = beit.Trainer.mim(twin, micro_batch=8)
        trainer.accumulate(pixels=pixels, tokens=tokens, mask=mask)
        gradients = trainer.gradients
        for name, found in model.gradients.items():
            wanted = gradients[name] / len(labels)
            tolerance = 1e-5 * np.abs(wanted).max() + 1e-9
            np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance, err_msg=name)

    def test_accumulation_is_the_union(self):
        """Two halves give the whole batch's step; sums in another order, hence the tolerance."""
        pixels, tokens = self.batches[0]
        whole, halves = support.small_model(drop_path=0), support.small_model(drop_path=0)
        keys = list(range(100, 108))
        one, two = mim_trainer(whole, self.dvae), mim_trainer(halves, self.dvae)
        one.step(pixels=pixels, token_pixels=tokens, sample_ids=keys)
        for part in (slice(0, 3), slice(3, 8)):
            two.accumulate(pixels=pixels[part], token_pixels=tokens[part], sample_ids=keys[part])
        self.assertEqual(two.apply().samples, 8)
        for name, weight in whole.params.items():
            np.testing.assert_allclose(halves.params[name], weight, atol=1e-5, err_msg=name)
        with self.assertRaisesRegex(ValueError, "sample_ids has 2 keys for a batch of 8"):
            one.step(pixels=pixels, token_pixels=tokens, sample_ids=[1, 2])

    def test_groups(self):
        model = support.small_model()
        trainer = mim_trainer(model, self.dvae, warmup_steps=0)
        trainer.set_group("*", 0.0, decay=False)
        trainer.set_group("lm_head.*", 1.0)
        before = {name: weight.copy() for name, weight in model.params.items()}
        self.step(trainer, 0)
        changed = {name for name, weight in model.params.items() if (weight != before[name]).any()}
        self.assertEqual(changed, {"lm_head.weight", "lm_head.bias"})
        with self.assertRaises(beit.BeitArgumentError):
            trainer.set_group("nonsense.*")

    def test_memory_and_config(self):
        trainer = mim_trainer(support.small_model(), self.dvae, weight_decay_end=0.25)
        memory = trainer.memory
        self.assertEqual(memory.total, memory.weights + memory.gradients + memory.moments +
                         memory.activations + memory.tokenizer)
        self.assertEqual(trainer.config.weight_decay_end, 0.25)
        self.assertEqual(trainer.config.micro_batch, 4)


class Stopping(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = pathlib.Path(folder.name) / "trainer.safetensors"
        self.given = dict(pixels=np.zeros((4, 3, 32, 32), np.float32),
                          tokens=np.zeros((4, 16), np.int32), mask=np.ones((4, 16), np.uint8))

    def trainer(self, **config):
        return beit.Trainer.mim(support.small_model(), warmup_steps=0, **config)

    def test_progress(self):
        reports = []
        trainer = self.trainer(progress=reports.append)
        wanted = trainer.step(**self.given)
        self.assertEqual([(r.step, r.loss) for r in reports], [(1, wanted.loss)])

    def test_progress_can_stop(self):
        trainer = self.trainer(progress=lambda report: report.step == 2)
        trainer.step(**self.given)
        with self.assertRaisesRegex(beit.BeitCancelledError, "step 2"):
            trainer.step(**self.given)
        self.assertEqual(trainer.steps, 2)
        trainer.step(**self.given)

    def test_what_progress_raises_arrives(self):
        def fail(_report):
            raise KeyError("mine")

        trainer = self.trainer(progress=fail)
        with self.assertRaisesRegex(KeyError, "mine"):
            trainer.step(**self.given)
        self.assertEqual(trainer.steps, 1)

    def test_request_stop_from_another_thread(self):
        """A batch of many micro-batches stops long before its end."""
        trainer = self.trainer(micro_batch=1)
        many = {name: np.repeat(x, 500, 0) for name, x in self.given.items()}
        threading.Timer(0.05, trainer.request_stop).start()
        with self.assertRaisesRegex(beit.BeitCancelledError, "stopped on request"):
            while True:
                trainer.accumulate(**many)
        self.assertEqual(trainer.steps, 0)
        with self.assertRaises(beit.BeitStateError):  # what was accumulated is gone
            trainer.apply()
        trainer.step(**self.given)

    def interrupt_soon(self):
        threading.Timer(0.05, lambda: os.kill(os.getpid(), signal.SIGINT)).start()

    def test_interrupt_saves_the_last_step(self):
        """The step has 6000 micro-batches and takes seconds, the signal comes early in it."""
        trainer = self.trainer(micro_batch=1)
        many = {name: np.repeat(x, 1500, 0) for name, x in self.given.items()}
        trainer.step(**self.given)
        with self.assertRaises(KeyboardInterrupt):
            with trainer.interruptible(self.file):
                self.interrupt_soon()
                trainer.step(**many)
        self.assertEqual(trainer.steps, 1)
        again = self.trainer(micro_batch=1)
        again.resume(self.file)
        self.assertEqual(again.steps, 1)

    def test_interrupt_between_accumulate_and_apply(self):
        trainer = self.trainer()
        with self.assertRaises(KeyboardInterrupt), self.assertWarnsRegex(UserWarning, "not saved"):
            with trainer.interruptible(self.file):
                trainer.accumulate(**self.given)
                self.interrupt_soon()
                time.sleep(60)
        self.assertFalse(self.file.exists())

    def test_other_threads_are_left_alone(self):
        raised = []

        def work():
            try:
                with self.trainer().interruptible() as trainer:
                    trainer.step(**self.given)
            except Exception as error:
                raised.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        self.assertEqual(raised, [])


if __name__ == "__main__":
    unittest.main()
