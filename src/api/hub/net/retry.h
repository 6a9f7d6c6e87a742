// What to do about a request that failed: try again, when, or say why not.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/hub/net/http.h"
#include "base/core/error.h"

namespace ruvllm::hub {

// Waiting time before attempt number `failures` + 1; nothing: trying again is of no use.
// `failures`: in a row, at least 1.
std::optional<std::chrono::milliseconds> retry_delay(const HttpOutcome& outcome, uint32_t failures,
                                                     const HubSettings& settings);

// "503 from host", "the connection broke: ...".
std::string describe_outcome(const HttpOutcome& outcome);

// For a request that failed for good. `what` names what was asked for.
Error outcome_error(const HttpOutcome& outcome, std::string_view what, const HubSettings& settings);

}  // namespace ruvllm::hub
