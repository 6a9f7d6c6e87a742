// A process that appends and acknowledges over a pipe is killed at random moments. After each kill:
// what it acknowledged is there, nothing is there twice. RUVLLM_KILL_ROUNDS sets the number of
// kills.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

#include "base/numeric/random_stream.h"
#include "base/system/clock.h"
#include "sona/store/testing/store_fixture.h"

namespace ruvllm::sona {
namespace {

using Crash = StoreTest;

constexpr int kNumWriters = 3;

uint64_t num_rounds() {
  const char* text = std::getenv("RUVLLM_KILL_ROUNDS");
  if (text != nullptr) return std::strtoull(text, nullptr, 10);
  return RUVLLM_SANITIZED ? 20 : 200;
}

const Owner kAnn = owner_named("acme", "ann");

// What a writer acknowledges: one write() of a few bytes is one piece.
struct Ack {
  int32_t writer = 0;  // kNumWriters: a generation that is current
  int32_t number = 0;
};

std::string key_of(const Ack& ack) {
  return std::to_string(ack.writer) + "-" + std::to_string(ack.number);
}

void acknowledge(int pipe, Ack ack) {
  if (::write(pipe, &ack, sizeof(ack)) != sizeof(ack)) ::_exit(3);
}

// Goes on from `next`, sending each key twice, until it is killed.
[[noreturn]] void append_for_ever(const std::string& folder, int pipe,
                                  const std::map<int32_t, int32_t>& next) {
  Result<OpenedStore> opened = open_sqlite_store({.folder = folder});
  if (!opened || !opened->recovery.message.empty()) ::_exit(2);
  LearnedStateStore& store = *opened->store;
  std::vector<std::thread> writers;
  for (int32_t writer = 0; writer < kNumWriters; ++writer) {
    writers.emplace_back([&, writer] {
      for (int32_t number = next.at(writer);; ++number) {
        const Ack ack{writer, number};
        for (int i = 0; i < 2; ++i) {
          if (!store.append_feedback(kAnn, feedback_of(key_of(ack), key_of(ack)))) ::_exit(4);
        }
        acknowledge(pipe, ack);
      }
    });
  }
  while (true) {
    const uint64_t current = store.current_generation(kAnn).value();
    const std::string adapter = std::to_string(current + 1) + std::string(20'000, 'a');
    const uint64_t number = store.put_generation(kAnn, generation_of(current, adapter)).value();
    if (!store.swap_current(kAnn, current, number).value().is_swapped) ::_exit(5);
    acknowledge(pipe, {kNumWriters, static_cast<int32_t>(number)});
    if (!store.prune_generations(kAnn, 2) || !store.back_up()) ::_exit(6);
  }
}

// Runs a child for `lifetime_us` and gives what it acknowledged.
std::vector<Ack> run_and_kill(const std::string& folder, const std::map<int32_t, int32_t>& next,
                              uint64_t lifetime_us) {
  int pipe[2];
  EXPECT_EQ(::pipe(pipe), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(pipe[0]);
    append_for_ever(folder, pipe[1], next);
  }
  ::close(pipe[1]);
  std::vector<Ack> acks;
  std::thread reader([&] {
    Ack ack;
    while (::read(pipe[0], &ack, sizeof(ack)) == sizeof(ack)) acks.push_back(ack);
  });
  ::usleep(static_cast<useconds_t>(lifetime_us));
  ::kill(child, SIGKILL);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "ended by itself with " << WEXITSTATUS(status);
  reader.join();
  ::close(pipe[0]);
  return acks;
}

TEST_F(Crash, LosesNothingAcknowledgedAndCountsNothingTwice) {
  const RandomStream random(3);
  std::map<int32_t, int32_t> next;  // of each writer: what it sends first
  for (int32_t writer = 0; writer < kNumWriters; ++writer) next[writer] = 0;
  std::set<std::string> present;
  int64_t last_id = 0;
  uint64_t num_acks = 0;
  int32_t current = 0;
  for (uint64_t round = 0; round < num_rounds(); ++round) {
    const std::vector<Ack> acks = run_and_kill(state(), next, random.bits(round) % 40'000);
    auto store = open();
    ASSERT_NE(store, nullptr);
    while (true) {
      const FeedbackPage page = store->read_feedback(kAnn, last_id, 500).value();
      ASSERT_TRUE(page.damaged_ids.empty());
      if (page.rows.empty()) break;
      last_id = page.last_id;
      for (const Feedback& row : page.rows) {
        EXPECT_EQ(row.content.payload, row.content.idempotency_key);
        EXPECT_TRUE(present.insert(row.content.idempotency_key).second) << "counted twice";
      }
    }
    num_acks += acks.size();
    for (const Ack& ack : acks) {
      if (ack.writer == kNumWriters) {
        current = std::max(current, ack.number);
      } else {
        EXPECT_TRUE(present.contains(key_of(ack))) << "lost " << key_of(ack);
        // The last one is sent again by the next child: nobody knows whether it was heard.
        next[ack.writer] = std::max(next[ack.writer], ack.number);
      }
    }
    const uint64_t kept = store->current_generation(kAnn).value();
    EXPECT_GE(kept, static_cast<uint64_t>(current));
    if (kept != 0) {
      const Generation generation = store->find_generation(kAnn, kept).value();
      EXPECT_TRUE(store->read_blob(kAnn, generation.blobs.at(0).sha256));
    }
    ASSERT_FALSE(HasFailure()) << "round " << round;
  }
  EXPECT_EQ(open()->count(kAnn.tenant()).value().num_feedback, present.size());
  EXPECT_GT(num_acks, num_rounds());
  RecordProperty("acknowledged", std::to_string(num_acks));
  RecordProperty("stored", std::to_string(present.size()));
}

}  // namespace
}  // namespace ruvllm::sona
