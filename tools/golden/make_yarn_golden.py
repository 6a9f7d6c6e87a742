#!/usr/bin/env python3
"""Writes tests/golden/hf/llama-yarn-unrounded.golden.gguf: the activations of llama-yarn if its
configuration said "truncate": false, as gpt-oss's does.

By the numpy forward pass of reference.py; the script fails unless the same pass with rounding agrees to
1e-6 with transformers' activations in llama-yarn.golden.gguf.
"""

import pathlib

import numpy as np

import prompts
from gguf_reader import GgufFile
from gguf_writer import F32, I32, GgufWriter
from reference import Reference

FOLDER = pathlib.Path(__file__).resolve().parent.parent.parent / "tests" / "golden" / "hf"
NUM_GREEDY = 16


def kept(acts, rows):
    return {name: values[rows] for name, values in acts.items()}


def check(golden, prefix, acts):
    """The largest relative error of any tensor that the golden file has."""
    errors = []
    for name, expected in golden.tensors.items():
        if name.startswith(prefix):
            actual = acts[name.removeprefix(prefix)]
            errors.append(np.linalg.norm(actual - expected) / np.linalg.norm(expected))
    assert errors and max(errors) < 1e-6, f"{prefix}: {max(errors):.2g}"
    return max(errors)


def main():
    model = GgufFile(FOLDER / "llama-yarn.gguf")
    golden = GgufFile(FOLDER / "llama-yarn.golden.gguf")
    rounded, exact = Reference(model), Reference(model, yarn_is_rounded=False)
    writer, tensors = GgufWriter(), []
    writer.string("general.architecture", "golden")
    writer.string("general.name", "llama-yarn-unrounded")
    writer.string("golden.model", "llama-yarn.gguf")
    writer.string("golden.source", f"numpy {np.__version__}, float64")
    writer.u32("golden.num_prompts", len(prompts.TEXTS))
    for p, text in enumerate(prompts.TEXTS):
        prefix = f"golden.p{p}."
        tokens, rows = golden.metadata[prefix + "tokens"], golden.metadata[prefix + "rows"]
        error = check(golden, f"p{p}.", kept(rounded.forward(tokens), rows))
        acts = kept(exact.forward(tokens), rows)
        greedy, gaps = exact.greedy(tokens, NUM_GREEDY)
        writer.string(prefix + "text", text)
        writer.array(prefix + "tokens", I32, tokens)
        writer.array(prefix + "rows", I32, rows)
        writer.array(prefix + "greedy", I32, greedy)
        writer.array(prefix + "gaps", F32, gaps)
        writer.f32(prefix + "min_gap", min(gaps))
        names = [name.removeprefix(f"p{p}.") for name in golden.tensors
                 if name.startswith(f"p{p}.")]
        tensors += [(f"p{p}.{name}", acts[name]) for name in names]
        other = golden.tensors[f"p{p}.logits"]
        print(f"p{p}: rounded agrees with transformers to {error:.2g}; not rounding changes the logits "
              f"by {np.linalg.norm(acts['logits'] - other) / np.linalg.norm(other):.2g}; smallest gap "
              f"{min(gaps):.2g}")
    for name, values in tensors:
        writer.tensor(name, values)
    writer.write(FOLDER / "llama-yarn-unrounded.golden.gguf")


if __name__ == "__main__":
    main()
