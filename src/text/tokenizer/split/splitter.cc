#include "text/tokenizer/split/splitter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <array>
#include <string>
#include <utility>

#include <pcre2.h>

#include "text/tokenizer/split/utf8.h"

namespace ruvllm::text {

void Splitter::CodeDeleter::operator()(pcre2_real_code_8* code) const { pcre2_code_free(code); }

// One call's working state: PCRE2 writes matches into it, so threads cannot share it.
struct Splitter::Matcher {
  struct DataDeleter {
    void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
  };

  const Splitter& splitter;
  std::string_view text;
  std::vector<size_t>& ends;
  std::unique_ptr<pcre2_match_data, DataDeleter> data{pcre2_match_data_create(1, nullptr)};

  // Hands [begin, end) to stage `stage`; after the last stage it is a piece.
  void cut(size_t stage, size_t begin, size_t end) {
    if (begin == end) return;
    if (stage == splitter.stages_.size()) {
      ends.push_back(end);
      return;
    }
    const pcre2_code* code = splitter.stages_[stage].get();
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data() + begin);
    size_t at = begin;
    while (at < end) {
      // The run was checked once: PCRE2's own check would read the rest of it at every call. It
      // fails otherwise only when memory is out, and then the rest is one piece.
      if (data == nullptr || pcre2_match(code, subject, end - begin, at - begin, PCRE2_NO_UTF_CHECK,
                                         data.get(), nullptr) < 0) {
        break;
      }
      const PCRE2_SIZE* match = pcre2_get_ovector_pointer(data.get());
      const size_t match_begin = begin + match[0];
      const size_t match_end = begin + match[1];
      if (match_end <= at) break;  // an empty match would never advance
      cut(stage + 1, at, match_begin);
      cut(stage + 1, match_begin, match_end);
      at = match_end;
    }
    cut(stage + 1, at, end);
  }
};

Result<Splitter> Splitter::compile(const SplitPattern& pattern) {
  Splitter splitter;
  for (const std::string_view stage : pattern.stages) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    std::unique_ptr<pcre2_code, CodeDeleter> code(
        pcre2_compile(reinterpret_cast<PCRE2_SPTR>(stage.data()), stage.size(),
                      PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr));
    if (code == nullptr) {
      std::array<PCRE2_UCHAR, 128> message{};
      pcre2_get_error_message(error, message.data(), message.size());
      return fail(ErrorCode::kInternal, "pre-tokenizer '{}': {} at offset {} of {}",
                  pattern.names[0], reinterpret_cast<const char*>(message.data()), offset, stage);
    }
    // Without a JIT (an unsupported CPU, no executable memory) pcre2_match interprets instead.
    pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
    splitter.stages_.push_back(std::move(code));
  }
  return splitter;
}

void Splitter::split(std::string_view text, std::vector<size_t>& ends) const {
  Matcher matcher{.splitter = *this, .text = text, .ends = ends};
  size_t at = 0;
  while (at < text.size()) {
    const size_t valid_end = at + valid_utf8_prefix(text.substr(at));
    matcher.cut(0, at, valid_end);
    at = valid_end;
    while (at < text.size()) {
      const Utf8Unit unit = next_utf8(text.substr(at));
      if (unit.status == Utf8Status::kValid) break;
      at += unit.length;
    }
    if (at > valid_end) ends.push_back(at);
  }
}

}  // namespace ruvllm::text
