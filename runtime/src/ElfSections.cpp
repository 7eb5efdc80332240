//===- ElfSections.cpp - Finds an artifact's sections in its file ---------===//
// Assumes: nothing about the file.
// Guarantees: ranges that it returns lie inside the file.
// Declines: 32-bit and big-endian ELF, and files with 65280 or more sections.
//===----------------------------------------------------------------------===//
#include "Model.h"
#include <elf.h>
#include <errno.h>
#include <sys/stat.h>

namespace ds::runtime {

static bool inside(uint64_t Offset, uint64_t Size, uint64_t FileSize) {
  return Offset <= FileSize && Size <= FileSize - Offset;
}

ds_status findSections(int Descriptor, const char *Path, ElfSections &Sections, ds_error *Error) {
  struct stat Info;
  if (fstat(Descriptor, &Info))
    return fail(Error, DS_IO_ERROR, "cannot read '%s': %s", Path, strerror(errno));
  if (!S_ISREG(Info.st_mode))
    return fail(Error, DS_BAD_ARTIFACT, "'%s' is not a regular file", Path);
  const uint64_t FileSize = uint64_t(Info.st_size);
  auto Read = [&](void *Out, uint64_t Size, uint64_t Offset) {
    return inside(Offset, Size, FileSize) && readAt(Descriptor, Out, Size, Offset);
  };
  auto Damaged = [&](const char *What) {
    return fail(Error, DS_BAD_ARTIFACT, "'%s' is damaged or truncated: %s", Path, What);
  };

  Elf64_Ehdr Header;
  if (!Read(&Header, sizeof Header, 0) || memcmp(Header.e_ident, ELFMAG, SELFMAG) ||
      Header.e_ident[EI_CLASS] != ELFCLASS64 || Header.e_ident[EI_DATA] != ELFDATA2LSB)
    return fail(Error, DS_BAD_ARTIFACT, "'%s' is not a compiled model (no 64-bit little-endian ELF file)", Path);
  Sections.Machine = Header.e_machine;
  if (Header.e_shentsize != sizeof(Elf64_Shdr) || Header.e_shnum == 0 || Header.e_shnum >= SHN_LORESERVE ||
      Header.e_shstrndx >= Header.e_shnum)
    return Damaged("it has no usable section table");
  Array<Elf64_Shdr> Table;
  if (!Table.resize(Header.e_shnum))
    return outOfMemory(Error);
  if (!Read(Table.data(), Header.e_shnum * sizeof(Elf64_Shdr), Header.e_shoff))
    return Damaged("its section table lies outside the file");
  const Elf64_Shdr &Names = Table[Header.e_shstrndx];
  Array<char> NameBytes;
  if (!inside(Names.sh_offset, Names.sh_size, FileSize) || Names.sh_size > (1u << 24))
    return Damaged("its section names lie outside the file");
  if (!NameBytes.resize(Names.sh_size + 1))
    return outOfMemory(Error);
  if (!Read(NameBytes.data(), Names.sh_size, Names.sh_offset))
    return Damaged("its section names cannot be read");
  for (const Elf64_Shdr &Section : Table) {
    if (Section.sh_name >= Names.sh_size || Section.sh_type == SHT_NOBITS)
      continue;
    const char *Name = NameBytes.data() + Section.sh_name;
    Sections.IsProgram |= !strcmp(Name, ".interp");
    FileRange *Range = !strcmp(Name, DS_ARTIFACT_META_SECTION)      ? &Sections.Metadata
                       : !strcmp(Name, DS_ARTIFACT_WEIGHTS_SECTION) ? &Sections.Weights
                                                                    : nullptr;
    if (!Range)
      continue;
    if (Range->Found)
      return Damaged("a section is there twice");
    if (!inside(Section.sh_offset, Section.sh_size, FileSize))
      return Damaged("a section lies outside the file");
    *Range = {Section.sh_offset, Section.sh_size, true};
  }
  if (!Sections.Metadata.Found)
    return fail(Error, DS_BAD_ARTIFACT, "'%s' is not a compiled model (it has no section " DS_ARTIFACT_META_SECTION ")",
                Path);
  return DS_OK;
}

} // namespace ds::runtime
