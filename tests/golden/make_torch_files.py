#!/usr/bin/env python3
"""Make the files of weights under tests/golden/files, as the originals write them.

Every tensor is filled by a rule of the name that libbeit gives it (`fill` below, repeated in
tests/unit/test_names.c), so that a test knows each value without another file. All values are exact
in every type. Made with torch 2.15.0, transformers 5.24.0, timm 1.0.31, DALL-E 0.1, dalle-pytorch
1.6.6, safetensors 0.8.0; unilm and mmpretrain are no packages: their modules are imitated by name.

usage: make_torch_files.py [FOLDER]
"""
import argparse
import collections
import pathlib
import re
import shutil
import sys
import unittest.mock

import attr
import torch

attr.validators.set_disabled(True)  # the originals refuse networks this small
# What dalle_pytorch wants for other models than its DiscreteVAE is not needed.
for absent in ("dalle_pytorch.vae", "dalle_pytorch.transformer", "pkg_resources"):
    sys.modules[absent] = unittest.mock.MagicMock()

import dall_e  # noqa: E402
import dalle_pytorch  # noqa: E402
import timm  # noqa: E402
from transformers import (BeitConfig, BeitForImageClassification,  # noqa: E402
                          BeitForMaskedImageModeling, FlavaImageCodebook, FlavaImageCodebookConfig)

DEPTH, WIDTH, HEADS, HIDDEN, PATCH, SIDE, VOCAB = 2, 4, 2, 8, 2, 6, 5
GRID = SIDE // PATCH
TABLE = (2 * GRID - 1) ** 2 + 3
CODES, CODE_WIDTH = 7, 3


def fill(name, shape):
    """Multiples of 1/256 below 1 that depend on libbeit's name and on the place."""
    seed = 2166136261
    for byte in name.encode():
        seed = (seed ^ byte) * 16777619 % 2**32
    count = int(torch.Size(shape).numel())
    return ((seed % 509 + 13 * torch.arange(count)) % 509 - 254).float().div(256).reshape(shape)


# ---- transformers under libbeit's names ----


def model_shapes(shared=True, own=False, absolute=False, classes=0, mean=True):
    d = WIDTH
    yield "cls_token", (1, 1, d)
    if not classes:
        yield "mask_token", (1, 1, d)
    if absolute:
        yield "pos_embed", (1, GRID * GRID + 1, d)
    yield "patch_embed.proj.weight", (d, 3, PATCH, PATCH)
    yield "patch_embed.proj.bias", (d,)
    if shared:
        yield "rel_pos_bias.relative_position_bias_table", (TABLE, HEADS)
    for i in range(DEPTH):
        for name, shape in {
                "gamma_1": (d,), "gamma_2": (d,), "norm1.weight": (d,), "norm1.bias": (d,),
                "attn.q_bias": (d,), "attn.v_bias": (d,), "attn.qkv.weight": (3 * d, d),
                "attn.proj.weight": (d, d), "attn.proj.bias": (d,), "norm2.weight": (d,),
                "norm2.bias": (d,), "mlp.fc1.weight": (HIDDEN, d), "mlp.fc1.bias": (HIDDEN,),
                "mlp.fc2.weight": (d, HIDDEN), "mlp.fc2.bias": (d,)}.items():
            yield f"blocks.{i}.{name}", shape
        if own:
            yield f"blocks.{i}.attn.relative_position_bias_table", (TABLE, HEADS)
    norm, head = ("norm", "lm_head") if not classes else ("fc_norm" if mean else "norm", "head")
    yield f"{norm}.weight", (d,)
    yield f"{norm}.bias", (d,)
    yield f"{head}.weight", (classes or VOCAB, d)
    yield f"{head}.bias", (classes or VOCAB,)


def model_dict(**kind):
    return collections.OrderedDict((n, fill(n, s)) for n, s in model_shapes(**kind))


INDEX = torch.arange((GRID * GRID + 1) ** 2).reshape(GRID * GRID + 1, -1) % TABLE


# ---- Hugging Face ----

HF_NAMES = [
    (r"embeddings\.position_embeddings", "pos_embed"),
    (r"embeddings\.(cls_token|mask_token)", r"\1"),
    (r"embeddings\.patch_embeddings\.projection", "patch_embed.proj"),
    (r"shared_position_bias", "rel_pos_bias"),
    (r"layers\.(\d+)\.relative_position_bias\.", r"blocks.\1.attn."),
    (r"layers\.(\d+)\.lambda_", r"blocks.\1.gamma_"),
    (r"layers\.(\d+)\.layernorm_before", r"blocks.\1.norm1"),
    (r"layers\.(\d+)\.layernorm_after", r"blocks.\1.norm2"),
    (r"layers\.(\d+)\.attention\.([qv])_proj\.bias", r"blocks.\1.attn.\2_bias"),
    (r"layers\.(\d+)\.attention\.([qkv])_proj\.weight", r"blocks.\1.attn.qkv.weight@\2"),
    (r"layers\.(\d+)\.attention\.o_proj", r"blocks.\1.attn.proj"),
    (r"layers\.(\d+)\.mlp", r"blocks.\1.mlp"),
    (r"pooler\.layernorm", "fc_norm"),
    (r"layernorm", "norm"),
    (r"classifier", "head"),
]


