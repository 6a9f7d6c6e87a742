# fmt and GoogleTest from the headers and sources that their Debian packages install for any processor.
find_path(FMT_HEADERS fmt/core.h PATHS /usr/include REQUIRED NO_DEFAULT_PATH)
find_path(GOOGLETEST_SOURCES googletest/CMakeLists.txt PATHS /usr/src/googletest
  REQUIRED NO_DEFAULT_PATH)

# A folder with nothing but fmt: the one it is in has the C library's headers for this machine.
file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/include")
file(CREATE_LINK "${FMT_HEADERS}/fmt" "${CMAKE_BINARY_DIR}/include/fmt" SYMBOLIC)
add_library(fmt::fmt INTERFACE IMPORTED)
target_include_directories(fmt::fmt INTERFACE "${CMAKE_BINARY_DIR}/include")
target_compile_definitions(fmt::fmt INTERFACE FMT_HEADER_ONLY)

if(RUVLLM_BUILD_TESTS)
  set(INSTALL_GTEST OFF)
  add_subdirectory("${GOOGLETEST_SOURCES}" "${CMAKE_BINARY_DIR}/googletest" EXCLUDE_FROM_ALL)
endif()
