# Sources of the matrix products. Files of an ISA get its flags in CMakeLists.txt; tables do not.
set(kernels_matmul_sources
  cpu/generic/matmul_generic.cc
  cpu/kernel_table.cc)
set(kernels_matmul_avx2_sources)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND kernels_matmul_sources
    cpu/avx2/matmul_table.cc)
  list(APPEND kernels_matmul_avx2_sources
    cpu/avx2/matmul_block32.cc
    cpu/avx2/matmul_float.cc
    cpu/avx2/matmul_q45_k.cc
    cpu/avx2/matmul_q6_k.cc)
endif()
