#!/bin/sh
# Compile one public header alone under the strictest flags: it includes what it needs, it has no
# implicit padding (a field appended into padding would not change sizeof), and, in the C++ case,
# it is C++11 too.
# usage: check_header.sh c|c++ INCLUDE_DIRECTORY HEADER COMPILER [ARGUMENT...]
set -eu
language=$1 include=$2 header=$3
shift 3

common="-pedantic-errors -Wall -Wextra -Wundef -Wconversion -Wpadded -Werror -fsyntax-only"
case $language in
c) flags="-std=c99 -Wshadow -Wstrict-prototypes -Wmissing-prototypes" ;;
c++) flags="-std=c++11 -Wnon-virtual-dtor" ;;
esac

# Twice: the include guard holds. ISO C wants something besides macros in a translation unit.
printf '#include <beit/%s>\n#include <beit/%s>\ntypedef int nothing;\n' "$header" "$header" |
    "$@" $flags $common -I "$include" -x "$language" -
