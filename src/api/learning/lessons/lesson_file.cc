#include "api/learning/lessons/lesson_file.h"

#include <algorithm>
#include <span>
#include <utility>

#include <nlohmann/json.hpp>

#include "api/learning/sona_impl.h"
#include "base/system/mapped_file.h"
#include "sona/store/sha256.h"

namespace ruvllm::api {
namespace {

using Json = nlohmann::json;

class Line {
 public:
  Line(std::string_view text, const std::string& where)
      : root_(Json::parse(text, nullptr, false)), where_(where) {}

  bool is_object() const { return root_.is_object(); }
  bool has(const char* field) const { return root_.contains(field); }
  Result<std::string> text(const char* field) const {
    const auto value = root_.find(field);
    if (value == root_.end() || !value->is_string() || value->get_ref<const std::string&>().empty())
      return fail(ErrorCode::kInvalidArgument, "{}: \"{}\" is no text; see docs/learning-use.md",
                  where_, field);
    return value->get<std::string>();
  }
  // A score, or "good" or "bad".
  Result<double> rating() const {
    const Json& value = root_["rating"];
    if (value == "good") return 1.0;
    if (value == "bad") return 0.0;
    const double score = value.is_number() ? value.get<double>() : -1.0;
    if (score >= 0.0 && score <= 1.0) return score;
    return fail(ErrorCode::kInvalidArgument,
                "{}: \"rating\" is not \"good\", \"bad\" or a number from 0 to 1", where_);
  }

 private:
  Json root_;
  const std::string& where_;
};

bool is_jsonl(const std::string& path) { return path.ends_with(".jsonl"); }

}  // namespace

std::vector<int32_t> answer_ids(const text::Tokenizer& tokenizer, std::string_view text) {
  std::vector<int32_t> ids = tokenizer.encode(text, {});
  const auto& spec = tokenizer.spec();
  if (const auto end = spec.eot_id ? spec.eot_id : spec.eos_id) ids.push_back(*end);
  return ids;
}

Result<NewLesson> LessonFileReader::lesson_of(std::string_view text,
                                              const std::string& where) const {
  const Line line(text, where);
  if (!line.is_object()) {
    return fail(ErrorCode::kInvalidArgument, "{}: no JSON object; see docs/learning-use.md", where);
  }
  NewLesson out;
  Lesson& lesson = out.lesson;
  if (line.has("text")) {
    RUVLLM_ASSIGN(const std::string own, line.text("text"));
    lesson.answer = tokenizer.encode(own, {.parse_special = false, .add_special = true});
    return out;
  }
  RUVLLM_ASSIGN(const std::string prompt, line.text("prompt"));
  const std::vector<ChatMessage> messages = {{"user", prompt}};
  RUVLLM_ASSIGN(lesson.prompt, chat.encode(messages, {}));
  if (line.has("correction")) {
    lesson.kind = sona::FeedbackKind::kCorrection;
    RUVLLM_ASSIGN(const std::string right, line.text("correction"));
    lesson.answer = answer_ids(tokenizer, right);
  } else if (line.has("chosen")) {
    lesson.kind = sona::FeedbackKind::kPreference;
    RUVLLM_ASSIGN(const std::string chosen, line.text("chosen"));
    RUVLLM_ASSIGN(const std::string rejected, line.text("rejected"));
    lesson.answer = answer_ids(tokenizer, chosen);
    lesson.rejected = answer_ids(tokenizer, rejected);
  } else if (line.has("rating")) {
    lesson.kind = sona::FeedbackKind::kRating;
    RUVLLM_ASSIGN(const std::string answer, line.text("answer"));
    RUVLLM_ASSIGN(lesson.score, line.rating());
    lesson.answer = answer_ids(tokenizer, answer);
  } else {
    return fail(ErrorCode::kInvalidArgument,
                "{}: neither \"text\", \"correction\", \"chosen\" nor \"rating\"; see "
                "docs/learning-use.md",
                where);
  }
  return out;
}

std::vector<FileLesson> LessonFileReader::windows_of(std::string_view text) const {
  const std::vector<int32_t> ids =
      tokenizer.encode(text, {.parse_special = false, .add_special = true});
  std::vector<FileLesson> lessons;
  const auto size = static_cast<size_t>(window);
  for (size_t first = 0; first + 1 < ids.size(); first += size) {
    const size_t count = std::min(size, ids.size() - first);
    const std::span<const int32_t> part = std::span(ids).subspan(first, count);
    FileLesson lesson;
    lesson.lesson.lesson.answer.assign(part.begin(), part.end());
    lesson.end_byte = text.size() * (first + count) / ids.size();
    lessons.push_back(std::move(lesson));
  }
  return lessons;
}

Result<std::vector<FileLesson>> LessonFileReader::read(const std::string& path,
                                                       bool is_again) const {
  RUVLLM_ASSIGN(const auto file, MappedFile::open(path));
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  std::vector<FileLesson> lessons;
  if (!is_jsonl(path)) {
    lessons = windows_of(text);
  } else {
    size_t number = 0;
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      const std::string_view line = text.substr(begin, end - begin);
      begin = end + 1;
      ++number;
      if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
      RUVLLM_ASSIGN(NewLesson lesson, lesson_of(line, fmt::format("{}:{}", path, number)));
      lessons.push_back({.lesson = std::move(lesson), .end_byte = end});
    }
  }
  if (lessons.empty()) {
    return fail(ErrorCode::kInvalidArgument, "{}: nothing to learn from; give a longer text", path);
  }
  if (!is_again) {
    const std::string content = sona::sha256_of(std::as_bytes(std::span(text))).hex();
    for (size_t i = 0; i < lessons.size(); ++i) {
      lessons[i].lesson.key = fmt::format("file-{}-{}-{}", content, window, i);
    }
  }
  return lessons;
}

}  // namespace ruvllm::api
