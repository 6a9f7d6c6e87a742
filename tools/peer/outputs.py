"""Reads what the measured programs print. Every function takes their standard output as text."""

import json


class UnexpectedOutput(Exception):
    """A program printed something else than it should; says which and what is missing."""


def _objects(text: str, program: str) -> list[dict]:
    """The JSON objects among lines of other output."""
    found = []
    for line in text.splitlines():
        if line.lstrip().startswith("{"):
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise UnexpectedOutput(f"{program}: a line is no JSON: {error}") from error
    if not found:
        raise UnexpectedOutput(f"{program}: no JSON in its output")
    return found


def ruvllm_bench(text: str) -> dict:
    """{"prefill", "decode": {batch: tok/s}, "depth_prefill": {batch: tok/s}, "peak_bytes", "isa"}."""
    report = _objects(text, "ruvllm bench")[-1]
    try:
        rows = report["decode"]
        return {
            "prefill": report["prefill_tok_s"],
            "decode": {row["batch"]: row["tok_s"] for row in rows},
            "depth_prefill": {row["batch"]: row["prefill_tok_s"] for row in rows},
            "peak_bytes": report["peak_rss_bytes"],
            "isa": report["isa"],
        }
    except KeyError as error:
        raise UnexpectedOutput(f"ruvllm bench: no field {error}") from error


def llama_bench(text: str) -> dict:
    """{"rows": [{"kind", "tok_s", "flash", "ubatch"}], "version"} of llama-bench -o jsonl.

    Of repetitions the fastest counts: the first one may be cold.
    """
    rows, version = [], None
    for row in _objects(text, "llama-bench"):
        try:
            if row["n_prompt"] and row["n_gen"]:
                raise UnexpectedOutput("llama-bench: a row with both prompt and answer")
            rows.append({
                "kind": "prefill" if row["n_prompt"] else "decode",
                "tok_s": max(row["samples_ts"]),
                "flash": row["flash_attn"] in (True, 1, "on", "1"),
                "ubatch": row["n_ubatch"],
            })
            version = f"build {row['build_number']} ({row['build_commit']})"
        except KeyError as error:
            raise UnexpectedOutput(f"llama-bench: no field {error}") from error
    return {"rows": rows, "version": version}


def llama_batched_bench(text: str) -> dict:
    """{batch: {"prompt", "prefill", "decode"}} of llama-batched-bench --output-format jsonl."""
    try:
        return {
            row["pl"]: {"prompt": row["pp"], "prefill": row["speed_pp"], "decode": row["speed_tg"]}
            for row in _objects(text, "llama-batched-bench")
        }
    except KeyError as error:
        raise UnexpectedOutput(f"llama-batched-bench: no field {error}") from error


def best_setting(rows: list[dict], kind: str) -> dict:
    """{"flash", "ubatch"} of the fastest row of a kind."""
    chosen = max((row for row in rows if row["kind"] == kind), key=lambda row: row["tok_s"])
    return {"flash": chosen["flash"], "ubatch": chosen["ubatch"]}
