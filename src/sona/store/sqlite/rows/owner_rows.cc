#include "sona/store/sqlite/rows/owner_rows.h"

namespace ruvllm::sona {

Result<std::optional<OwnerRow>> find_owner(Database& database, const Owner& owner) {
  RUVLLM_ASSIGN(Statement find, database.prepare("SELECT id, current, last_generation FROM owners "
                                                 "WHERE tenant=?1 AND user=?2"));
  find.bind(std::string_view(owner.tenant().name())).bind(std::string_view(owner.user()));
  RUVLLM_ASSIGN(const bool is_there, find.step());
  if (!is_there) return std::nullopt;
  return OwnerRow{find.integer(0), find.count(1), find.count(2)};
}

Result<OwnerRow> find_or_add_owner(Database& database, const Owner& owner) {
  RUVLLM_ASSIGN(const std::optional<OwnerRow> known, find_owner(database, owner));
  if (known) return *known;
  RUVLLM_ASSIGN(Statement insert,
                database.prepare("INSERT INTO owners(tenant, user) VALUES(?1, ?2)"));
  insert.bind(std::string_view(owner.tenant().name())).bind(std::string_view(owner.user()));
  RUVLLM_TRY(insert.run());
  return OwnerRow{.id = database.last_id()};
}

Result<std::vector<std::string>> users_of(Database& database, const Tenant& tenant) {
  RUVLLM_ASSIGN(
      Statement list,
      database.prepare("SELECT user FROM owners WHERE tenant=?1 AND user<>'' ORDER BY user"));
  list.bind(std::string_view(tenant.name()));
  std::vector<std::string> users;
  while (true) {
    RUVLLM_ASSIGN(const bool is_row, list.step());
    if (!is_row) return users;
    users.push_back(list.text(0));
  }
}

}  // namespace ruvllm::sona
