// Lessons of a file: a text in windows, or JSONL of feedback, one object a line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/learning/sona_core.h"
#include "api/text/chat_encoder.h"
#include "base/core/error.h"
#include "text/tokenizer/tokenizer.h"

namespace ruvllm::api {

struct FileLesson {
  NewLesson lesson;
  uint64_t end_byte = 0;  // of the file, for progress
};

struct LessonFileReader {
  const text::Tokenizer& tokenizer;
  const ChatEncoder& chat;  // prompts of JSONL go through its template
  int32_t window = 0;       // tokens of one lesson of a text

  // The whole file is read and checked before anything is learned from it. Keys of the lessons
  // follow from the file's content: the same file given again is the same lessons, unless
  // `is_again`. Errors name path and line.
  Result<std::vector<FileLesson>> read(const std::string& path, bool is_again) const;

 private:
  Result<NewLesson> lesson_of(std::string_view line, const std::string& where) const;
  std::vector<FileLesson> windows_of(std::string_view text) const;
};

}  // namespace ruvllm::api
