# What `cmake --install` puts in place: the shared library with its headers, CMake package and
# pkg-config file, the command with manual page and completions, and the bundled model.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# One shared library of all layers. Only names marked RUVLLM_API leave it.
file(GLOB_RECURSE public_headers CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/include/ruvllm/*.h")
add_library(ruvllm_shared SHARED)
set_target_properties(ruvllm_shared PROPERTIES
  OUTPUT_NAME ruvllm
  LINKER_LANGUAGE CXX
  EXPORT_NAME ruvllm
  VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
  LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/lib"
  VERIFY_INTERFACE_HEADER_SETS ON)
add_library(ruvllm::ruvllm ALIAS ruvllm_shared)
target_compile_features(ruvllm_shared PUBLIC cxx_std_23)
target_sources(ruvllm_shared PUBLIC FILE_SET HEADERS
  BASE_DIRS "${PROJECT_SOURCE_DIR}/include" FILES ${public_headers})
# The objects themselves: nothing inside the library calls its public functions, so that a linker
# would leave them in their archives. The archives of `api` and below bring what those link to.
foreach(layer ${RUVLLM_LAYERS})
  target_sources(ruvllm_shared PRIVATE $<TARGET_OBJECTS:ruvllm_${layer}>)
endforeach()
target_link_libraries(ruvllm_shared PRIVATE ruvllm_api)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/ruvllm")
install(TARGETS ruvllm_shared EXPORT ruvllmTargets
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT ruvllmTargets NAMESPACE ruvllm:: DESTINATION "${package_dir}")
configure_package_config_file(cmake/ruvllmConfig.cmake.in "${CMAKE_BINARY_DIR}/ruvllmConfig.cmake"
  INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${CMAKE_BINARY_DIR}/ruvllmConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_BINARY_DIR}/ruvllmConfig.cmake"
              "${CMAKE_BINARY_DIR}/ruvllmConfigVersion.cmake" DESTINATION "${package_dir}")
# Relative, so that `cmake --install --prefix` may choose any place.
file(RELATIVE_PATH prefix_from_pkgconfig "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
configure_file(cmake/ruvllm.pc.in "${CMAKE_BINARY_DIR}/ruvllm.pc" @ONLY)
install(FILES "${CMAKE_BINARY_DIR}/ruvllm.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
install(FILES models/demo-q8_0.gguf models/README.md models/LICENSE.md
  DESTINATION "${CMAKE_INSTALL_DATADIR}/ruvllm/models")
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")

# ruvllm_generated(<file> <destination> <arguments>...): `ruvllm <arguments>` writes an installed
# file, so that manual page and completions cannot differ from the command's own definition.
function(ruvllm_generated file destination)
  set(output "${CMAKE_BINARY_DIR}/generated/${file}")
  add_custom_command(OUTPUT "${output}"
    COMMAND ${CMAKE_COMMAND} -E make_directory "${CMAKE_BINARY_DIR}/generated"
    COMMAND ruvllm ${ARGN} > "${output}"
    DEPENDS ruvllm VERBATIM)
  set_property(TARGET ruvllm_generated_files APPEND PROPERTY SOURCES "${output}")
  install(FILES "${output}" DESTINATION "${destination}")
endfunction()

install(TARGETS ruvllm RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
add_custom_target(ruvllm_generated_files ALL)
ruvllm_generated(ruvllm.1 "${CMAKE_INSTALL_MANDIR}/man1" __man)
ruvllm_generated(ruvllm "${CMAKE_INSTALL_DATADIR}/bash-completion/completions"
  __completion bash)
ruvllm_generated(_ruvllm "${CMAKE_INSTALL_DATADIR}/zsh/site-functions" __completion zsh)
ruvllm_generated(ruvllm.fish "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d"
  __completion fish)
