"""The example in the bindings' README runs as it stands."""
import os
import pathlib
import re
import tempfile
import unittest

import support  # noqa: F401 (skips where NumPy is missing)
import beit


class Readme(unittest.TestCase):
    def test_example(self):
        readme = pathlib.Path(beit.__file__).parents[1] / "README.md"
        (code,) = re.findall(r"```python\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
        here = os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                names: dict = {}
                exec(compile(code, str(readme), "exec"), names)
            finally:
                os.chdir(here)
        self.assertEqual(names["features"].shape, (8, 65, 128))
        self.assertLess(names["report"].loss, 4)  # ln 64 = 4.16 at the start


if __name__ == "__main__":
    unittest.main()
