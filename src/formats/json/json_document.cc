#include "formats/json/json_document.h"

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/system/mapped_file.h"
#include "formats/gguf/types.h"

namespace ruvllm::formats {
namespace {

using nlohmann::json;

// Walks the text without building anything; nlohmann's parser keeps its own stack on the heap.
class Checker final : public json::json_sax_t {
 public:
  explicit Checker(const std::string& file) : file_(file) {}

  const std::optional<Error>& error() const { return error_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool start_array(size_t) override { return enter(); }
  bool end_array() override { return leave(); }
  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    error_ = Error(ErrorCode::kCorrupt,
                   fmt::format("{}: key {} occurs twice in one object; the file is damaged", file_,
                               formats::quoted(name)));
    return false;
  }
  bool parse_error(size_t position, const std::string&, const json::exception&) override {
    error_ = Error(ErrorCode::kCorrupt,
                   fmt::format("{}: not JSON (byte {}); the file is damaged or incomplete, "
                               "download it again",
                               file_, position > 0 ? position - 1 : 0));
    return false;
  }

 private:
  bool enter() {
    keys_.emplace_back();
    if (keys_.size() <= kMaxJsonDepth) return true;
    error_ = Error(ErrorCode::kCorrupt,
                   fmt::format("{}: JSON nested deeper than {} levels; the file is damaged", file_,
                               kMaxJsonDepth));
    return false;
  }
  bool leave() {
    keys_.pop_back();
    return true;
  }

  const std::string& file_;
  std::vector<std::unordered_set<std::string>> keys_;  // of each open object or array
  std::optional<Error> error_;
};

}  // namespace

Result<json> parse_json_document(std::string_view text, const std::string& file) {
  Checker checker(file);
  if (!json::sax_parse(text, &checker) && checker.error()) return std::unexpected(*checker.error());
  json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) {
    return fail(ErrorCode::kCorrupt, "{}: not JSON; the file is damaged, download it again", file);
  }
  return document;
}

Result<json> read_json_file(const std::string& path, size_t max_bytes) {
  RUVLLM_ASSIGN(const MappedFile file, MappedFile::open(path));
  const auto bytes = file.bytes();
  if (bytes.size() > max_bytes) {
    return fail(ErrorCode::kCorrupt, "{}: {} bytes are more than the limit of {}; name a model folder",
                path, bytes.size(), max_bytes);
  }
  // A copy: the file may change while it is parsed.
  const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (file.damaged()) {
    return fail(ErrorCode::kUnavailable, "{}: the file changed while it was read; try again", path);
  }
  return parse_json_document(text, path);
}

}  // namespace ruvllm::formats
