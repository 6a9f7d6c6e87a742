#include "sona/store/sqlite/database.h"

#include <algorithm>

#include <sqlite3.h>

#include "base/core/check.h"

namespace ruvllm::sona {
namespace {

constexpr std::string_view kSettings =
    "PRAGMA foreign_keys=ON;"
    "PRAGMA trusted_schema=OFF;"
    "PRAGMA cell_size_check=ON;"
    "PRAGMA secure_delete=ON;"
    "PRAGMA synchronous=FULL;";

ErrorCode meaning_of(int code) {
  if (code == SQLITE_IOERR_NOMEM) return ErrorCode::kOutOfMemory;
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::kCorrupt;
    case SQLITE_FULL:
      return ErrorCode::kResourceExhausted;
    case SQLITE_NOMEM:
      return ErrorCode::kOutOfMemory;
    case SQLITE_TOOBIG:
      return ErrorCode::kInvalidArgument;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_PROTOCOL:
      return ErrorCode::kUnavailable;
    default:
      return ErrorCode::kInternal;
  }
}

const char* remedy_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kCorrupt:
      return "; restart, so that the file is checked and restored";
    case ErrorCode::kResourceExhausted:
      return "; nothing of this change was stored; free space on its disk, learning then goes on";
    case ErrorCode::kUnavailable:
      return "; check the disk, its permissions and what else uses the file";
    default:
      return "";
  }
}

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_),
      statement_(std::exchange(other.statement_, nullptr)),
      next_(other.next_),
      bind_error_(other.bind_error_) {}

Statement::~Statement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void Statement::note(int code) {
  if (code != SQLITE_OK) bind_error_ = code;
}

Statement& Statement::bind(int64_t value) {
  note(sqlite3_bind_int64(statement_, next_++, value));
  return *this;
}

Statement& Statement::bind(uint64_t value) { return bind(static_cast<int64_t>(value)); }

Statement& Statement::bind(const std::optional<double>& value) {
  note(value ? sqlite3_bind_double(statement_, next_, *value)
             : sqlite3_bind_null(statement_, next_));
  ++next_;
  return *this;
}

Statement& Statement::bind(std::string_view text) {
  const char* data = text.data() == nullptr ? "" : text.data();  // a null pointer would be NULL
  note(sqlite3_bind_text64(statement_, next_++, data, text.size(), SQLITE_STATIC, SQLITE_UTF8));
  return *this;
}

Statement& Statement::bind(std::span<const std::byte> bytes) {
  const void* data = bytes.data() == nullptr ? "" : static_cast<const void*>(bytes.data());
  note(sqlite3_bind_blob64(statement_, next_++, data, bytes.size(), SQLITE_STATIC));
  return *this;
}

Result<bool> Statement::step() {
  if (bind_error_ != SQLITE_OK) return database_->failure(bind_error_);
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return database_->failure(code);
}

Status Statement::run() {
  bool is_row = true;
  while (is_row) {
    RUVLLM_ASSIGN(is_row, step());
  }
  return {};
}

int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::optional<double> Statement::real(int column) const {
  if (sqlite3_column_type(statement_, column) == SQLITE_NULL) return std::nullopt;
  return sqlite3_column_double(statement_, column);
}

std::string Statement::text(int column) const {
  const std::span<const std::byte> view = bytes(column);
  return std::string(reinterpret_cast<const char*>(view.data()), view.size());
}

std::span<const std::byte> Statement::bytes(int column) const {
  const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(statement_, column));
  const int size = sqlite3_column_bytes(statement_, column);
  if (data == nullptr || size <= 0) return {};
  return {data, static_cast<size_t>(size)};
}

Result<Database> Database::open(const Options& options) {
  sqlite3* handle = nullptr;
  const int access = options.is_read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  const int create = options.is_created ? SQLITE_OPEN_CREATE : 0;
  const int code = sqlite3_open_v2(options.path.c_str(), &handle,
                                   access | create | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                                   options.vfs.empty() ? nullptr : options.vfs.c_str());
  if (handle == nullptr) {
    return fail(ErrorCode::kOutOfMemory, "{}: no memory to open the database", options.path);
  }
  Database database(options.path, handle);
  if (code != SQLITE_OK) return database.failure(code);
  sqlite3_busy_timeout(handle, options.busy_ms);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  RUVLLM_TRY(database.execute(std::string(kSettings)));
  return database;
}

Database::Database(Database&& other) noexcept
    : path_(std::move(other.path_)),
      handle_(std::exchange(other.handle_, nullptr)),
      statements_(std::move(other.statements_)) {
  other.statements_.clear();
}

Database::~Database() {
  for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  const int code = sqlite3_close(handle_);
  RUVLLM_CHECK(code == SQLITE_OK);  // else a statement outlives its database
}

Result<Statement> Database::prepare(std::string_view sql) {
  auto place = statements_.find(sql);
  if (place == statements_.end()) {
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) return failure(code);
    place = statements_.emplace(sql, statement).first;
  }
  RUVLLM_DCHECK(sqlite3_stmt_busy(place->second) == 0);
  return Statement(this, place->second);
}

Status Database::execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return failure(code);
  return {};
}

Result<int64_t> Database::integer_of(std::string_view sql) {
  RUVLLM_ASSIGN(Statement statement, prepare(sql));
  RUVLLM_ASSIGN(const bool is_row, statement.step());
  return is_row ? statement.integer(0) : 0;
}

int64_t Database::last_id() const { return sqlite3_last_insert_rowid(handle_); }
int64_t Database::num_changed() const { return sqlite3_changes64(handle_); }
bool Database::is_in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

std::unexpected<Error> Database::failure(int code) const {
  const ErrorCode meaning = meaning_of(code);
  const int system = sqlite3_system_errno(handle_);
  return fail(meaning, "{}: {} (SQLite error {}{}){}", path_, sqlite3_errmsg(handle_), code,
              system == 0 ? "" : fmt::format(", system error {}", system), remedy_of(meaning));
}

Result<Transaction> Transaction::begin(Database& database) {
  RUVLLM_TRY(database.execute("BEGIN IMMEDIATE"));
  return Transaction(&database);
}

Result<Transaction> Transaction::begin_read(Database& database) {
  RUVLLM_TRY(database.execute("BEGIN"));
  return Transaction(&database);
}

Transaction::~Transaction() {
  // SQLite has undone it already after some failures.
  if (database_ != nullptr && database_->is_in_transaction()) {
    static_cast<void>(database_->execute("ROLLBACK"));
  }
}

Status Transaction::commit() {
  RUVLLM_TRY(database_->execute("COMMIT"));
  database_ = nullptr;
  return {};
}

}  // namespace ruvllm::sona
