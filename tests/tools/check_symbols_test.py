"""check_symbols.py on objects compiled from good and bad kernel files."""

import shutil
import subprocess

from tool_test import ToolTest, run_tests

OWN = """
namespace ruvllm::kernels::avx2 {
template <class T> [[gnu::noinline]] T twice(T x) { return x + x; }
inline int* counter() { static int value = 0; return &value; }
int dot(int x) { return twice(x) + *counter(); }
}
"""
SHARED = """
namespace ruvllm {
template <class T> [[gnu::noinline]] T twice(T x) { return x + x; }
}
namespace ruvllm::kernels::avx2 { int dot(int x) { return twice(x); } }
"""


class Symbols(ToolTest):
    tool = "check_symbols.py"
    arguments = ["--build", "build"]
    source = "src/kernels/cpu/avx2/dot.cc"

    def compile(self, path: str, text: str) -> None:
        source = self.write(path, text)
        relative = path.removeprefix("src/kernels/")
        output = self.root / f"build/src/kernels/CMakeFiles/ruvllm_kernels.dir/{relative}.o"
        output.parent.mkdir(parents=True, exist_ok=True)
        compiler = next(c for c in ("clang++-19", "g++-12", "c++") if shutil.which(c))
        subprocess.run([compiler, "-std=c++20", "-c", "-x", "c++", source, "-o", output], check=True)

    def test_weak_symbols_of_its_own_namespace(self):
        self.compile(self.source, OWN)
        self.passes("1 objects")

    def test_template_of_a_shared_namespace(self):
        self.compile(self.source, SHARED)
        self.fails("weak symbol outside ruvllm::kernels::avx2: int ruvllm::twice<int>(int)")

    def test_file_named_after_its_isa(self):
        self.compile("src/kernels/cpu/avx2_dot.cc", SHARED)
        self.fails("int ruvllm::twice<int>(int)")

    def test_other_isa(self):
        self.compile("src/kernels/cpu/avx512/dot.cc", SHARED.replace("avx2", "avx512"))
        self.fails("outside ruvllm::kernels::avx512")

    def test_the_baseline_may_share(self):
        self.compile("src/kernels/cpu/generic/dot.cc", SHARED)
        self.passes("0 objects")

    def test_source_without_an_object(self):
        self.write(self.source, OWN)
        self.fails("src/kernels/cpu/avx2/dot.cc: no object file")


if __name__ == "__main__":
    run_tests()
