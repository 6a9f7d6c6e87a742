// Blobs of a learner: a role, a zero byte, u32 bytes of the blob, blob, and so on. Whatever the
// bytes, decoding gives an error that says where, or a learner that learns, publishes and comes
// back from its own blobs. Each input is read as it is, and once more with its checksums put right.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/core/check.h"
#include "device/cpu_device.h"
#include "sona/instant/toy_model.h"
#include "sona/state/fields.h"
#include "sona/state/learner_codec.h"

namespace ruvllm::sona {
namespace {

StateBlobs parse(std::span<const std::byte> bytes) {
  StateBlobs blobs;
  while (!bytes.empty()) {
    std::string role;
    while (!bytes.empty() && bytes[0] != std::byte{0}) {
      role.push_back(std::to_integer<char>(bytes[0]));
      bytes = bytes.subspan(1);
    }
    uint32_t size = 0;
    if (bytes.size() < 1 + sizeof(size)) break;
    std::memcpy(&size, bytes.data() + 1, sizeof(size));
    bytes = bytes.subspan(1 + sizeof(size));
    const auto blob = bytes.first(std::min<size_t>(size, bytes.size()));
    bytes = bytes.subspan(blob.size());
    blobs[role].bytes.assign(blob.begin(), blob.end());
  }
  return blobs;
}

void read(const StateBlobs& blobs, const kernels::KernelTable& kernels) {
  const LearnerContext context = {kernels, "toy", ToyModel::kVocab, nullptr,
                                  std::make_shared<ToyRows>()};
  auto learner = decode_learner(blobs, "", context);
  if (!learner) {
    RUVLLM_CHECK(learner.error().message().find("learned state '") != std::string::npos);
    RUVLLM_CHECK(learner.error().message().size() < 4096);
    return;
  }
  if ((*learner)->features()->hidden_dim() == ToyModel::kHidden) {
    ToyModel model;
    (*learner)->learn(model.evidence(model.draw_many(5)));
    (*learner)->learn_rating(model.evidence(model.draw_many(3)), false);
  }
  (*learner)->end_task();
  (*learner)->seal_memory();
  const auto published = (*learner)->publish();
  RUVLLM_CHECK(published->row_tokens.size() == (*learner)->rows().size());
  StateBlobs again;
  encode_learner(**learner, "toy", "", nullptr, again);
  RUVLLM_CHECK(decode_learner(again, "", context).has_value());
}

}  // namespace
}  // namespace ruvllm::sona

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ruvllm;
  static const device::KernelChoice kernels = *device::choose_kernels("");
  sona::StateBlobs blobs = sona::parse(std::as_bytes(std::span(data, size)));
  sona::read(blobs, kernels.table);
  for (auto& [role, blob] : blobs) sona::seal_state(blob.bytes);
  sona::read(blobs, kernels.table);
  return 0;
}
