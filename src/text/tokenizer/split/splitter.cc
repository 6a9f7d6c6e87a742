#include "text/tokenizer/split/splitter.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include <pcre2.h>

#include "text/tokenizer/normalize/unicode.h"
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
  std::vector<ByteRange>& pieces;
  std::unique_ptr<pcre2_match_data, DataDeleter> data{pcre2_match_data_create(1, nullptr)};

  // Hands [begin, end) to stage `stage`; after the last stage it is a piece.
  void cut(size_t stage, size_t begin, size_t end) {
    if (begin == end) return;
    if (stage == splitter.stages_.size()) {
      pieces.push_back({begin, end});
    } else {
      Segments(*this, stage, begin).run(end);
    }
  }

  // The next match at or after `at` in [begin, end); none: the rest does not match.
  std::optional<ByteRange> find(const Stage& stage, size_t begin, size_t at, size_t end) {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data() + begin);
    const auto match = [&](uint32_t options) {
      // The run was checked once: PCRE2's own check would read the rest of it at every call.
      return pcre2_match(stage.code.get(), subject, end - begin, at - begin,
                         PCRE2_NO_UTF_CHECK | options, data.get(), nullptr);
    };
    if (data == nullptr) return std::nullopt;
    int result = match(PCRE2_NOTEMPTY);
    // The interpreter keeps its state on the heap. It fails only when memory or its step limit is
    // out, and then the rest is one piece.
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = match(PCRE2_NOTEMPTY | PCRE2_NO_JIT);
    if (result < 0) return std::nullopt;
    const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data.get());
    return ByteRange{begin + range[0], begin + range[1]};
  }

  // Joins matches and gaps of one stage, as its behavior says, and hands them to the next.
  class Segments {
   public:
    Segments(Matcher& matcher, size_t stage, size_t begin)
        : matcher_(matcher),
          index_(stage),
          stage_(matcher.splitter.stages_[stage]),
          pending_{begin, begin} {}

    void run(size_t end) {
      const size_t begin = pending_.begin;
      if (stage_.digits != Digits::kNone) {
        add_digit_groups(begin, end);
        return;
      }
      size_t at = begin;
      while (at < end) {
        const auto match = matcher_.find(stage_, begin, at, end);
        // \K could end a match before its start.
        if (!match || match->begin < at || match->end <= match->begin) break;
        add({at, match->begin}, stage_.invert);
        add(*match, !stage_.invert);
        at = match->end;
      }
      add({at, end}, stage_.invert);
      flush();
    }

   private:
    void flush() {
      const ByteRange piece = pending_;
      pending_.begin = pending_.end;
      matcher_.cut(index_ + 1, piece.begin, piece.end);
    }

    void add(ByteRange range, bool matches) {
      if (range.begin == range.end) return;
      // A piece goes on growing where `joins`; else it ends before this range.
      bool joins = false;
      switch (stage_.behavior) {
        case SplitBehavior::kIsolated:
        case SplitBehavior::kRemoved:
          break;
        case SplitBehavior::kMergedWithPrevious:
          joins = matches && !last_matches_;
          break;
        case SplitBehavior::kMergedWithNext:
          joins = !matches && last_matches_;
          break;
        case SplitBehavior::kContiguous:
          joins = matches == last_matches_;
          break;
      }
      if (!joins) flush();
      pending_.end = range.end;
      last_matches_ = matches;
      if (matches && stage_.behavior == SplitBehavior::kRemoved) pending_.begin = range.end;
    }

    void add_digit_groups(size_t begin, size_t end) {
      const std::string_view subject = matcher_.text;
      size_t gap = begin;
      std::vector<size_t> digits;  // where each digit of the run starts
      for (size_t at = begin; at < end;) {
        digits.clear();
        size_t after = at;
        CodePoint next = decode_utf8(subject.substr(after, end - after));
        while (is_digit(next)) {
          digits.push_back(after);
          after += next.length;
          if (after == end) break;
          next = decode_utf8(subject.substr(after, end - after));
        }
        if (digits.empty()) {
          at += next.length;
          continue;
        }
        const bool in_word = after < end && is_word(next.value);
        if (stage_.digits == Digits::kGroups || !in_word) {
          matcher_.cut(index_ + 1, gap, at);
          for (size_t i = digits.size() % 3; i < digits.size(); i += 3) {
            matcher_.cut(index_ + 1, at, digits[i]);
            at = digits[i];
          }
          matcher_.cut(index_ + 1, at, after);
          gap = after;
        }
        at = after;
      }
      matcher_.cut(index_ + 1, gap, end);
    }

    bool is_digit(const CodePoint& point) const {
      return stage_.digits == Digits::kGroups ? is_number(point.value)
                                              : is_decimal_digit(point.value);
    }

    Matcher& matcher_;
    size_t index_;
    const Stage& stage_;
    ByteRange pending_;
    bool last_matches_ = false;
  };
};

