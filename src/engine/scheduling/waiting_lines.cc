#include "engine/scheduling/waiting_lines.h"

#include <algorithm>

namespace ruvllm::engine {
namespace {

// The element that `is_it` says yes to; else a new one in the place of an empty one.
template <typename Element, typename Predicate>
int32_t find_or_add(std::vector<Element>& elements, Predicate is_it, const Element& fresh) {
  auto found = std::ranges::find_if(elements, is_it);
  if (found == elements.end()) {
    found = std::ranges::find(elements, 0, &Element::num_waiting);
    if (found == elements.end()) found = elements.insert(found, fresh);
    *found = fresh;
  }
  return static_cast<int32_t>(found - elements.begin());
}

}  // namespace

WaitingLines::WaitingLines(size_t max_waiting) {
  tenants_.reserve(max_waiting);
  lines_.reserve(max_waiting);
}

int32_t WaitingLines::find_tenant(uint64_t id) {
  const int32_t idx = find_or_add(
      tenants_, [&](const Tenant& tenant) { return tenant.id == id; }, Tenant{.id = id});
  Tenant& tenant = tenants_[static_cast<size_t>(idx)];
  if (tenant.num_waiting == 0) tenant.turn = std::max(tenant.turn, turn_now_);
  return idx;
}

int32_t WaitingLines::join(uint64_t tenant, int32_t priority) {
  const int32_t tenant_idx = find_tenant(tenant);
  const int32_t line_idx = find_or_add(
      lines_,
      [&](const Line& candidate) {
        return candidate.tenant_idx == tenant_idx && candidate.priority == priority;
      },
      Line{.tenant_idx = tenant_idx, .priority = priority});
  ++tenants_[static_cast<size_t>(tenant_idx)].num_waiting;
  ++lines_[static_cast<size_t>(line_idx)].num_waiting;
  return line_idx;
}

void WaitingLines::serve(int32_t line_idx, uint64_t now_us) {
  Line& served = lines_[static_cast<size_t>(line_idx)];
  Tenant& tenant = tenants_[static_cast<size_t>(served.tenant_idx)];
  served.served_us = now_us;
  turn_now_ = tenant.turn++;
  leave(line_idx);
}

void WaitingLines::leave(int32_t line_idx) {
  Line& left = lines_[static_cast<size_t>(line_idx)];
  --left.num_waiting;
  --tenants_[static_cast<size_t>(left.tenant_idx)].num_waiting;
}

}  // namespace ruvllm::engine
