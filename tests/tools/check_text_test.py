"""check_text.py on one bad character at a time."""

from tool_test import ToolTest, run_tests


class Text(ToolTest):
    tool = "check_text.py"

    def setUp(self):
        super().setUp()
        self.write("src/base/good.h", "// plain\n")

    def check_refused(self, path: str, content: str | bytes, problem: str) -> None:
        self.passes()
        self.write(path, content)
        self.fails(f"{path}{problem}")

    def test_tab(self):
        self.check_refused("src/base/a.cc", "ok\n\tint x;\n", ":2: tab")

    def test_makefile_may_have_tabs(self):
        self.write("Makefile", "all:\n\ttrue\n")
        self.passes("2 files")

    def test_trailing_blank(self):
        self.check_refused("README.md", "text \n", ":1: trailing blanks")

    def test_carriage_return(self):
        self.check_refused("src/base/a.cc", "int x;\r\n", ":1: carriage return")

    def test_missing_newline(self):
        self.check_refused("src/base/a.cc", "int x;", ": no newline at the end")

    def test_not_utf8(self):
        self.check_refused("docs/a.md", b"a\xff\n", ": not UTF-8 at byte 1")

    def test_other_script_in_code(self):
        self.check_refused("src/base/a.cc", "// \u03b1\n", ":1: non-ASCII")

    def test_other_script_in_tests_and_documents(self):
        self.write("src/base/a_test.cc", "// \u03b1\n")
        self.write("docs/a.md", "\u03b1 \u2264 \u03b2\n")
        self.passes("3 files")

    def test_reordering_mark_in_a_test(self):
        self.check_refused("src/base/a_test.cc", "// \u202e\n", ":1: character that reorders")

    def test_machine_path(self):
        self.check_refused("docs/a.md", "see /" + "home/someone/x\n", ":1: path of one machine")

    def test_other_paths(self):
        self.write("docs/a.md", "src/home/x, $HOME/x, https://a.org/home/x, ~/work/x, /tmp/x\n")
        self.passes()

    def test_data_is_exempt(self):
        self.write("tests/data/a.txt", "a \t\r\n")
        self.passes("1 files")


if __name__ == "__main__":
    run_tests()
