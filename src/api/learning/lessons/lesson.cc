#include "api/learning/lessons/lesson.h"

#include <cmath>
#include <utility>

#include <nlohmann/json.hpp>

#include "api/learning/state/tenant_state.h"

namespace ruvllm::api {
namespace {

using Json = nlohmann::json;

constexpr int kVersion = 1;

class FieldReader {
 public:
  FieldReader(std::string_view payload, int32_t vocab_size, std::string_view where)
      : root_(Json::parse(payload, nullptr, false)), vocab_size_(vocab_size), where_(where) {}

  Status check_frame() const {
    if (!root_.is_object()) return wrong("the payload", "is no JSON object");
    const auto version = root_.find("version");
    if (version == root_.end() || !version->is_number_integer()) {
      return wrong("version", "is missing");
    }
    if (version->get<int64_t>() != kVersion) {
      return fail(ErrorCode::kUnsupported,
                  "{}: written by a later program (version {}); use that program", where_,
                  version->get<int64_t>());
    }
    return {};
  }
  Result<std::string> text(const char* field) const {
    const auto value = root_.find(field);
    if (value == root_.end() || !value->is_string()) return wrong(field, "is no text");
    return value->get<std::string>();
  }
  Result<std::vector<int32_t>> ids(const char* field) const {
    const auto list = root_.find(field);
    if (list == root_.end() || !list->is_array()) return wrong(field, "is no list of token ids");
    std::vector<int32_t> ids;
    ids.reserve(list->size());
    for (const Json& id : *list) {
      const bool fits = id.is_number_unsigned() && id.get<uint64_t>() < uint64_t(vocab_size_);
      if (!fits) return wrong(field, "holds what is no token of this model");
      ids.push_back(id.get<int32_t>());
    }
    return ids;
  }
  Result<double> fraction(const char* field) const {
    const auto value = root_.find(field);
    const double x = value != root_.end() && value->is_number() ? value->get<double>() : -1.0;
    if (!(x >= 0.0 && x <= 1.0)) return wrong(field, "is no number from 0 to 1");
    return x;
  }

 private:
  std::unexpected<Error> wrong(std::string_view field, std::string_view reason) const {
    return fail(ErrorCode::kCorrupt, "{}: {} {}; forget the user or restore a backup", where_,
                field, reason);
  }

  Json root_;
  int32_t vocab_size_;
  std::string_view where_;
};

}  // namespace

std::string encode_lesson(const Lesson& lesson) {
  return Json{{"version", kVersion},     {"model", lesson.model},       {"prompt", lesson.prompt},
              {"answer", lesson.answer}, {"rejected", lesson.rejected}, {"score", lesson.score}}
      .dump();
}

Result<Lesson> decode_lesson(sona::FeedbackKind kind, std::string_view payload, int32_t vocab_size,
                             std::string_view where) {
  const FieldReader reader(payload, vocab_size, where);
  RUVLLM_TRY(reader.check_frame());
  Lesson lesson;
  lesson.kind = kind;
  RUVLLM_ASSIGN(lesson.model, reader.text("model"));
  RUVLLM_ASSIGN(lesson.prompt, reader.ids("prompt"));
  RUVLLM_ASSIGN(lesson.answer, reader.ids("answer"));
  RUVLLM_ASSIGN(lesson.rejected, reader.ids("rejected"));
  RUVLLM_ASSIGN(lesson.score, reader.fraction("score"));
  return lesson;
}

sona::Trajectory encode_response(const KeptResponse& response) {
  const Json payload{{"version", kVersion},
                     {"model", response.model},
                     {"prompt", response.prompt},
                     {"answer", response.answer}};
  return {.response_id = response.id,
          .generation = response.generation,
          .time_us = wall_time_us(),
          .payload = payload.dump()};
}

Result<KeptResponse> decode_response(const std::string& user, const sona::Trajectory& trajectory,
                                     int32_t vocab_size) {
  const std::string where = fmt::format("response {} of user '{}'", trajectory.response_id, user);
  const FieldReader reader(trajectory.payload, vocab_size, where);
  RUVLLM_TRY(reader.check_frame());
  KeptResponse response;
  response.user = user;
  response.id = trajectory.response_id;
  response.generation = trajectory.generation;
  RUVLLM_ASSIGN(response.model, reader.text("model"));
  RUVLLM_ASSIGN(response.prompt, reader.ids("prompt"));
  RUVLLM_ASSIGN(response.answer, reader.ids("answer"));
  return response;
}

}  // namespace ruvllm::api
