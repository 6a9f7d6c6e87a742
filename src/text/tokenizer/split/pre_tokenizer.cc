#include "text/tokenizer/split/pre_tokenizer.h"

#include <algorithm>
#include <utility>

namespace ruvllm::text {

using Kind = PreTokenizerStep::Kind;
using Prepend = PreTokenizerStep::Prepend;

Result<PreTokenizer> PreTokenizer::compile(std::span<const PreTokenizerStep> steps) {
  PreTokenizer pre_tokenizer;
  for (auto step = steps.begin(); step != steps.end();) {
    if (step->kind == Kind::kSplit) {
      const auto end =
          std::find_if(step, steps.end(), [](const auto& s) { return s.kind != Kind::kSplit; });
      RUVLLM_ASSIGN(Splitter splitter, Splitter::compile({step, end}, "pre_tokenizer"));
      pre_tokenizer.stages_.push_back({.splitter = std::move(splitter), .change = {}});
      step = end;
    } else {
      pre_tokenizer.stages_.push_back({.splitter = std::nullopt, .change = *step});
      ++step;
    }
  }
  return pre_tokenizer;
}

Result<PreTokenizer> PreTokenizer::compile(const SplitPattern& pattern) {
  PreTokenizer pre_tokenizer;
  RUVLLM_ASSIGN(Splitter splitter, Splitter::compile(pattern));
  pre_tokenizer.stages_.push_back({.splitter = std::move(splitter), .change = {}});
  return pre_tokenizer;
}

void PreTokenizer::change(const PreTokenizerStep& step, bool at_start, Pieces& pieces) {
  const bool metaspace = step.kind == Kind::kMetaspace;
  const std::string_view space = metaspace ? std::string_view(step.pattern) : " ";
  std::string changed;
  changed.reserve(pieces.text.size() + pieces.text.size() / 2);
  for (ByteRange& range : pieces.ranges) {
    const std::string_view piece = pieces.text.substr(range.begin, range.end - range.begin);
    const bool prepends = step.prepend == Prepend::kAlways ||
                          (step.prepend == Prepend::kFirst && at_start && range.begin == 0);
    const bool has_it = piece.starts_with(space) || (metaspace && piece.starts_with(' '));
    const size_t begin = changed.size();
    if (prepends && !has_it) changed += space;
    if (metaspace) {
      for (const char byte : piece) {
        byte == ' ' ? changed.append(space) : changed.append(1, byte);
      }
    } else {
      changed += piece;
    }
    range = {begin, changed.size()};
  }
  pieces.changed = std::move(changed);
  pieces.text = pieces.changed;
}

void PreTokenizer::apply(std::string_view text, bool at_start, Pieces& pieces) const {
  pieces.text = text;
  pieces.ranges.clear();
  if (text.empty()) return;
  pieces.ranges.push_back({0, text.size()});
  std::vector<ByteRange> parts;
  for (const Stage& stage : stages_) {
    if (!stage.splitter) {
      change(stage.change, at_start, pieces);
      continue;
    }
    parts.clear();
    for (const ByteRange& range : pieces.ranges) {
      const size_t first = parts.size();
      stage.splitter->split(pieces.text.substr(range.begin, range.end - range.begin), parts);
      for (size_t i = first; i < parts.size(); ++i) {
        parts[i].begin += range.begin;
        parts[i].end += range.begin;
      }
    }
    std::swap(pieces.ranges, parts);
  }
}

}  // namespace ruvllm::text
