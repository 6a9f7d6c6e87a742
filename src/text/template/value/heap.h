// The memory and the budgets of one render.
//
// Every string and container that a template makes is charged here before it is allocated, and
// every operation pays steps: one a node, and one for each 256 bytes or 16 items that it walks
// over, so that the step budget also bounds the processor time. Every 1024 steps the clock is read,
// too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/error.h"
#include "text/template/limits.h"
#include "text/template/value/value.h"

namespace ruvllm::text::jinja {

class Heap;

// The bytes of a string, given back to the heap's account when the last Text drops them.
class TextBuffer {
 public:
  TextBuffer(Heap& heap, std::string bytes) : heap_(heap), bytes_(std::move(bytes)) {}
  ~TextBuffer();
  TextBuffer(const TextBuffer&) = delete;
  TextBuffer& operator=(const TextBuffer&) = delete;
  std::string_view view() const { return bytes_; }

 private:
  Heap& heap_;
  const std::string bytes_;
};

class Heap {
 public:
  explicit Heap(const TemplateLimits& limits)
      : limits_(limits), deadline_ns_(limits.now_ns() + limits.max_milliseconds * 1'000'000ull) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  const TemplateLimits& limits() const { return limits_; }

  Status spend(uint64_t steps = 1);
  Status spend_bytes(uint64_t bytes) { return spend(bytes / 256); }
  Status spend_items(uint64_t items) { return spend(1 + items / 16); }
  // Whether one string or list of `bytes` may exist.
  Status admit(uint64_t bytes) const;
  // How deep walks over nested values may go; `depth` counts from 0.
  Status admit_depth(uint32_t depth) const;
  Status take_bytes(uint64_t bytes);  // charges live memory
  void give_bytes(uint64_t bytes) { live_bytes_ -= bytes; }

  // Takes over bytes that were charged with take_bytes already.
  Text adopt(std::string bytes);
  // A string of the heap's own.
  Result<Text> text(std::string_view bytes);

  // Empty containers; `expected` items are charged and reserved.
  Result<List*> new_list(ListKind kind, size_t expected = 0);
  Result<Dict*> new_dict(size_t expected = 0);
  Result<Namespace*> new_namespace();
  Status push(List& list, Value value);
  // Refuses keys that Python could not hash; replaces the value of a key that is there.
  Status assign(Dict& dict, const Value& key, Value value);
  // For data that holds each key once and whose memory is the caller's: charges nothing.
  List* input_list(size_t size);
  Dict* input_dict(size_t size);

  template <typename T, typename... Args>
  Result<T*> new_callable(Args&&... args) {
    RUVLLM_TRY(take_bytes(sizeof(T)));
    auto owned = std::make_unique<T>(std::forward<Args>(args)...);
    T* callable = owned.get();
    callables_.push_back(std::move(owned));
    return callable;
  }

 private:
  // What all strings and containers of a render may hold together, in max_output_bytes.
  static constexpr uint64_t kLiveFactor = 16;
  static constexpr uint64_t kStepsPerClock = 1024;

  Status check_clock() const;

  const TemplateLimits limits_;
  const uint64_t deadline_ns_;
  uint64_t steps_ = 0;
  uint64_t next_clock_ = kStepsPerClock;  // the step at which to read the clock
  uint64_t live_bytes_ = 0;
  // Deques: pointers into them stay valid.
  std::deque<List> lists_;
  std::deque<Dict> dicts_;
  std::deque<Namespace> namespaces_;
  std::deque<std::unique_ptr<Callable>> callables_;
};

// Builds a string under the heap's budgets.
class TextBuilder {
 public:
  explicit TextBuilder(Heap& heap) : heap_(heap) {}
  ~TextBuilder() { heap_.give_bytes(charged_); }
  TextBuilder(const TextBuilder&) = delete;
  TextBuilder& operator=(const TextBuilder&) = delete;

  Heap& heap() { return heap_; }
  Status append(std::string_view bytes);
  Status append(char byte) { return append(std::string_view(&byte, 1)); }
  Status append_repeated(std::string_view bytes, uint64_t count);
  std::string_view view() const { return bytes_; }
  // Leave the builder empty.
  Text take();
  std::string take_string();

 private:
  Heap& heap_;
  uint64_t charged_ = 0;
  std::string bytes_;
};

}  // namespace ruvllm::text::jinja
