# Finds LLVM, MLIR and ONNX, and says how a library of the compiler is built.
find_package(MLIR 22.1 REQUIRED CONFIG HINTS /usr/lib/llvm-22)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)
include_directories(SYSTEM ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
add_definitions(${LLVM_DEFINITIONS_LIST})

# ONNX's own library, built by utils/setup: link ONNX::onnx (it brings its definitions and protobuf).
if(DEFINED ENV{DS_DEPS_DIR})
  set(DS_DEPS_DIR "$ENV{DS_DEPS_DIR}" CACHE PATH "Where utils/setup puts what it builds")
else()
  set(DS_DEPS_DIR "${CMAKE_SOURCE_DIR}/.deps" CACHE PATH "Where utils/setup puts what it builds")
endif()
find_package(Protobuf 3.21 REQUIRED)
find_package(ONNX 1.22.0 EXACT REQUIRED CONFIG PATHS ${DS_DEPS_DIR}/onnx-1.22.0 NO_DEFAULT_PATH)

# Headers that nearly every source of the compiler includes; one precompiled header serves all its libraries.
set(DS_PCH_HEADERS
  <mlir/IR/Builders.h> <mlir/IR/BuiltinAttributes.h> <mlir/IR/BuiltinOps.h> <mlir/IR/BuiltinTypes.h> <mlir/IR/Dialect.h>
  <mlir/IR/OpImplementation.h> <mlir/IR/PatternMatch.h> <mlir/Pass/Pass.h> <mlir/Dialect/Func/IR/FuncOps.h>
  <mlir/Interfaces/SideEffectInterfaces.h> <llvm/ADT/STLExtras.h> <llvm/ADT/SmallVector.h> <llvm/ADT/TypeSwitch.h>)
file(WRITE ${CMAKE_BINARY_DIR}/ds_pch.cpp "")
add_library(ds-pch OBJECT ${CMAKE_BINARY_DIR}/ds_pch.cpp)
target_compile_options(ds-pch PRIVATE -fno-exceptions -fno-rtti)
target_precompile_headers(ds-pch PRIVATE ${DS_PCH_HEADERS})

# A precompiled header names the folder it was made in. For ccache to find objects from any checkout, the header itself
# stays out of the cache, the sum beside it stands for its contents (CCACHE_PCH_EXTSUM in the presets), and its use is
# spelled without the absolute path that CMake would add.
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  set(CMAKE_CXX_COMPILE_OPTIONS_USE_PCH -Xclang -include-pch -Xclang <PCH_FILE>)
  set_target_properties(ds-pch PROPERTIES CXX_COMPILER_LAUNCHER "")
  set(sum "${DS_PCH_HEADERS} ${LLVM_PACKAGE_VERSION} ${CMAKE_CXX_COMPILER_VERSION} ${CMAKE_BUILD_TYPE} ${DS_SANITIZE}")
  foreach(header IN LISTS DS_PCH_HEADERS)
    string(REGEX REPLACE "[<>]" "" header ${header})
    file(SHA256 ${LLVM_INCLUDE_DIR}/${header} header_sum)
    string(APPEND sum " ${header_sum}")
  endforeach()
  string(SHA256 sum "${sum}")
  file(WRITE ${CMAKE_BINARY_DIR}/CMakeFiles/ds-pch.dir/cmake_pch.hxx.pch.sum "${sum}\n")
endif()

# ds_add_library(Name sources... [EXCEPTIONS] [DEPENDS targets] [LINK libraries]): a static library of the compiler.
# EXCEPTIONS turns on exceptions and RTTI, which ONNX's headers need; such a library has no precompiled header.
function(ds_add_library name)
  cmake_parse_arguments(ARG "EXCEPTIONS" "" "DEPENDS;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  if(NOT ARG_EXCEPTIONS)
    target_compile_options(${name} PRIVATE -fno-exceptions -fno-rtti)
    target_precompile_headers(${name} REUSE_FROM ds-pch)
  endif()
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()
