#!/bin/sh
# What a packager and a host see: a staged install, a consumer built against it by pkg-config in
# C99 and C++11, shared and static, and the library as a meson subproject.
# usage: check_install.sh SOURCE_ROOT BUILD_ROOT "HEADER..." ; CC, CXX from the environment
set -eu
source=$1 build=$2 headers=$3
cc=${CC:-cc} cxx=${CXX:-c++}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { echo "== $*"; }
fail() { echo "check_install: $*" >&2; exit 1; }

say "staged install"
DESTDIR=$work/stage meson install -C "$build" --no-rebuild --quiet
pc=$(find "$work/stage" -name beit.pc)
[ -n "$pc" ] || fail "beit.pc is not installed"
libdir=${pc%/pkgconfig/beit.pc}
prefix=$work/stage$(sed -n 's/^prefix=//p' "$pc")
for header in $headers; do
    [ -f "$prefix/include/beit/$header" ] || fail "$header is not installed"
done
installed=$(find "$prefix/include/beit" -type f | wc -l)
[ "$installed" -eq "$(echo "$headers" | wc -w)" ] || fail "$installed headers are installed, expected: $headers"
grep -q '^Requires.private:.*jansson' "$pc" || fail "jansson is not under Requires.private"
! grep -q xxhash "$pc" || fail "hosts would have to have xxHash, which is inlined"
! grep -q "$source\|$build" "$pc" || fail "beit.pc names the build machine's directories"

flags() { PKG_CONFIG_PATH=$libdir/pkgconfig pkg-config --define-variable=prefix="$prefix" "$@" beit; }
strict="-Wall -Wextra -pedantic -Werror"
consumer=$source/tests/install/consumer.c

say "shared"
soname=$(readelf -d "$libdir/libbeit.so" | sed -n 's/.*SONAME.*\[\(.*\)\].*/\1/p')
abi=$(sed -n 's/#define BEIT_ABI //p' "$prefix/include/beit/version.h")
[ "$soname" = "libbeit.so.$abi" ] || fail "soname is $soname, expected libbeit.so.$abi"
[ -e "$libdir/$soname" ] || fail "$soname is not installed"
$cc -std=c99 $strict "$consumer" $(flags --cflags --libs) -o "$work/shared"
LD_LIBRARY_PATH=$libdir ldd "$work/shared" | grep -q "$libdir/$soname" || fail "consumer does not use the staged library"
LD_LIBRARY_PATH=$libdir "$work/shared"
sed -n '/^```c$/,/^```$/{//!p}' "$source/README.md" >"$work/quickstart.c"
$cc -std=c99 $strict "$work/quickstart.c" $(flags --cflags --libs) -o "$work/quickstart"
LD_LIBRARY_PATH=$libdir "$work/quickstart"
if command -v "${cxx%% *}" >/dev/null; then
    $cxx -std=c++11 $strict -x c++ "$consumer" -x none $(flags --cflags --libs) -o "$work/shared_cpp"
    LD_LIBRARY_PATH=$libdir "$work/shared_cpp"
fi

say "static"
rm "$libdir"/libbeit.so*
$cc -std=c99 $strict "$consumer" $(flags --static --cflags --libs) -o "$work/static"
! ldd "$work/static" | grep -q libbeit || fail "static consumer needs libbeit.so"
"$work/static"
if command -v "${cxx%% *}" >/dev/null; then
    $cxx -std=c++11 $strict -x c++ "$consumer" -x none $(flags --static --cflags --libs) -o "$work/static_cpp"
    "$work/static_cpp"
fi

say "meson subproject"
mkdir -p "$work/host/subprojects"
ln -s "$source" "$work/host/subprojects/libbeit"
cp "$consumer" "$work/host/host.c"
cat >"$work/host/subprojects/libbeit.wrap" <<'END'
[wrap-file]
directory = libbeit
[provide]
dependency_names = beit
END
cat >"$work/host/meson.build" <<'END'
project('host', 'c', default_options: ['default_library=static', 'buildtype=plain'])
beit_dep = dependency('beit', default_options: ['tests=false', 'examples=false'])
test('host', executable('host', 'host.c', dependencies: beit_dep))
END
meson setup "$work/host-build" "$work/host" --force-fallback-for=beit >"$work/log" 2>&1 || { cat "$work/log"; fail "meson setup of the host"; }
meson compile -C "$work/host-build" host >"$work/log" 2>&1 || { tail -n 50 "$work/log"; fail "building the host"; }
"$work/host-build/host"
