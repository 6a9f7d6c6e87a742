"""Writes tiny Hugging Face checkpoints of many families, llama.cpp's conversions of them and their
activations in float64: see tests/golden/README.md.

  python3 tools/golden/make_hf_golden.py --llama-cpp SOURCE [--out FOLDER] [--only NAME ...]

Needs numpy, torch, transformers, safetensors, tokenizers and peft, and llama.cpp's source.
"""

import argparse
import contextlib
import io
import multiprocessing
import os
import subprocess
import sys
import time
import traceback

import numpy as np

import prompts
from gguf_writer import F32, I32, GgufWriter
from hf import expand_mxfp4, vocab, weights
from hf.families import FAMILIES

HERE = os.path.dirname(os.path.abspath(__file__))
NUM_GREEDY = 16
MIN_GAP = 0.05
MIN_DIFFERENT = 4  # tokens among the greedy ones: a model that repeats one shows little
MAX_SEEDS = 1000
LORA_TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
LORA_RANK, LORA_ALPHA = 4, 8


def relative_error(value, expected):
    value, expected = (np.asarray(v, np.float64) for v in (value, expected))
    return float(np.linalg.norm(value - expected) / np.linalg.norm(expected))


def check(what, value, expected, bound):
    error = relative_error(value, expected)
    print(f"  {what}: relative error {error:.1e}")
    assert error < bound, f"{what}: {error}"


@contextlib.contextmanager
def stage(problems, what):
    """A stage that may fail without ending the rest."""
    try:
        yield
    except Exception:  # every failure is reported and makes the run fail
        problems.append(what)
        print(f"  FAILED: {what}\n{traceback.format_exc()}")


class Golden:
    """Collects the activations of one model and writes them."""

    def __init__(self, name, source):
        self.writer, self.tensors = GgufWriter(), []
        self.writer.string("general.architecture", "golden")
        self.writer.string("general.name", name)
        self.writer.string("golden.model", name + ".gguf")
        self.writer.string("golden.source", source)
        self.writer.u32("golden.num_prompts", len(prompts.TEXTS))

    def add(self, p, tokens, acts, greedy=None, gaps=None):
        rows = prompts.kept_rows(len(tokens))
        prefix = f"golden.p{p}."
        self.writer.string(prefix + "text", prompts.TEXTS[p])
        self.writer.array(prefix + "tokens", I32, tokens)
        self.writer.array(prefix + "rows", I32, rows)
        if greedy:
            self.writer.array(prefix + "greedy", I32, greedy)
            self.writer.array(prefix + "gaps", F32, gaps)
            self.writer.f32(prefix + "min_gap", min(gaps))
        for name, values in acts.items():
            assert str(values.dtype) == "torch.float64", f"{name} is {values.dtype}"
            kept = values if name in ("pooled", "embedding") else values[rows]
            self.tensors.append((f"p{p}.{name}", kept.numpy()))

    def write(self, path):
        for name, values in self.tensors:
            self.writer.tensor(name, values)
        self.writer.write(path)


def source():
    import torch
    import transformers
    return (f"transformers {transformers.__version__}, "
            f"torch {torch.__version__.split('+')[0]}, float64")


def all_tokens(family):
    return [vocab.encode(text, family.pre) for text in prompts.TEXTS]


def search(family, recorder, model, shapes, load):
    """Weights of the first seed whose choices (experts and greedy tokens) are clear, and varied if
    any seed has that: (weights, greedy)."""
    best = (0, None)
    for seed in range(family.seed, family.seed + MAX_SEEDS):
        load(model, weights.random_weights(family, shapes, seed))
        recorder.router_gap = float("inf")
        for tokens in all_tokens(family):
            recorder.forward(tokens)
        if recorder.router_gap < family.min_router_gap:
            continue
        if greedy := clear_greedy(family, recorder):
            best = max(best, (different(greedy), seed), key=lambda b: b[0])
            if best[0] >= MIN_DIFFERENT:
                break
    assert best[1] is not None, f"no clear seed among {MAX_SEEDS}"
    values = weights.random_weights(family, shapes, best[1])
    load(model, values)
    recorder.router_gap = float("inf")
    greedy = clear_greedy(family, recorder)
    print(f"  seed {best[1]}, smallest router gap {recorder.router_gap:.3g}, smallest gap "
          f"{min(min(g) for _, g in greedy):.3g}, {different(greedy)} different tokens")
    return values, greedy


