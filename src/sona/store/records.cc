#include "sona/store/records.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/numeric/siphash.h"

namespace ruvllm::sona {
namespace {

// Fixed, so that a file can be read anywhere: a checksum against damage, not against people.
constexpr Hash128 kChecksumKey{0x5275764c4c4d2073u, 0x746f726564207631u};

RowChecksum bytes_of(Hash128 hash) {
  return std::bit_cast<RowChecksum>(std::array<uint64_t, 2>{hash.low, hash.high});
}

SipHasher hasher_for(const Tenant& tenant, std::string_view user) {
  SipHasher hasher(kChecksumKey);
  hasher.add_text(tenant.name());
  hasher.add_text(user);
  return hasher;
}

void add_optional(SipHasher& hasher, const std::optional<double>& value) {
  hasher.add_value(uint8_t{value.has_value()});
  hasher.add_value(std::bit_cast<uint64_t>(value.value_or(0.0)));
}

Status check_size(std::string_view what, size_t size, size_t limit) {
  if (size <= limit) return {};
  return fail(ErrorCode::kInvalidArgument, "{}: {} bytes; at most {} are allowed", what, size,
              limit);
}

// SQLite and PostgreSQL count in signed 64 bits.
Status check_number(std::string_view what, uint64_t value) {
  if (value <= uint64_t{1} << 62) return {};
  return fail(ErrorCode::kInvalidArgument, "{}: {} is too large", what, value);
}

}  // namespace

Status check_name(std::string_view what, std::string_view name, bool may_be_empty) {
  if (name.empty() && !may_be_empty) {
    return fail(ErrorCode::kInvalidArgument, "{}: it is empty; give a name", what);
  }
  RUVLLM_TRY(check_size(what, name.size(), kMaxNameBytes));
  const bool has_control = std::ranges::any_of(name, [](char c) {
    const auto value = static_cast<unsigned char>(c);
    return value < 0x20 || value == 0x7f;
  });
  if (has_control) {
    return fail(ErrorCode::kInvalidArgument, "{}: it has control characters; leave them out", what);
  }
  return {};
}

Result<Tenant> Tenant::create(std::string_view name) {
  RUVLLM_TRY(check_name("tenant", name));
  return Tenant(name);
}

Result<Owner> Owner::create(Tenant tenant, std::string_view user) {
  RUVLLM_TRY(check_name("user", user));
  return Owner(std::move(tenant), user);
}

Status check_role(std::string_view role) { return check_name("role of a blob", role); }

Status check(const NewFeedback& feedback) {
  RUVLLM_TRY(check_name("idempotency key", feedback.idempotency_key));
  RUVLLM_TRY(check_name("response id", feedback.response_id, true));
  RUVLLM_TRY(check_size("payload of feedback", feedback.payload.size(), kMaxFeedbackBytes));
  RUVLLM_TRY(check_number("time of feedback", feedback.time_us));
  if (feedback.kind < FeedbackKind::kRating || feedback.kind > FeedbackKind::kText) {
    return fail(ErrorCode::kInvalidArgument, "kind of feedback: {} is none of 1 to 4",
                static_cast<int>(feedback.kind));
  }
  return {};
}

Status check(const Trajectory& trajectory) {
  RUVLLM_TRY(check_name("response id", trajectory.response_id));
  RUVLLM_TRY(check_number("generation", trajectory.generation));
  RUVLLM_TRY(check_number("time of a trajectory", trajectory.time_us));
  return check_size("payload of a trajectory", trajectory.payload.size(), kMaxTrajectoryBytes);
}

Status check(const Provenance& provenance) {
  RUVLLM_TRY(check_name("program", provenance.program));
  RUVLLM_TRY(check_name("model", provenance.model));
  RUVLLM_TRY(check_name("strategy", provenance.strategy));
  RUVLLM_TRY(check_number("parent", provenance.parent));
  RUVLLM_TRY(check_number("number of tokens", provenance.figures.num_tokens));
  RUVLLM_TRY(check_number("time of a generation", provenance.time_us));
  if (provenance.first_feedback < 0 || provenance.last_feedback < provenance.first_feedback) {
    return fail(ErrorCode::kInvalidArgument, "feedback from id {} to id {} is no range",
                provenance.first_feedback, provenance.last_feedback);
  }
  const Figures& figures = provenance.figures;
  for (const auto& value :
       {figures.loss_before, figures.loss_after, figures.interval_low, figures.interval_high}) {
    if (value && !std::isfinite(*value)) {
      return fail(ErrorCode::kInvalidArgument,
                  "a figure of a generation is {}: leave out what was not measured", *value);
    }
  }
  return {};
}

RowChecksum checksum_of(const Tenant& tenant, std::string_view user, const NewFeedback& feedback) {
  SipHasher hasher = hasher_for(tenant, user);
  hasher.add_text(feedback.idempotency_key);
  hasher.add_text(feedback.response_id);
  hasher.add_value(feedback.kind);
  hasher.add_value(feedback.time_us);
  hasher.add_text(feedback.payload);
  return bytes_of(hasher.finish());
}

RowChecksum checksum_of(const Owner& owner, const Trajectory& trajectory) {
  SipHasher hasher = hasher_for(owner.tenant(), owner.user());
  hasher.add_text(trajectory.response_id);
  hasher.add_value(trajectory.generation);
  hasher.add_value(trajectory.time_us);
  hasher.add_text(trajectory.payload);
  return bytes_of(hasher.finish());
}

RowChecksum checksum_of(const Owner& owner, uint64_t number, const Provenance& provenance) {
  SipHasher hasher = hasher_for(owner.tenant(), owner.user());
  hasher.add_value(number);
  hasher.add_value(provenance.parent);
  hasher.add_value(provenance.first_feedback);
  hasher.add_value(provenance.last_feedback);
  add_optional(hasher, provenance.figures.loss_before);
  add_optional(hasher, provenance.figures.loss_after);
  add_optional(hasher, provenance.figures.interval_low);
  add_optional(hasher, provenance.figures.interval_high);
  hasher.add_value(provenance.figures.num_tokens);
  hasher.add_text(provenance.program);
  hasher.add_text(provenance.model);
  hasher.add_text(provenance.strategy);
  hasher.add_value(provenance.time_us);
  return bytes_of(hasher.finish());
}

Sha256 tombstone_digest(const Owner& owner) {
  // Neither name holds a NUL.
  const std::string text = owner.tenant().name() + '\0' + owner.user();
  return sha256_of(std::as_bytes(std::span(text)));
}

}  // namespace ruvllm::sona
