#include "api/hub/pull/hub_answers.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "api/hub/names/digest.h"
#include "api/hub/names/text.h"
#include "api/hub/net/url.h"

namespace ruvllm::hub {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxFiles = 100'000;

Result<Json> parse_answer(const std::string& body, const std::string& what) {
  Json json = Json::parse(body, nullptr, false);
  if (json.is_discarded()) {
    return fail(ErrorCode::kCorrupt,
                "{}: the answer is not JSON, it begins with '{}'; is this the right server?", what,
                printable(body, 60));
  }
  return json;
}

const Json* member(const Json& object, const char* name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() ? nullptr : &*found;
}

std::string string_member(const Json& object, const char* name) {
  const Json* value = member(object, name);
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

}  // namespace

Result<std::string> read_commit(const std::string& body, const std::string& what,
                                const std::string& endpoint) {
  RUVLLM_ASSIGN(const Json json, parse_answer(body, what));
  std::string commit = string_member(json, "sha");
  if (!is_hex(commit, 40)) {
    return fail(ErrorCode::kCorrupt, "{}: the server's answer names no commit; is {} a Hub?", what,
                endpoint);
  }
  return commit;
}

Status read_file_list(const std::string& body, const std::string& what,
                      std::vector<RepositoryFile>& files) {
  RUVLLM_ASSIGN(const Json json, parse_answer(body, what));
  if (!json.is_array() || files.size() + json.size() > kMaxFiles) {
    return fail(ErrorCode::kCorrupt, "{}: the server's answer is no list of files", what);
  }
  for (const Json& entry : json) {
    if (string_member(entry, "type") != "file") continue;
    RepositoryFile file{string_member(entry, "path"), 0, string_member(entry, "oid")};
    if (Status good = check_remote_path(file.path); !good) {
      return std::unexpected(std::move(good).error().with_context(what));
    }
    const Json* large = member(entry, "lfs");
    const bool is_large = large != nullptr && large->is_object();
    if (is_large) file.blob = string_member(*large, "oid");
    const Json* size = member(is_large ? *large : entry, "size");
    if (size == nullptr || !size->is_number_unsigned() || !parse_digest(file.blob)) {
      return fail(ErrorCode::kCorrupt, "{}: size or hash of {} is missing or wrong", what,
                  printable(file.path));
    }
    file.size = size->get<uint64_t>();
    files.push_back(std::move(file));
  }
  return {};
}

Result<std::string> read_next_page(const std::string& link, const std::string& what,
                                   const std::string& endpoint) {
  const size_t end = link.find('>');
  if (!link.starts_with('<') || end == std::string::npos ||
      link.find("rel=\"next\"", end) == std::string::npos) {
    return "";
  }
  RUVLLM_ASSIGN(const Url next, parse_url(link.substr(1, end - 1)));
  RUVLLM_ASSIGN(const Url own, parse_url(endpoint));
  if (!next.same_origin(own)) {
    return fail(ErrorCode::kUnavailable, "{}: it goes on at {}, another server; refused", what,
                printable(next.host));
  }
  return next.text;
}

}  // namespace ruvllm::hub
