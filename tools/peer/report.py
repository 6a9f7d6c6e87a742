"""Tables of a measurement, for the terminal and for docs/benchmarks.md."""

from peer.results import CASE_OF_NAME

BEGIN, END = "<!-- compare_peer begins -->", "<!-- compare_peer ends -->"


def _value(value: float, unit: str) -> str:
    if unit == "bytes":
        return f"{value / 1e6:.0f} MB"
    return f"{value:.3g} s" if unit == "s" else f"{value:.4g}"


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def setting_words(setting: dict) -> str:
    return f"flash attention {'on' if setting['flash'] else 'off'}, ubatch {setting['ubatch']}"


def model_table(model: dict) -> list[str]:
    lines = ["| | ruvllm | llama.cpp | ratio | of rounds | rounds |", "|---|---|---|---|---|---|"]
    for name, values in model["cases"].items():
        case = CASE_OF_NAME[name]
        title = case.title + (", tok/s" if case.unit == "tok/s" else "")
        lines.append(
            f"| {title} | {_value(_median(values['ruvllm']), case.unit)} | "
            f"{_value(_median(values['llama_cpp']), case.unit)} | {values['ratio']:.2f} | "
            f"{values['ratio_lowest']:.2f} to {values['ratio_highest']:.2f} | "
            f"{len(values['ruvllm'])} |")
    return lines


def markdown(report: dict, plot_path: str | None) -> str:
    machine, versions = report["machine"], report["versions"]
    lines = [
        f"{machine['cpu']} ({report['isa']}), {machine['processors']} processors, "
        f"{report['threads']} threads, {machine['memory_gb']} GB, {report['date']}; ruvllm "
        f"{versions['ruvllm']} ({versions['ruvllm_compiler'] or 'compiler unknown'}), llama.cpp "
        f"{versions['llama_cpp']} ({versions['llama_cpp_compiler'] or 'compiler unknown'}).", ""]
    if plot_path is not None:
        lines += [f"![ratios]({plot_path})", ""]
    for model in report["models"]:
        if not model["cases"]:
            continue
        lines += [f"### {model['model']}, {model['bytes'] / 1e9:.2f} GB", "", *model_table(model), ""]
        settings = "; ".join(f"{kind.replace('_', ' ')}: {setting_words(setting)}"
                             for kind, setting in model["llama_cpp_settings"].items())
        notes = [f"llama.cpp's best settings: {settings}."] if settings else []
        if model["others_share"] is not None:
            notes.append(f"Other work took {100 * model['others_share']['median']:.0f} % of the "
                         f"processors (median; at most {100 * model['others_share']['highest']:.0f} "
                         "%).")
        if model["left_out"]:
            notes.append("Left out for want of time: " + ", ".join(
                CASE_OF_NAME[name].title for name in model["left_out"]) + ".")
        if notes:
            lines += [" ".join(notes), ""]
    return "\n".join(lines)


def replace_between_marks(page: str, text: str) -> str:
    head, rest = page.split(BEGIN)
    tail = rest.split(END)[1]
    return f"{head}{BEGIN}\n{text}\n{END}{tail}"
