// What `learn eval` says to people.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

#include "cli/terminal/output.h"

namespace ruvllm::cli {

// Tables of LearningEvaluation's report.
std::string evaluation_tables(const nlohmann::json& report, const Style& style);

}  // namespace ruvllm::cli
