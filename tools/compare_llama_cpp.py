#!/usr/bin/env python3
"""Measures ruvllm beside llama.cpp: same files, same threads, in turns within one run.

usage: compare_llama_cpp.py --llama-bin DIR [--ruvllm BIN] [--threads N] [--rounds N] [--prefix CMD] MODEL.gguf ...

DIR holds llama.cpp's llama-bench and llama-completion. llama.cpp runs with flash attention on and off, and
the better of the two counts. Figures are medians over the rounds; a ratio is ruvllm / llama.cpp, so above 1
is better for speed and below 1 for memory and time. --prefix puts a command before every measured one,
e.g. "chrt -r 10" where other work would disturb.
"""
import argparse
import json
import os
import shlex
import statistics
import subprocess
import time


def run(command):
    """(stdout, wall seconds, peak resident bytes) of a command."""
    begin = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               stdin=subprocess.DEVNULL)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"failed: {shlex.join(command)}")
    return output.decode(), time.monotonic() - begin, usage.ru_maxrss * 1024


class Peer:
    def __init__(self, options):
        self.options = options
        self.prefix = shlex.split(options.prefix)

    def llama_speeds(self, model):
        """(prefill tok/s, decode tok/s, peak bytes), the better of flash attention on and off."""
        best = {"pp": 0.0, "tg": 0.0}
        peak = 0
        for flash in ("0", "1"):
            text, _, memory = run(self.prefix + [
                f"{self.options.llama_bin}/llama-bench", "-m", model, "-t", str(self.options.threads),
                "-p", str(self.options.prompt), "-n", str(self.options.generate), "-r", "2",
                "-fa", flash, "-o", "json"])
            for row in json.loads(text):
                kind = "pp" if row["n_prompt"] else "tg"
                best[kind] = max(best[kind], row["avg_ts"])
            peak = memory if peak == 0 else min(peak, memory)
        return best["pp"], best["tg"], peak

    def own_speeds(self, model):
        text, _, memory = run(self.prefix + [
            self.options.ruvllm, "bench", "--json", "-m", model, "-t", str(self.options.threads),
            "-p", str(self.options.prompt), "-n", str(self.options.generate), "-r", "2"])
        report = json.loads(text)
        # Before the bandwidth measurement, which needs memory of its own.
        return report["prefill_tok_s"], report["decode"][0]["tok_s"], report["peak_rss_bytes"]

    def llama_start(self, model):
        return run(self.prefix + [
            f"{self.options.llama_bin}/llama-completion", "-m", model, "-t",
            str(self.options.threads), "-p", "Hello", "-n", "1", "-no-cnv", "--no-warmup",
            "--temp", "0"])[1:]

    def own_start(self, model):
        return run(self.prefix + [
            self.options.ruvllm, "run", "--raw", "-m", model, "-t", str(self.options.threads), "-p",
            "Hello", "-n", "1", "--temp", "0"])[1:]


def compare(peer, model):
    rows = {name: ([], []) for name in
            ("prefill tok/s", "decode tok/s", "peak memory of both, MB",
             "start to first token, s", "memory at first token, MB")}
    for _ in range(peer.options.rounds):
        for side, speeds, start in ((0, peer.own_speeds, peer.own_start),
                                    (1, peer.llama_speeds, peer.llama_start)):
            prefill, decode, memory = speeds(model)
            seconds, first_memory = start(model)
            for name, value in zip(rows, (prefill, decode, memory / 1e6, seconds,
                                          first_memory / 1e6)):
                rows[name][side].append(value)
    print(f"\n{os.path.basename(model)}, {peer.options.threads} threads, "
          f"{peer.options.rounds} rounds\n")
    print(f"| | ruvllm | llama.cpp | ratio | ratio of each round |\n|---|---|---|---|---|")
    for name, (own, other) in rows.items():
        ratios = ", ".join(f"{a / b:.2f}" for a, b in zip(own, other))
        a, b = statistics.median(own), statistics.median(other)
        print(f"| {name} | {a:.4g} | {b:.4g} | {a / b:.2f} | {ratios} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama-bin", required=True)
    parser.add_argument("--ruvllm", default="build/release/bin/ruvllm")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=32)
    parser.add_argument("--prefix", default="")
    parser.add_argument("models", nargs="+")
    options = parser.parse_args()
    for model in options.models:
        compare(Peer(options), model)


if __name__ == "__main__":
    main()
