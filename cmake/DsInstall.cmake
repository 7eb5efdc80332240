# What `cmake --install build` copies: the component `runtime` (headers, libraries, ds-run, files for find_package and
# pkg-config), which needs no compiler, and the component `compiler` (ds-compile and what it links programs with).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(DS_HEADERS ds_artifact.h ds_dlpack.h ds_kernel.h ds_runtime.h ds_runtime.hpp ds_types.def)
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
  # `find_package(ds-compiler)` gives ds::compiler. Called by lib/Driver, where LLVM is known.
  function(ds_install_compiler target)
    set_target_properties(${target} PROPERTIES EXPORT_NAME compiler)
    target_include_directories(${target} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    target_compile_features(${target} INTERFACE cxx_std_20)
    foreach(header Compiler.h Import/Options.h InitAll.h Memory/Options.h Simplify/Versions.h Train/Options.h)
      get_filename_component(folder ds/${header} DIRECTORY)
      install(FILES ${PROJECT_SOURCE_DIR}/include/ds/${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/${folder}
              COMPONENT compiler)
    endforeach()
    install(TARGETS ${target} EXPORT ds-compiler-targets COMPONENT compiler)
    set(folder ${CMAKE_INSTALL_LIBDIR}/cmake/ds-compiler)
    install(EXPORT ds-compiler-targets NAMESPACE ds:: DESTINATION ${folder} COMPONENT compiler)
    configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/ds-compiler-config.cmake.in
      ${PROJECT_BINARY_DIR}/ds-compiler-config.cmake INSTALL_DESTINATION ${folder})
    write_basic_package_version_file(${PROJECT_BINARY_DIR}/ds-compiler-config-version.cmake COMPATIBILITY SameMinorVersion)
    install(FILES ${PROJECT_BINARY_DIR}/ds-compiler-config.cmake ${PROJECT_BINARY_DIR}/ds-compiler-config-version.cmake
      DESTINATION ${folder} COMPONENT compiler)
  endfunction()
endif()
