"""Names in results, what is asked of a store, and results as a file."""

import json

# A window's positions from these on are counted apart: all that is scored, those that lie further
# back than any tail, and what llama.cpp's perplexity scores.
RANGES = (1, 512, 1024)
PLAIN, OUTLIERS = "plain", "outliers"  # forms of the model
TITLES = {PLAIN: "plain", OUTLIERS: "outliers in keys"}
LIMITED_TAIL = 256
LIMITS = {"q8": 0.05, "k8v4": 0.1, "q4": 0.1, "q2": 0.5}  # per cent of perplexity, at this tail


def _lines(value):
    """JSON with a line for each element of a list of objects."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(json.dumps(element) for element in value) + "]"
    if isinstance(value, dict):
        return "{\n" + ",\n".join(f"{json.dumps(k)}: {_lines(v)}" for k, v in value.items()) + "}"
    return json.dumps(value)


def write(path, report):
    path.write_text(_lines(report) + "\n", encoding="utf-8")
