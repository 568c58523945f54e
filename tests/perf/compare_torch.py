#!/usr/bin/env python3
"""Time libbeit and PyTorch side by side on the same machine, in turn A B A B.

One step is: tokenize the token view with OpenAI's encoder architecture, forward, cross-entropy over
the masked patches, backward, clip, AdamW. The peer is at its best: transformers' BEiT with masked
rows gathered before the head, dall-e's encoder, the fused AdamW. Both sides get the same pictures
and masks and draw stochastic depth. libbeit tokenizes masked positions only: that is one of its
techniques, and --all-positions gives it the tokens of all positions to compute instead.

Needs torch, transformers and dall-e beside NumPy, and a libbeit that the binding finds:

    BEIT_LIBRARY=build/lib/libbeit.so tests/perf/compare_torch.py --threads 1

The last line is one JSON object.
"""
import argparse
import json
import pathlib
import resource
import statistics
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "bindings" / "python"))

WARM_UP = 3
GRID = 196
MASKED = 75
SIZES = {"tiny": (192, 12, 3), "small": (384, 12, 6), "base": (768, 12, 12)}


def pictures(batch):
    """The same inputs for both sides: patch views, token views, masks."""
    rng = np.random.default_rng(0)
    pixels = rng.uniform(-1, 1, (batch, 3, 224, 224)).astype(np.float32)
    token_pixels = rng.uniform(0.1, 0.9, (batch, 3, 112, 112)).astype(np.float32)
    mask = np.zeros((batch, GRID), np.uint8)
    for row in mask:
        row[rng.permutation(GRID)[:MASKED]] = 1
    return pixels, token_pixels, mask


class Ours:
    def __init__(self, size, threads, data, all_positions):
        import beit

        context = beit.Context(threads=threads, backend_options="blas_threads=1")
        width, depth, heads = SIZES[size]
        model = beit.Model(context=context, embed_dim=width, depth=depth, heads=heads)
        self.dvae = beit.Dvae(context=context, arch=beit.DvaeArch.DALLE,
                              parts=beit.DvaeParts.ENCODER_ONLY)
        self.trainer = beit.Trainer.mim(model, self.dvae, None, micro_batch=len(data[0]))
        self.data, self.all_positions = data, all_positions

    def step(self):
        """Seconds in the tokenizer and in all."""
        pixels, token_pixels, mask = self.data
        start = time.perf_counter()
        if self.all_positions:
            tokens = self.dvae.tokenize(token_pixels).reshape(len(pixels), GRID)
            tokenized = time.perf_counter() - start
            self.trainer.step(pixels=pixels, tokens=tokens, mask=mask)
        else:
            report = self.trainer.step(pixels=pixels, token_pixels=token_pixels, mask=mask)
            tokenized = report.tokenize_seconds
        return tokenized, time.perf_counter() - start


class Torch:
    def __init__(self, size, threads, data, compiled):
        import torch
        from dall_e.encoder import Encoder
        from transformers import BeitConfig, BeitModel

        torch.set_num_threads(threads)
        self.torch = torch
        width, depth, heads = SIZES[size]
        config = BeitConfig(
            hidden_size=width, num_hidden_layers=depth, num_attention_heads=heads,
            intermediate_size=4 * width, use_mask_token=True, drop_path_rate=0.1,
            use_shared_relative_position_bias=True, layer_scale_init_value=0.1,
            use_mean_pooling=False)
        self.model = BeitModel(config, add_pooling_layer=False).train()
        self.head = torch.nn.Linear(width, 8192)
        self.encoder = Encoder().eval()
        self.parameters = [*self.model.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-4, weight_decay=0.05, fused=True)
        pixels, token_pixels, mask = data
        self.pixels, self.token_pixels = torch.tensor(pixels), torch.tensor(token_pixels)
        self.mask = torch.tensor(mask.astype(bool))
        if compiled:
            self.model, self.encoder = torch.compile(self.model), torch.compile(self.encoder)

    def step(self):
        torch = self.torch
        start = time.perf_counter()
        with torch.no_grad():
            tokens = self.encoder(self.token_pixels).argmax(1).flatten(1)
        tokenized = time.perf_counter() - start
        hidden = self.model(self.pixels, bool_masked_pos=self.mask).last_hidden_state
        logits = self.head(hidden[:, 1:][self.mask])
        torch.nn.functional.cross_entropy(logits, tokens[self.mask]).backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 3.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return tokenized, time.perf_counter() - start


def quartiles(values):
    q1, median, q3 = statistics.quantiles(values, n=4)
    return f"{median:.3f} s ({q1:.3f} to {q3:.3f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=SIZES, default="base")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--compile", action="store_true", help="the peer through torch.compile")
    parser.add_argument("--all-positions", action="store_true")
    options = parser.parse_args()

    data = pictures(options.batch)
    sides = {
        "libbeit": Ours(options.model, options.threads, data, options.all_positions),
        "torch": Torch(options.model, options.threads, data, options.compile),
    }
    times = {name: [] for name in sides}
    for pair in range(WARM_UP + options.pairs):
        for name, side in sides.items():
            seconds = side.step()
            if pair >= WARM_UP:
                times[name].append(seconds)
        if pair >= WARM_UP:
            print(f"pair {pair - WARM_UP + 1}: " + ", ".join(
                f"{name} {rows[-1][1]:.3f} s (tokenizer {rows[-1][0]:.3f})"
                for name, rows in times.items()), flush=True)

    ratios = {}
    for column, what in enumerate(("tokenizer", "step")):
        ours, theirs = ([row[column] for row in times[name]] for name in sides)
        ratios[what] = statistics.median(b / a for a, b in zip(ours, theirs))
        print(f"{what}: libbeit {quartiles(ours)}, torch {quartiles(theirs)}, "
              f"ratio {ratios[what]:.2f}")
    rest = [statistics.median(t - k for k, t in times[name]) for name in sides]
    print(json.dumps({
        "model": options.model, "batch": options.batch, "threads": options.threads,
        "tokenizer_ratio": round(ratios["tokenizer"], 3),
        "trunk_and_optimizer_ratio": round(rest[1] / rest[0], 3),
        "step_ratio": round(ratios["step"], 3),
        "compiled": options.compile, "all_positions": options.all_positions,
        "torch": sides["torch"].torch.__version__,
        "peak_rss_mib_of_both": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }))


if __name__ == "__main__":
    main()
