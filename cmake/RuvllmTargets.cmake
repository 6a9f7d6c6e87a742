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

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
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
if(RUVLLM_BUILD_FUZZERS)
  # Libraries report the edges they take to libFuzzer; only fuzz/ links its main.
  target_compile_options(ruvllm_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

# ruvllm_layer(base SOURCES a.cc ... DEPS tensor ... LIBS fmt::fmt ...) -> target ruvllm_base
function(ruvllm_layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LIBS" ${ARGN})
  list(TRANSFORM ARG_DEPS PREPEND ruvllm_)
  add_library(ruvllm_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(ruvllm_${name} PUBLIC ruvllm_flags ${ARG_DEPS} ${ARG_LIBS})
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
  foreach(source ${ARG_UNPARSED_ARGUMENTS} ${ARG_THREADS})
    get_filename_component(stem ${source} NAME_WE)
    set(test_target ${layer}_${stem})
    add_executable(${test_target} ${source})
    target_link_libraries(${test_target}
      PRIVATE ruvllm_${layer} GTest::gtest GTest::gmock GTest::gtest_main)
    target_compile_definitions(${test_target} PRIVATE RUVLLM_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
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
