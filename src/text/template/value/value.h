// Values of the template language, with Python's types and truth.
//
// Strings are shared slices: a Text keeps its buffer alive, so that strip, split and slices copy
// nothing. Containers belong to the render's Heap and are plain pointers here: a template may build
// cycles (a namespace that holds itself) without a leak. No Value outlives its Heap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ruvllm::text::jinja {

class TextBuffer;
struct List;
struct Dict;
struct Namespace;
struct Callable;

// What a missing name or key gives: prints as "", is false, and refuses attributes and arithmetic.
struct Undefined {
  std::string_view name;  // for messages; points into the template source or is empty
};
struct None {};

// UTF-8, but not necessarily valid: bytes that are not count as one code point each.
struct Text {
  std::string_view view;
  std::shared_ptr<const TextBuffer> owner;  // null: the template or the variables own the bytes

  Text slice(size_t begin, size_t length) const { return {view.substr(begin, length), owner}; }
  Text same_owner(std::string_view part) const { return {part, owner}; }
};

class Value {
 public:
  Value() = default;
  // Out of line: inlined everywhere they would only grow the code.
  Value(const Value& other);
  Value(Value&& other) noexcept;
  Value& operator=(const Value& other);
  Value& operator=(Value&& other) noexcept;
  ~Value();
  Value(Undefined undefined) : storage_(undefined) {}
  Value(None none) : storage_(none) {}
  Value(bool flag) : storage_(flag) {}
  Value(int64_t integer) : storage_(integer) {}
  Value(double number) : storage_(number) {}
  Value(Text text) : storage_(std::move(text)) {}
  Value(List* list) : storage_(list) {}
  Value(Dict* dict) : storage_(dict) {}
  Value(Namespace* space) : storage_(space) {}
  Value(Callable* callable) : storage_(callable) {}
  // `literal` must outlive the value: a string literal, or bytes of the template.
  static Value constant(std::string_view literal) { return Value(Text{literal, nullptr}); }

  bool is_undefined() const { return std::holds_alternative<Undefined>(storage_); }
  bool is_none() const { return std::holds_alternative<None>(storage_); }
  const Undefined* undefined() const { return std::get_if<Undefined>(&storage_); }
  const bool* boolean() const { return std::get_if<bool>(&storage_); }
  const int64_t* integer() const { return std::get_if<int64_t>(&storage_); }
  const double* real() const { return std::get_if<double>(&storage_); }
  const Text* text() const { return std::get_if<Text>(&storage_); }
  List* list() const { return pointer<List>(); }
  Dict* dict() const { return pointer<Dict>(); }
  Namespace* space() const { return pointer<Namespace>(); }
  Callable* callable() const { return pointer<Callable>(); }

  bool truthy() const;
  // Python's name of the type, for messages: "str", "int", "list", ...
  std::string_view type_name() const;

 private:
  template <typename T>
  T* pointer() const {
    T* const* found = std::get_if<T*>(&storage_);
    return found == nullptr ? nullptr : *found;
  }

  std::variant<Undefined, None, bool, int64_t, double, Text, List*, Dict*, Namespace*, Callable*>
      storage_;
};

enum class ListKind : uint8_t {
  kList,
  kTuple,
  kGenerator,  // what select, map, ... give: true even when empty, and iterable only once
};

struct List {
  ListKind kind = ListKind::kList;
  std::vector<Value> items;
};

// In insertion order. Keys are strings, numbers, booleans or none.
struct Dict {
  std::vector<std::pair<Value, Value>> entries;

  const Value* find(const Value& key) const;
  const Value* find(std::string_view key) const;
};

struct Namespace {
  Dict attributes;
};

enum class CallableKind : uint8_t { kNative, kMacro, kLoop };

struct Callable {
  explicit Callable(CallableKind callable_kind) : kind(callable_kind) {}
  virtual ~Callable() = default;
  // Undefined when there is none; a `loop` has some.
  virtual Value attribute(std::string_view name) const { return Undefined{name}; }
  const CallableKind kind;
};

}  // namespace ruvllm::text::jinja