def fill_hf(model):
    for name, parameter in model.named_parameters():
        ours = name.removeprefix("beit.")
        for pattern, replacement in HF_NAMES:
            ours, done = re.subn("^" + pattern, replacement, ours)
            if done:
                break
        ours, _, row = ours.partition("@")
        if row:  # a third of the rows
            whole = fill(ours, (3 * parameter.shape[0], parameter.shape[1]))
            parameter.data = whole.chunk(3)["qkv".index(row)].clone()
        else:
            parameter.data = fill(ours, parameter.shape)
    return model


def hf_config(**more):
    return BeitConfig(**{**dict(
        hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=HEADS,
        intermediate_size=HIDDEN, image_size=SIDE, patch_size=PATCH, vocab_size=VOCAB,
        use_mask_token=True, use_shared_relative_position_bias=True,
        use_relative_position_bias=False, use_absolute_position_embeddings=False,
        layer_norm_eps=3e-6, drop_path_rate=0.05), **more})


def hugging_face(out):
    model = fill_hf(BeitForMaskedImageModeling(hf_config()))
    model.save_pretrained(out / "hf")
    model.save_pretrained(out / "hf-sharded", max_shard_size="2KB")
    torch.save(model.half().state_dict(), out / "hf-new-names.pth",
               _use_new_zipfile_serialization=False)
    wide = fill_hf(BeitForMaskedImageModeling(hf_config(image_size=[4, 8])))
    wide.bfloat16().save_pretrained(out / "hf-wide")
    classifier = fill_hf(BeitForImageClassification(hf_config(
        num_labels=3, use_relative_position_bias=True, use_shared_relative_position_bias=False)))
    classifier.bfloat16().save_pretrained(out / "hf-classifier")


# ---- mmpretrain ----


def mmpretrain_name(name):
    for ours, theirs in (("blocks.", "layers."), ("norm1.", "ln1."), ("norm2.", "ln2."),
                         ("patch_embed.proj.", "patch_embed.projection."),
                         ("mlp.fc1.", "ffn.layers.0.0."), ("mlp.fc2.", "ffn.layers.1.")):
        name = name.replace(ours, theirs)
    name = re.sub(r"^norm\.", "ln1.", name)
    return name.replace("lm_head.", "head.cls_head.") if "lm_head" in name else "backbone." + name


def mmpretrain(out, encoder):
    state = collections.OrderedDict((mmpretrain_name(n), v.half())
                                    for n, v in model_dict().items())
    state["backbone.rel_pos_bias.relative_position_index"] = INDEX
    state.update(("target_generator." + n, v.half()) for n, v in encoder.state_dict().items())
    torch.save({"meta": {"seed": 7, "dataset": ("a", None, 2.5)}, "state_dict": state,
                "message_hub": argparse.Namespace(history=collections.deque([1, 2]))},
               out / "mmpretrain.pth", _use_new_zipfile_serialization=False)


# ---- unilm and timm ----


class Weights(torch.nn.Module):
    """A module tree with these names."""

    def __init__(self, state):
        super().__init__()
        for name, value in state.items():
            module = self
            *path, last = name.split(".")
            for part in path:
                if part not in module._modules:
                    module.add_module(part, torch.nn.Module())
                module = module._modules[part]
            module.register_parameter(last, torch.nn.Parameter(value))


def unilm(out):
    model = Weights(model_dict())
    model.rel_pos_bias.register_buffer("relative_position_index", INDEX)
    optimizer = torch.optim.AdamW([{"params": [model.cls_token], "lr_scale": 1.0}], lr=1e-3)
    model.cls_token.grad = torch.ones_like(model.cls_token)
    value = model.cls_token.data.clone()
    optimizer.step()
    model.cls_token.data = value
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3,
                "scaler": {"scale": 65536.0, "growth_interval": 2000},
                "args": argparse.Namespace(model="beit_base_patch16_224_8k_vocab", lr=1.5e-3,
                                           opt_betas=[0.9, 0.98], output_dir=None, auto=True)},
               out / "unilm.pth")
    state = model_dict(shared=False, own=True, absolute=True, classes=3, mean=False)
    torch.save({"module": {"module." + n: torch.nn.Parameter(v) for n, v in state.items()}},
               out / "unilm-classifier.pth", _use_new_zipfile_serialization=False)


