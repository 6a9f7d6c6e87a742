"""compare_peer: what it reads (recorded outputs), in which order it measures, what it writes."""

import argparse
import json
import sys
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data/peer"
sys.path.insert(0, str(ROOT / "tools"))

from peer import machine, outputs, plot, report, schedule  # noqa: E402
from peer.groups import Bench  # noqa: E402
from peer.programs import Finished, Programs  # noqa: E402
from peer.results import CASE_OF_NAME, CASES, ModelResults, Pairs  # noqa: E402


def recorded(name: str) -> str:
    return (DATA / name).read_text(encoding="utf-8")


class Outputs(unittest.TestCase):
    def test_llama_bench(self):
        read = outputs.llama_bench(recorded("llama_bench.jsonl"))
        self.assertEqual(read["version"], "build 1 (de3ff81)")
        self.assertEqual(len(read["rows"]), 8)
        self.assertEqual(read["rows"][0], {"kind": "prefill", "tok_s": 218.265, "flash": False,
                                           "ubatch": 128})
        self.assertEqual({(row["kind"], row["flash"], row["ubatch"]) for row in read["rows"]},
                         {(kind, flash, ubatch) for kind in ("prefill", "decode")
                          for flash in (False, True) for ubatch in (128, 512)})

    def test_llama_batched_bench(self):
        read = outputs.llama_batched_bench(recorded("llama_batched_bench.txt"))
        self.assertEqual(set(read), {2, 4})
        self.assertEqual(read[4], {"prompt": 16, "prefill": 69.097305, "decode": 37.479591})

    def test_ruvllm_bench(self):
        read = outputs.ruvllm_bench(recorded("ruvllm_bench.json"))
        self.assertEqual(set(read["decode"]), {1, 2})
        self.assertEqual(set(read["depth_prefill"]), {1, 2})
        self.assertGreater(read["peak_bytes"], 1e6)
        self.assertEqual(read["isa"], "avx512")

    def test_other_outputs_are_refused(self):
        for reader, text in ((outputs.ruvllm_bench, "error"), (outputs.ruvllm_bench, "{}"),
                             (outputs.llama_bench, ""), (outputs.llama_bench, '{"n_prompt": 1}'),
                             (outputs.llama_batched_bench, '{"pl": 1}'),
                             (outputs.llama_batched_bench, '{"pl": ')):
            with self.assertRaises(outputs.UnexpectedOutput, msg=text):
                reader(text)

    def test_best_setting(self):
        rows = [{"kind": "prefill", "tok_s": 10.0, "flash": True, "ubatch": 128},
                {"kind": "prefill", "tok_s": 30.0, "flash": False, "ubatch": 512},
                {"kind": "decode", "tok_s": 90.0, "flash": True, "ubatch": 512}]
        self.assertEqual(outputs.best_setting(rows, "prefill"), {"flash": False, "ubatch": 512})


class Results(unittest.TestCase):
    def test_ratios_are_good_above_one(self):
        speed = Pairs(CASE_OF_NAME["decode_0"])
        speed.add(30.0, 20.0)
        memory = Pairs(CASE_OF_NAME["peak_bytes"])
        memory.add(1e9, 3e9)
        self.assertEqual(speed.ratios(), [1.5])
        self.assertEqual(memory.ratios(), [3.0])

    def test_spread(self):
        pairs = Pairs(CASE_OF_NAME["decode_0"])
        for own in (10.0, 30.0, 20.0):
            pairs.add(own, 10.0)
        written = pairs.to_json()
        self.assertEqual((written["ratio"], written["ratio_lowest"], written["ratio_highest"]),
                         (2.0, 1.0, 3.0))

    def test_what_was_left_out_once_may_be_measured_later(self):
        results = ModelResults("m", 1, left_out=["decode_0", "decode_4096"])
        results.add("decode_0", 1.0, 1.0)
        self.assertEqual(results.to_json()["left_out"], ["decode_4096"])


class FakeBench:
    def __init__(self, seconds):
        self.results = ModelResults("m", 1)
        self.seconds = {}
        self.cost = seconds
        self.ran = []

    def expected_seconds(self, group):
        return self.cost[group]

    def run(self, group):
        self.ran.append(group)
        self.seconds[group] = self.cost[group]


class Schedule(unittest.TestCase):
    def test_short_cases_come_twice_before_deep_ones(self):
        order = schedule.plan(3, ("prefill", "depth_8192"), 2)
        self.assertEqual(order, [(0, "prefill"), (1, "prefill")] * 2 +
                         [(0, "depth_8192"), (1, "depth_8192"), (0, "prefill"), (1, "prefill")] +
                         [(0, "depth_8192"), (1, "depth_8192")] * 2)

    def test_every_case_belongs_to_one_group(self):
        names = [name for cases in schedule.CASES_OF_GROUP.values() for name in cases]
        self.assertEqual(sorted(names), sorted(case.name for case in CASES))

    def test_what_does_not_fit_is_left_out(self):
        bench = FakeBench({"prefill": 10.0, "depth_8192": 100.0})
        spent = lambda: 50.0 - sum(bench.cost[group] for group in bench.ran)  # noqa: E731
        order = [(0, "prefill"), (0, "depth_8192"), (0, "prefill")]
        schedule.run_plan(order, [bench], spent, lambda *_: None)
        self.assertEqual(bench.ran, ["prefill", "prefill"])
        self.assertEqual(bench.results.left_out, ["prefill_8192", "decode_8192"])


