#!/usr/bin/env python3
"""Prints the table "round trip" of docs/models.md: greedy tokens of the same model in two engines.

round_trip.py RUVLLM LLAMA_BIN [GOLDEN] [--families llama,gpt-oss] [--formats f32,q8_0]

LLAMA_BIN is llama.cpp's build/bin, with its source two folders up; GOLDEN the folder of the tiny
checkpoints, tests/golden/hf if left out. For each checkpoint and format, 16 tokens after each of two prompts:

  our file           the folder, `ruvllm convert` (and `quantize`), the file in ruvllm and in llama.cpp
  llama.cpp's file   llama.cpp's own conversion (and llama-quantize), likewise
  the folder         our file against the folder, both in ruvllm; a quantized model goes its own way at
                     some step, which is no mistake

Tokens are compared up to the first difference; there both engines saw the same text, and the difference
counts as a near tie if the first two candidates of either are within the bound of the format. Exits with
1 if a difference is no near tie.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import prompts

NUM_TOKENS = 16
CONTEXT = 256  # llama.cpp rounds up to this, and LongRoPE's factors go by it
# What the logits of two right engines may differ by: keys and values are binary16 in both, llama.cpp
# rounds activations to the type of the weights, and both have int8 activations beside quantized ones.
FLOAT_BOUND, QUANTIZED_BOUND = 0.01, 0.2
FORMATS = ("f32", "f16", "q8_0", "q4_k_m")
WITHOUT_LLAMA_CPP = {"bert", "nomic-bert", "qwen3-embedding"}  # embeddings, no tokens
# llama.cpp ignores Mistral's window: only steps whose whole text fits into it can agree.
WINDOWS = {"mistral": 16}


class Peer:
    """Both programs, and a folder for their files."""

    def __init__(self, options, folder):
        self.ruvllm, self.llama_bin = options.ruvllm.resolve(), options.llama_bin.resolve()
        self.golden, self.folder = options.golden, folder
        self.greedy = folder / "llama_greedy"
        source = self.llama_bin.parent.parent
        run("c++", "-std=c++17", "-O1", pathlib.Path(__file__).with_name("llama_greedy.cc"),
            "-I", source / "include", "-I", source / "ggml" / "include",
            "-L", self.llama_bin, f"-Wl,-rpath,{self.llama_bin}",
            f"-Wl,-rpath-link,{self.llama_bin}", "-lllama", "-lggml", "-lggml-base",
            "-o", self.greedy)  # fmt: skip

    def prompt_ids(self, name):
        return [run_json(self.ruvllm, "tokenize", text, "-m", self.golden / name, "--bos")["ids"]
                for text in prompts.TEXTS]

    def run_ours(self, model):
        """For each prompt [(id, gap)]."""
        return [self.generate(model, text) for text in prompts.TEXTS]

    def generate(self, model, text):
        longest = run_json(self.ruvllm, "show", model)["context_length"]
        report = run_json(self.ruvllm, "run", "-m", model, "--raw", "-p", text, "-n", NUM_TOKENS,
                          "--temp", 0, "--ignore-eos", "--logprobs", 2, "-t", 1,
                          "--ctx", min(CONTEXT, longest))
        steps = []
        for step in report["logprobs"]:
            first, second = (candidate["logprob"] for candidate in step["top"][:2])
            steps.append((step["id"], first - second))
        return steps

    def run_llama(self, model, name):
        betas = []
        config = json.loads((self.golden / name / "config.json").read_text(encoding="utf-8"))
        scaling = config.get("rope_scaling") or {}
        # The file says them, but llama.cpp reads them from its arguments only.
        if "beta_fast" in scaling:
            betas = [scaling["beta_fast"], scaling["beta_slow"]]
        lines = "".join(" ".join(map(str, ids)) + "\n" for ids in self.prompt_ids(name))
        out = run(self.greedy, model, NUM_TOKENS, CONTEXT, *betas, input=lines)
        return [[(int(word.split(":")[0]), float(word.split(":")[1])) for word in line.split()]
                for line in out.splitlines()]

    def our_file(self, name, type_name):
        path = self.folder / f"{name}-{type_name}.gguf"
        # Without the family's name: of models called "phi3" llama.cpp wants Phi-3's own vocabulary.
        checkpoint = self.folder / "checkpoint"
        shutil.rmtree(checkpoint, ignore_errors=True)
        shutil.copytree(self.golden / name, checkpoint)
        if type_name != "q4_k_m":
            run(self.ruvllm, "convert", checkpoint, path, "--type", type_name)
            return path
        base = self.folder / f"{name}-base.gguf"
        run(self.ruvllm, "convert", checkpoint, base, "--type", "f32")
        run(self.ruvllm, "quantize", base, path, "Q4_K_M", "--allow-requantize")
        return path

    def llama_file(self, name, type_name):
        source = self.golden / f"{name}.gguf"
        if type_name == "f32":
            return source
        path = self.folder / f"{name}-{type_name}-llama.gguf"
        run(self.llama_bin / "llama-quantize", "--allow-requantize", source, path,
            type_name.upper())
        return path

    def types_of(self, model):
        """Of the matrices in the layers, the most frequent first."""
        tensors = run_json(self.ruvllm, "show", model)["tensors"]
        types = [t["dtype"] for t in tensors if t["name"].startswith("blk.") and len(t["dims"]) > 1]
        return sorted(set(types), key=lambda t: (-types.count(t), t))


def run(*command, **keywords):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False, **keywords)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stderr[-2000:]}")
    return done.stdout


def run_json(*command):
    return json.loads(run(*command, "--json"))


def first_differences(ours, theirs):
    """Of each prompt that has one: (prompt, step, by how much the second candidate is behind)."""
    found = []
    for p, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        step = next((i for i in range(len(a)) if a[i][0] != b[i][0]), None)
        if step is not None:
            found.append((p, step, min(a[step][1], b[step][1])))
    return found


def describe(differences):
    return ", ".join(f"step {step + 1} (prompt {p + 1}, gap {gap:.2g})" for p, step, gap in differences)


def within_window(name, peer, steps):
    """What comes before the window of a model begins to matter that llama.cpp does not know."""
    if name not in WINDOWS:
        return steps
    kept = []
    for ids, tokens in zip(peer.prompt_ids(name), steps, strict=True):
        kept.append(tokens[:max(0, WINDOWS[name] + 1 - len(ids))])
    return kept


def row(peer, name, type_name):
    """Prints a row; False if engines differ."""
    types = peer.types_of(ours := peer.our_file(name, type_name))
    quantized = any(t.lower()[0] in "qm" for t in types)
    bound = QUANTIZED_BOUND if quantized else FLOAT_BOUND
    right, cells = True, [name, f"{type_name.upper()} ({', '.join(types)})"]
    for model in (ours, peer.llama_file(name, type_name)):
        found = first_differences(within_window(name, peer, peer.run_ours(model)),
                                  within_window(name, peer, peer.run_llama(model, name)))
        agree = all(gap <= bound for _, _, gap in found)
        right &= agree
        verdict = "near tie at" if agree else "**differs** at"
        cells.append(f"{verdict} {describe(found)}" if found else "equal")
    found = first_differences(peer.run_ours(ours), peer.run_ours(peer.golden / name))
    right &= quantized or all(gap <= bound for _, _, gap in found)
    cells.append(f"until {describe(found)}" if found else "equal")
    print(f"| {' | '.join(cells)} |", flush=True)
    return right


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ruvllm", type=pathlib.Path)
    parser.add_argument("llama_bin", type=pathlib.Path)
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    parser.add_argument("golden", type=pathlib.Path, nargs="?",
                        default=root / "tests" / "golden" / "hf")
    parser.add_argument("--families", default="")
    parser.add_argument("--formats", default=",".join(FORMATS))
    options = parser.parse_args()
    names = [path.parent.name for path in sorted(options.golden.glob("*/config.json"))]
    names = [name for name in names if name not in WITHOUT_LLAMA_CPP]
    if options.families:
        names = options.families.split(",")
    right = True
    print("| checkpoint | format (types of the layers' matrices) | our file, in both engines "
          "| llama.cpp's file, in both | our file and the folder, in ours |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(options, pathlib.Path(folder))
        for name in names:
            for type_name in options.formats.split(","):
                right &= row(peer, name, type_name)
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
