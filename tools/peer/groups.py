"""Groups of cases that are measured together, one after the other on both sides."""

import time

from peer import outputs
from peer.machine import OtherWork
from peer.programs import Programs, flag
from peer.results import ModelResults

# Above this a second repetition of llama-bench, to be sure that nothing is cold, takes minutes.
LARGE_MODEL_BYTES = 2_500_000_000
PROMPT = 512
SEARCH_DEPTH = 2048
BATCH_DEPTH = 16


def read_through(path: str) -> None:
    """Into the page cache: who starts first should not pay for the disk."""
    with open(path, "rb", buffering=0) as file:
        while file.read(1 << 24):
            pass


class Bench:
    """One model. Every measure_* adds one pair to each of its cases."""

    def __init__(self, programs: Programs, path: str, results: ModelResults):
        self.programs = programs
        self.path = path
        self.results = results
        self.seconds: dict[str, float] = {}  # of the last run of each group

    def run(self, group: str) -> None:
        others, begin = OtherWork(), time.monotonic()
        self.programs.cpu_seconds = 0.0
        getattr(self, f"measure_{group}")()
        self.seconds[group] = time.monotonic() - begin
        self.results.others.append(others.share(self.programs.cpu_seconds))

    def _is_large(self) -> bool:
        return self.results.num_bytes > LARGE_MODEL_BYTES

    # ---- llama.cpp's best settings, found once for each model

    def search(self) -> dict:
        """Flash attention and ubatch, for a prompt and for decode."""
        settings = self.results.settings
        if "prefill" not in settings:
            more = ("-r", "1", "--no-warmup") if self._is_large() else ("-r", "2")
            report, _ = self.programs.llama_bench(self.path, PROMPT, 16, "off,on", "128,512",
                                                  *more)
            for kind in ("prefill", "decode"):
                settings[kind] = outputs.best_setting(report["rows"], kind)
        return settings

    def search_depth(self) -> dict:
        settings = self.results.settings
        if "depth_prefill" not in settings:
            ubatch = self.search()["prefill"]["ubatch"]
            rows = []
            for flash in (False, True):
                setting = {"flash": flash, "ubatch": ubatch}
                speeds = self.programs.llama_batched(self.path, SEARCH_DEPTH, "1", setting)[1]
                for kind in ("prefill", "decode"):
                    rows.append({**setting, "kind": kind, "tok_s": speeds[kind]})
            for kind in ("prefill", "decode"):
                settings[f"depth_{kind}"] = outputs.best_setting(rows, kind)
        return settings

    # ---- groups

    def measure_start(self) -> None:
        read_through(self.path)
        own, other = self.programs.own_start(self.path), self.programs.llama_start(self.path)
        self.results.add("start_s", own.seconds, other.seconds)
        self.results.add("start_bytes", own.peak_bytes, other.peak_bytes)

    def measure_prefill(self) -> None:
        best = self.search()["prefill"]
        own = self.programs.own_bench(self.path, prompt=PROMPT)
        more = ("-r", "1", "--no-warmup") if self._is_large() else ("-r", "1")
        other, finished = self.programs.llama_bench(self.path, PROMPT, 0, flag(best["flash"]),
                                                    best["ubatch"], *more)
        self.results.add("prefill_512", own["prefill"], other["rows"][0]["tok_s"])
        self.results.add("peak_bytes", own["peak_bytes"], finished.peak_bytes)

    def measure_decode(self) -> None:
        best = self.search()["decode"]
        own = self.programs.own_bench(self.path)
        other, _ = self.programs.llama_bench(self.path, 0, self.programs.options.generate,
                                             flag(best["flash"]), best["ubatch"], "-r", "1")
        self.results.add("decode_0", own["decode"][1], other["rows"][0]["tok_s"])

    def measure_batch(self) -> None:
        batches = "2,4,8"
        own = self.programs.own_bench(self.path, depth=BATCH_DEPTH, batches=batches)
        other = self.programs.llama_batched(self.path, BATCH_DEPTH, batches,
                                            self.search()["decode"])
        for count in map(int, batches.split(",")):
            self.results.add(f"batch_{count}", own["decode"][count], other[count]["decode"])

    def _measure_depth(self, depth: int) -> tuple[dict, dict, dict]:
        """ruvllm's report and llama.cpp's speeds in its best settings for prompt and decode."""
        settings = self.search_depth()
        own = self.programs.own_bench(self.path, depth=depth)
        prefill = self.programs.llama_batched(self.path, depth, "1", settings["depth_prefill"])[1]
        decode = prefill
        if settings["depth_decode"] != settings["depth_prefill"]:
            decode = self.programs.llama_batched(self.path, depth, "1", settings["depth_decode"])[1]
        return own, prefill, decode

    def measure_depth_4096(self) -> None:
        own, _, decode = self._measure_depth(4096)
        self.results.add("decode_4096", own["decode"][1], decode["decode"])

    def measure_depth_8192(self) -> None:
        own, prefill, decode = self._measure_depth(8192)
        self.results.add("prefill_8192", own["depth_prefill"][1], prefill["prefill"])
        self.results.add("decode_8192", own["decode"][1], decode["decode"])

    def expected_seconds(self, group: str) -> float:
        """What a group will take: as the last time, or guessed from the prefill of 512 tokens."""
        if group in self.seconds:
            return self.seconds[group]
        prefill = self.results.pairs.get("prefill_512")
        if not group.startswith("depth") or prefill is None:
            return 0.0
        tokens = int(group.split("_")[1])
        # A long prompt takes longer a token, llama.cpp's more so; both settings may be run.
        own, other = 1.3 * tokens / prefill.ruvllm[-1], 2.0 * tokens / prefill.llama_cpp[-1]
        search = 2 * SEARCH_DEPTH / prefill.llama_cpp[-1]
        return own + other + (0.0 if "depth_prefill" in self.results.settings else search)
