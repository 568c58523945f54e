#!/usr/bin/env python3
"""What the built library gives and takes.

- The shared library exports exactly the functions that the public headers declare BEIT_API.
- The static library defines no global name outside beit_.
- Neither calls what would end, print into, or reconfigure the host's process; memory is taken in
  core/alloc.c only.

usage: check_symbols.py INCLUDE_DIRECTORY SHARED_LIBRARY [STATIC_LIBRARY]
"""
import pathlib
import re
import subprocess
import sys

FORBIDDEN = set("""
abort exit _exit quick_exit raise kill signal sigaction sigprocmask longjmp siglongjmp
printf vprintf puts putchar perror stdout stderr
rand srand random srandom drand48 setlocale uselocale setenv putenv unsetenv chdir umask
""".split())

ALLOCATING = set("malloc calloc realloc free aligned_alloc posix_memalign strdup".split())
MAY_ALLOCATE = {"core_alloc.c.o"}


def nm(*arguments):
    result = subprocess.run(["nm", *arguments], check=True, capture_output=True, text=True)
    return result.stdout.splitlines()


def declared(include):
    names = set()
    for header in pathlib.Path(include, "beit").glob("*.h"):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(encoding="utf-8"), flags=re.DOTALL)
        text = re.sub(r"^#.*$", "", text, flags=re.MULTILINE)
        names.update(re.findall(r"BEIT_API\b[^;(]*?\b(\w+)\s*\(", text))
    return names


def check_shared(include, library):
    exported = {line.split()[-1].split("@")[0] for line in nm("-D", "--defined-only", library)}
    exported = {name for name in exported if not name.startswith("BEIT_")}  # version nodes
    wanted = declared(include)
    for name in sorted(exported - wanted):
        yield f"{library}: exports {name}, which no public header declares"
    for name in sorted(wanted - exported):
        yield f"{library}: lacks {name}, which a public header declares"
    imported = {line.split()[-1].split("@")[0] for line in nm("-D", "--undefined-only", library)}
    for name in sorted(imported & FORBIDDEN):
        yield f"{library}: calls {name}()"


def check_static(library):
    member = ""
    for line in nm("-g", library):
        if line.endswith(":"):
            member = line[:-1]
            continue
        fields = line.split()
        if len(fields) < 2:
            continue
        kind, name = fields[-2:]
        if kind == "U" and name in ALLOCATING and member not in MAY_ALLOCATE:
            yield f"{library}: {member} calls {name}() past the context's allocator"
        if kind == "U" and name in FORBIDDEN:
            yield f"{library}: {member} calls {name}()"
        if kind != "U" and not name.startswith(("beit_", "__asan", "__odr_asan")):
            yield f"{library}: {member} defines the global name {name}"


def main():
    include, shared, *static = sys.argv[1:]
    complaints = list(check_shared(include, shared))
    for library in static:
        complaints += check_static(library)
    print("\n".join(complaints))
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
