#!/usr/bin/env python3
"""Load what the originals save and compare what both compute.

Draws random configurations, lets transformers, timm, dall_e and dalle_pytorch save random networks
in every format that they write, loads the files with libbeit's Python bindings, and prints the
largest difference of the outputs as a share of their largest value. The exit status is 1 when one
exceeds 1e-4: sums are taken in another order, nothing else may differ.

usage: check_files.py [--rounds N] [--seed N]     (needs the packages of make_torch_files.py;
       BEIT_LIBRARY and PYTHONPATH lead to libbeit.so and bindings/python)
"""
import argparse
import pathlib
import random
import sys
import tempfile

import numpy as np
from make_torch_files import dall_e, dalle_pytorch  # also lifts their limits on small networks
import safetensors.torch
import timm
import torch
from transformers import (BeitConfig, BeitForImageClassification, BeitForMaskedImageModeling,
                          FlavaImageCodebook, FlavaImageCodebookConfig)

import beit

TOLERANCE = 1e-4
BATCH = 2


def scatter(module, spread=0.3):
    """Random values everywhere, so that no tensor can be left out unnoticed."""
    for parameter in module.parameters():
        parameter.data += spread * torch.randn_like(parameter)
    return module.eval()


def pixels(channels, height, width):
    return torch.rand(BATCH, channels, height, width)


def transformer(dice):
    heads = dice.choice([1, 2, 3])
    patch, grid = dice.choice([2, 4]), [dice.randint(2, 5), dice.randint(2, 5)]
    square = dice.random() < 0.6
    if square:
        grid[1] = grid[0]
    return dict(
        hidden_size=heads * dice.choice([4, 8]), num_hidden_layers=dice.randint(1, 4),
        num_attention_heads=heads, intermediate_size=dice.choice([12, 32]), patch_size=patch,
        image_size=patch * grid[0] if grid[0] == grid[1] else [patch * side for side in grid],
        vocab_size=dice.randint(5, 40), num_channels=dice.choice([1, 3]), use_mask_token=True,
        # Positions in other grids: transformers mixes up height and width, or fails.
        use_shared_relative_position_bias=square and dice.random() < 0.7,
        use_relative_position_bias=square and dice.random() < 0.4,
        use_absolute_position_embeddings=square and dice.random() < 0.5,
        layer_scale_init_value=dice.choice([0.1, 0.0]), layer_norm_eps=dice.choice([1e-12, 1e-5]))


def saved_by_transformers(model, config, folder):
    """Every format in turn; each has config.json beside it."""
    model.save_pretrained(folder / "one")
    yield "safetensors", folder / "one"
    model.save_pretrained(folder / "shards", max_shard_size="10KB")
    yield "shards", folder / "shards"
    old = safetensors.torch.load_file(folder / "one" / "model.safetensors")
    for name, state, legacy in (("bin, old names", old, False), ("bin, legacy", old, True),
                                ("bin, new names", model.state_dict(), False)):
        where = folder / name.replace(", ", "-").replace(" ", "-")
        where.mkdir()
        config.save_pretrained(where)
        torch.save(state, where / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy)
        yield name, where


def masked_modeling(dice, folder):
    config = BeitConfig(**transformer(dice))
    model = scatter(BeitForMaskedImageModeling(config))
    size = config.image_size if isinstance(config.image_size, list) else [config.image_size] * 2
    image = pixels(config.num_channels, *size)
    patches = size[0] // config.patch_size * (size[1] // config.patch_size)
    mask = torch.rand(BATCH, patches) < 0.4
    wanted = model(image, bool_masked_pos=mask).logits
    for name, path in saved_by_transformers(model, config, folder):
        found = beit.Model.load(path).predict(image.numpy(), mask.numpy().astype(np.uint8))
        yield f"transformers, masked modeling, {name}", wanted, found


def classifier(dice, folder):
    config = BeitConfig(**transformer(dice), num_labels=dice.randint(2, 9),
                        use_mean_pooling=dice.random() < 0.5)
    model = scatter(BeitForImageClassification(config))
    size = config.image_size if isinstance(config.image_size, list) else [config.image_size] * 2
    image = pixels(config.num_channels, *size)
    wanted = model(image).logits
    for name, path in saved_by_transformers(model, config, folder):
        yield f"transformers, classifier, {name}", wanted, beit.Model.load(path).classify(
            image.numpy())


