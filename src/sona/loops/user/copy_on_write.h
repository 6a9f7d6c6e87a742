// A value that copies share until one of them changes it.
#pragma once

#include <memory>
#include <utility>

namespace ruvllm::sona {

// All copies of a value belong to one writer; not thread-safe.
template <typename T>
class CopyOnWrite {
 public:
  explicit CopyOnWrite(T value) : value_(std::make_shared<T>(std::move(value))) {}

  const T& operator*() const { return *value_; }
  const T* operator->() const { return value_.get(); }
  // This copy's own value from now on.
  T& edit() {
    if (value_.use_count() > 1) value_ = std::make_shared<T>(*value_);
    return *value_;
  }

 private:
  std::shared_ptr<T> value_;
};

}  // namespace ruvllm::sona
