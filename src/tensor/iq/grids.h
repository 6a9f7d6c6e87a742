// Constant tables of the formats with levels on a fixed grid: IQ1 to IQ4 and MXFP4.
//
// Plain arrays: kernels compiled for one instruction set read them too.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ruvllm {

// Vectors of 8 (or 4) elements, element j in byte j of a word.
template <class Word, size_t kSize>
struct Grid {
  Word words[kSize];
};

extern const Grid<uint64_t, 256> kIq2XxsGrid;  // magnitudes 8, 25, 43
extern const Grid<uint64_t, 512> kIq2XsGrid;
extern const Grid<uint64_t, 1024> kIq2SGrid;
extern const Grid<uint32_t, 256> kIq3XxsGrid;  // magnitudes 4, 12, ..., 52, 62
extern const Grid<uint32_t, 512> kIq3SGrid;    // magnitudes 1, 3, ..., 15
extern const Grid<uint64_t, 2048> kIq1Grid;    // -1, 0, 1

// Seven sign bits with an eighth that makes their number even.
struct EvenSigns {
  uint8_t bits[128];
};
extern const EvenSigns kEvenSigns;

extern const int8_t kIq4Values[16];    // of iq4_nl and iq4_xs
extern const int8_t kMxfp4Values[16];  // twice the values of E2M1, so that all are integers

}  // namespace ruvllm
