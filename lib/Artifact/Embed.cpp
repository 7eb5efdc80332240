//===- Embed.cpp - One object file that holds a whole model ----------------===//
// Assumes: a relocatable file as `ld.lld -r` wrote it, with at most one symbol table.
// Guarantees: it defines one global symbol, the ds_embedded_model (ds_artifact.h); all others that it defined become
//             local, so that objects of several models link into one program. Weights are written in place.
// Declines: extended section numbers.
// Layout: [linked file][weights][metadata][descriptor][its relocations][symbols][names][section headers], and the
//         relocations of the linker's own sections rewritten in place, since symbols change their numbers.
//===----------------------------------------------------------------------===//
#include "ElfOutput.h"
#include "ds/Artifact/Link.h"
#include "runtime/include/ds_hash.h"
#include "runtime/include/ds_kernel.h"
#include <cstddef>
#include <cstring>

namespace ds::artifact {

namespace {

// Beyond this much, weights would push code and data that refer to each other apart by more than 31 bits can say.
// Marked as large, they lie behind everything else (x86-64 psABI, large code model); 64-bit references alone point at
// them.
constexpr uint64_t largeWeights = 16 << 20;
constexpr uint64_t pageSize = 4096;
constexpr Elf64_Xword x86LargeFlag = 0x10000000; // SHF_X86_64_LARGE

class Embedder {
public:
  Embedder(int descriptor, Variants variants, uint64_t codeId, const std::string &symbol)
      : descriptor(descriptor), variants(variants), program(variants.front()), codeId(codeId), symbol(symbol) {}
  std::string run();

private:
  std::string readSymbols();
  std::string writeData(Output &out);
  std::string writeDescriptor(Output &out);
  std::string renumber();

  uint32_t addSection(Elf64_Shdr section, Elf64_Xword flags) {
    section.sh_flags = flags;
    file.sections.push_back(section);
    return uint32_t(file.sections.size() - 1);
  }
  uint32_t sectionSymbol(uint32_t section) {
    Elf64_Sym s = {};
    s.st_info = ELF64_ST_INFO(STB_LOCAL, STT_SECTION);
    s.st_shndx = Elf64_Half(section);
    locals.push_back(s);
    return uint32_t(locals.size() - 1);
  }

