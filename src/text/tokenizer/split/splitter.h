// Cuts text into the pieces that byte-pair merging never crosses. Immutable, shared by all threads.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "text/tokenizer/split/patterns.h"

struct pcre2_real_code_8;  // PCRE2's pcre2_code

namespace ruvllm::text {

class Splitter {
 public:
  static Result<Splitter> compile(const SplitPattern& pattern);

  // Appends where each piece ends: ascending, the last is text.size(); nothing for empty text. The
  // pattern sees runs of valid UTF-8 only; each run of bytes that are not is a piece of its own.
  void split(std::string_view text, std::vector<size_t>& ends) const;

 private:
  struct CodeDeleter {
    void operator()(pcre2_real_code_8* code) const;
  };
  struct Matcher;

  Splitter() = default;

  std::vector<std::unique_ptr<pcre2_real_code_8, CodeDeleter>> stages_;
};

}  // namespace ruvllm::text
