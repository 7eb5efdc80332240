//===- ObjectSymbols.cpp - Renames the symbols of an object file ----------===//
// Guarantees: see ObjectSymbols.h. New names come behind the old ones, in a copy of the name table at the end of the
// file: the table also names the sections.
//===----------------------------------------------------------------------===//
#include "lib/Codegen/ObjectSymbols.h"
#include <cstring>
#include <elf.h>
#include <vector>

namespace ds {

/// Copies objects of the file's format out of it, or into it; false where they would not lie inside.
template <typename T> static bool readAt(const std::string &bytes, uint64_t offset, T *out, uint64_t count) {
  if (offset > bytes.size() || count > (bytes.size() - offset) / sizeof(T))
    return false;
  std::memcpy(out, bytes.data() + offset, count * sizeof(T));
  return true;
}

bool renameSymbols(std::string &object, llvm::function_ref<std::string(llvm::StringRef)> rename) {
  Elf64_Ehdr header;
  if (!readAt(object, 0, &header, 1) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_shentsize != sizeof(Elf64_Shdr))
    return false;
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  if (!readAt(object, header.e_shoff, sections.data(), sections.size()))
    return false;
  std::string result = object;
  for (const Elf64_Shdr &table : sections) {
    if (table.sh_type != SHT_SYMTAB)
      continue;
    std::vector<Elf64_Sym> symbols(table.sh_size / sizeof(Elf64_Sym));
    if (!readAt(object, table.sh_offset, symbols.data(), symbols.size()) || table.sh_link >= sections.size())
      return false;
    Elf64_Shdr texts = sections[table.sh_link];
    std::string names(texts.sh_size, '\0');
    if (!readAt(object, texts.sh_offset, names.data(), names.size()) || names.empty() || names.back() != '\0')
      return false;
    for (Elf64_Sym &symbol : symbols) {
      if (symbol.st_name >= texts.sh_size)
        return false;
      llvm::StringRef name(names.c_str() + symbol.st_name);
      if (name.empty())
        continue;
      std::string other = rename(name);
      if (other == name)
        continue;
      symbol.st_name = Elf64_Word(names.size());
      names.append(other).push_back('\0');
    }
    texts.sh_offset = result.size();
    texts.sh_size = names.size();
    result += names;
    std::memcpy(result.data() + table.sh_offset, symbols.data(), symbols.size() * sizeof(Elf64_Sym));
    std::memcpy(result.data() + header.e_shoff + table.sh_link * sizeof texts, &texts, sizeof texts);
  }
  object = std::move(result);
  return true;
}

} // namespace ds