class FakePrograms(Programs):
    """Answers with recorded outputs and notes the commands."""

    def __init__(self):
        super().__init__(argparse.Namespace(prefix="", threads=2, generate=8, ruvllm="ruvllm",
                                            llama_bin="llama"))
        self.commands = []

    def _run(self, *command):
        self.commands.append([str(part) for part in command])
        name = Path(str(command[0])).name
        if name == "llama-batched-bench":
            # The rows of a run of other numbers of sequences.
            row = json.loads(recorded("llama_batched_bench.txt").splitlines()[0])
            counts = command[command.index("-npl") + 1].split(",")
            text = "\n".join(json.dumps({**row, "pl": int(count)}) for count in counts)
        elif name == "llama-bench":
            rows = recorded("llama_bench.jsonl").splitlines()
            wanted = [row for row in rows if
                      (command[command.index("-p") + 1] and json.loads(row)["n_prompt"]) or
                      (command[command.index("-n") + 1] and json.loads(row)["n_gen"])]
            text = "\n".join(wanted)
        else:
            answer = {**json.loads(recorded("ruvllm_bench.json")), "prefill_tok_s": 100.0}
            batches = command[command.index("-b") + 1].split(",") if "-b" in command else ["1"]
            answer["decode"] = [{**answer["decode"][0], "batch": int(b)} for b in batches]
            text = json.dumps(answer)
        return Finished(text, 1.5, 10_000_000, 1.0)


class WholeRun(unittest.TestCase):
    def measured(self) -> tuple[Bench, FakePrograms]:
        programs = FakePrograms()
        bench = Bench(programs, __file__, ModelResults("m", 1000))
        order = schedule.plan(2, tuple(schedule.CASES_OF_GROUP), 1)
        schedule.run_plan(order, [bench], lambda: 1e9, lambda *_: None)
        return bench, programs

    def test_every_case_is_measured_on_both_sides(self):
        bench, programs = self.measured()
        self.assertEqual(set(bench.results.pairs), set(CASE_OF_NAME))
        for pairs in bench.results.pairs.values():
            self.assertEqual((len(pairs.ruvllm), len(pairs.llama_cpp)), (2, 2))
        self.assertEqual(set(bench.results.settings),
                         {"prefill", "decode", "depth_prefill", "depth_decode"})
        searches = [command for command in programs.commands if "off,on" in command]
        self.assertEqual(len(searches), 1)
        for command in programs.commands:
            if "-t" in command:
                self.assertEqual(command[command.index("-t") + 1], "2", command)

    def make_report(self) -> dict:
        bench, _ = self.measured()
        return {"schema": 1, "date": "2026-11-22 00:00 UTC", "isa": "avx2", "threads": 2,
                "machine": {"cpu": "A <CPU>", "processors": 2, "memory_gb": 25.3},
                "versions": {"ruvllm": "1", "ruvllm_compiler": None, "llama_cpp": "2",
                             "llama_cpp_compiler": "gcc 12.2.0"},
                "models": [bench.results.to_json()]}

    def test_plot_is_a_picture(self):
        result = self.make_report()
        picture = ElementTree.fromstring(plot.draw(result))
        bars = [e for e in picture.iter("{http://www.w3.org/2000/svg}rect")]
        self.assertEqual(len(bars), 1 + len(CASES))  # the ground is one too
        self.assertIn("A <CPU>", "".join(picture.itertext()))
        result["models"][0]["cases"] = {}
        with self.assertRaises(ValueError):
            plot.draw(result)

    def test_page(self):
        page = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
        page = report.replace_between_marks(page, report.markdown(self.make_report(), "a.svg"))
        self.assertTrue(page.startswith("before\n") and page.endswith("\nafter\n"))
        self.assertNotIn("old", page)
        for case in CASES:
            self.assertIn(case.title, page)
        self.assertIn("![ratios](a.svg)", page)
        self.assertIn("flash attention", page)


class Machine(unittest.TestCase):
    def test_slug(self):
        self.assertEqual(machine.slug("AMD EPYC 7B13 (Milan)"), "amd-epyc-7b13-milan")

    def test_compiler_of_nothing(self):
        self.assertIsNone(machine.compiler_of(Path("/nowhere/at/all")))

    def test_share_of_others(self):
        work = machine.OtherWork()
        self.assertGreaterEqual(work.share(0.0), 0.0)
        self.assertEqual(work.share(1e9), 0.0)


if __name__ == "__main__":
    unittest.main(verbosity=1)
