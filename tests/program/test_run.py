"""A whole run: what it leaves behind, what it says, and that nothing but the settings decides it."""
import os
import pty
import re
import struct
import subprocess

from program import LIMIT, SMALL, STEPS, ProgramTest, directory, main

STEP_FIELDS = {"phase", "step", "loss", "mlm_acc", "grad_norm", "lr", "weight_decay",
               "images_per_second", "data_fraction", "rss_mb", "wall_s"}
EVAL_FIELDS = {"phase", "step", "eval", "loss", "mlm_acc", "below_H", "H", "unigram", "position",
               "copy", "neighbour", "copy_acc", "used", "vocab", "perplexity", "hard_error"}


class WholeRun(ProgramTest):
    def test_log(self):
        self.train("run", self.pictures())
        rows = self.rows("run")
        begin = rows[0]
        self.assertEqual(begin["event"], "begin")
        self.assertIn("libbeit", begin["libbeit"])
        self.assertIn("backend", begin["runs_on"])
        self.assertEqual(begin["settings"]["balance"], 0.024)
        self.assertEqual(begin["settings"]["table_rate"], 10)
        self.assertEqual(begin["pictures"]["train"], 24)
        self.assert_steps_once("run")
        for row in rows[1:]:
            if "eval" not in row:
                self.assertLessEqual(STEP_FIELDS, row.keys())
                self.assertEqual(row["mlm_acc"] is None, row["phase"] == "tokenizer")
                self.assertTrue(0 <= row["data_fraction"] <= 1)
            elif row["phase"] == "pretrain":
                self.assertLessEqual(EVAL_FIELDS, row.keys())
        walls = [row["wall_s"] for row in rows[1:]]
        self.assertEqual(walls, sorted(walls))
        last = [row for row in rows if row.get("eval") == "train"][-1]
        self.assertEqual((last["phase"], last["step"]), ("pretrain", 24))
        self.assertAlmostEqual(last["below_H"], last["H"] - last["loss"], places=6)
        self.assertLess(last["loss"], 3.4)  # ln 32 = 3.466 at the start

    def test_held_out_pictures(self):
        self.train("run", self.pictures(50))
        rows = self.rows("run")
        self.assertEqual((rows[0]["pictures"]["train"], rows[0]["pictures"]["heldout"]), (45, 5))
        for phase in "tokenizer", "pretrain":
            self.assertEqual({row["eval"] for row in rows
                              if row.get("phase") == phase and "eval" in row}, {"train", "heldout"})

    def test_report(self):
        self.train("run", self.pictures(50))
        report = self.home / "run" / "report"
        page = (report / "index.html").read_text(encoding="utf-8")
        self.assertLess(len(page), 2_000_000)
        self.assertNotIn("http://", page)
        self.assertNotIn("https://", page)
        self.assertEqual(page.count("src='data:image/png;base64,"), 3)
        self.assertEqual(page.count("src="), 3)
        for part in ("unigram", "entropy H", "neighbour", "held-out", "polyline", "@media print",
                     "width=device-width", "balance"):
            self.assertIn(part, page)
        self.assertEqual(page.count("<svg"), page.count("</svg>"))
        self.assertEqual(page.count("<svg"), 5)
        for name in "reconstructions", "predictions", "tokens":
            data = (report / f"{name}.png").read_bytes()
            self.assertEqual(data[:8], b"\x89PNG\r\n\x1a\n")
            width, height = struct.unpack(">II", data[16:24])
            self.assertGreaterEqual(min(width, height), 200)

    def test_files(self):
        self.train("run", self.pictures(), "--keep", "2")
        names = {str(path.relative_to(self.home / "run"))
                 for path in (self.home / "run").rglob("*") if path.is_file()}
        self.assertEqual(names, {
            "config.json", "log.jsonl", "tokenizer.safetensors", "model.safetensors",
            "report/index.html", "report/reconstructions.png", "report/predictions.png",
            "report/tokens.png", "checkpoints/tokenizer-00000021.safetensors",
            "checkpoints/tokenizer-00000024.safetensors",
            "checkpoints/pretrain-00000021.safetensors",
            "checkpoints/pretrain-00000024.safetensors"})

    def test_results_are_usable(self):
        folder = self.pictures()
        self.train("run", folder)
        result = subprocess.run(
            [directory / "reconstruct", self.home / "run/tokenizer.safetensors",
             folder / "even/picture-000.jpg", self.home / "out.png"],
            check=True, capture_output=True, text=True, timeout=LIMIT)
        tokens = [int(word) for word in result.stdout.split()]
        self.assertEqual(len(tokens), 16)
        self.assertTrue(all(0 <= token < 32 for token in tokens))
        self.assertGreater((self.home / "out.png").stat().st_size, 100)
        pictures = [folder / "even/picture-000.jpg", folder / "odd/picture-001.png"]
        result = subprocess.run([directory / "features", self.home / "run/model.safetensors",
                                 *pictures, pictures[0]], check=True, capture_output=True, text=True,
                                timeout=LIMIT)
        cosines = [[float(word) for word in line.split()] for line in result.stdout.splitlines()]
        self.assertAlmostEqual(cosines[0][2], 1, places=3)
        self.assertLess(cosines[0][1], 1)

    def test_dry_run(self):
        result = self.run_program(*SMALL, *STEPS, "--dry-run", self.pictures())
        self.assertFalse((self.home / "beit-run").exists())
        for part in "pictures: 24", "32/2/2", "4 x 4 patches", "memory, most", "disk", "time, pre-training":
            self.assertIn(part, result.stdout)

    def test_published_recipe_and_other_sizes(self):
        folder = self.pictures()
        self.train("run", folder, "--recipe", "published", "--tokenizer-layout", "l", "--relative",
                   "both", "--mask-kind", "random", "--epochs", "2", "--steps", "auto",
                   "--micro-batch", "3")
        settings = self.rows("run")[0]["settings"]
        self.assertEqual(settings["lr"], 5e-4)
        self.assertEqual(settings["table_rate"], 1)
        self.assertEqual(settings["balance"], 0)
        self.assertEqual(settings["steps"], 12)
        self.run_program("--model", "nano", "--image-size", "32", "--patch-size", "8", "--depth",
                         "1", "--steps", "3", "--batch-size", "2", "--tokenizer",
                         "run/tokenizer.safetensors", "--out", "second", "--eval-views", "8", folder)
        self.assertEqual((self.home / "second/tokenizer.safetensors").read_bytes(),
                         (self.home / "run/tokenizer.safetensors").read_bytes())
        self.assertEqual(self.rows("second")[0]["settings"]["recipe"], "published")
        self.assertEqual(self.rows("second")[0]["settings"]["vocab"], 32)


