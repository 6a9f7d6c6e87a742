#!/usr/bin/env python3
"""`ruvllm learn eval` end to end, with the bundled model: learn_eval_test.py RUVLLM MODEL."""

import json
import math
import os
import subprocess
import sys
import tempfile
import unittest

RUVLLM = MODEL = ""
DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs")
TIMEOUT = 600  # generous: sanitizer builds on slow machines


class LearnEval(unittest.TestCase):
    def run_eval(self, *arguments, status=0):
        result = subprocess.run([RUVLLM, "learn", "eval", *arguments, "--model", MODEL],
                                capture_output=True, timeout=TIMEOUT, check=False)
        self.assertEqual(result.returncode, status, result.stderr.decode())
        return result.stdout.decode(), result.stderr.decode()

    def texts(self):
        return [os.path.join(DOCS, name) for name in ("kv-store.md", "optimization-guide.md")]

    def test_quick_shows_that_learning_works(self):
        out, _ = self.run_eval(*self.texts(), "--quick", "--json", "--tokens", "4000")
        report = json.loads(out)
        every = {arm["arm"]: arm for arm in report["streams"]["all"]}
        ours = every["ours"]["delta_nll"]
        self.assertLess(ours, -0.1)
        for control in ("shuffled_labels", "random_labels", "constant_gradient"):
            self.assertGreater(every[control]["delta_nll"], -0.01, control)
        self.assertLess(abs(every["constant_gradient"]["delta_nll"]), 1e-4)
        for run in report["long"]:
            self.assertEqual({arm["arm"] for arm in run["arms"]},
                             {"ours", "unigram_cache", "neural_cache", "bias_only"})
        self.assertEqual(len(report["conversations"]["pairs"]), 4)
        methods = {method["method"]: method for method in report["forgetting"]["methods"]}
        self.assertLess(methods["slots"]["forgetting"], methods["naive"]["forgetting"] + 0.01)
        for text in report["gradients"]:
            self.assertGreater(text["cosine_rows"]["mean"], 0.9)
        for stream in report["safety"]:
            self.assertLessEqual(stream["worst_lead"], stream["bound"] + 1e-6)
            self.assertAlmostEqual(stream["bound"], math.log(2), delta=1e-3)

    def test_tables_for_people(self):
        out, _ = self.run_eval(self.texts()[0], "--quick", "--part", "gradients")
        self.assertIn("cosine", out)
        self.assertIn("kv-store", out)

    def test_errors_name_the_text(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "short.txt")
            with open(path, "w", encoding="utf-8") as file:
                file.write("Too short.")
            _, err = self.run_eval(path, status=1)
            self.assertIn("short", err)
            os.remove(path)
            _, err = self.run_eval(folder, status=1)
            self.assertIn("no .txt files", err)
        self.run_eval(self.texts()[0], "--part", "nothing", status=2)
        self.run_eval(status=2)


if __name__ == "__main__":
    RUVLLM, MODEL = sys.argv[1:3]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
