// What a user taught and what an engine answered, as the store keeps them.
//
// A lesson holds all token ids that it is about, so that it can be learned again when the response
// is no longer kept. Stored as JSON; whatever is read back is checked.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/error.h"
#include "sona/store/records.h"

namespace ruvllm::api {

struct Lesson {
  sona::FeedbackKind kind = sona::FeedbackKind::kText;
  std::string model;            // fingerprint; ids are of its vocabulary
  std::vector<int32_t> prompt;  // read, not learned; may be empty
  std::vector<int32_t> answer;  // learned: own text, correction, rated or chosen response
  std::vector<int32_t> rejected;
  double score = 1;  // of a rating, 0 to 1
};

std::string encode_lesson(const Lesson& lesson);
// `where` names the row in errors.
Result<Lesson> decode_lesson(sona::FeedbackKind kind, std::string_view payload, int32_t vocab_size,
                             std::string_view where);

// A response, for feedback that names it.
struct KeptResponse {
  std::string user;
  std::string id;
  std::string model;
  uint64_t generation = 0;  // of the user's state that answered
  std::vector<int32_t> prompt;
  std::vector<int32_t> answer;
};
sona::Trajectory encode_response(const KeptResponse& response);
Result<KeptResponse> decode_response(const std::string& user, const sona::Trajectory& trajectory,
                                     int32_t vocab_size);

}  // namespace ruvllm::api
