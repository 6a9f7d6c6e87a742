// What an engine asks of those who learn for it: a user's current state at submission, and a place
// for what it answered.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "adapters/head/head_adapter.h"
#include "api/learning/lessons/lesson.h"
#include "base/core/error.h"

namespace ruvllm::api {

// What a request of a user pins; no head: the user was never taught anything.
struct LearnedUse {
  std::shared_ptr<const adapters::HeadAdapter> head;
  uint64_t generation = 0;
};

// Thread-safe.
class LearnedUsers {
 public:
  LearnedUsers() = default;
  LearnedUsers(const LearnedUsers&) = delete;
  LearnedUsers& operator=(const LearnedUsers&) = delete;
  virtual ~LearnedUsers() = default;

  // The first call for a user reads the state from the disk.
  virtual Result<LearnedUse> use(const std::string& user) = 0;
  // Whether the store knows the user.
  virtual Result<bool> knows(const std::string& user) = 0;
  // Takes a response without waiting for the disk; the oldest go if too many come.
  virtual void keep(KeptResponse response) = 0;
};

std::string new_response_id();

}  // namespace ruvllm::api
