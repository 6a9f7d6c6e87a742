// Cuts stop strings out of a text that arrives in pieces.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ruvllm::api {

class StopMatcher {
 public:
  explicit StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  // The part of everything fed so far that is certain to stand before any stop string. Text that
  // could still grow into one is held back. After a match the rest is dropped: stopped() is true.
  std::string push(std::string_view piece);
  // What was held back, at the end of the stream.
  std::string flush();
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace ruvllm::api
