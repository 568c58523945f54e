"""Whatever happens to a run, the same command goes on with it, and the weights at its end are those
of a run that nothing happened to, bit for bit."""
import random
import resource
import signal
import subprocess
import time

from program import LIMIT, SMALL, ProgramTest, main

STEPS = ["--tokenizer-steps", "150", "--steps", "150", "--save-every", "20", "--eval-every", "50"]
ROWS = 1 + 2 * (150 + 4)  # of the log of a whole run


class Resuming(ProgramTest):
    def setUp(self):
        super().setUp()
        self.folder = self.pictures()
        self.run_program(*self.arguments("whole"))

    def arguments(self, out):
        return [*SMALL, *STEPS, "--out", self.home / out, self.folder]

    def finish(self, out, *more, **keywords):
        result = self.run_program(*self.arguments(out), *more, **keywords)
        self.assert_same_weights("whole", out)
        self.assert_steps_once(out, 150)
        return result

    def interrupt(self, out, rows, number):
        """Send a signal once so many rows are logged. False if the run was over before."""
        process = self.start(*self.arguments(out))
        self.wait_for_rows(process, out, rows)
        process.send_signal(number)
        output, _ = process.communicate(timeout=LIMIT)
        return process.returncode, output

    def test_killed_at_any_time(self):
        draw = random.Random(1)
        kills = 0
        for round_number in range(6):
            out = f"killed-{round_number}"
            # Rows grow from process to process: at times within a phase, at times at its border.
            for rows in sorted(draw.sample(range(2, ROWS), 3)):
                code, _ = self.interrupt(out, rows, signal.SIGKILL)
                kills += code == -signal.SIGKILL
            self.finish(out)
        self.assertGreaterEqual(kills, 9)  # else the test tested nothing

    def test_stopped_by_signals(self):
        for number, rows in (signal.SIGINT, 40), (signal.SIGTERM, 200):
            out = f"stopped-{number}"
            code, output = self.interrupt(out, rows, number)
            self.assertEqual(code, 128 + number, output)
            self.assertIn("stopped after step", output)
            command = self.command_to_go_on(output)
            self.assertEqual(command, self.command(*self.arguments(out)))
            before = len(self.rows(out))
            self.finish(out)
            events = [row for row in self.rows(out) if row.get("event") == "resume"]
            self.assertEqual(len(events), 1)
            self.assertGreaterEqual(before, rows)

    def test_second_signal_ends_at_once(self):
        # The reference backend takes many seconds for a step of this size.
        process = self.start("--backend", "reference", "--model", "small", "--batch-size", "16",
                             "--out", self.home / "slow", self.folder)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        self.assertIsNone(process.poll())
        start = time.monotonic()
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(LIMIT), 130)
        self.assertLess(time.monotonic() - start, 1)

    def test_damaged_checkpoint(self):
        self.interrupt("run", 80, signal.SIGKILL)
        newest = sorted((self.home / "run/checkpoints").iterdir())[-1]
        data = bytearray(newest.read_bytes())
        data[-1] ^= 1
        newest.write_bytes(data)
        result = self.finish("run")
        self.assertIn("going on from the checkpoint before", result.stderr)

    def test_only_damaged_checkpoints(self):
        self.interrupt("run", 80, signal.SIGKILL)
        for path in (self.home / "run/checkpoints").iterdir():
            path.write_bytes(b"\0" * 100)
        self.run_program(*self.arguments("run"), expect=4)

    def test_from_a_named_checkpoint(self):
        for name in "pretrain-00000140", "tokenizer-00000140":
            checkpoint = self.home / f"whole/checkpoints/{name}.safetensors"
            self.run_program(*self.arguments(f"from-{name}"), "--resume", checkpoint)
            self.assertEqual(
                (self.home / f"from-{name}/model.safetensors").read_bytes(),
                (self.home / "whole/model.safetensors").read_bytes(), name)

    def test_finished_run_is_left_alone(self):
        checkpoints = sorted((self.home / "whole/checkpoints").iterdir())
        times = [path.stat().st_mtime_ns for path in checkpoints]
        self.finish("whole")
        self.assertEqual([path.stat().st_mtime_ns for path in checkpoints], times)

    def test_run_among_its_pictures(self):
        """The report's pictures must not become training pictures of the continued run."""
        out = self.folder / "run"
        self.run_program(*SMALL, *STEPS, "--out", out, self.folder)
        self.run_program(*SMALL, *STEPS, "--out", out, self.folder)
        self.assertEqual((out / "model.safetensors").read_bytes(),
                         (self.home / "whole/model.safetensors").read_bytes())

    def test_full_disk(self):
        """A limit on file sizes stands in for a full disk: log, checkpoints or report hit it."""
        for kilobytes in 8, 60, 300:
            def limit(bytes_allowed=kilobytes * 1024):
                resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_allowed, bytes_allowed))
            out = f"full-{kilobytes}"
            result = self.run_program(*self.arguments(out), expect=1, preexec_fn=limit)
            self.assertRegex(result.stderr, "File too large|cannot be (written|saved)")
            self.assertIn("to go on: ", result.stdout)
            self.finish(out)


if __name__ == "__main__":
    main()
