"""Classifiers, and the weights of one model in another."""
import os
import tempfile
import unittest

import support
from support import np

import beit

CLASSES = 5


def small_classifier(**config):
    settings = dict(num_classes=CLASSES, shared_rel_pos=0, rel_pos=1, head_init_scale=1)
    return support.small_model(**{**settings, **config})


def noise(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 3, 32, 32)).astype(np.float32)


class Classifiers(unittest.TestCase):
    def test_configuration(self):
        self.assertEqual(small_classifier().config.pooling, beit.Pooling.MEAN)
        self.assertEqual(small_classifier(pooling="class").config.asdict()["pooling"], "class")
        self.assertEqual(support.small_model().config.asdict()["pooling"], "auto")

    def test_forward_and_classify_agree(self):
        for pooling in ("mean", "class"):
            model = small_classifier(pooling=pooling)
            logits = model.classify(noise(3))
            self.assertEqual(logits.shape, (3, CLASSES))
            np.testing.assert_array_equal(model.forward(noise(3)), logits)

    def test_loss_falls_along_its_gradient(self):
        model, pixels = small_classifier(), noise(4)
        labels = np.array([0, 4, 2, 2], np.int32)
        loss, gradient = model.loss(model.forward(pixels), labels, smoothing=0.1)
        logits = model.forward(pixels)
        log_p = logits - np.log(np.exp(logits.astype(np.float64)).sum(1, keepdims=True))
        wanted = -(0.9 * log_p[range(4), labels] + 0.1 * log_p.mean(1)).mean()
        self.assertAlmostEqual(loss, wanted, places=5)
        model.backward(gradient)
        for name, value in model.gradients.items():
            model.params[name] = model.params[name] - np.float32(0.05) * value
        self.assertLess(model.loss(model.forward(pixels), labels, smoothing=0.1)[0], loss)

    def test_wrong_kinds_are_refused(self):
        with self.assertRaisesRegex(beit.BeitStateError, "no classes"):
            support.small_model().classify(noise(1))
        with self.assertRaisesRegex(beit.BeitStateError, "is a classifier"):
            small_classifier().predict(noise(1))
        with self.assertRaisesRegex(beit.BeitArgumentError, "no mask token"):
            small_classifier().forward(noise(1), np.ones((1, 16), bool))
        with self.assertRaisesRegex(beit.BeitArgumentError, "mask is NULL"):
            support.small_model().forward(noise(1))

    def test_file(self):
        model = small_classifier(pooling="class")
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "classifier.safetensors")
            model.save(path)
            back = beit.Model.load(path)
        self.assertEqual(back.config, model.config)
        np.testing.assert_array_equal(back.classify(noise(2)), model.classify(noise(2)))


class Adapting(unittest.TestCase):
    def test_pretrained_into_a_larger_classifier(self):
        table = "rel_pos_bias.relative_position_bias_table"
        source = support.small_model(init_seed=3)
        source.params[table] = np.random.default_rng(1).normal(size=(52, 2)).astype(np.float32)
        model = small_classifier(image_height=48, image_width=64)
        done = model.adapt(source)
        own = "blocks.1.attn.relative_position_bias_table"
        self.assertEqual(done.changed[own], table + ", 4 x 4 to 6 x 8 patches")
        self.assertEqual(done.missing, ["fc_norm.weight", "fc_norm.bias", "head.weight",
                                        "head.bias"])
        self.assertIn("lm_head.bias", done.left_over)
        self.assertIn("cls_token", done.taken)
        np.testing.assert_array_equal(model.params[own][-3:], source.params[table][-3:])
        np.testing.assert_array_equal(model.params["cls_token"], source.params["cls_token"])
        spline = model.params[own].copy()
        model.adapt(source, table_resize="linear")
        self.assertFalse(np.array_equal(spline, model.params[own]))

    def test_refusals(self):
        model = small_classifier()
        with self.assertRaisesRegex(beit.BeitMismatchError, "only position tables and heads"):
            model.adapt(support.small_model(embed_dim=16))
        with self.assertRaisesRegex(ValueError, "itself"):
            model.adapt(model)
        with self.assertRaisesRegex(ValueError, "allowed are geometric, linear"):
            model.adapt(support.small_model(), table_resize="cubic")


if __name__ == "__main__":
    unittest.main()
