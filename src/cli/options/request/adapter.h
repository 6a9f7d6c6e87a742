// --adapter PATH[:SCALE], as often as wanted.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "cli/options/argument_parser.h"
#include <ruvllm/adapter.h>

namespace ruvllm::cli {

// "style.gguf:0.5": what stands after the last colon is the scale if it is a number. Requests call
// the adapter by its path.
Result<AdapterSource> parse_adapter(std::string_view text);

Option add_adapter_flag(CommandParser& command, std::vector<AdapterSource>& adapters);

}  // namespace ruvllm::cli