def different(greedy):
    return min(len(set(ids)) for ids, _ in greedy)


def clear_greedy(family, recorder):
    """(ids, gaps) of each prompt, or None where a choice is not clear."""
    result = []
    for tokens in all_tokens(family):
        result.append(recorder.greedy(tokens, NUM_GREEDY, MIN_GAP))
        if min(result[-1][1]) < MIN_GAP or recorder.router_gap < family.min_router_gap:
            return None
    return result


def convert(arguments, family, script, *rest):
    command = [sys.executable, os.path.join(HERE, "hf", "converter.py"), arguments.llama_cpp,
               family.pre, script, *rest]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{script}:\n{done.stdout[-1500:]}\n{done.stderr[-3000:]}")


def logits32(model, tokens):
    import torch
    with torch.no_grad():
        return model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0].float().numpy()


def make_decoder(arguments, family, problems):
    from hf import checkpoint, float64
    config = checkpoint.make_config(family)
    top_k = family.config.get("num_experts_per_tok", 0)
    with float64.float64_everywhere():
        model = checkpoint.build(family, config).double()
        shapes = checkpoint.parameter_shapes(model)
        recorder = float64.Recorder(model, top_k)
        values, greedy = search(family, recorder, model, shapes, float64.load)
        golden, expected = Golden(family.name, source()), []
        for p, tokens in enumerate(all_tokens(family)):
            acts = dict(recorder.forward(tokens))
            expected.append(acts["logits"].numpy())
            if family.pooling:
                from hf import encoders
                encoders.pool(acts, family.pooling)
            golden.add(p, tokens, acts, *greedy[p])
    golden.write(os.path.join(arguments.out, family.name + ".golden.gguf"))

    stock = float64.load(checkpoint.build(family, config), values)
    for p, tokens in enumerate(all_tokens(family)):
        check(f"p{p} unpatched", logits32(stock, tokens), expected[p], 1e-4)
    folder = os.path.join(arguments.out, family.name)
    checkpoint.save(family, stock, values, folder)
    with stage(problems, "reading the folder again"):
        again = checkpoint.reload(family, folder)
        check("p1 read again", logits32(again, all_tokens(family)[1]), expected[1],
              1e-2 if family.mxfp4 else 1e-4)
    if family.lora:
        with stage(problems, "adapter"):
            make_adapter(arguments, family, config, values, folder)


def make_adapter(arguments, family, config, values, folder):
    import peft
    import torch
    from hf import checkpoint, float64
    name = family.name + "-lora"
    stock = float64.load(checkpoint.build(family, config), values)
    adapter = peft.get_peft_model(stock, peft.LoraConfig(
        r=LORA_RANK, lora_alpha=LORA_ALPHA, target_modules=LORA_TARGETS, lora_dropout=0.0,
        bias="none", task_type="CAUSAL_LM")).eval()
    parts = {n: p for n, p in adapter.named_parameters() if "lora_" in n}
    with float64.float64_everywhere():
        model = checkpoint.build(family, config).double()
        recorder = float64.Recorder(model)
    for seed in range(1, MAX_SEEDS):
        random = np.random.RandomState(seed)
        drawn = {n: (random.standard_normal(tuple(p.shape)) * (
            0.15 if "lora_B" in n else p.shape[1] ** -0.5)).astype(np.float32)
            for n, p in sorted(parts.items())}
        merged = dict(values)
        for target in [n for n in values if any(t in n for t in LORA_TARGETS)]:
            a, b = (next(v for n, v in drawn.items() if target.removesuffix("weight") in n
                         and kind in n).astype(np.float64) for kind in ("lora_A", "lora_B"))
            merged[target] = values[target] + LORA_ALPHA / LORA_RANK * (b @ a)
        with float64.float64_everywhere():
            float64.load(model, merged)
            greedy = clear_greedy(family, recorder)
            if greedy and different(greedy) >= MIN_DIFFERENT:
                break
    golden = Golden(name, source())
    with torch.no_grad():
        for part, parameter in parts.items():
            parameter.copy_(torch.from_numpy(drawn[part]))
    for p, tokens in enumerate(all_tokens(family)):
        with float64.float64_everywhere():
            acts = recorder.forward(tokens)
        golden.add(p, tokens, acts, *greedy[p])
        check(f"adapter p{p} by peft", logits32(adapter, tokens), acts["logits"].numpy(), 1e-4)
    golden.write(os.path.join(arguments.out, name + ".golden.gguf"))
    checkpoint.save_adapter(adapter, family.name, os.path.join(arguments.out, name))
    convert(arguments, family, "convert_lora_to_gguf.py", "--base", folder, "--outtype", "f32",
            "--outfile", os.path.join(arguments.out, name + ".gguf"),
            os.path.join(arguments.out, name))


