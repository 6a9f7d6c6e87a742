// Rows of generations and their blobs, and which generation is current. All functions run on a
// connection that their caller alone uses; those that write, in its transaction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/core/error.h"
#include "sona/store/records.h"
#include "sona/store/sqlite/database.h"

namespace ruvllm::sona {

// With the number after the owner's last one.
Result<uint64_t> add_generation(Database& database, const Owner& owner,
                                const NewGeneration& generation);
// With a number that the owner must not have yet.
Status add_numbered_generation(Database& database, const Owner& owner, uint64_t number,
                               const NewGeneration& generation);
Result<Generation> find_generation_row(Database& database, const Owner& owner, uint64_t number);
Result<std::vector<Generation>> list_generation_rows(Database& database, const Owner& owner);
Result<std::vector<std::byte>> read_blob_row(Database& database, const Owner& owner,
                                             const Sha256& sha256);

Result<uint64_t> current_of(Database& database, const Owner& owner);
Result<Swapped> swap_current_row(Database& database, const Owner& owner, uint64_t expected,
                                 uint64_t wanted);
Result<uint64_t> roll_back_row(Database& database, const Owner& owner, size_t num_steps);

// Deletes those generations and the blobs that no other one of the tenant uses. Gives the number of
// blobs that went.
Result<uint64_t> delete_generations(Database& database, const Owner& owner,
                                    const std::vector<uint64_t>& numbers);
Result<size_t> prune_generation_rows(Database& database, const Owner& owner, size_t num_kept);

}  // namespace ruvllm::sona
