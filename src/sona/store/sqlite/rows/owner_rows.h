// Rows of tenants and users. All functions run on a connection that their caller alone uses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/core/error.h"
#include "sona/store/records.h"
#include "sona/store/sqlite/database.h"

namespace ruvllm::sona {

struct OwnerRow {
  int64_t id = 0;
  uint64_t current = 0;
  uint64_t last_generation = 0;
};

Result<std::optional<OwnerRow>> find_owner(Database& database, const Owner& owner);
Result<OwnerRow> find_or_add_owner(Database& database, const Owner& owner);
Result<std::vector<std::string>> users_of(Database& database, const Tenant& tenant);

}  // namespace ruvllm::sona
