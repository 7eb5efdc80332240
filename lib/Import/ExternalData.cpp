//===- ExternalData.cpp - Where a model's external tensor data may lie ----===//
// Assumes: nothing; every argument comes from an untrusted model file.
// Guarantees: a path handed back lies inside the model's folder after every link is followed, and the range inside the
// file. Declines: absolute locations, `..`, links that leave the folder, anything that is not a regular file.

#include "ds/Import/ExternalData.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace llvm;

static Error refuse(const Twine &message) { return createStringError(inconvertibleErrorCode(), message); }

Expected<ds::ExternalRange> ds::resolveExternalData(StringRef folder, StringRef location,
                                                    std::optional<uint64_t> offset, std::optional<uint64_t> length,
                                                    uint64_t expected) {
  if (location.empty())
    return refuse("external data has no location");
  if (location.contains('\0'))
    return refuse("external data's location contains a zero byte");
  if (sys::path::is_absolute(location))
    return refuse("external data's location '" + location +
                  "' is an absolute path; it must stay in the model's folder");
  for (auto part = sys::path::begin(location), end = sys::path::end(location); part != end; ++part)
    if (*part == "..")
      return refuse("external data's location '" + location + "' contains '..'; it must stay in the model's folder");

  SmallString<256> joined(folder.empty() ? StringRef(".") : folder);
  sys::path::append(joined, location);
  SmallString<256> realFolder, realPath;
  if (std::error_code code = sys::fs::real_path(folder.empty() ? StringRef(".") : folder, realFolder))
    return refuse("cannot resolve the model's folder '" + folder + "': " + code.message());
  if (std::error_code code = sys::fs::real_path(joined, realPath))
    return refuse("external data file '" + location + "' cannot be found beside the model: " + code.message());

  // Compare whole components, so that /models-other is not taken for a part of /models.
  auto inner = sys::path::begin(realPath), innerEnd = sys::path::end(realPath);
  for (auto outer = sys::path::begin(realFolder), end = sys::path::end(realFolder); outer != end; ++outer, ++inner)
    if (inner == innerEnd || *inner != *outer)
      return refuse("external data file '" + location + "' is a link that leaves the model's folder");

  sys::fs::file_status status;
  if (std::error_code code = sys::fs::status(realPath, status))
    return refuse("external data file '" + location + "' cannot be read: " + code.message());
  if (!sys::fs::is_regular_file(status))
    return refuse("external data file '" + location + "' is not a regular file");

  uint64_t begin = offset.value_or(0), size = status.getSize();
  if (length && *length != expected)
    return refuse("external data in '" + location + "' has length " + Twine(*length) +
                  ", but the tensor's type needs " + Twine(expected) + " bytes");
  if (begin > size || expected > size - begin)
    return refuse("external data in '" + location + "' needs " + Twine(expected) + " bytes at offset " + Twine(begin) +
                  ", but the file has " + Twine(size));
  return ExternalRange{std::string(realPath), begin, expected};
}