def make_encoder(arguments, family, problems):
    import torch
    from hf import checkpoint, encoders, float64
    folder = os.path.join(arguments.out, family.name)
    golden = Golden(family.name, source())
    every = all_tokens(family)
    if family.encoder == "nomic":
        size = len(vocab.tokens(family.pre))
        published = encoders.nomic_config(family.config, size, 0)
        shapes = encoders.nomic_shapes(family.config, size)
        values = weights.random_weights(family, shapes, family.seed)
        results = [encoders.nomic(family.config, published, values, t) for t in every]
        checkpoint.save_raw(family, published, values, folder)
    else:
        config = checkpoint.make_config(family)
        with float64.float64_everywhere():
            model = checkpoint.build(family, config).double()
            values = weights.random_weights(family, checkpoint.parameter_shapes(model),
                                            family.seed)
            float64.load(model, values)
            results = [encoders.bert(model, t) for t in every]
        stock = float64.load(checkpoint.build(family, config), values)
        checkpoint.save(family, stock, values, folder)
    for p, acts in enumerate(results):
        encoders.pool(acts, family.pooling)
        golden.add(p, every[p], acts)
    golden.write(os.path.join(arguments.out, family.name + ".golden.gguf"))
    with stage(problems, "reading the folder again"), torch.no_grad():
        again = checkpoint.reload(family, folder)
        last = again(input_ids=torch.tensor([every[1]])).last_hidden_state[0]
        check("p1 read again", last.numpy(), results[1]["final_norm"].numpy(), 1e-4)


def check_tokenizer(family, folder):
    from tokenizers import Tokenizer
    from transformers import AutoTokenizer
    mine = all_tokens(family)
    library = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    assert [library.encode(t).ids for t in prompts.TEXTS] == mine, "tokenizers"
    auto = AutoTokenizer.from_pretrained(folder)
    assert [auto(t)["input_ids"] for t in prompts.TEXTS] == mine, "AutoTokenizer"


def make(job):
    """Everything of one family; returns (name, problems, log)."""
    arguments, family = job
    problems, log, start = [], io.StringIO(), time.time()
    folder = os.path.join(arguments.out, family.name)
    with contextlib.redirect_stdout(log), stage(problems, "model"):
        import torch
        torch.set_num_threads(1)
        (make_encoder if family.encoder else make_decoder)(arguments, family, problems)
        with stage(problems, "tokenizer"):
            check_tokenizer(family, folder)
        with stage(problems, "conversion"):
            convert(arguments, family, "convert_hf_to_gguf.py", folder, "--outtype", "f32",
                    "--model-name", "RuvLLM golden model",  # llama.cpp treats names with phi3
                    "--outfile", folder + ".gguf")
            if family.mxfp4:
                expand_mxfp4.expand(folder + ".gguf", folder + "-bf16.gguf")
    return family.name, problems, f"{log.getvalue()}  {time.time() - start:.0f} s"


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama-cpp", required=True, metavar="SOURCE")
    parser.add_argument("--out", default=os.path.join(HERE, "..", "..", "tests", "golden", "hf"))
    parser.add_argument("--only", nargs="*", metavar="NAME")
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    jobs = [(arguments, f) for f in FAMILIES if not arguments.only or f.name in arguments.only]
    failed = False
    with multiprocessing.get_context("spawn").Pool(min(16, os.cpu_count() or 1),
                                                   maxtasksperchild=1) as pool:
        for name, problems, log in pool.imap_unordered(make, jobs):
            failed |= bool(problems)
            print(f"{name}: {'FAILED ' + ', '.join(problems) if problems else 'ok'}\n{log}",
                  flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