Status Splitter::add_stage(std::string_view pattern, SplitBehavior behavior, bool invert,
                           std::string_view place) {
  Stage stage{.code = nullptr, .digits = Digits::kNone, .behavior = behavior, .invert = invert};
  if (pattern == kDigitGroups) {
    stage.digits = Digits::kGroups;
  } else if (pattern == kDigitGroupsBeforeWordEnd) {
    stage.digits = Digits::kGroupsBeforeWordEnd;
  } else {
    int error = 0;
    PCRE2_SIZE offset = 0;
    stage.code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                   PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr));
    if (stage.code == nullptr) {
      std::array<PCRE2_UCHAR, 128> message{};
      pcre2_get_error_message(error, message.data(), message.size());
      return fail(ErrorCode::kUnsupported, "{}: {} at offset {} of its regular expression", place,
                  reinterpret_cast<const char*>(message.data()), offset);
    }
    // Without a JIT (an unsupported CPU, no executable memory) pcre2_match interprets instead.
    pcre2_jit_compile(stage.code.get(), PCRE2_JIT_COMPLETE);
  }
  stages_.push_back(std::move(stage));
  return {};
}

Result<Splitter> Splitter::compile(const SplitPattern& pattern) {
  Splitter splitter;
  for (const std::string_view stage : pattern.stages) {
    RUVLLM_TRY(splitter.add_stage(stage, SplitBehavior::kIsolated, false, pattern.names[0]));
  }
  return splitter;
}

Result<Splitter> Splitter::compile(std::span<const PreTokenizerStep> steps,
                                   std::string_view place) {
  Splitter splitter;
  for (const PreTokenizerStep& step : steps) {
    RUVLLM_TRY(splitter.add_stage(step.pattern, step.behavior, step.invert, place));
  }
  return splitter;
}

namespace {

// Calls `valid` with the ends of each run of valid UTF-8, `invalid` with those of each other run.
template <typename Valid, typename Invalid>
void for_each_run(std::string_view text, const Valid& valid, const Invalid& invalid) {
  size_t at = 0;
  while (at < text.size()) {
    const size_t valid_end = at + valid_utf8_prefix(text.substr(at));
    valid(at, valid_end);
    at = valid_end;
    while (at < text.size()) {
      const Utf8Unit unit = next_utf8(text.substr(at));
      if (unit.status == Utf8Status::kValid) break;
      at += unit.length;
    }
    if (at > valid_end) invalid(valid_end, at);
  }
}

}  // namespace

void Splitter::split(std::string_view text, std::vector<ByteRange>& pieces) const {
  Matcher matcher{.splitter = *this, .text = text, .pieces = pieces};
  for_each_run(
      text, [&](size_t begin, size_t end) { matcher.cut(0, begin, end); },
      [&](size_t begin, size_t end) { pieces.push_back({begin, end}); });
}

void Splitter::find_matches(std::string_view text, std::vector<ByteRange>& matches) const {
  Matcher matcher{.splitter = *this, .text = text, .pieces = matches};
  const auto find = [&](size_t begin, size_t end) {
    for (size_t at = begin; at < end;) {
      const auto match = matcher.find(stages_[0], begin, at, end);
      if (!match || match->begin < at || match->end <= match->begin) break;
      matches.push_back(*match);
      at = match->end;
    }
  };
  for_each_run(text, find, [](size_t, size_t) {});
}

}  // namespace ruvllm::text
