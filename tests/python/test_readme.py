"""The examples in the READMEs run as they stand."""
import os
import pathlib
import re
import tempfile
import unittest

import support  # noqa: F401 (skips where NumPy is missing)
import beit

BINDINGS = pathlib.Path(beit.__file__).parents[1]


def run_example(readme: pathlib.Path) -> dict:
    """What the one Python block of a README leaves behind, run in a folder of its own."""
    (code,) = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    here = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            names: dict = {}
            exec(compile(code, str(readme), "exec"), names)
        finally:
            os.chdir(here)
    return names


class Readme(unittest.TestCase):
    def test_bindings(self):
        names = run_example(BINDINGS / "README.md")
        self.assertEqual(names["features"].shape, (8, 65, 128))
        self.assertLess(names["report"].loss, 4)  # ln 64 = 4.16 at the start

    def test_project(self):
        names = run_example(BINDINGS.parents[1] / "README.md")
        self.assertEqual(names["features"].shape, (4, 197, 192))
        self.assertEqual(names["report"].step, 3)


if __name__ == "__main__":
    unittest.main()
