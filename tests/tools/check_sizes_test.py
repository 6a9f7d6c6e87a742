"""check_sizes.py at each of its limits."""

from tool_test import ToolTest, run_tests


class Sizes(ToolTest):
    tool = "check_sizes.py"

    def setUp(self):
        super().setUp()
        self.write("src/base/small.h", "\n" * 10)

    def check_limit(self, path: str, limit: int) -> None:
        self.write(path, "\n" * limit)
        self.passes(f"longest {limit}")
        self.write(path, "\n" * (limit + 1))
        self.fails(f"{path}: {limit + 1} lines")

    def test_header(self):
        self.check_limit("src/base/big.h", 400)

    def test_public_header(self):
        self.check_limit("include/ruvllm/big.h", 400)

    def test_source(self):
        self.check_limit("src/base/big.cc", 800)

    def test_kernel_file(self):
        self.check_limit("src/kernels/cpu/avx2_dot.cc", 1000)

    def test_unit_test(self):
        self.check_limit("src/kernels/cpu/dot_test.cc", 1200)

    def test_tool(self):
        self.check_limit("tools/tool.py", 800)

    def test_generated_tables_and_data_are_exempt(self):
        self.write("src/text/unicode_tables.inc", "\n" * 5000)
        self.write("tests/data/large.h", "\n" * 5000)
        self.passes("1 files, lines: median 10, 90 % within 10, longest 10")

    def test_crowded_folder(self):
        for number in range(14):
            self.write(f"src/base/file{number}.h", "\n")
        self.write("src/base/CMakeLists.txt", "\n")
        self.write("src/base/deeper/file.h", "\n")
        self.passes()
        self.write("src/base/one_more.h", "\n")
        self.fails("src/base: 16 files")

    def test_empty_tree(self):
        (self.root / "src/base/small.h").unlink()
        self.fails("no source files found")


if __name__ == "__main__":
    run_tests()
