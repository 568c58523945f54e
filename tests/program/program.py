"""What the tests of pretrain_folder share: pictures, a configuration that takes a second, and runs.

Every test module is called as `python3 test_X.py PROGRAM_DIRECTORY MAKE_PICTURES`.
"""
import filecmp
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time
import unittest

LIMIT = 60  # seconds that no run of these tests takes, however loaded the machine is

# 4 x 4 patches and tokens, a few thousand weights.
SMALL = ["--model", "nano", "--image-size", "32", "--patch-size", "8", "--embed-dim", "32",
         "--depth", "2", "--heads", "2", "--vocab", "32", "--tokenizer-hidden", "8",
         "--codebook-dim", "8", "--piece", "16", "--tokenizer-batch", "4", "--batch-size", "4",
         "--eval-views", "8", "--cache-side", "48"]
STEPS = ["--tokenizer-steps", "24", "--steps", "24", "--save-every", "7"]

directory, make_pictures = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])


def main():
    unittest.main(argv=sys.argv[:1], verbosity=2)


class ProgramTest(unittest.TestCase):
    """A test with a folder of its own, removed at its end."""

    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.addCleanup(self.temporary.cleanup)
        self.home = pathlib.Path(self.temporary.name)

    def pictures(self, count=24, *more, name="pictures"):
        folder = self.home / name
        subprocess.run([make_pictures, folder, str(count), *more], check=True, timeout=LIMIT)
        return folder

    def command(self, *arguments):
        return [str(directory / "pretrain_folder"), *map(str, arguments)]

    def run_program(self, *arguments, expect=0, **keywords):
        """Run to the end and check the exit status."""
        environment = dict(os.environ, NO_COLOR="1")
        environment.update(keywords.pop("environment", {}))
        result = subprocess.run(self.command(*arguments), capture_output=True, text=True,
                                timeout=LIMIT, cwd=self.home, env=environment, check=False,
                                **keywords)
        self.assertEqual(result.returncode, expect, result.stdout + result.stderr)
        return result

    def train(self, out, folder, *more, **keywords):
        return self.run_program(*SMALL, *STEPS, "--out", self.home / out, *more, folder, **keywords)

    def start(self, *arguments):
        process = subprocess.Popen(self.command(*arguments), stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, cwd=self.home)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        return process

    def wait_for_rows(self, process, out, rows):
        """Wait until a running program has logged so many rows, or has ended."""
        log = self.home / out / "log.jsonl"
        end = time.monotonic() + LIMIT
        while process.poll() is None and time.monotonic() < end:
            if log.exists() and log.read_bytes().count(b"\n") >= rows:
                return
            time.sleep(0.001)

    def rows(self, out):
        text = (self.home / out / "log.jsonl").read_text(encoding="utf-8")
        return [json.loads(line, parse_constant=self.fail) for line in text.splitlines()]

    def assert_one_line(self, result, *parts):
        """Exactly one line of complaint, which says these things."""
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        for part in parts:
            self.assertIn(part, result.stderr)

    def assert_same_weights(self, one, other):
        for name in "tokenizer.safetensors", "model.safetensors":
            self.assertTrue(filecmp.cmp(self.home / one / name, self.home / other / name,
                                        shallow=False), f"{name} of {one} and {other} differ")

    def assert_steps_once(self, out, steps=24):
        """Each step of each phase is logged exactly once, in order."""
        for phase in "tokenizer", "pretrain":
            logged = [row["step"] for row in self.rows(out)
                      if row.get("phase") == phase and "eval" not in row and "event" not in row]
            self.assertEqual(logged, list(range(1, steps + 1)), phase)

    def command_to_go_on(self, output):
        lines = [line for line in output.splitlines() if line.startswith("to go on: ")]
        self.assertEqual(len(lines), 1, output)
        return shlex.split(lines[0].removeprefix("to go on: "))
