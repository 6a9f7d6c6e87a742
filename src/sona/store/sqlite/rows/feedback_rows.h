// Rows of feedback and of trajectories. All functions run on a connection that their caller alone
// uses; those that write, in its transaction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/core/error.h"
#include "sona/store/records.h"
#include "sona/store/sqlite/database.h"

namespace ruvllm::sona {

Result<Appended> append_feedback_row(Database& database, const Owner& owner,
                                     const NewFeedback& feedback);
Result<FeedbackPage> read_feedback_rows(Database& database, const Owner& owner, int64_t after_id,
                                        size_t limit);
Result<FeedbackPage> read_feedback_rows(Database& database, const Tenant& tenant, int64_t after_id,
                                        size_t limit);

// Keeps the owner's newest `num_kept`.
Status put_trajectory_row(Database& database, const Owner& owner, const Trajectory& trajectory,
                          size_t num_kept);
Result<Trajectory> find_trajectory_row(Database& database, const Owner& owner,
                                       std::string_view response_id);

struct TrajectoryRow {
  int64_t id = 0;
  std::optional<Trajectory> content;  // nothing: damaged
};
// The next one after a row, or nothing.
Result<std::optional<TrajectoryRow>> next_trajectory_row(Database& database, const Owner& owner,
                                                         int64_t after_id);

}  // namespace ruvllm::sona
