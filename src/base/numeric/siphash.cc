#include "base/numeric/siphash.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <sys/random.h>

#include "base/core/check.h"

namespace ruvllm {
namespace {

static_assert(std::endian::native == std::endian::little);

void run_rounds(std::array<uint64_t, 4>& v, int count) {
  for (int i = 0; i < count; ++i) {
    v[0] += v[1];
    v[1] = std::rotl(v[1], 13) ^ v[0];
    v[0] = std::rotl(v[0], 32);
    v[2] += v[3];
    v[3] = std::rotl(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = std::rotl(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = std::rotl(v[1], 17) ^ v[2];
    v[2] = std::rotl(v[2], 32);
  }
}

uint64_t load(const std::byte* bytes) {
  uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

}  // namespace

SipHasher::SipHasher(Hash128 key)
    : state_{key.low ^ 0x736f6d6570736575u, key.high ^ 0x646f72616e646f6du ^ 0xee,
             key.low ^ 0x6c7967656e657261u, key.high ^ 0x7465646279746573u} {}

void SipHasher::compress(uint64_t word) {
  state_[3] ^= word;
  run_rounds(state_, 2);
  state_[0] ^= word;
}

void SipHasher::add(std::span<const std::byte> bytes) {
  const size_t used = num_bytes_ % pending_.size();
  num_bytes_ += bytes.size();
  if (used > 0) {
    const size_t taken = std::min(bytes.size(), pending_.size() - used);
    std::copy_n(bytes.begin(), taken, pending_.begin() + static_cast<ptrdiff_t>(used));
    bytes = bytes.subspan(taken);
    if (used + taken < pending_.size()) return;
    compress(load(pending_.data()));
  }
  for (; bytes.size() >= pending_.size(); bytes = bytes.subspan(pending_.size())) {
    compress(load(bytes.data()));
  }
  std::ranges::copy(bytes, pending_.begin());
}

Hash128 SipHasher::finish() {
  std::fill(pending_.begin() + static_cast<ptrdiff_t>(num_bytes_ % pending_.size()), pending_.end(),
            std::byte{0});
  compress(load(pending_.data()) | num_bytes_ << 56);
  state_[2] ^= 0xee;
  run_rounds(state_, 4);
  Hash128 hash;
  hash.low = state_[0] ^ state_[1] ^ state_[2] ^ state_[3];
  state_[1] ^= 0xdd;
  run_rounds(state_, 4);
  hash.high = state_[0] ^ state_[1] ^ state_[2] ^ state_[3];
  return hash;
}

Hash128 random_key() {
  Hash128 key;
  RUVLLM_CHECK(::getrandom(&key, sizeof(key), 0) == static_cast<ssize_t>(sizeof(key)));
  return key;
}

}  // namespace ruvllm
