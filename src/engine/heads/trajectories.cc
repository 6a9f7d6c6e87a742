#include "engine/heads/trajectories.h"

#include <utility>

namespace ruvllm::engine {

void push_trajectory(Sequence& sequence) {
  SequenceRequest& request = sequence.request;
  if (request.trajectory == nullptr || !request.generates()) return;
  events::Trajectory& trajectory = *request.trajectory;
  const SequenceResult& result = sequence.channel->result;
  trajectory.trace = request.trace;
  trajectory.tokens = std::move(sequence.tokens);
  trajectory.num_prompt = sequence.num_prompt;
  trajectory.head_generation = request.head != nullptr ? request.head->generation : 0;
  trajectory.end = sequence.ended;
  trajectory.latency.prefill_us = result.prefill_us;
  trajectory.latency.decode_us = result.decode_us;
  trajectory.latency.sampling_us = result.sampling_us;
  trajectory.latency.lora_us = result.lora_us;
  request.trajectories->push(std::move(request.trajectory));
}

}  // namespace ruvllm::engine
