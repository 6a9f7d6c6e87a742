"""Ratios with their spread as an SVG picture: a panel for each model, a bar for each case."""

import math

from peer.results import CASE_OF_NAME
from svg import INK, LINE, document, line, rectangle, text

BAR, GAP, PANEL_GAP, LABEL, WIDTH, MARGIN = 15, 5, 34, 210, 470, 16
TICKS = (0.5, 1, 2, 3, 5, 10, 20, 50, 100)
FASTER, SLOWER = "#2f7d6d", "#b4552d"


def _axis(ratios: list[float]):
    """Ratio -> x; logarithmic, as 2 times faster and 2 times slower are alike."""
    low = min(0.8, min(ratios) * 0.95)
    high = max(1.25, max(ratios) * 1.08)
    span = math.log(high / low)
    return lambda ratio: LABEL + WIDTH * math.log(max(min(ratio, high), low) / low) / span, low, high


def _bar(y: float, title: str, values: dict, place) -> list[str]:
    ratio, one = values["ratio"], place(1.0)
    x = place(ratio)
    middle = y + BAR / 2
    low, high = place(values["ratio_lowest"]), place(values["ratio_highest"])
    return [
        text(LABEL - 8, y + BAR - 3, title, anchor="end"),
        rectangle(min(one, x), y, abs(x - one), BAR, FASTER if ratio >= 1 else SLOWER),
        line(low, middle, high, middle, INK, 1.5),
        text(max(x, one, high) + 6, y + BAR - 3, f"{ratio:.2f}", weight="bold"),
    ]


def draw(report: dict) -> str:
    models = [model for model in report["models"] if model["cases"]]
    if not models:
        raise ValueError("nothing was measured, so there is nothing to plot")
    ratios = [case[key] for model in models for case in model["cases"].values()
              for key in ("ratio_lowest", "ratio_highest")]
    place, low, high = _axis(ratios)
    ticks = [tick for tick in TICKS if low <= tick <= high]
    machine = report["machine"]
    y = 24.0
    body = [text(MARGIN, y, "ruvllm beside llama.cpp: ratios, above 1 ruvllm is better", 15,
                 weight="bold")]
    y += 20
    body.append(text(MARGIN, y, f"{machine['cpu']}, {report['isa']}, {report['threads']} threads, "
                                f"{report['date']}; bar: median, line: lowest to highest round"))
    for model in models:
        y += PANEL_GAP
        body.append(text(MARGIN, y, model["model"], 13, weight="bold"))
        y += 10
        top = y
        bottom = top + len(model["cases"]) * (BAR + GAP)
        for tick in ticks:
            x = place(tick)
            body.append(line(x, top, x, bottom, INK if tick == 1 else LINE))
            body.append(text(x, bottom + 12, f"{tick:g}", 10, "middle"))
        for name, values in model["cases"].items():
            body += _bar(y, CASE_OF_NAME[name].title, values, place)
            y += BAR + GAP
    return document(LABEL + WIDTH + 60, y + 30, body)
