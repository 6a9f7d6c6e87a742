"""Writes the golden models and their activations: see tests/golden/README.md.

  python3 tools/golden/make_golden.py [--llama-quantize PROGRAM] [--only NAME] [--models-only]

Needs numpy, torch and transformers; --models-only needs numpy alone and writes no activations.
Without --llama-quantize the k-quant model already in the folder is kept as it is.
"""

import argparse
import os
import subprocess
import tempfile

import numpy as np

import prompts
import tokenizer
from gguf_reader import GgufFile
from gguf_writer import F32, I32, GgufWriter
from reference import Reference
from tiny_models import SPECS, write_model

NUM_GREEDY = 16
MIN_GAP = 1e-3  # between the two best logits: a float32 engine must find the same tokens
DEFAULT_OUT = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "golden")


def build_model(spec, path, quantizer):
    if not spec.quantizer_type:
        write_model(spec, path)
        return
    if not quantizer:
        assert os.path.exists(path), f"{path} is missing: give --llama-quantize"
        return
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "source.gguf")
        write_model(spec, source, full_precision=True)
        subprocess.run([quantizer, source, path, spec.quantizer_type, "1"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def relative_error(value, expected):
    return float(np.linalg.norm(value - expected) / np.linalg.norm(expected))


def compare(name, acts, expected, bound):
    """The largest relative error of all activations, which must not exceed `bound`."""
    assert acts.keys() == expected.keys(), set(acts) ^ set(expected)
    errors = {key: relative_error(acts[key], expected[key]) for key in expected}
    worst = max(errors, key=errors.get)
    print(f"  {name}: largest relative error {errors[worst]:.2e} ({worst})")
    assert errors[worst] <= bound, f"{name}: {worst} is off by {errors[worst]}"


def write_golden(spec, model_path, golden_path):
    import torch
    import transformers
    from hf_model import HfModel

    gguf = GgufFile(model_path)
    reference, model, stock = Reference(gguf), HfModel(gguf, spec), HfModel(gguf, spec, False)
    writer = GgufWriter()
    writer.string("general.architecture", "golden")
    writer.string("general.name", spec.name)
    writer.string("golden.model", os.path.basename(model_path))
    writer.string("golden.source", f"transformers {transformers.__version__}, "
                                   f"torch {torch.__version__.split('+')[0]}, float64")
    writer.u32("golden.num_prompts", len(prompts.TEXTS))
    tensors = []
    for p, text in enumerate(prompts.TEXTS):
        tokens = tokenizer.encode(text, spec.pre)
        acts = model.forward(tokens)
        compare(f"{spec.name} p{p} against numpy", acts, reference.forward(tokens), 1e-10)
        compare(f"{spec.name} p{p} against unpatched", acts, stock.forward(tokens), 1e-4)
        greedy, gaps = model.greedy(tokens, NUM_GREEDY)
        assert greedy == reference.greedy(tokens, NUM_GREEDY)[0]
        print(f"  {spec.name} p{p}: {len(tokens)} tokens, {len(set(greedy))} different greedy "
              f"tokens, smallest gap {min(gaps):.4f}")
        assert min(gaps) > MIN_GAP
        rows = prompts.kept_rows(len(tokens))
        writer.string(f"golden.p{p}.text", text)
        writer.array(f"golden.p{p}.tokens", I32, tokens)
        writer.array(f"golden.p{p}.rows", I32, rows)
        writer.array(f"golden.p{p}.greedy", I32, greedy)
        writer.array(f"golden.p{p}.gaps", F32, gaps)
        writer.f32(f"golden.p{p}.min_gap", min(gaps))
        tensors += [(f"p{p}.{name}", values[rows]) for name, values in acts.items()]
    for name, values in tensors:
        writer.tensor(name, values)
    writer.write(golden_path)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=DEFAULT_OUT)
    parser.add_argument("--llama-quantize", metavar="PROGRAM")
    parser.add_argument("--only", metavar="NAME")
    parser.add_argument("--models-only", action="store_true")
    arguments = parser.parse_args()
    for spec in SPECS:
        if arguments.only not in (None, spec.name):
            continue
        model_path = os.path.join(arguments.out, spec.name + ".gguf")
        build_model(spec, model_path, arguments.llama_quantize)
        print(f"{spec.name}: {os.path.getsize(model_path)} bytes")
        if not arguments.models_only:
            write_golden(spec, model_path, os.path.join(arguments.out, spec.name + ".golden.gguf"))


if __name__ == "__main__":
    main()
