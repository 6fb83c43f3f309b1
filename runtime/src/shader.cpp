#include "shader.h"

#include <algorithm>
#include <cstdlib>

namespace smartmem {

namespace spirv {

bool is_well_formed(const Words& words) {
  if (words.size() < kHeaderWords || words[0] != kMagic) return false;
  size_t at = kHeaderWords;
  while (at < words.size()) {
    const size_t length = words[at] >> 16;
    if (length == 0 || length > words.size() - at) return false;
    at += length;
  }
  return true;
}

std::string string_at(const Instruction& instruction, uint32_t first) {
  std::string text;
  for (uint32_t i = first; i < instruction.length(); ++i) {
    for (uint32_t shift = 0; shift < 32; shift += 8) {
      const char c = static_cast<char>(instruction[i] >> shift & 0xFF);
      if (c == 0) return text;
      text += c;
    }
  }
  return text;
}

}  // namespace spirv

namespace {

using spirv::Instruction;

struct ImageType {
  uint32_t sampled_type, dim, depth, arrayed, multisampled, sampled, format;
};

// What stands before the functions, and which ids each function names.
struct Declarations {
  std::map<uint32_t, std::string> names;
  std::map<uint32_t, uint32_t> sets, bindings;
  std::map<uint32_t, Scalar> scalars;
  std::map<uint32_t, ImageType> images;
  std::map<uint32_t, uint32_t> pointees;
  std::map<uint32_t, uint32_t> elements;                 // array type -> element type
  std::vector<std::pair<uint32_t, uint32_t>> variables;  // id, pointer type
  struct EntryPoint {
    uint32_t function;
    std::string name;
    std::vector<uint32_t> interface;
  };
  std::vector<EntryPoint> entry_points;
  std::map<uint32_t, std::set<uint32_t>> named_in;  // function -> words of its body
};

// Shortest forms of the instructions read below.
uint32_t least_length(uint16_t opcode) {
  switch (opcode) {
    case spirv::kOpName:
    case spirv::kOpTypeFloat:
    case spirv::kOpTypeArray:
    case spirv::kOpTypeRuntimeArray:
    case spirv::kOpDecorate:
      return 3;
    case spirv::kOpEntryPoint:
    case spirv::kOpTypeInt:
    case spirv::kOpTypePointer:
    case spirv::kOpVariable:
      return 4;
    case spirv::kOpFunction:
      return 5;
    case spirv::kOpTypeImage:
      return 9;
    default:
      return 1;
  }
}

void read_entry_point(const Instruction& i, Declarations& out) {
  Declarations::EntryPoint entry{i[2], spirv::string_at(i, 3), {}};
  for (uint32_t w = 3 + spirv::string_words(entry.name); w < i.length(); ++w) {
    entry.interface.push_back(i[w]);
  }
  out.entry_points.push_back(std::move(entry));
}

void read_decoration(const Instruction& i, Declarations& out) {
  if (i.length() < 4) return;
  if (i[2] == spirv::kDescriptorSet) out.sets[i[1]] = i[3];
  if (i[2] == spirv::kBinding) out.bindings[i[1]] = i[3];
}

void read_declaration(const Instruction& i, Declarations& out) {
  switch (i.opcode()) {
    case spirv::kOpName:
      out.names[i[1]] = spirv::string_at(i, 2);
      return;
    case spirv::kOpEntryPoint:
      return read_entry_point(i, out);
    case spirv::kOpDecorate:
      return read_decoration(i, out);
    case spirv::kOpTypeFloat:
      if (i[2] == 32) out.scalars[i[1]] = Scalar::kFloat;
      return;
    case spirv::kOpTypeInt:
      if (i[2] == 32) out.scalars[i[1]] = i[3] ? Scalar::kInt : Scalar::kUint;
      return;
    case spirv::kOpTypeImage:
      out.images[i[1]] = {i[2], i[3], i[4], i[5], i[6], i[7], i[8]};
      return;
    case spirv::kOpTypePointer:
      out.pointees[i[1]] = i[3];
      return;
    case spirv::kOpTypeArray:
    case spirv::kOpTypeRuntimeArray:
      out.elements[i[1]] = i[2];
      return;
    case spirv::kOpVariable:
      out.variables.emplace_back(i[2], i[1]);
      return;
    default:
      return;
  }
}

bool read_declarations(const Words& words, Declarations& out) {
  bool whole = true;
  uint32_t function = 0;
  spirv::for_each(words, [&](const Instruction& i) {
    if (i.length() < least_length(i.opcode())) {
      whole = false;
      return;
    }
    if (i.opcode() == spirv::kOpFunction) function = i[2];
    if (function == 0) return read_declaration(i, out);
    auto& named = out.named_in[function];
    named.insert(i.words + 1, i.words + i.length());
  });
  return whole;
}

// Variables that a function or those it calls name. A literal that equals an id counts as
// its use; that can only add one.
void collect_uses(const Declarations& from, uint32_t function, std::set<uint32_t>& seen,
                  std::set<uint32_t>& uses) {
  const auto body = from.named_in.find(function);
  if (body == from.named_in.end() || !seen.insert(function).second) return;
  for (const auto& [id, type] : from.variables) {
    if (body->second.count(id)) uses.insert(id);
  }
  for (const auto& other : from.named_in) {
    if (body->second.count(other.first)) collect_uses(from, other.first, seen, uses);
  }
}

std::set<uint32_t> uses_of(const Declarations& from, const Declarations::EntryPoint& entry) {
  // From SPIR-V 1.4 on the interface lists every variable; IREE writes such lists under
  // older version numbers, too.
  std::set<uint32_t> listed;
  for (uint32_t id : entry.interface) {
    if (from.bindings.count(id)) listed.insert(id);
  }
  if (!listed.empty()) return listed;
  std::set<uint32_t> seen, uses;
  collect_uses(from, entry.function, seen, uses);
  return uses;
}

// N of a name that ends with `_row<N>`, else the default.
uint32_t row_of(const std::string& name) {
  const size_t at = name.rfind("_row");
  if (at == std::string::npos || at + 4 == name.size()) return kDefaultRow;
  const std::string digits = name.substr(at + 4);
  if (digits.size() > 7 || digits.find_first_not_of("0123456789") != std::string::npos) {
    return kDefaultRow;
  }
  const auto row = static_cast<uint32_t>(std::strtoul(digits.c_str(), nullptr, 10));
  return row ? row : kDefaultRow;
}

// Fills in an image-backed variable; returns why it is refused, or an empty string.
std::string read_image(const Declarations& from, const ImageType& type, BoundVariable& out) {
  const auto scalar = from.scalars.find(type.sampled_type);
  if (scalar == from.scalars.end()) return "its texels are not 32 bits wide";
  if (type.depth == 1 || type.arrayed || type.multisampled) {
    return "it is a depth, arrayed or multisampled image";
  }
  if (type.dim != spirv::kBuffer && type.dim != spirv::k2D) return "it is not Buffer or 2D";
  if (type.sampled != 1 && type.sampled != 2) return "Sampled is neither 1 nor 2";
  out.format = find_format(type.format, scalar->second);
  if (!out.format) return "its Image Format " + std::to_string(type.format) + " is not known";
  out.is_image = true;
  out.is_2d = type.dim == spirv::k2D;
  out.is_storage = type.sampled == 2;
  const auto name = from.names.find(out.id);
  if (out.is_2d) out.row = row_of(name == from.names.end() ? "" : name->second);
  return "";
}

void read_variable(const Declarations& from, uint32_t id, uint32_t pointer, Shader& out) {
  const auto set = from.sets.find(id), binding = from.bindings.find(id);
  const auto pointee = from.pointees.find(pointer);
  if (binding == from.bindings.end() || pointee == from.pointees.end()) return;
  BoundVariable variable;
  variable.id = id;
  variable.set = set == from.sets.end() ? 0 : set->second;
  variable.binding = binding->second;
  const auto element = from.elements.find(pointee->second);
  if (element != from.elements.end() && from.images.count(element->second)) {
    variable.is_image = true;
    out.refusal = "it has an array of image-backed bindings";
  }
  const auto image = from.images.find(pointee->second);
  if (image != from.images.end()) {
    const std::string why = read_image(from, image->second, variable);
    if (!why.empty() && out.refusal.empty()) {
      out.refusal = "binding (" + std::to_string(variable.set) + ", " +
                    std::to_string(variable.binding) + "): " + why;
    }
    variable.is_image = true;
  }
  out.variables.push_back(variable);
}

}  // namespace

std::vector<BoundVariable> Shader::used_by(const std::string& entry_point) const {
  std::vector<BoundVariable> used;
  const auto ids = uses.find(entry_point);
  if (ids == uses.end()) return used;
  std::copy_if(variables.begin(), variables.end(), std::back_inserter(used),
               [&](const BoundVariable& v) { return ids->second.count(v.id) != 0; });
  return used;
}

std::shared_ptr<Shader> reflect(const uint32_t* code, size_t bytes) {
  auto shader = std::make_shared<Shader>();
  shader->words.assign(code, code + bytes / 4);
  Declarations declarations;
  if (!spirv::is_well_formed(shader->words) ||
      !read_declarations(shader->words, declarations)) {
    return nullptr;
  }
  for (const auto& [id, pointer] : declarations.variables) {
    read_variable(declarations, id, pointer, *shader);
  }
  const auto is_image = [](const BoundVariable& v) { return v.is_image; };
  if (std::none_of(shader->variables.begin(), shader->variables.end(), is_image)) {
    return nullptr;
  }
  for (const auto& entry : declarations.entry_points) {
    shader->uses[entry.name] = uses_of(declarations, entry);
  }
  return shader;
}

}  // namespace smartmem