  int descriptor;
  Variants variants;
  const Program &program; // the first variant, which has the weights
  uint64_t codeId;
  const std::string &symbol;
  ElfFile file;
  uint32_t symbolTable = 0;
  std::vector<Elf64_Sym> oldSymbols, locals, globals;
  std::string symbolNames;
  std::vector<uint32_t> newNumber; // of each old symbol: among locals, or among globals with the top bit set
  uint32_t codeSymbol = 0, metadataSymbol = 0, weightsSymbol = 0, descriptorSection = 0;
  uint64_t metadataSize = 0, weightsSize = 0;
  static constexpr uint32_t isGlobal = 1u << 31;
};

std::string Embedder::readSymbols() {
  for (uint32_t i = 0; i < file.sections.size(); ++i) {
    if (file.sections[i].sh_type == SHT_SYMTAB_SHNDX)
      return "the linker wrote too many sections";
    if (file.sections[i].sh_type == SHT_SYMTAB)
      symbolTable = i;
  }
  if (!symbolTable)
    return "the linker wrote no symbols";
  const Elf64_Shdr &table = file.sections[symbolTable];
  if (table.sh_size > file.size || table.sh_link >= file.sections.size() ||
      file.sections[table.sh_link].sh_size > file.size)
    return "the linker's symbols cannot be read";
  const Elf64_Shdr &texts = file.sections[table.sh_link];
  oldSymbols.resize(table.sh_size / sizeof(Elf64_Sym));
  symbolNames.resize(texts.sh_size);
  if (!readExactly(descriptor, oldSymbols.data(), oldSymbols.size() * sizeof(Elf64_Sym), table.sh_offset) ||
      !readExactly(descriptor, symbolNames.data(), symbolNames.size(), texts.sh_offset))
    return "the linker's symbols cannot be read";

  for (Elf64_Sym s : oldSymbols) {
    const bool stays = ELF64_ST_BIND(s.st_info) != STB_LOCAL && s.st_shndx == SHN_UNDEF;
    if (s.st_name < symbolNames.size() && s.st_shndx != SHN_UNDEF &&
        !strcmp(symbolNames.c_str() + s.st_name, DS_PROGRAM_SYMBOL))
      codeSymbol = uint32_t(locals.size());
    if (stays) {
      newNumber.push_back(uint32_t(globals.size()) | isGlobal);
      globals.push_back(s);
      continue;
    }
    s.st_info = ELF64_ST_INFO(STB_LOCAL, ELF64_ST_TYPE(s.st_info));
    s.st_other = STV_DEFAULT;
    newNumber.push_back(uint32_t(locals.size()));
    locals.push_back(s);
  }
  return codeSymbol ? "" : "the code defines no " DS_PROGRAM_SYMBOL;
}

std::string Embedder::writeData(Output &out) {
  uint64_t hash = ds_hash_bytes("", 0);
  if (program.weightsFile)
    hash = program.weightsFile->weightsHash;
  else
    layOutWeights(program, weightsSize);
  if (weightsSize) {
    const uint64_t alignment = weightsSize >= pageSize ? pageSize : DS_ARTIFACT_WEIGHT_ALIGNMENT;
    out.alignTo(alignment);
    const uint64_t at = out.at();
    if (std::string error = writeWeights(out, program, hash); !error.empty())
      return error;
    const bool isLarge = weightsSize > largeWeights && file.header.e_machine == EM_X86_64;
    weightsSymbol = sectionSymbol(
        addSection(file.section(isLarge ? ".lrodata.ds_weights" : ".rodata.ds_weights", at, weightsSize, alignment),
                   SHF_ALLOC | (isLarge ? x86LargeFlag : 0)));
  }
  std::string error;
  const std::vector<char> metadata = serializeMetadata(variants, codeId, hash, error);
  if (!error.empty())
    return "the program's description is inconsistent: " + error;
  metadataSize = metadata.size();
  out.alignTo(8);
  const uint64_t at = out.at();
  out.write(metadata.data(), metadata.size());
  metadataSymbol = sectionSymbol(addSection(file.section(".rodata.ds_meta", at, metadataSize, 8), SHF_ALLOC));
  return out.error();
}

std::string Embedder::writeDescriptor(Output &out) {
  Elf64_Xword pointer;
  switch (file.header.e_machine) {
  case EM_X86_64:
    pointer = R_X86_64_64;
    break;
  case EM_AARCH64:
    pointer = R_AARCH64_ABS64;
    break;
  default:
    return "object files are written for x86-64 and AArch64 alone";
  }
  ds_embedded_model description = {};
  description.version = DS_EMBEDDED_VERSION;
  description.metadata_size = metadataSize;
  description.weights_size = weightsSize;
  out.alignTo(8);
  // Pointers make it data that the dynamic linker writes to once.
  descriptorSection =
      addSection(file.section(".data.rel.ro.ds_model", out.at(), sizeof description, 8), SHF_ALLOC | SHF_WRITE);
  out.write(&description, sizeof description);

  std::vector<Elf64_Rela> relocations = {
      {offsetof(ds_embedded_model, code), ELF64_R_INFO(codeSymbol, pointer), 0},
      {offsetof(ds_embedded_model, metadata), ELF64_R_INFO(metadataSymbol, pointer), 0}};
  if (weightsSize)
    relocations.push_back({offsetof(ds_embedded_model, weights), ELF64_R_INFO(weightsSymbol, pointer), 0});
  const uint64_t size = relocations.size() * sizeof(Elf64_Rela);
  Elf64_Shdr section = file.section(".rela.data.rel.ro.ds_model", out.at(), size, 8);
  section.sh_type = SHT_RELA;
  section.sh_link = symbolTable;
  section.sh_info = descriptorSection;
  section.sh_entsize = sizeof(Elf64_Rela);
  addSection(section, SHF_INFO_LINK);
  out.write(relocations.data(), size);

  Elf64_Sym exported = {};
  exported.st_name = Elf64_Word(symbolNames.size());
  symbolNames.append(symbol).push_back('\0');
  exported.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT);
  exported.st_shndx = Elf64_Half(descriptorSection);
  exported.st_size = sizeof description;
  globals.push_back(exported);
  if (needsStrings(program)) { // for the linker of whoever takes the object to find
    Elf64_Sym wanted = {};
    wanted.st_name = Elf64_Word(symbolNames.size());
    symbolNames.append(stringsSymbol).push_back('\0');
    wanted.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE);
    globals.push_back(wanted);
  }
  return "";
}

