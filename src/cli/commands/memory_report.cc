#include "cli/commands/memory_report.h"

#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/terminal/text.h"

namespace ruvllm::cli {

Json memory_json(const MemoryReport& memory) {
  return Json{{"weights_mapped", memory.weights_resident},
              {"weights_packed", memory.weights_packed},
              {"cache", memory.cache_resident},
              {"workspace", memory.workspace_resident},
              {"tokenizer", memory.tokenizer},
              {"heap", memory.heap},
              {"code", memory.code},
              {"stacks", memory.stacks},
              {"other", memory.other},
              {"sum", memory.accounted()},
              {"process_resident", memory.process_resident},
              {"reserved",
               {{"weights_mapped", memory.weights_mapped},
                {"cache", memory.cache_reserved},
                {"cache_used", memory.cache_used},
                {"cache_cached", memory.cache_cached},
                {"workspace", memory.workspace}}}};
}

std::string memory_table(const MemoryReport& memory) {
  using enum Table::Align;
  Table table({kLeft, kRight, kLeft});
  const auto of = [](uint64_t bytes) { return fmt::format("of {}", format_bytes(bytes)); };
  table.add_row({"memory", "resident", ""});
  table.add_row({"weights, mapped", format_bytes(memory.weights_resident),
                 of(memory.weights_mapped) + ", shared with the page cache"});
  table.add_row({"weights, packed", format_bytes(memory.weights_packed), ""});
  table.add_row(
      {"keys and values", format_bytes(memory.cache_resident),
       fmt::format("of {} reserved, {} in use, {} kept", format_bytes(memory.cache_reserved),
                   format_bytes(memory.cache_used), format_bytes(memory.cache_cached))});
  table.add_row(
      {"workspace", format_bytes(memory.workspace_resident), of(memory.workspace) + " reserved"});
  for (const auto& [name, bytes] :
       {std::pair("tokenizer, template", memory.tokenizer),
        std::pair("rest of the heap", memory.heap), std::pair("code, libraries", memory.code),
        std::pair("thread stacks", memory.stacks), std::pair("other", memory.other)}) {
    table.add_row({name, format_bytes(bytes), ""});
  }
  table.add_row({"together", format_bytes(memory.accounted()),
                 of(memory.process_resident) + " that the system counts"});
  return table.render();
}

}  // namespace ruvllm::cli
