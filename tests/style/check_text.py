#!/usr/bin/env python3
"""Plain faults of text: tabs, trailing blanks, line ends, the final newline; in C also characters
outside ASCII and long lines.

usage: check_text.py ROOT
"""
import pathlib
import subprocess
import sys

TEXT = {".c", ".h", ".py", ".sh", ".build", ".md", ".txt", ".map", ".toml", ".json", ".in", ".ini"}
TEXT_NAMES = {"LICENSE", ".clang-format", ".clang-tidy", ".editorconfig", ".gitignore"}
SOURCE = {".c", ".h"}
COLUMNS = 100


def files(root):
    """Tracked files; in a tree without git, everything outside build directories."""
    git = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others",
                          "--exclude-standard"], capture_output=True, check=False)
    if git.returncode == 0:
        paths = [root / name for name in git.stdout.decode().split("\0") if name]
    else:
        paths = [path for path in root.rglob("*")
                 if not any(part.startswith("build") for part in path.relative_to(root).parts)]
    return sorted(path for path in paths if path.is_file())


def is_text(path):
    if path.suffix in TEXT or path.name in TEXT_NAMES:
        return True
    with path.open("rb") as stream:  # programs without suffix: tools/, .ci/
        return stream.read(2) == b"#!"


def faults(path):
    data = path.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        yield 1, f"not UTF-8: {error}"
        return
    if text and not text.endswith("\n"):
        yield text.count("\n") + 1, "no newline at the end"
    if text.endswith("\n\n"):
        yield text.count("\n"), "blank line at the end"
    for number, line in enumerate(text.split("\n"), 1):
        if "\r" in line:
            yield number, "carriage return"
        if "\t" in line:
            yield number, "tab"
        if line != line.rstrip():
            yield number, "trailing blank"
        if path.suffix in SOURCE:
            if not line.isascii():
                yield number, "character outside ASCII"
            if len(line) > COLUMNS:
                yield number, f"longer than {COLUMNS} columns"


def main():
    root = pathlib.Path(sys.argv[1])
    complaints = [f"{path.relative_to(root)}:{number}: {fault}"
                  for path in files(root) if is_text(path) for number, fault in faults(path)]
    print("\n".join(complaints))
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
