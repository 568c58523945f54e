#!/usr/bin/env python3
"""Print one line `X(struct, field)` for each field of each struct in the given headers.

layouts.c turns the lines into sizes and offsets, so that the compiler decides them and no list of
fields is kept by hand. The headers are our own and plainly written; a field that this parser
misread would not compile, one that it missed would leave a gap that the unit test sees.
"""
import pathlib
import re
import sys


def fields_of(body):
    """Names declared in a struct body, in order."""
    for declaration in body.split(";"):
        function = re.search(r"\(\*(\w+)\)\s*\(", declaration)
        if function:
            yield function.group(1)
        elif declaration.strip():
            first, *others = declaration.split(",")
            for name in [first.split()[-1], *others]:
                yield re.match(r"[\s*]*(\w+)", name).group(1)


for path in sys.argv[1:]:
    text = pathlib.Path(path).read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    for struct, body in re.findall(r"struct (\w+) \{(.*?)\}", text, flags=re.DOTALL):
        for field in fields_of(body):
            print(f"X({struct}, {field})")
