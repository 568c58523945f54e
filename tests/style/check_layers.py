#!/usr/bin/env python3
"""The include rule: a file sees its own folder, the layers below, and the public headers; never a
layer above, never the insides of a sibling (doc/explain/architecture.md).

usage: check_layers.py ROOT
"""
import pathlib
import re
import sys

# Folder of lib/ -> folders whose headers it may include besides its own.
BELOW = {
    "core": set(),
    "kernels": {"core"},
    "backend": {"kernels", "core"},
    "nn": {"backend", "core"},
    "masker": {"core"},
    "data": {"core"},
    "dvae": {"nn", "backend", "core"},
    "model": {"nn", "backend", "core"},
    "train": {"nn", "backend", "core"},
    "io": {"nn", "backend", "core"},
}

# Seams: single headers that a folder may include from elsewhere, and why.
SEAMS = {
    ("core/context.c", "backend/backend.h"),  # the context opens the backend
    ("train", "model/model.h"),  # a trainer drives the networks and holds its parts
    ("train", "dvae/dvae.h"),
    ("train", "masker/masker.h"),
    ("io", "model/model.h"),  # a checkpoint holds what a handle holds
    ("io", "dvae/dvae.h"),
    ("io", "masker/masker.h"),
    ("io", "train/trainer.h"),
}

# Outside lib/: who may include internal headers at all. Unit and kernel tests do, hosts do not.
HOSTS = ("examples", "tests/install", "tests/headers", "tests/python", "tests/program")

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)


def sources(folder):
    return sorted(path for path in folder.rglob("*") if path.suffix in {".c", ".h", ".inc"})


def library_faults(lib):
    for path in sources(lib):
        where = path.relative_to(lib)
        own = where.parts[0]
        if own not in BELOW:
            yield where, f"folder {own} is in no layer; add it to BELOW in check_layers.py"
            continue
        for bracket, name in INCLUDE.findall(path.read_text(encoding="utf-8")):
            other = name.split("/")[0]
            if bracket == "<":
                if other in BELOW:
                    yield where, f"<{name}>: internal headers are included with quotes"
                continue
            if "/" not in name or (lib / own / name).exists():
                continue  # own folder, or generated beside it
            allowed = {own} | BELOW[own]
            if other not in allowed and not {(own, name), (str(where), name)} & SEAMS:
                yield where, f'"{name}": {own} may include only {", ".join(sorted(allowed))}'


def host_faults(root):
    for folder in HOSTS:
        for path in sources(root / folder):
            for _, name in INCLUDE.findall(path.read_text(encoding="utf-8")):
                if name.split("/")[0] in BELOW:
                    yield path.relative_to(root), f"{name} is internal; hosts use beit/*.h only"


def main():
    root = pathlib.Path(sys.argv[1])
    complaints = [f"{where}: {fault}"
                  for where, fault in [*library_faults(root / "lib"), *host_faults(root)]]
    print("\n".join(complaints))
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
