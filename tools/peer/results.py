"""What compare_peer measures and keeps: cases, pairs of values, their ratios."""

import statistics
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    name: str
    title: str
    unit: str
    higher_is_better: bool = True


CASES = (
    Case("prefill_512", "prefill of 512 tokens", "tok/s"),
    Case("prefill_8192", "prefill of 8,192 tokens", "tok/s"),
    Case("decode_0", "decode", "tok/s"),
    Case("decode_4096", "decode at depth 4,096", "tok/s"),
    Case("decode_8192", "decode at depth 8,192", "tok/s"),
    Case("batch_2", "decode of 2 sequences, sum", "tok/s"),
    Case("batch_4", "decode of 4 sequences, sum", "tok/s"),
    Case("batch_8", "decode of 8 sequences, sum", "tok/s"),
    Case("start_s", "start to first token", "s", False),
    Case("start_bytes", "memory at first token", "bytes", False),
    Case("peak_bytes", "peak memory of the prefill", "bytes", False),
)
CASE_OF_NAME = {case.name: case for case in CASES}


@dataclass
class Pairs:
    """Of one case and model: a value of each side a round. Ratios above 1 are good for ruvllm in
    every case: of speeds ruvllm / llama.cpp, of seconds and bytes llama.cpp / ruvllm."""

    case: Case
    ruvllm: list[float] = field(default_factory=list)
    llama_cpp: list[float] = field(default_factory=list)

    def add(self, own: float, other: float) -> None:
        self.ruvllm.append(own)
        self.llama_cpp.append(other)

    def ratios(self) -> list[float]:
        if self.case.higher_is_better:
            return [a / b for a, b in zip(self.ruvllm, self.llama_cpp)]
        return [b / a for a, b in zip(self.ruvllm, self.llama_cpp)]

    def to_json(self) -> dict:
        ratios = self.ratios()
        return {
            "unit": self.case.unit,
            "ruvllm": [round(value, 4) for value in self.ruvllm],
            "llama_cpp": [round(value, 4) for value in self.llama_cpp],
            "ratio": round(statistics.median(ratios), 3),
            "ratio_lowest": round(min(ratios), 3),
            "ratio_highest": round(max(ratios), 3),
        }


@dataclass
class ModelResults:
    name: str
    num_bytes: int
    pairs: dict[str, Pairs] = field(default_factory=dict)
    settings: dict[str, dict] = field(default_factory=dict)  # llama.cpp's best, by kind of case
    left_out: list[str] = field(default_factory=list)        # cases, for want of time
    others: list[float] = field(default_factory=list)        # OtherWork of each group

    def add(self, case_name: str, own: float, other: float) -> None:
        self.pairs.setdefault(case_name, Pairs(CASE_OF_NAME[case_name])).add(own, other)

    def to_json(self) -> dict:
        return {
            "model": self.name,
            "bytes": self.num_bytes,
            "llama_cpp_settings": self.settings,
            "cases": {case.name: self.pairs[case.name].to_json()
                      for case in CASES if case.name in self.pairs},
            "left_out": [name for name in self.left_out if name not in self.pairs],
            "others_share": {"median": round(statistics.median(self.others), 3),
                             "highest": round(max(self.others), 3)} if self.others else None,
        }
