# Row operations and attention, by instruction set; src/kernels/CMakeLists.txt puts them together.
set(kernels_elementwise_sources
  cpu/generic/attention.cc
  cpu/generic/elementwise.cc)
set(kernels_elementwise_avx2_sources
  cpu/avx2/attention.cc
  cpu/avx2/elementwise.cc)
set(kernels_ref_elementwise_sources
  ref/attention.cc
  ref/elementwise.cc)
