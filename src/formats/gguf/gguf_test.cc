#include "formats/gguf/gguf.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <malloc.h>

#include "formats/gguf/test_bytes.h"
#include "formats/gguf/types.h"

namespace {

// Bytes allocated through operator new, now and at most; the test is single-threaded.
size_t g_allocated = 0;
size_t g_peak = 0;

}  // namespace

void* operator new(size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  g_allocated += malloc_usable_size(memory);
  g_peak = std::max(g_peak, g_allocated);
  return memory;
}
void operator delete(void* memory) noexcept {
  g_allocated -= malloc_usable_size(memory);
  std::free(memory);
}
void operator delete(void* memory, size_t) noexcept { operator delete(memory); }

namespace ruvllm::formats {
namespace {

size_t touch(const GgufFile& file) {
  size_t sum = 0;
  for (const GgufEntry& entry : file.entries()) {
    sum += file.format_value(entry.key, 8).size() + file.encoded_value(entry.key).size();
    if (const auto strings = file.get_string_array(entry.key)) {
      for (const std::string_view text : *strings) sum += text.empty() ? 0u : text.back() == 'x';
    }
  }
  for (const GgufTensor& tensor : file.tensors()) {
    EXPECT_EQ(file.find_tensor(tensor.name), &tensor);
    for (const std::byte byte : tensor.data) sum += std::to_integer<size_t>(byte);
  }
  return sum;
}

// Parses a copy that ends where the heap block ends (AddressSanitizer sees every read beyond it)
// and holds the parser to its memory bound.
Result<GgufFile> parse_bounded(std::span<const std::byte> bytes,
                               std::unique_ptr<std::byte[]>& storage) {
  storage = std::make_unique<std::byte[]>(bytes.size());
  std::ranges::copy(bytes, storage.get());
  const size_t before = g_allocated;
  g_peak = g_allocated;
  Result<GgufFile> file = GgufFile::parse({storage.get(), bytes.size()}, "test.gguf");
  EXPECT_LE(g_peak - before, 8 * bytes.size() + (size_t{1} << 20));
  return file;
}

Error error_of(std::span<const std::byte> bytes) {
  std::unique_ptr<std::byte[]> storage;
  const Result<GgufFile> file = parse_bounded(bytes, storage);
  if (file.has_value()) return Error(ErrorCode::kInternal, "was accepted");
  return file.error();
}

struct BadCase {
  const char* name;
  ErrorCode code;
  const char* message;  // must be part of the error
  std::function<void(GgufBytes&)> build;
};

void expect_refused(const std::vector<BadCase>& cases) {
  for (const BadCase& bad : cases) {
    GgufBytes file;
    bad.build(file);
    const Error error = error_of(file.bytes());
    EXPECT_EQ(error_code_name(error.code()), error_code_name(bad.code))
        << bad.name << ": " << error.message();
    EXPECT_NE(error.message().find(bad.message), std::string::npos)
        << bad.name << ": " << error.message();
    EXPECT_TRUE(error.message().starts_with("test.gguf: ")) << error.message();
  }
}

constexpr ErrorCode kCorrupt = ErrorCode::kCorrupt;
constexpr ErrorCode kUnsupported = ErrorCode::kUnsupported;

TEST(GgufMalformed, Header) {
  expect_refused({
      {"empty", kCorrupt, "not a GGUF file", [](GgufBytes&) {}},
      {"short magic", kCorrupt, "not a GGUF file", [](GgufBytes& f) { f.text("GGU"); }},
      {"bad magic", kCorrupt, "not a GGUF file",
       [](GgufBytes& f) { f.text("GGML").put<uint32_t>(3).put<uint64_t>(0).put<uint64_t>(0); }},
      {"lfs pointer", kCorrupt, "Git LFS pointer",
       [](GgufBytes& f) { f.text("version https://git-lfs.github.com/spec/v1\n"); }},
      {"web page", kCorrupt, "web page", [](GgufBytes& f) { f.text("<!doctype html>"); }},
      {"no version", kCorrupt, "ends within the version", [](GgufBytes& f) { f.text("GGUF"); }},
      {"version 0", kCorrupt, "version is 0", [](GgufBytes& f) { f.header(0, 0, 0); }},
      {"version 1", kUnsupported, "version 1", [](GgufBytes& f) { f.header(0, 0, 1); }},
      {"version 4", kUnsupported, "version 4", [](GgufBytes& f) { f.header(0, 0, 4); }},
      {"big endian 2", kUnsupported, "big endian",
       [](GgufBytes& f) { f.header(0, 0, 0x02000000u); }},
      {"big endian 3", kUnsupported, "big endian",
       [](GgufBytes& f) { f.header(0, 0, 0x03000000u); }},
      {"entry limit", kCorrupt, "more than the limit", [](GgufBytes& f) { f.header(0, 65537); }},
      {"entries overflow", kCorrupt, "more than the limit",
       [](GgufBytes& f) { f.header(0, UINT64_MAX); }},
      {"entries missing", kCorrupt, "but only 0 bytes follow",
       [](GgufBytes& f) { f.header(0, 65536); }},
      {"tensor limit", kCorrupt, "more than the limit", [](GgufBytes& f) { f.header(131073, 0); }},
      {"tensors overflow", kCorrupt, "more than the limit",
       [](GgufBytes& f) { f.header(UINT64_MAX / 2, 0); }},
      {"tensors missing", kCorrupt, "131072 tensors are announced",
       [](GgufBytes& f) { f.header(131072, 0).data(64); }},
  });
}

TEST(GgufMalformed, Metadata) {
  const auto one = [](GgufBytes& f) -> GgufBytes& { return f.header(0, 1); };
  expect_refused({
      {"key length huge", kCorrupt, "key length is 18446744073709551615",
       [&](GgufBytes& f) { one(f).put(UINT64_MAX).data(64); }},
      {"key too long", kCorrupt, "more than the limit of 65535",
       [&](GgufBytes& f) { one(f).string(std::string(65536, 'k')).data(64); }},
      {"key beyond end", kCorrupt, "bytes follow",
       [&](GgufBytes& f) { one(f).put<uint64_t>(1000).data(64); }},
      {"key empty", kCorrupt, "a key is empty",
       [&](GgufBytes& f) { one(f).scalar("", GgufType::kUint32, 1u).data(8); }},
      {"duplicate key", kCorrupt, "'twice' occurs twice",
       [](GgufBytes& f) {
         f.header(0, 3).scalar("twice", GgufType::kUint32, 1u);
         f.scalar("other", GgufType::kUint32, 1u).scalar("twice", GgufType::kUint8, uint8_t{1});
       }},
      {"type does not exist", kCorrupt, "value type is 13",
       [&](GgufBytes& f) { one(f).string("key").put<uint32_t>(13).data(16); }},
      {"type huge", kCorrupt, "value type is 4294967295",
       [&](GgufBytes& f) { one(f).string("key").put(UINT32_MAX).data(16); }},
      {"value missing", kCorrupt, "ends within its value",
       [&](GgufBytes& f) { one(f).scalar("key", GgufType::kUint64, uint32_t{1}); }},
      {"string huge", kCorrupt, "string length is",
       [&](GgufBytes& f) { one(f).key("key", GgufType::kString).put(UINT64_MAX - 7).data(64); }},
      {"string above its limit", kCorrupt, "more than the limit of 67108864",
       [&](GgufBytes& f) { one(f).key("key", GgufType::kString).put((64ull << 20) + 1); }},
      {"array of arrays", kUnsupported, "arrays of arrays",
       [&](GgufBytes& f) { one(f).array("key", GgufType::kArray, 1).data(64); }},
      {"array element type", kCorrupt, "array element type is 77",
       [&](GgufBytes& f) { one(f).array("key", static_cast<GgufType>(77), 1).data(64); }},
      {"array length overflow", kCorrupt, "more than the limit",
       [&](GgufBytes& f) { one(f).array("key", GgufType::kUint64, (1ull << 61) + 1).data(64); }},
      {"array above its limit", kCorrupt, "more than the limit of 67108864",
       [&](GgufBytes& f) { one(f).array("key", GgufType::kUint8, (1ull << 26) + 1).data(64); }},
      {"array beyond end", kCorrupt, "array length is 65536",
       [&](GgufBytes& f) { one(f).array("key", GgufType::kUint16, 65536).data(64); }},
      {"array of strings beyond end", kCorrupt, "array length is",
       [&](GgufBytes& f) { one(f).array("key", GgufType::kString, 1ull << 26).data(64); }},
      {"string in array", kCorrupt, "length of string 1",
       [&](GgufBytes& f) {
         one(f).array("key", GgufType::kString, 2).string("fine").put(UINT64_MAX);
       }},
      {"last string missing", kCorrupt, "ends within string 1 of 2",
       [&](GgufBytes& f) { one(f).array("key", GgufType::kString, 2).string("0123456789"); }},
      {"control characters", kCorrupt, "'a\\x1b[2Jb'",
       [&](GgufBytes& f) { one(f).string("a\x1b[2Jb").put(UINT32_MAX).data(16); }},
  });
}

TEST(GgufMalformed, Alignment) {
  const auto with = [](GgufType type, auto value) {
    return [type, value](GgufBytes& f) { f.header(0, 1).scalar("general.alignment", type, value); };
  };
  expect_refused({
      {"wrong type", kCorrupt, "is of type uint64, not uint32", with(GgufType::kUint64, 32ull)},
      {"signed", kCorrupt, "is of type int32", with(GgufType::kInt32, 32)},
      {"float", kCorrupt, "is of type float32", with(GgufType::kFloat32, 32.0f)},
      {"string", kCorrupt, "is of type string",
       [](GgufBytes& f) {
         f.header(0, 1).key("general.alignment", GgufType::kString).string("32");
       }},
      {"array", kCorrupt, "is of type array",
       [](GgufBytes& f) {
         f.header(0, 1).array("general.alignment", GgufType::kUint32, 1).put(32u);
       }},
      {"zero", kCorrupt, "is 0, not a power of two", with(GgufType::kUint32, 0u)},
      {"below 8", kCorrupt, "is 4, not", with(GgufType::kUint32, 4u)},
      {"not a power of two", kCorrupt, "is 48, not", with(GgufType::kUint32, 48u)},
      {"huge", kCorrupt, "is 131072, not", with(GgufType::kUint32, 131072u)},
      {"largest number", kCorrupt, "is 4294967295, not", with(GgufType::kUint32, UINT32_MAX)},
  });
}

// A file of one tensor of that shape and type.
std::function<void(GgufBytes&)> shape(const std::vector<uint64_t>& dims, uint32_t type) {
  return [dims, type](GgufBytes& f) {
    f.header(1, 0).string("w").put(static_cast<uint32_t>(dims.size()));
    for (const uint64_t dim : dims) f.put(dim);
    f.put(type).put<uint64_t>(0).data(1024);
  };
}

TEST(GgufMalformed, TensorNamesAndShapes) {
  const auto one = [](GgufBytes& f) -> GgufBytes& { return f.header(1, 0); };
  expect_refused({
      {"name too long", kCorrupt, "more than the limit of 64",
       [&](GgufBytes& f) { one(f).tensor(std::string(65, 'n'), {8}, kGgmlF32, 0).data(32); }},
      {"name huge", kCorrupt, "name length is",
       [&](GgufBytes& f) { one(f).put(UINT64_MAX).data(64); }},
      {"name empty", kCorrupt, "name of tensor 0 is empty",
       [&](GgufBytes& f) { one(f).tensor("", {8}, kGgmlF32, 0).data(32); }},
      {"name twice", kCorrupt, "tensor 'w' occurs twice",
       [](GgufBytes& f) {
         f.header(2, 0).tensor("w", {8}, kGgmlF32, 0).tensor("w", {8}, kGgmlF32, 32).data(64);
       }},
      {"no dims", kCorrupt, "has 0 dimensions", shape({}, kGgmlF32)},
      {"five dims", kCorrupt, "has 5 dimensions", shape({1, 1, 1, 1, 1}, kGgmlF32)},
      {"dims huge", kCorrupt, "has 4294967295 dimensions",
       [&](GgufBytes& f) { one(f).string("w").put(UINT32_MAX).data(64); }},
      {"zero dim", kCorrupt, "dimension 1 is 0", shape({8, 0}, kGgmlF32)},
      {"zero row", kCorrupt, "dimension 0 is 0", shape({0, 8}, kGgmlF32)},
      {"product overflow", kCorrupt, "too large", shape({8, 1ull << 32, 1ull << 32}, kGgmlF32)},
      {"product wraps to one", kCorrupt, "too large",
       shape({1, 0xffffffffffffffffull, 0xffffffffffffffffull}, kGgmlF32)},
      {"negative dim", kCorrupt, "too large", shape({8, UINT64_MAX}, kGgmlF32)},
      {"row too long", kCorrupt, "too large", shape({1ull << 32}, kGgmlF32)},
      {"most rows of the longest row", kCorrupt, "overflows",
       shape({UINT32_MAX - 31, UINT32_MAX}, kGgmlF32)},
  });
}

TEST(GgufMalformed, TensorTypesAndPlacement) {
  const auto at = [](uint64_t offset) {
    return [offset](GgufBytes& f) { f.header(1, 0).tensor("w", {8}, kGgmlF32, offset).data(64); };
  };
  expect_refused({
      {"unsupported type", kUnsupported, "its type 40 (NVFP4) is not supported", shape({256}, 40)},
      {"removed type", kUnsupported, "its type 31 (Q4_0_4_4)", shape({256}, 31)},
      {"unknown type", kUnsupported, "its type 43 (unknown)", shape({256}, 43)},
      {"type remedy", kUnsupported, "f32, f16, bf16, q4_0, q5_0, q8_0, q4_K, q5_K, q6_K",
       shape({256}, 41)},
      {"type huge", kUnsupported, "4294967295 (unknown)", shape({256}, UINT32_MAX)},
      {"part of a block", kCorrupt, "row length 33 is not a multiple of the 32", shape({33}, 8)},
      {"part of a superblock", kCorrupt, "not a multiple of the 256", shape({128, 2}, 12)},
      {"misaligned", kCorrupt, "not a multiple of the alignment 32", at(16)},
      {"beyond the end", kCorrupt, "end beyond the file", at(64)},
      {"last byte beyond the end", kCorrupt, "end beyond the file",
       [](GgufBytes& f) { f.header(1, 0).tensor("w", {9}, kGgmlF32, 0).data(35); }},
      {"offset overflow", kCorrupt, "end beyond the file", at(UINT64_MAX - 31)},
      {"offset overflow of the sum", kCorrupt, "end beyond the file", at(UINT64_MAX - 63)},
      {"overlap", kCorrupt, "tensor 'b' (byte",
       [](GgufBytes& f) {
         f.header(2, 0).tensor("b", {8}, kGgmlF32, 32).tensor("a", {16}, kGgmlF32, 0).data(128);
       }},
      {"same data", kCorrupt, "overlaps that of tensor",
       [](GgufBytes& f) {
         f.header(2, 0).tensor("a", {8}, kGgmlF32, 0).tensor("b", {8}, kGgmlF32, 0).data(128);
       }},
      {"no data at all", kCorrupt, "end beyond the file",
       [](GgufBytes& f) { f.header(1, 0).tensor("w", {8}, kGgmlF32, 0); }},
  });
}

TEST(GgufTypes, NumbersAndNamesAreThoseOfGgml) {
  for (size_t i = 0; i < kNumDTypes; ++i) {
    const auto dtype = static_cast<DType>(i);
    const uint32_t number = ggml_from_dtype(dtype);
    EXPECT_EQ(dtype_from_ggml(number), dtype);
    EXPECT_EQ(dtype_from_name(ggml_type_name(number)), dtype);
  }
}

TEST(GgufParse, ErrorsNameByteAndSubject) {
  GgufBytes file;
  file.header(1, 0).tensor("blk.0.ffn_up.weight", {256}, 40, 0).data(144);
  EXPECT_EQ(error_of(file.bytes()).message(),
            "test.gguf: tensor 'blk.0.ffn_up.weight' (byte 63): its type 40 (NVFP4) is not "
            "supported; quantize the model to one of f32, f16, bf16, q4_0, q5_0, q8_0, q4_K, q5_K, "
            "q6_K, q4_1, q5_1, q2_K, q3_K, iq4_nl, iq4_xs, mxfp4, iq2_xxs, iq2_xs, iq2_s, iq3_xxs, "
            "iq3_s, iq1_s, iq1_m, tq1_0, tq2_0");
}

TEST(GgufParse, AcceptsTheSmallestAndOddButValidFiles) {
  std::unique_ptr<std::byte[]> storage;
  EXPECT_TRUE(parse_bounded(GgufBytes().header(0, 0).bytes(), storage).has_value());
  EXPECT_TRUE(parse_bounded(GgufBytes().header(0, 0, 2).bytes(), storage).has_value());
  GgufBytes gaps;  // unordered and with a hole between the tensors
  gaps.header(2, 0).tensor("b", {8}, kGgmlF32, 96).tensor("a", {8}, kGgmlF32, 0).data(128);
  EXPECT_TRUE(parse_bounded(gaps.bytes(), storage).has_value());
  GgufBytes longest;
  longest.header(1, 0).tensor(std::string(64, 'n'), {1, 1, 1, 1}, kGgmlF32, 0).data(4);
  EXPECT_TRUE(parse_bounded(longest.bytes(), storage).has_value());
  GgufBytes vocabulary;
  vocabulary.header(0, 1).array("tokenizer.ggml.tokens", GgufType::kString, 1).string("a");
  EXPECT_TRUE(parse_bounded(vocabulary.bytes(), storage).has_value());
}

TEST(GgufParse, TensorsAreWhereTheyShouldBe) {
  const GgufBytes bytes = every_type_file();
  std::unique_ptr<std::byte[]> storage;
  const Result<GgufFile> file = parse_bounded(bytes.bytes(), storage);
  ASSERT_TRUE(file.has_value()) << file.error().message();
  EXPECT_EQ(file->version(), 3u);
  EXPECT_EQ(file->path(), "test.gguf");
  EXPECT_EQ(file->mapped_bytes(), bytes.size());
  ASSERT_EQ(file->tensors().size(), 3u);
  const GgufTensor* embedding = file->find_tensor("token_embd.weight");
  ASSERT_NE(embedding, nullptr);
  EXPECT_EQ(embedding->dtype, DType::kQ8_0);
  EXPECT_EQ(embedding->num_dims, 2u);
  EXPECT_EQ(embedding->data.size(), 136u);
  EXPECT_EQ(embedding->data[0], std::byte{1});
  EXPECT_EQ(embedding->data[135], std::byte{136});
  const MatrixView matrix = embedding->matrix();
  EXPECT_EQ(matrix.num_rows, 4u);
  EXPECT_EQ(matrix.num_cols, 32u);
  EXPECT_EQ(matrix.row_stride, 34u);
  EXPECT_EQ(matrix.row(3), embedding->data.data() + 102);
  const MatrixView cube = file->find_tensor("cube.weight")->matrix();
  EXPECT_EQ(cube.num_rows, 8u);
  EXPECT_EQ(cube.num_cols, 3u);
  EXPECT_EQ(*cube.data, std::byte{1});
  EXPECT_EQ(file->find_tensor("cube"), nullptr);
  EXPECT_EQ(file->find_tensor(""), nullptr);
}

TEST(GgufParse, EveryTruncation) {
  const GgufBytes bytes = every_type_file();
  std::unique_ptr<std::byte[]> storage;
  for (size_t size = 0; size < bytes.size(); ++size) {
    const Result<GgufFile> file = parse_bounded(bytes.bytes().first(size), storage);
    ASSERT_FALSE(file.has_value()) << size;
    ASSERT_TRUE(file.error().code() == kCorrupt) << file.error().message();
  }
}

TEST(GgufParse, EveryBitFlip) {
  const GgufBytes bytes = every_type_file();
  const size_t header_size = bytes.size() - 352;  // all but the tensor data
  std::unique_ptr<std::byte[]> storage;
  size_t num_refused = 0;
  for (size_t bit = 0; bit < 8 * header_size; ++bit) {
    std::vector<std::byte> flipped(bytes.bytes().begin(), bytes.bytes().end());
    flipped[bit / 8] ^= std::byte{1} << (bit % 8);
    const Result<GgufFile> file = parse_bounded(flipped, storage);
    if (file.has_value()) {
      touch(*file);
    } else {
      ++num_refused;
      ASSERT_FALSE(file.error().message().empty());
    }
  }
  EXPECT_GT(num_refused, 8 * header_size / 4);
}

// As many of the smallest entries and tensors as fit: the tables must not outgrow the file.
TEST(GgufParse, TablesOfTinyEntriesStayWithinTheBound) {
  constexpr uint32_t kCount = 65536;
  GgufBytes file;
  file.header(kCount, kCount);
  for (uint32_t i = 0; i < kCount; ++i) {
    const char name[] = {static_cast<char>(i), static_cast<char>(i >> 8)};
    file.scalar({name, 2}, GgufType::kUint8, uint8_t{0});
  }
  for (uint32_t i = 0; i < kCount; ++i) {
    const char name[] = {static_cast<char>(i), static_cast<char>(i >> 8)};
    file.tensor({name, 2}, {1}, kGgmlF32, 32ull * i);
  }
  while (file.size() % 32 != 0) file.put<uint8_t>(0);
  for (uint32_t i = 0; i < 32 * kCount / 8; ++i) file.put<uint64_t>(0);
  std::unique_ptr<std::byte[]> storage;
  const Result<GgufFile> parsed = parse_bounded(file.bytes(), storage);
  ASSERT_TRUE(parsed.has_value()) << parsed.error().message();
  EXPECT_EQ(parsed->tensors().size(), kCount);
  EXPECT_NE(parsed->find_tensor("ab"), nullptr);
}

// Random tensor placements against the definition: all pairs disjoint and all within the data.
TEST(GgufParse, RandomLayouts) {
  std::mt19937 rng(7);
  int num_accepted = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    const uint32_t num_tensors = 1 + static_cast<uint32_t>(rng() % 5);
    const uint64_t data_bytes = 32 * (rng() % 24);
    std::vector<std::pair<uint64_t, uint64_t>> ranges;
    GgufBytes file;
    file.header(num_tensors, 0);
    for (uint32_t t = 0; t < num_tensors; ++t) {
      const uint64_t count = 1 + rng() % 24;
      const uint64_t offset = 32 * (rng() % 20);
      ranges.emplace_back(offset, offset + 4 * count);
      file.tensor(std::string(1, static_cast<char>('a' + t)), {count}, kGgmlF32, offset);
    }
    file.data(data_bytes);
    bool valid = true;
    for (size_t i = 0; i < ranges.size(); ++i) {
      valid = valid && ranges[i].second <= data_bytes;
      for (size_t j = 0; j < i; ++j) {
        valid =
            valid && (ranges[i].second <= ranges[j].first || ranges[j].second <= ranges[i].first);
      }
    }
    std::unique_ptr<std::byte[]> storage;
    ASSERT_EQ(parse_bounded(file.bytes(), storage).has_value(), valid) << trial;
    num_accepted += valid;
  }
  EXPECT_GT(num_accepted, 50);
}

}  // namespace
}  // namespace ruvllm::formats
