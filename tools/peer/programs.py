"""Runs ruvllm and llama.cpp for one group of cases and gives the values of both."""

import json
import os
import shlex
import subprocess
import time
from dataclasses import dataclass

from peer import outputs

START_CONTEXT = 2048  # tokens of the start to the first token, which every model can have

class Failed(Exception):
    """A measured program failed; says which command."""


@dataclass
class Finished:
    text: str
    seconds: float      # wall
    peak_bytes: int     # resident
    cpu_seconds: float  # user and system


def run(command: list[str]) -> Finished:
    begin = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        text = process.stdout.read().decode(errors="replace")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Failed(f"failed with {process.returncode}: {shlex.join(command)}")
    return Finished(text, time.monotonic() - begin, usage.ru_maxrss * 1024,
                    usage.ru_utime + usage.ru_stime)


class Programs:
    """The commands of both sides. Remembers the processor time they took, and what the programs say
    of themselves."""

    def __init__(self, options):
        self.options = options
        self.prefix = shlex.split(options.prefix)
        self.cpu_seconds = 0.0
        self.llama_version = None
        self.isa = None

    def _run(self, *command) -> Finished:
        finished = run(self.prefix + [str(part) for part in command])
        self.cpu_seconds += finished.cpu_seconds
        return finished

    # ---- ruvllm

    def own_json(self, command: str, *arguments) -> dict:
        return json.loads(self._run(self.options.ruvllm, command, "--json", *arguments).text)

    def own_bench(self, model, prompt=0, depth=0, batches="1") -> dict:
        generate = 0 if prompt else self.options.generate
        context = max(prompt, depth) + self.options.generate + 64
        finished = self._run(
            self.options.ruvllm, "bench", "--json", "-m", model, "-t", self.options.threads, "-r", 1,
            "-p", prompt, "-n", generate, "-d", depth, "-b", batches, "--ctx", context)  # fmt: skip
        report = outputs.ruvllm_bench(finished.text)
        self.isa = report["isa"]
        return report

    def own_start(self, model) -> Finished:
        return self._run(self.options.ruvllm, "run", "--raw", "-m", model, "-t",
                         self.options.threads, "-p", "Hello", "-n", 1, "--temp", 0, "--ctx", START_CONTEXT)

    # ---- llama.cpp

    def llama_bench(self, model, prompt, generate, flash, ubatch, *more) -> tuple[dict, Finished]:
        """`flash` and `ubatch` may be lists with commas: then all combinations are measured."""
        finished = self._run(
            f"{self.options.llama_bin}/llama-bench", "-m", model, "-t", self.options.threads,
            "-p", prompt, "-n", generate, "-fa", flash, "-ub", ubatch, "-o", "jsonl",
            *more)  # fmt: skip
        report = outputs.llama_bench(finished.text)
        self.llama_version = report["version"]
        return report, finished

    def llama_batched(self, model, prompt, batches, setting, context=None) -> dict:
        generate = self.options.generate
        sequences = max(int(count) for count in batches.split(","))
        context = context or (prompt + generate + 64) * sequences
        finished = self._run(
            f"{self.options.llama_bin}/llama-batched-bench", "-m", model, "-t",
            self.options.threads, "-c", context, "-b", 2048, "-ub", setting["ubatch"], "-fa",
            flag(setting["flash"]), "-npp", prompt, "-ntg", generate, "-npl", batches,
            "--output-format", "jsonl")  # fmt: skip
        return outputs.llama_batched_bench(finished.text)

    def llama_start(self, model) -> Finished:
        return self._run(
            f"{self.options.llama_bin}/llama-completion", "-m", model, "-t", self.options.threads,
            "-p", "Hello", "-n", 1, "-no-cnv", "--no-warmup", "--temp", 0, "-c", START_CONTEXT)


def flag(flash: bool) -> str:
    return "on" if flash else "off"