def timm_classifier(dice, folder):
    heads, patch, grid = dice.choice([1, 2, 3]), dice.choice([2, 4]), dice.randint(2, 5)
    model = scatter(timm.create_model(
        "beit_base_patch16_224", img_size=patch * grid, patch_size=patch, embed_dim=8 * heads,
        depth=dice.randint(1, 4), num_heads=heads, num_classes=dice.randint(2, 9),
        global_pool=dice.choice(["avg", "token"])))
    image = pixels(3, patch * grid, patch * grid)
    torch.save({"state_dict": model.state_dict()}, folder / "timm.pth")
    safetensors.torch.save_file(model.state_dict(), folder / "timm.safetensors")
    for path in folder.glob("timm.*"):
        yield f"timm, {path.suffix}", model(image), beit.Model.load(path).classify(image.numpy())


def tokenizers(dice, folder):
    hparams = dict(image_size=32, num_layers=dice.randint(1, 3), num_tokens=dice.randint(5, 40),
                   codebook_dim=dice.randint(2, 9), hidden_dim=dice.choice([4, 8]),
                   num_resnet_blocks=dice.randint(0, 2))
    vae = scatter(dalle_pytorch.DiscreteVAE(**hparams), 0.05)
    torch.save({"hparams": hparams, "weights": vae.state_dict()}, folder / "vae.pt")
    image = pixels(3, 32, 32)
    found = beit.Dvae.load(folder / "vae.pt")
    yield "dalle_pytorch, logits", vae(image, return_logits=True), found.encode(image.numpy())
    tokens = vae.get_codebook_indices(image)
    yield "dalle_pytorch, pictures", vae.decode(tokens), found.decode(
        tokens.numpy().astype(np.int32))


def openai(dice, folder):
    size = dict(n_hid=dice.choice([4, 8]), n_blk_per_group=dice.randint(1, 2),
                vocab_size=dice.randint(8, 40))
    encoder = scatter(dall_e.Encoder(**size), 0.02)
    decoder = scatter(dall_e.Decoder(**size, n_init=6), 0.02)
    image = 0.8 * pixels(3, 16, 16) + 0.1
    tokens = torch.randint(size["vocab_size"], (BATCH, 2, 2))
    codes = torch.nn.functional.one_hot(tokens, size["vocab_size"]).permute(0, 3, 1, 2).float()
    pictures = dall_e.unmap_pixels(torch.sigmoid(decoder(codes)[:, :3]))
    for legacy in (False, True):
        kind = "legacy" if legacy else "zip"
        for name, module in (("encoder.pkl", encoder), ("decoder.pkl", decoder)):
            torch.save(module, folder / name, _use_new_zipfile_serialization=not legacy)
        found = beit.Dvae.load(folder / "encoder.pkl").encode(image.numpy())
        yield f"dall_e, encoder, {kind}", encoder(image), found
        found = beit.Dvae.load(folder / "decoder.pkl").decode(tokens.numpy().astype(np.int32))
        yield f"dall_e, decoder, {kind}", pictures, found
    codebook = scatter(FlavaImageCodebook(FlavaImageCodebookConfig(
        hidden_size=size["n_hid"], num_blocks_per_group=size["n_blk_per_group"],
        vocab_size=size["vocab_size"])), 0.02)
    codebook.save_pretrained(folder / "flava")
    yield "FLAVA's codebook", codebook(image), beit.Dvae.load(folder / "flava").encode(
        image.numpy())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    worst = {}
    for number in range(options.seed, options.seed + options.rounds):
        torch.manual_seed(number)
        dice = random.Random(number)
        for check in (masked_modeling, classifier, timm_classifier, tokenizers, openai):
            with tempfile.TemporaryDirectory() as folder, torch.no_grad():
                for name, wanted, found in check(dice, pathlib.Path(folder)):
                    wanted = wanted.numpy()
                    error = np.abs(found.reshape(wanted.shape) - wanted).max() / np.abs(wanted).max()
                    worst[name] = max(worst.get(name, 0.0), float(error))
    for name, error in worst.items():
        print(f"{error:9.2e}  {name}")
    sys.exit(any(not error <= TOLERANCE for error in worst.values()))


if __name__ == "__main__":
    main()
