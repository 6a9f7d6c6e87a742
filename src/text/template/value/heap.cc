#include "text/template/value/heap.h"

#include "base/core/checked.h"

namespace ruvllm::text::jinja {

TextBuffer::~TextBuffer() { heap_.give_bytes(bytes_.size()); }

Status Heap::spend(uint64_t steps) {
  steps_ += steps;
  if (steps_ > limits_.max_steps) {
    return fail(ErrorCode::kResourceExhausted,
                "the template takes more than {} steps; simplify it or raise the limit",
                limits_.max_steps);
  }
  if (steps_ < next_clock_) return {};
  next_clock_ = steps_ + kStepsPerClock;
  return check_clock();
}

Status Heap::check_clock() const {
  if (limits_.now_ns() <= deadline_ns_) return {};
  return fail(
      ErrorCode::kResourceExhausted,
      "the template takes more than {} ms of processor time; simplify it or raise the limit",
      limits_.max_milliseconds);
}

Status Heap::admit(uint64_t bytes) const {
  if (bytes <= limits_.max_output_bytes) return {};
  return fail(ErrorCode::kResourceExhausted,
              "a string or list of {} bytes is over the limit of {} bytes", bytes,
              limits_.max_output_bytes);
}

Status Heap::admit_depth(uint32_t depth) const {
  if (depth < limits_.max_depth) return {};
  return fail(ErrorCode::kResourceExhausted, "a value is nested deeper than {} levels",
              limits_.max_depth);
}

Status Heap::take_bytes(uint64_t bytes) {
  const uint64_t limit = limits_.max_output_bytes * kLiveFactor;
  if (bytes <= limit && live_bytes_ <= limit - bytes) {
    live_bytes_ += bytes;
    return {};
  }
  return fail(ErrorCode::kResourceExhausted, "the template holds more than {} bytes at once",
              limit);
}

Text Heap::adopt(std::string bytes) {
  auto buffer = std::make_shared<const TextBuffer>(*this, std::move(bytes));
  const std::string_view view = buffer->view();
  return Text{view, std::move(buffer)};
}

Result<Text> Heap::text(std::string_view bytes) {
  TextBuilder builder(*this);
  RUVLLM_TRY(builder.append(bytes));
  return builder.take();
}

Result<List*> Heap::new_list(ListKind kind, size_t expected) {
  const auto bytes = checked_mul<uint64_t>(expected, sizeof(Value));
  RUVLLM_TRY(admit(bytes.value_or(UINT64_MAX)));
  RUVLLM_TRY(take_bytes(*bytes + sizeof(List)));
  RUVLLM_TRY(spend_items(expected));
  List& list = lists_.emplace_back();
  list.kind = kind;
  list.items.reserve(expected);
  return &list;
}

Result<Dict*> Heap::new_dict(size_t expected) {
  const auto bytes = checked_mul<uint64_t>(expected, 2 * sizeof(Value));
  RUVLLM_TRY(admit(bytes.value_or(UINT64_MAX)));
  RUVLLM_TRY(take_bytes(*bytes + sizeof(Dict)));
  RUVLLM_TRY(spend_items(expected));
  Dict& dict = dicts_.emplace_back();
  dict.entries.reserve(expected);
  return &dict;
}

Result<Namespace*> Heap::new_namespace() {
  RUVLLM_TRY(take_bytes(sizeof(Namespace)));
  return &namespaces_.emplace_back();
}

Status Heap::push(List& list, Value value) {
  // Items within the reserved capacity were charged with the list.
  if (list.items.size() == list.items.capacity()) {
    RUVLLM_TRY(admit((list.items.size() + 1) * sizeof(Value)));
    const size_t grown = list.items.empty() ? 4 : list.items.size() * 2;
    RUVLLM_TRY(take_bytes((grown - list.items.size()) * sizeof(Value)));
    list.items.reserve(grown);
  }
  list.items.push_back(std::move(value));
  return {};
}

Status Heap::assign(Dict& dict, const Value& key, Value value) {
  const bool hashable = !key.is_undefined() && key.list() == nullptr && key.dict() == nullptr &&
                        key.space() == nullptr && key.callable() == nullptr;
  if (!hashable) {
    return fail(ErrorCode::kInvalidArgument, "a value of type {} cannot be a key; use a string",
                key.type_name());
  }
  RUVLLM_TRY(spend_items(dict.entries.size()));
  if (const Value* found = dict.find(key); found != nullptr) {
    const_cast<Value&>(*found) = std::move(value);
    return {};
  }
  RUVLLM_TRY(admit((dict.entries.size() + 1) * 2 * sizeof(Value)));
  if (dict.entries.size() == dict.entries.capacity()) {
    const size_t grown = dict.entries.empty() ? 4 : dict.entries.size() * 2;
    RUVLLM_TRY(take_bytes((grown - dict.entries.size()) * 2 * sizeof(Value)));
    dict.entries.reserve(grown);
  }
  dict.entries.emplace_back(key, std::move(value));
  return {};
}

List* Heap::input_list(size_t size) {
  List& list = lists_.emplace_back();
  list.items.reserve(size);
  return &list;
}

Dict* Heap::input_dict(size_t size) {
  Dict& dict = dicts_.emplace_back();
  dict.entries.reserve(size);
  return &dict;
}

Status TextBuilder::append(std::string_view bytes) {
  RUVLLM_TRY(heap_.admit(uint64_t{bytes_.size()} + bytes.size()));
  RUVLLM_TRY(heap_.spend_bytes(bytes.size()));
  RUVLLM_TRY(heap_.take_bytes(bytes.size()));
  charged_ += bytes.size();
  bytes_.append(bytes);
  return {};
}

Status TextBuilder::append_repeated(std::string_view bytes, uint64_t count) {
  const auto total = checked_mul<uint64_t>(bytes.size(), count);
  const auto size = total ? checked_add<uint64_t>(*total, bytes_.size()) : total;
  RUVLLM_TRY(heap_.admit(size.value_or(UINT64_MAX)));
  if (bytes.empty()) return {};
  RUVLLM_TRY(heap_.spend_items(count));
  for (uint64_t i = 0; i < count; ++i) RUVLLM_TRY(append(bytes));
  return {};
}

Text TextBuilder::take() {
  charged_ = 0;
  return heap_.adopt(std::exchange(bytes_, {}));
}

std::string TextBuilder::take_string() {
  heap_.give_bytes(std::exchange(charged_, 0));
  return std::exchange(bytes_, {});
}

}  // namespace ruvllm::text::jinja
