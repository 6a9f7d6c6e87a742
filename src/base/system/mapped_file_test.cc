#include "base/system/mapped_file.h"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/system/memory_info.h"

namespace ruvllm {
namespace {

std::string temp_path(const char* name) { return testing::TempDir() + name; }

TEST(MappedFile, ReadsWhatIsThere) {
  const std::string path = temp_path("mapped_file_test.bin");
  std::ofstream(path) << "hello";
  const Result<MappedFile> file = MappedFile::open(path);
  ASSERT_TRUE(file.has_value());
  ASSERT_EQ(file->bytes().size(), 5u);
  EXPECT_EQ(static_cast<char>(file->bytes()[4]), 'o');
  EXPECT_EQ(file->resident_bytes(), 5u);
  std::remove(path.c_str());
}

TEST(MappedFile, NamesTheMissingFile) {
  const Result<MappedFile> file = MappedFile::open("/nowhere/model.gguf");
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code(), ErrorCode::kNotFound);
  EXPECT_NE(file.error().message().find("/nowhere/model.gguf"), std::string::npos);
}

TEST(MappedFile, RefusesFoldersAndEmptyFiles) {
  EXPECT_EQ(MappedFile::open(testing::TempDir()).error().code(), ErrorCode::kInvalidArgument);
  const std::string path = temp_path("mapped_file_empty.bin");
  std::ofstream(path).close();
  EXPECT_EQ(MappedFile::open(path).error().code(), ErrorCode::kCorrupt);
  std::remove(path.c_str());
}

constexpr size_t kPage = 4096;

std::string make_pages(const char* name, size_t num_pages) {
  const std::string path = temp_path(name);
  std::ofstream(path) << std::string(num_pages * kPage, 'x');
  return path;
}

char read_byte(const MappedFile& file, size_t offset) {
  return *reinterpret_cast<const volatile char*>(&file.bytes()[offset]);
}

TEST(MappedFile, ReleasedPagesLeaveTheProcessAndComeBack) {
  constexpr size_t kNumPages = 16384;  // 64 MiB: far more than else changes meanwhile
  const std::string path = make_pages("mapped_file_released.bin", kNumPages);
  const Result<MappedFile> file = MappedFile::open(path);
  ASSERT_TRUE(file.has_value());
  for (size_t page = 0; page < kNumPages; ++page) read_byte(*file, page * kPage);
  const uint64_t before = process_resident_bytes();
  file->release_pages(file->bytes().subspan(1));
  EXPECT_LT(process_resident_bytes() + (uint64_t{48} << 20), before);
  EXPECT_EQ(read_byte(*file, (kNumPages - 1) * kPage), 'x');
  // What is not of the mapping stays as it is.
  const std::vector<std::byte> other(4 * kPage, std::byte{7});
  file->release_pages(other);
  EXPECT_EQ(other[2 * kPage], std::byte{7});
  std::remove(path.c_str());
}

TEST(MappedFile, ATruncatedFileReadsAsZerosAndIsDamaged) {
  const std::string path = make_pages("mapped_file_cut.bin", 8), other = make_pages("whole.bin", 8);
  Result<MappedFile> file = MappedFile::open(path);
  const Result<MappedFile> intact = MappedFile::open(other);
  ASSERT_TRUE(file.has_value() && intact.has_value());
  EXPECT_EQ(read_byte(*file, 7 * kPage), 'x');  // in the page table, and not for long
  EXPECT_FALSE(file->damaged());
  std::filesystem::resize_file(path, 2 * kPage);
  EXPECT_EQ(read_byte(*file, 5 * kPage), '\0');
  EXPECT_EQ(read_byte(*file, 8 * kPage - 1), '\0');
  EXPECT_EQ(read_byte(*file, 2 * kPage), '\0');
  EXPECT_EQ(read_byte(*file, 2 * kPage - 1), 'x');
  EXPECT_TRUE(file->damaged());
  EXPECT_EQ(read_byte(*intact, 5 * kPage), 'x');
  EXPECT_FALSE(intact->damaged());
  MappedFile moved = *std::move(file);
  EXPECT_TRUE(moved.damaged());
  std::filesystem::resize_file(path, 8 * kPage);
  EXPECT_TRUE(moved.damaged());
  EXPECT_FALSE(MappedFile::open(path)->damaged());
  std::remove(path.c_str());
  std::remove(other.c_str());
}

TEST(MappedFile, IsDamagedWhateverWasTouched) {
  // Before the first touch, and where no page is lost: the last one keeps its beginning.
  for (const size_t left : {size_t{0}, kPage, 3 * kPage - 1}) {
    const std::string path = make_pages("mapped_file_untouched.bin", 3);
    const Result<MappedFile> file = MappedFile::open(path);
    ASSERT_TRUE(file.has_value());
    std::filesystem::resize_file(path, left);
    EXPECT_TRUE(file->damaged()) << left;
    EXPECT_EQ(read_byte(*file, 3 * kPage - 1), '\0') << left;
    std::remove(path.c_str());
  }
}

TEST(MappedFile, ManyThreadsMayFaultAtOnce) {
  const std::string path = make_pages("mapped_file_threads.bin", 64);
  const Result<MappedFile> file = MappedFile::open(path);
  ASSERT_TRUE(file.has_value());
  std::filesystem::resize_file(path, kPage);
  std::atomic<int> sum{0};
  std::vector<std::thread> threads;
  for (size_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (size_t page = 63; page > 0; --page) sum += read_byte(*file, page * kPage);
      // Records of other mappings change meanwhile.
      for (int i = 0; i < 50; ++i) EXPECT_FALSE(MappedFile::open("/proc/self/exe")->damaged());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sum, 0);
  EXPECT_TRUE(file->damaged());
  std::remove(path.c_str());
}

TEST(MappedFile, OtherBusErrorsStillEndTheProcess) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  const std::string path = make_pages("mapped_file_foreign.bin", 2);
  const auto touch_foreign_mapping = [&] {
    const Result<MappedFile> guarded = MappedFile::open("/proc/self/exe");
    const int fd = ::open(path.c_str(), O_RDONLY);
    const void* data = ::mmap(nullptr, 2 * kPage, PROT_READ, MAP_SHARED, fd, 0);
    std::filesystem::resize_file(path, 0);
    std::exit(*static_cast<const volatile char*>(data));
  };
  EXPECT_DEATH(touch_foreign_mapping(), "");
  EXPECT_EXIT(
      {
        struct sigaction action{};
        action.sa_handler = [](int) { ::_exit(7); };
        ::sigaction(SIGBUS, &action, nullptr);
        touch_foreign_mapping();
      },
      testing::ExitedWithCode(7), "");
  std::remove(path.c_str());
}

}  // namespace
}  // namespace ruvllm
