#include "api/models/fingerprint.h"

#include <cstdint>
#include <span>

#include <fmt/format.h>

namespace ruvllm::api {
namespace {

constexpr Hash128 kKey{0x7275766c6c6d2e6du, 0x6f64656c2e76312eu};  // no secret
// Of a tensor: so many pieces of so many bytes, evenly spread.
constexpr size_t kPieces = 16;
constexpr size_t kPieceBytes = 4096;

void add_sample(SipHasher& hasher, std::span<const std::byte> data) {
  if (data.size() <= kPieces * kPieceBytes) return hasher.add(data);
  for (size_t i = 0; i < kPieces; ++i) {
    const size_t begin = (data.size() - kPieceBytes) / (kPieces - 1) * i;
    hasher.add(data.subspan(begin, kPieceBytes));
  }
}

}  // namespace

void add_model(SipHasher& hasher, const formats::GgufFile& file) {
  for (const formats::GgufEntry& entry : file.entries()) {
    hasher.add_text(entry.key);
    hasher.add_value(entry.type);
    const std::span<const std::byte> value = file.encoded_value(entry.key);
    hasher.add_value(uint64_t{value.size()});
    hasher.add(value);
  }
  for (const formats::GgufTensor& tensor : file.tensors()) {
    hasher.add_text(tensor.name);
    hasher.add_value(tensor.dtype);
    for (const uint64_t dim : tensor.dims) hasher.add_value(dim);
    hasher.add_value(uint64_t{tensor.data.size()});
    add_sample(hasher, tensor.data);
  }
}

std::string model_fingerprint(const formats::GgufFile& file) {
  SipHasher hasher(kKey);
  add_model(hasher, file);
  const Hash128 hash = hasher.finish();
  return fmt::format("{:016x}{:016x}", hash.high, hash.low);
}

}  // namespace ruvllm::api
