// What a process keeps in memory, by purpose: for `bench` and `doctor MODEL`.
#pragma once

#include <string>

#include "cli/app.h"
#include <ruvllm/engine.h>

namespace ruvllm::cli {

Json memory_json(const MemoryReport& memory);
std::string memory_table(const MemoryReport& memory);

}  // namespace ruvllm::cli
