#include "model/decoder/adapters.h"

#include "base/system/clock.h"

namespace ruvllm::model {

void add_adapters(const PassContext& c, ThreadTeam::Worker& worker, const ops::BatchView& batch,
                  int32_t layer_idx, std::span<const ops::LoraCall> calls,
                  const ops::ActivationBuffer& input, int32_t in_dim) noexcept {
  if (!c.has_adapters) return;
  worker.barrier();
  const uint64_t begin = monotonic_ns();
  ops::add_lora(worker, c.kernels, batch, layer_idx, calls, {input.row(0, in_dim), in_dim},
                c.workspace.lora);
  if (worker.index() == 0) c.workspace.lora_ns += monotonic_ns() - begin;
}

}  // namespace ruvllm::model
