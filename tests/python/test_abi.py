"""The bindings mirror the headers: numbers, struct layouts, enumerations, functions."""
import ctypes
import json
import os
import pathlib
import re
import subprocess
import sys
import types
import unittest

import support  # noqa: F401 (skips where NumPy is missing)
import beit
from beit import _errors, _ffi, _library, _structs, enums

HEADERS = pathlib.Path(__file__).parents[2] / "include" / "beit"
HOST_HEADERS = [path for path in sorted(HEADERS.glob("*.h")) if path.name != "backend.h"]


def text_of(paths):
    text = "".join(path.read_text(encoding="utf-8") for path in paths)
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


class Layouts(unittest.TestCase):
    layouts = json.loads(_ffi.library.beit_struct_layouts())

    def test_sizes_and_offsets(self):
        for name, cls in _structs.C_NAMES.items():
            with self.subTest(name):
                wanted = self.layouts[name]
                found = {field: getattr(cls, field).offset for field in cls._types}
                self.assertEqual(found, wanted["fields"])
                self.assertEqual(ctypes.sizeof(cls), wanted["size"])

    def test_every_struct_of_the_host_is_mirrored(self):
        declared = re.findall(r"typedef struct (\w+) \{", text_of(HOST_HEADERS))
        # Hooks that Python does not offer: memory, threads and storage of the host's own.
        without = {"beit_allocator", "beit_executor", "beit_io"}
        self.assertEqual(set(declared) - without, set(_structs.C_NAMES))


class Declarations(unittest.TestCase):
    def test_every_function_is_declared(self):
        declared = set(re.findall(r"\b(beit_\w+)\(", text_of(HOST_HEADERS)))
        declared -= set(re.findall(r"\(\*(\w+)\)", text_of(HOST_HEADERS)))
        bound = set(_ffi._STATUS) | set(_ffi._PLAIN)
        initialisers = {cls._init for cls in _structs.Config.__subclasses__()}
        # Asked before anything else; made in Python; taken by handles themselves.
        elsewhere = {"beit_abi_version", "beit_tensor_make", "beit_context_ref"}
        self.assertEqual(declared - elsewhere - initialisers, bound - {"beit_backend_builtin"})

    def test_status_functions_are_those_of_the_headers(self):
        status = set(re.findall(r"BEIT_API beit_status_t\s+(\w+)\(", text_of(HOST_HEADERS)))
        self.assertEqual(status, set(_ffi._STATUS))

    def test_enumerations(self):
        text = text_of(HOST_HEADERS)
        declared = re.findall(r"typedef enum beit_(\w+) \{(.*?)\}", text, re.DOTALL)
        for name, body in declared:
            if name in ("status", "dtype"):
                continue
            with self.subTest(name):
                cls = "".join(part.capitalize() for part in name.split("_"))
                cls = getattr(enums, {"DvaeSampling": "Sampling"}.get(cls, cls))
                # 0 in place of a normalisation or a pooling is a default, not a member, in C
                defaults = {0} if cls in (enums.DvaeNorm, enums.Pooling) else set()
                found = {int(member) for member in cls} - defaults
                self.assertEqual(found, {int(value) for value in re.findall(r"= (\d+)", body)})

    def test_statuses_have_classes(self):
        body = re.search(r"typedef enum beit_status \{(.*?)\}", text_of(HOST_HEADERS), re.DOTALL)
        statuses = {int(value) for value in re.findall(r"= (-\d+)", body.group(1))}
        self.assertEqual(statuses, set(_errors._CLASSES))


class Import(unittest.TestCase):
    def test_abi_number_of_the_header(self):
        number = re.search(r"#define BEIT_ABI (\d+)", (HEADERS / "version.h").read_text()).group(1)
        self.assertEqual(_library.ABI, int(number))

    def test_another_abi_is_refused_with_both_numbers(self):
        class Function:
            def __call__(self):
                return 77

        other = types.SimpleNamespace(beit_abi_version=Function())
        numbers = f"other.so has ABI 77, these bindings need ABI {_library.ABI}"
        with self.assertRaisesRegex(ImportError, numbers):
            _library.check_abi(other, "other.so")

    def failure_of_import(self, library):
        environment = {**os.environ, "BEIT_LIBRARY": library}
        run = subprocess.run([sys.executable, "-c", "import beit"], env=environment, text=True,
                             capture_output=True, check=False, timeout=60)
        self.assertNotEqual(run.returncode, 0)
        return run.stderr.strip().splitlines()[-1]

    def test_a_missing_library_is_named(self):
        message = self.failure_of_import("/nowhere/libbeit.so")
        self.assertRegex(message, "ImportError: cannot load /nowhere/libbeit.so .*BEIT_LIBRARY")

    def test_something_else_is_named(self):
        message = self.failure_of_import("libc.so.6")
        self.assertEqual(
            message, "ImportError: libc.so.6 is not libbeit: it has no beit_abi_version()")

    def test_version(self):
        numbers = re.findall(r"#define BEIT_VERSION_\w+ (\d+)", (HEADERS / "version.h").read_text())
        self.assertEqual(beit.version(), ".".join(numbers))
        self.assertIn(beit.version(), beit.build_info())
        project = pathlib.Path(beit.__file__).parents[1] / "pyproject.toml"
        self.assertIn(f'version = "{beit.version()}"', project.read_text())


if __name__ == "__main__":
    unittest.main()
