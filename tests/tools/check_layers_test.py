"""check_layers.py on small trees that each break one rule."""

from tool_test import ToolTest, run_tests

TABLE = """
| level | target | may include | public headers (`include/ruvllm/`) | owns |
|---|---|---|---|---|
| 0 | `base` | | `error.h` `export.h` | errors |
| 1 | `tensor` | base | | views |
| 1 | `events` | base | `latency.h` | events |
| 7 | `api` | base tensor events | all others | facade |
| 8 | `cli` | base api | | command |
"""


class Layers(ToolTest):
    tool = "check_layers.py"

    def setUp(self):
        super().setUp()
        self.write("ARCHITECTURE.md", TABLE)
        self.write("include/ruvllm/export.h", "#pragma once\n")
        self.write("include/ruvllm/error.h", "#include <string>\n\n#include <ruvllm/export.h>\n")
        self.write("include/ruvllm/latency.h", "#include <cstdint>\n")
        self.write("include/ruvllm/engine.h", "#include <ruvllm/error.h>\n")
        self.write("src/base/error.h", "#include <fmt/format.h>\n#include <ruvllm/error.h>\n")
        self.write("src/base/error.cc", '#include "base/error.h"\n')
        self.write("src/tensor/view.h", '#include "base/error.h"\n')
        self.write("src/events/event.h", "#include <ruvllm/latency.h>\n")
        self.write("src/api/engine.cc", '#include <ruvllm/engine.h>\n#include "tensor/view.h"\n')
        self.write("src/cli/main.cc", "#include <ruvllm/engine.h>\n#include <ruvllm/latency.h>\n")
        self.write("src/tensor/CMakeLists.txt", "ruvllm_layer(tensor SOURCES a.cc DEPS base LIBS fmt)\n")
        self.write("fuzz/CMakeLists.txt", "ruvllm_fuzzer(view tensor)\n")
        self.write("fuzz/fuzz_view.cc", '#include "tensor/view.h"\n')
        self.write("tests/golden/golden_test.cc", '#include "golden/model.h"\n#include "api/x.h"\n')
        self.write("tests/golden/model.h", "")
        self.write("src/api/x.h", "")

    def test_a_good_tree_passes(self):
        self.passes("5 targets", "no cycle")

    def test_include_of_a_higher_layer(self):
        self.write("src/base/clock.cc", '\n  #  include "tensor/view.h"\n')
        self.fails("src/base/clock.cc:2: `base` may not include tensor/view.h of `tensor`")

    def test_include_of_a_sibling(self):
        self.write("src/tensor/span.h", '#include "events/event.h"\n')
        self.fails("`tensor` may not include events/event.h of `events`")

    def test_a_unit_test_follows_the_row_of_its_folder(self):
        self.write("src/tensor/view_test.cc", '#include "events/event.h"\n')
        self.fails("src/tensor/view_test.cc:1")

    def test_a_fuzzer_follows_the_row_of_its_layer(self):
        self.write("fuzz/fuzz_view.cc", '#include "events/event.h"\n')
        self.fails("fuzz/fuzz_view.cc:1: `tensor` may not include")

    def test_fuzzers_share_headers_that_use_no_layer(self):
        self.write("fuzz/fuzz_view.cc", '#include "tensor/view.h"\n#include "mutator.h"\n')
        self.write("fuzz/mutator.h", "#include <cstdint>\n")
        self.passes("5 targets", "no cycle")
        self.write("fuzz/mutator.h", '#include "tensor/view.h"\n')
        self.fails("fuzz/mutator.h:1: a header that fuzzers share includes tensor/view.h")

    def test_private_header_of_a_layer_that_only_the_facade_may_use(self):
        self.write("src/cli/run.cc", '#include "tensor/view.h"\n')
        self.fails("`cli` may not include tensor/view.h")

    def test_public_header_of_a_layer_that_is_not_allowed(self):
        self.write("src/tensor/span.h", "#include <ruvllm/latency.h>\n")
        self.fails("`tensor` may not include ruvllm/latency.h of `events`")

    def test_unlisted_public_header_belongs_to_the_facade(self):
        self.write("src/tensor/span.h", "#include <ruvllm/engine.h>\n")
        self.fails("`tensor` may not include ruvllm/engine.h of `api`")

    def test_public_header_with_a_third_party_include(self):
        self.write("include/ruvllm/engine.h", "#include <fmt/format.h>\n")
        self.fails("include/ruvllm/engine.h:1: public header includes fmt/format.h")

    def test_public_header_with_a_private_include(self):
        self.write("include/ruvllm/engine.h", '#include "base/error.h"\n')
        self.fails("public header includes base/error.h")

    def test_missing_file(self):
        self.write("src/tensor/span.h", '#include "base/gone.h"\n')
        self.fails("includes base/gone.h, and there is no src/base/gone.h")

    def test_cycle_between_headers(self):
        self.write("src/base/a.h", '#include "base/b.h"\n')
        self.write("src/base/b.h", '#include "base/c.h"\n')
        self.write("src/base/c.h", '#include "base/a.h"\n')
        self.fails("cycle of includes: src/base/a -> src/base/b -> src/base/c -> src/base/a")

    def test_cycle_through_a_source(self):
        self.write("src/base/a.h", "")
        self.write("src/base/a.cc", '#include "base/a.h"\n#include "base/b.h"\n')
        self.write("src/base/b.h", '#include "base/a.h"\n')
        self.fails("cycle of includes: src/base/a -> src/base/b -> src/base/a")

    def test_folder_without_a_row(self):
        self.write("src/util/x.h", "")
        self.fails("src/util: no row")

    def test_row_without_a_folder(self):
        self.write("ARCHITECTURE.md", TABLE + "| 6 | `engine` | base | | steps |\n")
        self.fails("`engine` has no folder")

    def test_table_that_allows_a_sibling(self):
        self.write("ARCHITECTURE.md", TABLE.replace("| `tensor` | base |", "| `tensor` | base events |"))
        self.fails("`tensor` (level 1) may not include `events` (level 1)")

    def test_table_that_names_an_unknown_target(self):
        self.write("ARCHITECTURE.md", TABLE.replace("| `tensor` | base |", "| `tensor` | base bass |"))
        self.fails("may include `bass`, which has no row")

    def test_no_table(self):
        self.write("ARCHITECTURE.md", "# Architecture\n")
        self.fails("no layer table found")

    def test_cmake_dependency(self):
        self.write("src/tensor/CMakeLists.txt",
                   "ruvllm_layer(tensor SOURCES a.cc # base\n  DEPS base events\n  LIBS fmt::fmt)\n")
        self.fails("src/tensor/CMakeLists.txt: `tensor` may not depend on `events`")

    def test_cmake_link(self):
        self.write("src/cli/CMakeLists.txt", "target_link_libraries(ruvllm PRIVATE ruvllm_tensor)\n")
        self.fails("`cli` may not depend on `tensor`")


if __name__ == "__main__":
    run_tests()