class NothingElseDecides(ProgramTest):
    def test_threads_and_cache(self):
        folder = self.pictures()
        self.train("one", folder, "--threads", "1", "--loader-threads", "1")
        self.train("three", folder, "--threads", "3", "--loader-threads", "4", "--cache-mb", "0")
        self.assert_same_weights("one", "three")

    def test_unreadable_pictures_are_passed_over(self):
        self.train("clean", self.pictures())
        result = self.train("spoilt", self.pictures(24, "damaged", name="spoilt-pictures"))
        self.assertIn("6 unreadable", result.stdout)
        self.assert_same_weights("clean", "spoilt")
        listed = (self.home / "spoilt/bad_files.txt").read_text(encoding="utf-8").splitlines()
        self.assertEqual([line.split(":")[0] for line in listed],
                         ["animation.jpeg", "empty.jpg", "half-progressive.jpg", "half.jpg",
                          "half.png", "page.png"])
        self.assertIn("GIF", listed[0])
        self.assertFalse((self.home / "clean/bad_files.txt").exists())

    def test_evaluations_and_checkpoints(self):
        folder = self.pictures()
        self.train("often", folder, "--eval-every", "2", "--save-every", "1")
        self.train("seldom", folder, "--eval-every", "100", "--save-every", "100")
        self.assert_same_weights("often", "seldom")

    def test_seed_does(self):
        folder = self.pictures()
        self.train("zero", folder)
        self.train("one", folder, "--seed", "1")
        self.assertNotEqual((self.home / "zero/model.safetensors").read_bytes(),
                            (self.home / "one/model.safetensors").read_bytes())


class Output(ProgramTest):
    def test_quiet(self):
        self.assertEqual(self.train("run", self.pictures(), "--quiet").stdout, "")

    def test_plain_lines_off_a_terminal(self):
        result = self.train("run", self.pictures())
        self.assertNotIn("\r", result.stdout)
        self.assertNotIn("\x1b", result.stdout)
        self.assertRegex(result.stdout, r"pretrain 24/24  loss [\d.]+  acc [\d.]+  \d+ img/s  "
                                        r"wait \d+%  eta 0:00")

    def on_terminal(self, **variables):
        """Everything that the program writes to a terminal."""
        try:
            primary, secondary = pty.openpty()
        except OSError as error:  # a container without pseudo-terminals
            self.skipTest(str(error))
        environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
        environment.update({"TERM": "xterm", **variables})
        process = subprocess.Popen(
            self.command(*SMALL, *STEPS, "--out", self.home / "run", "--resume", "none",
                         self.pictures()),
            stdout=secondary, env=environment)
        os.close(secondary)
        output = b""
        while True:
            try:
                data = os.read(primary, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not data:
                break
            output += data
        os.close(primary)
        self.assertEqual(process.wait(LIMIT), 0)
        return output.decode()

    def test_live_line_on_a_terminal(self):
        output = self.on_terminal()
        self.assertRegex(output, r"\r\x1b\[36mpretrain \[#*\.*\] \d+/24  loss")
        self.assertTrue(re.search(r"\x1b\[K", output))
        self.assertNotIn("\x1b[36m", self.on_terminal(NO_COLOR="1"))
        self.assertNotIn("\x1b", self.on_terminal(TERM="dumb"))


if __name__ == "__main__":
    main()