/// Puts the new numbers of symbols into the linker's relocations and groups.
std::string Embedder::renumber() {
  auto number = [&](uint64_t old) -> uint32_t {
    const uint32_t n = old < newNumber.size() ? newNumber[old] : 0;
    return n & isGlobal ? uint32_t(locals.size()) + (n & ~isGlobal) : n;
  };
  for (uint32_t i = 0; i < file.header.e_shnum; ++i) {
    Elf64_Shdr &section = file.sections[i];
    if (section.sh_type == SHT_GROUP)
      section.sh_info = number(section.sh_info);
    if (section.sh_type == SHT_REL)
      return "the linker wrote relocations of an unexpected kind";
    if (section.sh_type != SHT_RELA)
      continue;
    std::vector<Elf64_Rela> relocations(section.sh_size / sizeof(Elf64_Rela));
    const uint64_t size = relocations.size() * sizeof(Elf64_Rela);
    if (section.sh_size > file.size || !readExactly(descriptor, relocations.data(), size, section.sh_offset))
      return "the linker's relocations cannot be read";
    for (Elf64_Rela &r : relocations)
      r.r_info = ELF64_R_INFO(uint64_t(number(ELF64_R_SYM(r.r_info))), ELF64_R_TYPE(r.r_info));
    Output in(descriptor, section.sh_offset);
    in.write(relocations.data(), size);
    if (!in.error().empty())
      return in.error();
  }
  return "";
}

std::string Embedder::run() {
  std::string error = file.read(descriptor, /*reserve=*/5);
  if (error.empty())
    error = readSymbols();
  Output out(descriptor, file.size);
  if (error.empty())
    error = writeData(out);
  if (error.empty())
    error = writeDescriptor(out);
  if (error.empty())
    error = renumber();
  if (!error.empty())
    return error;

  Elf64_Shdr &table = file.sections[symbolTable];
  out.alignTo(8);
  table.sh_offset = out.at();
  table.sh_info = Elf64_Word(locals.size());
  table.sh_size = (locals.size() + globals.size()) * sizeof(Elf64_Sym);
  out.write(locals.data(), locals.size() * sizeof(Elf64_Sym));
  out.write(globals.data(), globals.size() * sizeof(Elf64_Sym));
  Elf64_Shdr &texts = file.sections[table.sh_link];
  // Names of sections may live in the same table; then `finish` writes it, and it must hold both.
  if (table.sh_link == file.header.e_shstrndx)
    return "the linker keeps names of sections and symbols together";
  texts.sh_offset = out.at();
  texts.sh_size = symbolNames.size();
  out.write(symbolNames.data(), symbolNames.size());
  return file.finish(descriptor, out);
}

} // namespace

std::string embedProgram(int descriptor, Variants variants, uint64_t codeId, const std::string &symbol) {
  return Embedder(descriptor, variants, codeId, symbol).run();
}

std::string embeddedSymbol(const std::string &outputPath) {
  const size_t slash = outputPath.rfind('/');
  std::string stem = slash == std::string::npos ? outputPath : outputPath.substr(slash + 1);
  stem = stem.substr(0, stem.rfind('.'));
  std::string name = DS_EMBEDDED_PREFIX;
  for (char c : stem) {
    const bool isKept = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    name += isKept ? c : '_';
  }
  return name;
}

} // namespace ds::artifact
