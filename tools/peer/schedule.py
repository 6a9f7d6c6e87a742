"""In which order what is measured, and what is left out when time runs short."""

SHORT_GROUPS = ("start", "prefill", "decode", "batch")
DEEP_GROUPS = ("depth_4096", "depth_8192")
CASES_OF_GROUP = {
    "start": ("start_s", "start_bytes"),
    "prefill": ("prefill_512", "peak_bytes"),
    "decode": ("decode_0",),
    "batch": ("batch_2", "batch_4", "batch_8"),
    "depth_4096": ("decode_4096",),
    "depth_8192": ("prefill_8192", "decode_8192"),
}


def plan(rounds: int, groups: tuple[str, ...], num_models: int) -> list[tuple[int, str]]:
    """(model, group) in the order of importance: two rounds of the short groups, one of the deep
    ones, then both by turns. Models are counted from the smallest to the largest."""
    waves = [(2 * round_idx - 1, SHORT_GROUPS) for round_idx in range(rounds)]
    waves += [(2 * round_idx + 2, DEEP_GROUPS) for round_idx in range(rounds)]
    order = []
    for _, wave in sorted(waves, key=lambda entry: entry[0]):
        for model_idx in range(num_models):
            order += [(model_idx, group) for group in wave if group in groups]
    return order


def run_plan(order, benches, seconds_left, log) -> None:
    """Runs what still fits; notes what does not, where it was never measured."""
    for model_idx, group in order:
        bench = benches[model_idx]
        expected, left = bench.expected_seconds(group), seconds_left()
        if left <= 0.0 or expected > left:
            for case in CASES_OF_GROUP[group]:
                if case not in bench.results.left_out:
                    bench.results.left_out.append(case)
            log(bench, group, f"left out: {expected:.0f} s needed, {left:.0f} s left")
            continue
        bench.run(group)
        log(bench, group, f"{bench.seconds[group]:.1f} s")
