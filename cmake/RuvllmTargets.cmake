# One library per layer, one executable per test file, the same flags everywhere.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

# A compiler cache, if there is one, that serves every clone and worktree alike: it sees paths
# relative to the source folder. As a launch rule it stays out of compile_commands.json, where
# clang-tidy and clangd would take it for the compiler.
find_program(CCACHE_PROGRAM ccache)
set(has_cache "${CMAKE_CXX_COMPILER_LAUNCHER}")
if(CCACHE_PROGRAM AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER AND NOT DEFINED ENV{CCACHE_DISABLE})
  set(has_cache ON)
  set(cache_settings "\"CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}\" CCACHE_NOHASHDIR=1")
  set_property(GLOBAL PROPERTY RULE_LAUNCH_COMPILE
    "\"${CMAKE_COMMAND}\" -E env ${cache_settings} \"${CCACHE_PROGRAM}\"")
endif()

# Headers that nearly every file reads are parsed once, in builds where nobody looks for missing
# includes. Not beside a cache, for which precompiled headers differ from clone to clone.
option(RUVLLM_PRECOMPILE_HEADERS "Precompile library headers; missing includes go unnoticed" OFF)
if(has_cache)
  set(RUVLLM_PRECOMPILE_HEADERS OFF)
endif()

add_library(ruvllm_flags INTERFACE)
target_include_directories(ruvllm_flags INTERFACE
  "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>" "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/src>")
# -ffp-contract=off: a * b + c rounds twice unless the code asks for fma, so that the same source
# gives the same bits under every compiler and ISA.
target_compile_options(ruvllm_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor -Woverloaded-virtual
  -ffp-contract=off -fno-math-errno -fstack-protector-strong
  # g++ 12 sees overlaps in std::string's own operator+ (GCC bug 105651), and a string within
  # std::expected as uninitialized where the check before it says that it is there.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict -Wno-maybe-uninitialized>
  $<$<BOOL:${RUVLLM_WARNINGS_AS_ERRORS}>:-Werror>)
target_compile_definitions(ruvllm_flags INTERFACE
  $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS> $<$<CONFIG:Release>:_FORTIFY_SOURCE=2>)
target_link_options(ruvllm_flags INTERFACE -Wl,-z,relro,-z,now)
if(RUVLLM_SANITIZE)
  target_compile_options(ruvllm_flags INTERFACE
    -fsanitize=${RUVLLM_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(ruvllm_flags INTERFACE -fsanitize=${RUVLLM_SANITIZE})
endif()

if(RUVLLM_COVERAGE)
  target_compile_options(ruvllm_flags INTERFACE -fprofile-instr-generate -fcoverage-mapping)
  target_link_options(ruvllm_flags INTERFACE -fprofile-instr-generate)
endif()

# ruvllm_precompile(<target> <group> <header>...): the first target of a group precompiles the
# headers, the others use its work; all must have the same flags.
function(ruvllm_precompile target group)
  if(NOT RUVLLM_PRECOMPILE_HEADERS)
    return()
  endif()
  get_property(maker GLOBAL PROPERTY ruvllm_precompiled_${group})
  if(maker)
    target_precompile_headers(${target} REUSE_FROM ${maker})
  else()
    target_precompile_headers(${target} PRIVATE ${ARGN})
    set_property(GLOBAL PROPERTY ruvllm_precompiled_${group} ${target})
  endif()
endfunction()
set(RUVLLM_COMMON_HEADERS <algorithm> <array> <bit> <chrono> <cmath> <cstdint> <cstring> <expected>
  <functional> <limits> <map> <memory> <optional> <span> <string> <string_view> <unordered_map>
  <utility> <vector> <fmt/format.h>)

# ruvllm_layer(base SOURCES a.cc ... DEPS tensor ... LIBS fmt::fmt ...) -> target ruvllm_base
function(ruvllm_layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LIBS" ${ARGN})
  list(TRANSFORM ARG_DEPS PREPEND ruvllm_)
  add_library(ruvllm_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(ruvllm_${name} PUBLIC ruvllm_flags ${ARG_DEPS} ${ARG_LIBS})
  set(flags plain)
  if(RUVLLM_BUILD_FUZZERS AND name IN_LIST RUVLLM_LAYERS)
    # What fuzzers may link reports the edges it takes to libFuzzer.
    target_compile_options(ruvllm_${name} PRIVATE -fsanitize=fuzzer-no-link)
    set(flags fuzzed)
  endif()
  if(NOT name STREQUAL kernels)  # some of its files have flags of their own
    ruvllm_precompile(ruvllm_${name} ${flags}_layers ${RUVLLM_COMMON_HEADERS})
  endif()
endfunction()

# ruvllm_test(base core/checked_test.cc ...): one test executable per file, registered with CTest as
# <layer>/<file without _test>; links the layer and GoogleTest. A test that starts threads gets the
# label `threads` and runs under ThreadSanitizer too: one that includes <thread>, or comes after the
# word THREADS.
add_custom_target(ruvllm_unit_tests)
add_custom_target(ruvllm_thread_tests)
function(ruvllm_test layer)
  if(NOT RUVLLM_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "THREADS" ${ARGN})
  string(COMPARE NOTEQUAL "${RUVLLM_SANITIZE}" "" sanitized)
  foreach(source ${ARG_UNPARSED_ARGUMENTS} ${ARG_THREADS})
    get_filename_component(stem ${source} NAME_WE)
    set(test_target ${layer}_${stem})
    add_executable(${test_target} ${source})
    target_link_libraries(${test_target}
      PRIVATE ruvllm_${layer} GTest::gtest GTest::gmock GTest::gtest_main)
    # Exhaustive tests take fewer steps where each is slow; other builds take them all.
    target_compile_definitions(${test_target} PRIVATE RUVLLM_SANITIZED=$<BOOL:${sanitized}>)
    ruvllm_precompile(${test_target} tests
      ${RUVLLM_COMMON_HEADERS} <gmock/gmock.h> <gtest/gtest.h>)
    file(STRINGS ${source} reads_source_tree REGEX RUVLLM_SOURCE_DIR LIMIT_COUNT 1)
    if(reads_source_tree)  # the others compile to the same in every clone
      set_source_files_properties(${source} PROPERTIES
        COMPILE_DEFINITIONS RUVLLM_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
    endif()
    set_target_properties(${test_target} PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
    add_dependencies(ruvllm_unit_tests ${test_target})
    string(REGEX REPLACE "_test$" "" test_name ${stem})
    set(test_name ${layer}/${test_name})
    add_test(NAME ${test_name} COMMAND ${test_target} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
    set_tests_properties(${test_name} PROPERTIES LABELS unit TIMEOUT 600)
    file(STRINGS ${source} thread_include REGEX "^#include <thread>" LIMIT_COUNT 1)
    if(thread_include OR source IN_LIST ARG_THREADS)
      add_dependencies(ruvllm_thread_tests ${test_target})
      set_tests_properties(${test_name} PROPERTIES LABELS "unit;threads")
    endif()
  endforeach()
endfunction()
