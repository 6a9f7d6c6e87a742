// Who was served when: a line for every tenant and priority that somebody waits in.
//
// Tenants take turns as in start-time fair queueing: one that has waited for nothing starts where
// the others are. Plain values; sized once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ruvllm::engine {

class WaitingLines {
 public:
  // Of at most so many requests that wait at once.
  explicit WaitingLines(size_t max_waiting);

  // A request waits; returns its line.
  int32_t join(uint64_t tenant, int32_t priority);
  // It waits no more: was admitted, or gave up.
  void serve(int32_t line_idx, uint64_t now_us);
  void leave(int32_t line_idx);

  uint64_t served_us(int32_t line_idx) const { return line(line_idx).served_us; }
  uint64_t turn(int32_t line_idx) const {
    return tenants_[static_cast<size_t>(line(line_idx).tenant_idx)].turn;
  }

 private:
  struct Tenant {
    uint64_t id = 0;
    uint64_t turn = 0;
    int32_t num_waiting = 0;
  };
  struct Line {
    int32_t tenant_idx = 0;
    int32_t priority = 0;
    uint64_t served_us = 0;
    int32_t num_waiting = 0;
  };
  const Line& line(int32_t line_idx) const { return lines_[static_cast<size_t>(line_idx)]; }
  int32_t find_tenant(uint64_t id);

  std::vector<Tenant> tenants_;
  std::vector<Line> lines_;
  uint64_t turn_now_ = 0;  // of the tenant that was served last
};

}  // namespace ruvllm::engine
