"""Ratios with their spread as an SVG picture: a panel for each model, a bar for each case."""

import math
from xml.sax.saxutils import escape

from peer.results import CASE_OF_NAME

BAR, GAP, PANEL_GAP, LABEL, WIDTH, MARGIN = 15, 5, 34, 210, 470, 16
TICKS = (0.5, 1, 2, 3, 5, 10, 20, 50, 100)
FASTER, SLOWER, INK, LINE = "#2f7d6d", "#b4552d", "#1f2328", "#c9ced6"


def _axis(ratios: list[float]):
    """Ratio -> x; logarithmic, as 2 times faster and 2 times slower are alike."""
    low = min(0.8, min(ratios) * 0.95)
    high = max(1.25, max(ratios) * 1.08)
    span = math.log(high / low)
    return lambda ratio: LABEL + WIDTH * math.log(max(min(ratio, high), low) / low) / span, low, high


def _text(x: float, y: float, words: str, size=12, anchor="start", weight="normal") -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'font-weight="{weight}" fill="{INK}">{escape(words)}</text>')


def _bar(y: float, title: str, values: dict, place) -> list[str]:
    ratio, one = values["ratio"], place(1.0)
    x = place(ratio)
    middle = y + BAR / 2
    low, high = place(values["ratio_lowest"]), place(values["ratio_highest"])
    return [
        _text(LABEL - 8, y + BAR - 3, title, anchor="end"),
        f'<rect x="{min(one, x):.1f}" y="{y:.1f}" width="{abs(x - one):.1f}" height="{BAR}" '
        f'fill="{FASTER if ratio >= 1 else SLOWER}"/>',
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle:.1f}" y2="{middle:.1f}" '
        f'stroke="{INK}" stroke-width="1.5"/>',
        _text(max(x, one, high) + 6, y + BAR - 3, f"{ratio:.2f}", weight="bold"),
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
    body = [_text(MARGIN, y, "ruvllm beside llama.cpp: ratios, above 1 ruvllm is better", 15,
                  weight="bold")]
    y += 20
    body.append(_text(MARGIN, y, f"{machine['cpu']}, {report['isa']}, {report['threads']} threads, "
                                 f"{report['date']}; bar: median, line: lowest to highest round"))
    for model in models:
        y += PANEL_GAP
        body.append(_text(MARGIN, y, model["model"], 13, weight="bold"))
        y += 10
        top = y
        bottom = top + len(model["cases"]) * (BAR + GAP)
        for tick in ticks:
            x = place(tick)
            body.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.1f}" y2="{bottom:.1f}" '
                        f'stroke="{INK if tick == 1 else LINE}" stroke-width="1"/>')
            body.append(_text(x, bottom + 12, f"{tick:g}", 10, "middle"))
        for name, values in model["cases"].items():
            body += _bar(y, CASE_OF_NAME[name].title, values, place)
            y += BAR + GAP
    width, height = LABEL + WIDTH + 60, y + 30
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="sans-serif">',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>', *body, "</svg>", ""])
