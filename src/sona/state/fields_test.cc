#include "sona/state/fields.h"

#include <cmath>
#include <cstring>
#include <limits>

#include <gtest/gtest.h>

namespace ruvllm::sona {
namespace {

struct Part {
  uint32_t count = 0;
  double sum = 0;
  std::vector<float> values;
  std::string name;

  template <typename Self, typename Fields>
  static void exchange(Self& self, Fields& fields) {
    fields.number("count", self.count);
    fields.number("sum", self.sum);
    fields.array("values", self.values);
    fields.text("name", self.name);
  }
};

const Part kPart = {.count = 7, .sum = -0.0, .values = {1.5f, -2, 3}, .name = "a name"};

std::vector<std::byte> written(const Part& part = kPart, std::string_view kind = "part") {
  StateWriter writer(kind);
  Part::exchange(part, writer);
  return writer.finish();
}

Status read(std::span<const std::byte> bytes, Part& part) {
  StateReader reader("role/3", "part", bytes);
  Part::exchange(part, reader);
  return reader.finish();
}

std::string error_of(std::span<const std::byte> bytes) {
  Part part;
  const Status status = read(bytes, part);
  return status ? "" : status.error().message();
}

// Overwrites what follows the field's name and puts the checksum right.
std::vector<std::byte> with_field(std::string_view name, size_t skip, auto value) {
  std::vector<std::byte> bytes = written();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::memcpy(bytes.data() + text.find(name) + name.size() + skip, &value, sizeof(value));
  seal_state(bytes);
  return bytes;
}

TEST(StateFields, ComeBackAsTheyWere) {
  Part part;
  ASSERT_TRUE(read(written(), part));
  EXPECT_EQ(part.count, 7u);
  EXPECT_TRUE(std::signbit(part.sum));
  EXPECT_EQ(part.values, kPart.values);
  EXPECT_EQ(part.name, "a name");
  ASSERT_TRUE(read(written({}), part));
  EXPECT_TRUE(part.values.empty());
}

TEST(StateFields, AnyDamageIsAnErrorThatNamesTheRole) {
  const std::vector<std::byte> whole = written();
  for (size_t i = 0; i < whole.size(); ++i) {
    std::vector<std::byte> bytes = whole;
    bytes[i] ^= std::byte{1};
    EXPECT_NE(error_of(bytes).find("'role/3'"), std::string::npos) << i;
    EXPECT_NE(error_of(std::span(whole).first(i)).find("'role/3'"), std::string::npos) << i;
  }
}

TEST(StateFields, ACountBeyondTheBytesAllocatesNothing) {
  for (const uint64_t count : {uint64_t{100}, uint64_t{1} << 40, uint64_t{1} << 62,
                               std::numeric_limits<uint64_t>::max()}) {
    const std::string error = error_of(with_field("values", 2, count));
    EXPECT_NE(error.find("field 'values' at byte 62"), std::string::npos) << error;
    EXPECT_NE(error.find("it claims"), std::string::npos) << error;
  }
}

TEST(StateFields, TypesCountsAndNamesMustAgree) {
  EXPECT_NE(error_of(with_field("sum", 0, uint8_t{1})).find("kind 1"), std::string::npos);
  EXPECT_NE(error_of(with_field("sum", 1, uint8_t{4})).find("in 4 bytes"), std::string::npos);
  EXPECT_NE(error_of(with_field("count", 2, uint64_t{2})).find("2 values instead of 1"),
            std::string::npos);
  EXPECT_NE(error_of(with_field("coun", 0, 'x')).find("'count' at byte 20: it is missing"),
            std::string::npos);
  // The last field shorter than it was.
  EXPECT_NE(error_of(with_field("name", 2, uint64_t{3})).find("bytes follow"), std::string::npos);
  EXPECT_NE(error_of(written(kPart, "trap")).find("it is not 'part'"), std::string::npos);
}

TEST(StateFields, AnotherVersionIsNotDamage) {
  std::vector<std::byte> bytes = written();
  bytes[kStateMagic.size()] = std::byte{9};
  Part part;
  const Status status = read(bytes, part);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), ErrorCode::kUnsupported);
}

TEST(StateFields, TheFirstErrorStays) {
  const std::vector<std::byte> bytes = written();
  StateReader reader("role/3", "part", bytes);
  uint32_t count = 0;
  reader.number("count", count);
  reader.require(count == 8, "count", "not eight");
  double sum = 5;
  reader.number("sum", sum);
  EXPECT_EQ(sum, 5);
  reader.require(false, "sum", "never");
  EXPECT_NE(reader.finish().error().message().find("not eight"), std::string::npos);
}

TEST(StateFields, KnowWhatIsFinite) {
  std::vector<float> values(37, std::numeric_limits<float>::max());
  EXPECT_TRUE(all_finite(values));
  for (const float bad :
       {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
        std::numeric_limits<float>::quiet_NaN()}) {
    values[36] = bad;
    EXPECT_FALSE(all_finite(values));
  }
}

}  // namespace
}  // namespace ruvllm::sona
