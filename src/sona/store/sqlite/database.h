// One connection to an SQLite 3 file, and its statements: errors as Result, nothing leaks.
//
// Not thread-safe: one thread at a time uses a Database and the Statements of it. A Statement
// must not outlive its Database.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace ruvllm::sona {

// A prepared statement with its values; given back to the Database when destroyed.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  // Values of ?1, ?2, ... in order. Text and bytes must stay until the last step.
  Statement& bind(int64_t value);
  Statement& bind(uint64_t value);
  Statement& bind(const std::optional<double>& value);
  Statement& bind(std::string_view text);
  Statement& bind(std::span<const std::byte> bytes);

  Result<bool> step();  // true: there is a row
  Status run();         // to the end

  // Of the row, columns from 0. What has another type is converted as SQLite does.
  int64_t integer(int column) const;
  uint64_t count(int column) const { return static_cast<uint64_t>(integer(column)); }
  std::optional<double> real(int column) const;
  std::string text(int column) const;
  std::span<const std::byte> bytes(int column) const;  // until the next step

 private:
  friend class Database;
  Statement(class Database* database, sqlite3_stmt* statement)
      : database_(database), statement_(statement) {}
  void note(int code);

  Database* database_;
  sqlite3_stmt* statement_;
  int next_ = 1;
  int bind_error_ = 0;
};

class Database {
 public:
  struct Options {
    std::string path;
    std::string vfs = {};  // name of an SQLite file system; empty: the system's own
    bool is_created = false;
    bool is_read_only = false;
    int busy_ms = 10'000;
  };

  // Sets what every connection must have: foreign keys, secure_delete, synchronous=FULL, and no
  // trust in what the file's schema says.
  static Result<Database> open(const Options& options);
  Database(Database&& other) noexcept;
  Database& operator=(Database&&) = delete;
  ~Database();

  // `sql` must be a literal: statements are kept by it.
  Result<Statement> prepare(std::string_view sql);
  Status execute(const std::string& sql);  // any number of statements without values
  // The first column of the only row.
  Result<int64_t> integer_of(std::string_view sql);

  int64_t last_id() const;      // of the last row inserted
  int64_t num_changed() const;  // rows changed by the last statement
  bool is_in_transaction() const;
  const std::string& path() const { return path_; }

  // What SQLite's result code means to a caller, with its words.
  std::unexpected<Error> failure(int code) const;

 private:
  friend class Statement;
  Database(std::string path, sqlite3* handle) : path_(std::move(path)), handle_(handle) {}

  std::string path_;
  sqlite3* handle_;
  std::map<std::string_view, sqlite3_stmt*> statements_;
};

// Begins at once (readers go on, writers wait) and undoes what was not committed.
class Transaction {
 public:
  static Result<Transaction> begin(Database& database);
  // All reads in it see the same moment; it waits for nobody and nobody for it.
  static Result<Transaction> begin_read(Database& database);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  Status commit();

 private:
  explicit Transaction(Database* database) : database_(database) {}
  Database* database_;
};

}  // namespace ruvllm::sona
