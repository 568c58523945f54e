#!/bin/sh
# C sources are as clang-format 14 leaves them; other versions differ in details, so without that
# one the test is skipped.
# usage: check_format.sh ROOT
set -eu
cd "$1"
for formatter in clang-format-14 clang-format; do
    if "$formatter" --version 2>/dev/null | grep -q ' 14\.'; then
        find include lib tests examples -name '*.[ch]' -print0 |
            xargs -0 "$formatter" --dry-run --Werror
        exit
    fi
done
echo "clang-format 14 is not installed"
exit 77
