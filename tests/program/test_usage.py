"""Wrong commands, wrong data, wrong files: one clear line and a documented exit status each."""
import json
import shutil

from program import LIMIT, SMALL, STEPS, ProgramTest, main


class Usage(ProgramTest):
    def test_help_states_every_default(self):
        text = self.run_program("--help").stdout
        options = text.count("\n       --")
        self.assertGreater(options, 50)
        # Every option but the flags and the examples' lines ends its description with a default.
        flags = 4
        self.assertEqual(text.count("]\n"), options - flags + text.count("[OPTION]...\n"))
        for part in "EXIT STATUS", "--resume auto|none|FILE", "[beit-run]", "nano|tiny|small":
            self.assertIn(part, text)

    def test_version(self):
        self.assertIn("libbeit 0.", self.run_program("--version").stdout)

    def test_wrong_commands(self):
        for arguments, parts in (
                (["--stpes", "3", "x"], ["--stpes", "is --steps meant?"]),
                (["--steps", "three", "x"], ["--steps", "three", "whole number"]),
                (["--steps", "0", "x"], ["--steps", "from 1"]),
                (["--lr=fast", "x"], ["--lr", "fast"]),
                (["--lr", "nan", "x"], ["--lr", "nan"]),
                (["--model", "huge", "x"], ["huge", "nano|tiny|small|base|large"]),
                (["--quiet=yes", "x"], ["--quiet", "no value"]),
                (["x", "--seed"], ["--seed needs a value"]),
                (["one", "two"], ["two"]),
                ([], ["which folder"]),
                (["--config", "absent.json", "x"], ["absent.json"])):
            with self.subTest(arguments):
                self.assert_one_line(self.run_program(*arguments, expect=2), *parts)

    def test_settings_that_make_no_sense_together(self):
        folder = self.pictures(2)
        for arguments, parts in (
                (["--image-size", "30", "--patch-size", "8"], ["30", "multiple"]),
                (["--embed-dim", "30", "--heads", "4"], ["30", "multiple"]),
                (["--steps", "3", "--epochs", "2"], ["--epochs"]),
                (["--steps", "3", "--warmup-steps", "4"], ["--warmup-steps"]),
                (["--piece", "12"], ["--piece", "12"]),
                (["--mask-patches", "500"], ["500"]),
                (["--backend-options", "speed=11"], ["speed"])):
            with self.subTest(arguments):
                result = self.run_program("--model", "nano", *arguments, folder, expect=2)
                self.assert_one_line(result, *parts)
        self.assertFalse((self.home / "beit-run").exists() and
                         any((self.home / "beit-run" / "checkpoints").iterdir()))

    def test_config_file(self):
        path = self.home / "settings.json"
        for text, part in (('{"steps": 3, "steps": 4}', "duplicate"), ('{"stpes": 3}', "stpes"),
                           ('{"steps": "three"}', "three"), ('{"quiet": true}', "quiet"),
                           ('[1]', "no JSON object"), ('{"steps": 1.5}', "1.5"), ("{", "line")):
            with self.subTest(text):
                path.write_text(text, encoding="utf-8")
                self.assert_one_line(self.run_program("--config", path, "x", expect=2), part)

    def test_no_pictures(self):
        empty = self.home / "empty"
        empty.mkdir()
        self.assert_one_line(self.run_program(empty, expect=3), "empty", "no JPEG or PNG")
        self.assert_one_line(self.run_program("absent", expect=3), "absent", "No such file")
        (empty / "broken.jpg").write_text("no picture", encoding="utf-8")
        self.assert_one_line(self.run_program(empty, expect=3), "none of 1 pictures", "broken.jpg")

    def test_out_that_cannot_be_made(self):
        (self.home / "file").touch()
        result = self.run_program("--out", "file/run", self.pictures(2), expect=1)
        self.assert_one_line(result, "file/run", "cannot be made")

    def test_unfit_tokenizers(self):
        folder = self.pictures()
        self.train("run", folder)
        good = self.home / "run" / "tokenizer.safetensors"
        half, page = self.home / "half.safetensors", self.home / "page.pkl"
        half.write_bytes(good.read_bytes()[:2000])
        page.write_text("<!doctype html><title>not found</title>", encoding="utf-8")
        for arguments, part in (
                (["--tokenizer", half], "half"), (["--tokenizer", page], "page.pkl"),
                (["--tokenizer", good, "--vocab", "64"], "--vocab"),
                (["--tokenizer", good, "--image-size", "64"], "tokens"),
                (["--tokenizer", self.home / "run" / "model.safetensors"], "model")):
            with self.subTest(arguments):
                result = self.run_program("--model", "nano", "--image-size", "32", "--patch-size",
                                          "8", "--steps", "2", "--out", "other", *arguments, folder,
                                          expect=4)
                self.assert_one_line(result, part)
                shutil.rmtree(self.home / "other", ignore_errors=True)
        self.run_program("--tokenizer", "absent.safetensors", folder, expect=1)

    def test_divergence(self):
        result = self.train("run", self.pictures(), "--tokenizer-lr", "1000", "--tokenizer-clip",
                            "0", expect=5)
        self.assert_one_line(result, "not finite", "learning rate")


class OtherSettings(ProgramTest):
    def test_resuming_with_other_settings(self):
        folder = self.pictures()
        self.train("run", folder)
        result = self.train("run", folder, "--lr", "0.002", "--depth", "3", expect=4)
        self.assertRegex(result.stderr, r"lr +was 0.005, is now 0.002")
        self.assertRegex(result.stderr, r"depth +was 2, is now 3")
        self.assertIn("--resume none", result.stderr)
        # What does not change the result may change.
        self.train("run", folder, "--threads", "1", "--keep", "1", "--quiet")

    def test_resuming_with_other_pictures(self):
        self.train("run", self.pictures(24))
        result = self.train("run", self.pictures(25), expect=4)
        self.assert_one_line(result, "other pictures")

    def test_starting_anew_keeps_the_old_run(self):
        folder = self.pictures()
        self.train("run", folder)
        old = (self.home / "run" / "model.safetensors").read_bytes()
        self.train("run", folder, "--seed", "1", "--resume", "none")
        self.assertEqual((self.home / "run/earlier-1/model.safetensors").read_bytes(), old)
        self.assertNotEqual((self.home / "run/model.safetensors").read_bytes(), old)

    def test_config_of_a_run_repeats_it(self):
        folder = self.pictures()
        self.train("run", folder)
        self.run_program("--config", "run/config.json", "--out", "again", folder)
        self.assert_same_weights("run", "again")
        settings = json.loads((self.home / "run/config.json").read_text(encoding="utf-8"))
        self.assertEqual(settings["settings"]["lr"], "auto")
        self.assertEqual(settings["resolved"]["lr"], 0.005)


if __name__ == "__main__":
    main()