def arrangements(out):
    """Views of one storage, in reverse order and transposed; a tensor repeated by stride 0."""
    state = model_dict(shared=False, absolute=True)
    state["blocks.0.norm1.weight"] = torch.tensor(0.5).double().expand(WIDTH)
    flat = torch.zeros(sum(v.numel() for v in state.values()), dtype=torch.double)
    at = flat.numel()
    for name, value in state.items():
        if 0 in value.stride():
            continue
        at -= value.numel()
        turned = flat[at:at + value.numel()].view(value.shape[::-1]).permute(
            *reversed(range(value.ndim)))
        turned.copy_(value)
        state[name] = turned
    folder = out / "arrangements"
    folder.mkdir()
    torch.save(state, folder / "weights.pth")
    (folder / "config.json").write_text('{"num_attention_heads": 2}\n')


def timm_classifier(out):
    model = timm.create_model("beit_base_patch16_224", img_size=SIDE, patch_size=PATCH,
                              embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS, num_classes=3,
                              mlp_ratio=HIDDEN / WIDTH)
    for name, parameter in model.named_parameters():
        parameter.data = fill(name, parameter.shape)
    torch.save({"state_dict": model.state_dict()}, out / "timm-classifier.pth", pickle_protocol=4)


# ---- tokenizers ----


def fill_module(module, prefix=""):
    for name, parameter in module.named_parameters():
        parameter.data = fill(prefix + name, parameter.shape)
    return module


class UnilmDiscreteVAE(torch.nn.Module):
    """The layout of unilm's modeling_discrete_vae.py: a residual block after every stage."""

    def __init__(self, layers, width):
        super().__init__()
        nn, res = torch.nn, dalle_pytorch.dalle_pytorch.ResBlock
        self.codebook = nn.Embedding(CODES, CODE_WIDTH)
        encoder, decoder = [], []
        for i in range(layers):
            encoder += [nn.Sequential(nn.Conv2d(width if i else 3, width, 4), nn.ReLU()),
                        res(width)]
            decoder += [nn.Sequential(nn.ConvTranspose2d(width if i else CODE_WIDTH, width, 4),
                                      nn.ReLU()), res(width)]
        self.encoder = nn.Sequential(*encoder, nn.Conv2d(width, CODES, 1))
        self.decoder = nn.Sequential(*decoder, nn.Conv2d(width, 3, 1))


def discrete(out):
    for name, blocks, more in (("dalle-pytorch", 0, {"normalization": None}),
                               ("dalle-pytorch-blocks", 2, {"smooth_l1_loss": True})):
        hparams = dict(image_size=32, num_layers=2, num_tokens=CODES, codebook_dim=CODE_WIDTH,
                       hidden_dim=4, num_resnet_blocks=blocks)
        vae = dalle_pytorch.DiscreteVAE(**hparams)
        torch.save({"hparams": {**hparams, **more}, "weights": fill_module(vae).state_dict()},
                   out / f"{name}.pt", _use_new_zipfile_serialization=False)
    vae = fill_module(UnilmDiscreteVAE(2, 4))
    torch.save({"weights": vae.state_dict()}, out / "unilm-dvae.bin",
               _use_new_zipfile_serialization=False)


def openai(out):
    encoder = fill_module(dall_e.Encoder(n_hid=4, n_blk_per_group=1, vocab_size=CODES), "encoder.")
    torch.save(encoder.half(), out / "encoder.pkl")
    decoder = dall_e.Decoder(n_init=2, n_hid=4, n_blk_per_group=1, vocab_size=CODES)
    with unittest.mock.patch("torch.serialization.get_source_lines_and_file", side_effect=OSError):
        torch.save(fill_module(decoder, "decoder."), out / "decoder.pkl",
                   _use_new_zipfile_serialization=False)  # without the source text of its modules
    codebook = FlavaImageCodebook(FlavaImageCodebookConfig(
        num_groups=4, num_blocks_per_group=1, hidden_size=4, vocab_size=CODES))
    for name, parameter in codebook.named_parameters():
        ours = name.replace(".group.", ".").replace(".path.", ".")
        ours = "encoder." + ours.replace(".weight", ".w").replace(".bias", ".b")
        parameter.data = fill(ours, parameter.shape)
    codebook.half().save_pretrained(out / "flava")
    return encoder


def main():
    folder = pathlib.Path(__file__).parent / "files"
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else folder
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    hugging_face(out)
    mmpretrain(out, openai(out))
    unilm(out)
    arrangements(out)
    timm_classifier(out)
    discrete(out)
    for path in sorted(out.rglob("*")):
        if path.is_file():
            print(f"{path.stat().st_size:8} {path.relative_to(out)}")


if __name__ == "__main__":
    main()
