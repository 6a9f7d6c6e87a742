// What the tests of the store share: a folder of its own for each, short names for values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "sona/store/sqlite/sqlite_store.h"

namespace ruvllm::sona {

inline Tenant tenant_named(std::string_view name) { return Tenant::create(name).value(); }
inline Owner owner_named(std::string_view tenant, std::string_view user) {
  return Owner::create(tenant_named(tenant), user).value();
}

inline NewFeedback feedback_of(std::string key, std::string payload = "text") {
  return {.idempotency_key = std::move(key),
          .response_id = "response",
          .kind = FeedbackKind::kCorrection,
          .time_us = 5,
          .payload = std::move(payload)};
}

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

inline NewGeneration generation_of(uint64_t parent, std::string_view adapter) {
  NewGeneration out;
  out.provenance.parent = parent;
  out.provenance.program = "1.0";
  out.provenance.model = "demo";
  out.provenance.strategy = "instant";
  out.provenance.time_us = 5;
  out.blobs.push_back({"adapter", bytes_of(adapter), {}});
  return out;
}

inline std::string read_whole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

inline void write_whole(const std::string& path, std::string_view content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
}

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = ::testing::TempDir() + "store-" + info->name() + "-" + std::to_string(::getpid());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(std::string_view name) const { return folder_ + "/" + std::string(name); }
  // The folder of the store itself.
  std::string state() const { return path("state"); }
  std::string database() const { return state() + "/learned.db"; }

  Result<OpenedStore> try_open(const std::string& vfs = "") const {
    return open_sqlite_store({.folder = state(), .num_trajectories = 4, .vfs = vfs});
  }
  std::unique_ptr<LearnedStateStore> open() const {
    Result<OpenedStore> opened = try_open();
    if (!opened) {
      ADD_FAILURE() << opened.error().message();
      return nullptr;
    }
    EXPECT_EQ(opened->recovery.message, "");
    return std::move(opened->store);
  }

 private:
  std::string folder_;
};

}  // namespace ruvllm::sona
