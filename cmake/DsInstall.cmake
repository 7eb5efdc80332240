# What `cmake --install build` copies: the component `runtime` (headers, libraries, ds-run, files for find_package and
# pkg-config), which needs no compiler, and the component `compiler` (ds-compile and what it links programs with).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(DS_HEADERS ds_artifact.h ds_dlpack.h ds_kernel.h ds_runtime.h ds_runtime.hpp)
list(TRANSFORM DS_HEADERS PREPEND ${PROJECT_SOURCE_DIR}/runtime/include/)
install(FILES ${DS_HEADERS} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT runtime)

# `find_package(ds-runtime)` gives ds::runtime (static) and ds::runtime_shared.
set_target_properties(ds_runtime PROPERTIES EXPORT_NAME runtime)
set_target_properties(ds_runtime_shared PROPERTIES EXPORT_NAME runtime_shared)
add_library(ds::runtime ALIAS ds_runtime)
add_library(ds::runtime_shared ALIAS ds_runtime_shared)
target_link_libraries(ds_runtime INTERFACE ${CMAKE_DL_LIBS} pthread m)
install(TARGETS ds_runtime ds_runtime_shared EXPORT ds-runtime-targets COMPONENT runtime)
set(DS_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/ds-runtime)
install(EXPORT ds-runtime-targets NAMESPACE ds:: DESTINATION ${DS_PACKAGE_DIR} COMPONENT runtime)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/ds-runtime-config.cmake.in
  ${PROJECT_BINARY_DIR}/ds-runtime-config.cmake INSTALL_DESTINATION ${DS_PACKAGE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/ds-runtime-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ds-runtime-config.cmake ${PROJECT_BINARY_DIR}/ds-runtime-config-version.cmake
  DESTINATION ${DS_PACKAGE_DIR} COMPONENT runtime)
# The prefix is found from the file's own place, so that an installation may be moved.
file(RELATIVE_PATH DS_PREFIX_FROM_PC /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(${PROJECT_SOURCE_DIR}/cmake/ds-runtime.pc.in ${PROJECT_BINARY_DIR}/ds-runtime.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/ds-runtime.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT runtime)

if(DS_BUILD_COMPILER)
  install(DIRECTORY ${PROJECT_BINARY_DIR}/lib/ds DESTINATION lib COMPONENT compiler)
endif()
