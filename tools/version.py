#!/usr/bin/env python3
"""Print MAJOR.MINOR.PATCH as include/beit/version.h has it."""
import pathlib
import re

header = pathlib.Path(__file__).parent.parent / "include" / "beit" / "version.h"
numbers = dict(re.findall(r"#define BEIT_VERSION_(\w+) (\d+)", header.read_text()))
print(".".join(numbers[part] for part in ("MAJOR", "MINOR", "PATCH")))
