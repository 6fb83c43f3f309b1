// A texel fetch becomes a load from a storage buffer that holds an array of texels:
//
//   %image = OpLoad %type %variable        (nothing)
//   %t = OpImageFetch %v4 %image %i    ->  %p = OpAccessChain %ptr %variable %zero %i
//                                          %t = OpLoad %v4 %p
//
// and a write a store. The variable keeps its id, and with it its decorations and its
// place in the entry points' interfaces.

#include "rewrite.h"

#include <algorithm>
#include <initializer_list>
#include <set>
#include <tuple>

namespace smartmem {
namespace {

using spirv::Instruction;

const char kStorageBufferExtension[] = "SPV_KHR_storage_buffer_storage_class";

class Rewriter {
 public:
  Rewriter(const Words& words, const Rewrite& changes) : words_(words), changes_(changes) {
    bound_ = words[spirv::kBoundWord];
    for (const BoundVariable& v : changes.to_buffers) variables_[v.id] = {&v};
  }

  std::string run(Words& out) {
    read();
    if (!changes_.to_buffers.empty()) declare();
    emit();
    if (!refusal_.empty()) return refusal_;
    assemble(out);
    return "";
  }

 private:
  struct Target {
    const BoundVariable* variable = nullptr;
    uint32_t element = 0;          // type of a texel in the buffer
    uint32_t element_pointer = 0;  // pointer to it
  };

  static bool is_global(const Instruction& i) {
    return i.is_type() || i.opcode() == spirv::kOpVariable ||
           (i.opcode() >= 41 && i.opcode() <= 52);  // OpConstantTrue to OpSpecConstantOp
  }

  void read() {
    bool in_function = false;
    spirv::for_each(words_, [&](const Instruction& i) {
      in_function |= i.opcode() == spirv::kOpFunction;
      if (i.is_type()) types_.insert(i[1]);
      else if (i.length() >= 3 && types_.count(i[1])) value_types_[i[2]] = i[1];
      if (i.opcode() == spirv::kOpExtension) {
        has_extension_ |= spirv::string_at(i, 1) == kStorageBufferExtension;
      }
      if (!in_function && is_global(i)) globals_.push_back(i);
    });
    has_extension_ |= words_[1] >= 0x00010300;  // part of SPIR-V 1.3
  }

  static void put(Words& out, uint16_t opcode, std::initializer_list<uint32_t> operands) {
    out.push_back(static_cast<uint32_t>(operands.size() + 1) << 16 | opcode);
    out.insert(out.end(), operands);
  }

  // The type or constant `opcode [type] id operands`: declared once, as SPIR-V asks for.
  uint32_t declared(uint16_t opcode, uint32_t type, std::initializer_list<uint32_t> operands) {
    const uint32_t id_word = type ? 2 : 1;
    for (const Instruction& i : globals_) {
      if (i.opcode() != opcode || i.length() != id_word + 1 + operands.size()) continue;
      if (type && i[1] != type) continue;
      if (std::equal(operands.begin(), operands.end(), i.words + id_word + 1)) {
        return i[id_word];
      }
    }
    const Key key{opcode, type, Words(operands)};
    const auto made = made_.find(key);
    if (made != made_.end()) return made->second;
    const uint32_t id = bound_++;
    types_.insert(id);
    Words instruction{static_cast<uint32_t>(id_word + 1 + operands.size()) << 16 | opcode};
    if (type) instruction.push_back(type);
    instruction.push_back(id);
    instruction.insert(instruction.end(), operands);
    new_globals_.insert(new_globals_.end(), instruction.begin(), instruction.end());
    return made_[key] = id;
  }

  uint32_t scalar_type(Scalar scalar) {
    if (scalar == Scalar::kFloat) return declared(spirv::kOpTypeFloat, 0, {32});
    return declared(spirv::kOpTypeInt, 0, {32, scalar == Scalar::kInt ? 1u : 0u});
  }

  uint32_t vector_type(uint32_t scalar, uint32_t components) {
    return components == 1 ? scalar : declared(spirv::kOpTypeVector, 0, {scalar, components});
  }

  void declare() {
    uint_ = scalar_type(Scalar::kUint);
    zero_ = declared(spirv::kOpConstant, uint_, {0});
    for (auto& [id, target] : variables_) declare_buffer(id, target);
  }

  void declare_buffer(uint32_t id, Target& target) {
    const TexelFormat& format = *target.variable->format;
    target.element = vector_type(scalar_type(format.scalar), format.components);
    const uint32_t array = bound_++, block = bound_++;
    put(new_globals_, spirv::kOpTypeRuntimeArray, {array, target.element});
    put(new_globals_, spirv::kOpTypeStruct, {block, array});
    put(annotations_, spirv::kOpDecorate, {array, spirv::kArrayStride, format.bytes()});
    put(annotations_, spirv::kOpDecorate, {block, spirv::kBlock});
    put(annotations_, spirv::kOpMemberDecorate, {block, 0, spirv::kOffset, 0});
    // Another variable may show the same range.
    put(annotations_, spirv::kOpDecorate, {id, spirv::kAliased});
    const uint32_t storage = spirv::kStorageBuffer;
    const uint32_t pointer = declared(spirv::kOpTypePointer, 0, {storage, block});
    target.element_pointer = declared(spirv::kOpTypePointer, 0, {storage, target.element});
    put(new_globals_, spirv::kOpVariable, {pointer, id, storage});
  }

  void refuse(const std::string& why) {
    if (refusal_.empty()) refusal_ = why;
  }

  void emit() {
    spirv::for_each(words_, [&](const Instruction& i) {
      if (!in_functions_) place(i);
      if (i.opcode() == spirv::kOpFunction) in_functions_ = true;
      Words& section = in_functions_ ? functions_ : seen_global_ ? globals_out_ : head_;
      change(i, section);
    });
  }

  // Where the sections of a module end, new instructions are put.
  void place(const Instruction& i) {
    if (!has_extension_ && !changes_.to_buffers.empty() &&
        (i.opcode() == spirv::kOpExtInstImport || i.opcode() == spirv::kOpMemoryModel)) {
      const auto* text = reinterpret_cast<const unsigned char*>(kStorageBufferExtension);
      const uint32_t size = sizeof(kStorageBufferExtension);
      Words operands((size + 3) / 4, 0);
      for (uint32_t c = 0; c < size; ++c) operands[c / 4] |= uint32_t{text[c]} << (c % 4 * 8);
      head_.push_back(static_cast<uint32_t>(operands.size() + 1) << 16 | spirv::kOpExtension);
      head_.insert(head_.end(), operands.begin(), operands.end());
      has_extension_ = true;
    }
    seen_global_ |= is_global(i);
  }

  void change(const Instruction& i, Words& out) {
    const auto is_target = [&](uint32_t id) { return variables_.count(id) != 0; };
    const auto opcode = i.opcode();
    if (opcode == spirv::kOpDecorate && i.length() == 4 && i[2] == spirv::kBinding) {
      const auto binding = changes_.bindings.find(i[1]);
      const uint32_t number = binding == changes_.bindings.end() ? i[3] : binding->second;
      return put(out, opcode, {i[1], i[2], number});
    }
    if (opcode == spirv::kOpDecorate && i[2] == spirv::kAliased && is_target(i[1])) return;
    if (opcode == spirv::kOpVariable && is_target(i[2])) return;
    if (opcode == spirv::kOpLoad && is_target(i[3])) {
      images_[i[2]] = i[3];
      return;
    }
    if (opcode == spirv::kOpImageFetch || opcode == spirv::kOpImageRead) {
      const auto image = images_.find(i[3]);
      if (image != images_.end()) return read_texel(i, image->second, out);
    }
    if (opcode == spirv::kOpImageWrite) {
      const auto image = images_.find(i[1]);
      if (image != images_.end()) return write_texel(i, image->second, out);
    }
    if (in_functions_) check_other_use(i);
    out.insert(out.end(), i.words, i.words + i.length());
  }

  // Refuses instructions that use an image-backed variable in a way not known above.
  void check_other_use(const Instruction& i) {
    const auto opcode = i.opcode();
    const bool takes_values =
        (opcode >= spirv::kOpSampledImage && opcode <= spirv::kOpImageQuerySamples) ||
        (opcode >= spirv::kOpImageTexelPointer && opcode <= spirv::kOpAccessChain) ||
        opcode == spirv::kOpFunctionCall || opcode == spirv::kOpCopyObject ||
        opcode == spirv::kOpSelect || opcode == spirv::kOpPhi ||
        opcode == spirv::kOpReturnValue;
    if (!takes_values) return;
    for (uint32_t w = 1; w < i.length(); ++w) {
      if (variables_.count(i[w]) || images_.count(i[w])) {
        refuse("instruction " + std::to_string(opcode) + " uses an image-backed binding");
      }
    }
  }

  // The place in the array of texels that a coordinate means.
  uint32_t index_of(uint32_t coordinate, const BoundVariable& variable, Words& out) {
    if (!variable.is_2d) return coordinate;
    const auto type = value_types_.find(coordinate);
    uint32_t scalar = 0;
    for (const Instruction& g : globals_) {
      if (type != value_types_.end() && g.opcode() == spirv::kOpTypeVector &&
          g[1] == type->second) {
        scalar = g[2];
      }
    }
    if (!scalar) {
      refuse("a coordinate is not a vector");
      return coordinate;
    }
    const uint32_t row = declared(spirv::kOpConstant, scalar, {variable.row});
    const uint32_t x = bound_++, y = bound_++, start = bound_++, index = bound_++;
    put(out, spirv::kOpCompositeExtract, {scalar, x, coordinate, 0});
    put(out, spirv::kOpCompositeExtract, {scalar, y, coordinate, 1});
    put(out, spirv::kOpIMul, {scalar, start, y, row});
    put(out, spirv::kOpIAdd, {scalar, index, start, x});
    return index;
  }

  uint32_t pointer_to(const Target& target, uint32_t coordinate, Words& out) {
    const uint32_t index = index_of(coordinate, *target.variable, out);
    const uint32_t pointer = bound_++;
    put(out, spirv::kOpAccessChain,
        {target.element_pointer, pointer, target.variable->id, zero_, index});
    return pointer;
  }

  void read_texel(const Instruction& i, uint32_t variable, Words& out) {
    const Target& target = variables_[variable];
    const TexelFormat& format = *target.variable->format;
    const uint32_t pointer = pointer_to(target, i[4], out);
    if (format.components == 4) {
      if (i[1] != target.element) refuse("a texel is read as another type than its format's");
      return put(out, spirv::kOpLoad, {i[1], i[2], pointer});
    }
    // Vulkan reads missing components as (0, 0, 1).
    const uint32_t scalar = scalar_type(format.scalar), texel = bound_++;
    const uint32_t zero = declared(spirv::kOpConstant, scalar, {0});
    const uint32_t one_bits = format.scalar == Scalar::kFloat ? 0x3F800000u : 1u;
    const uint32_t one = declared(spirv::kOpConstant, scalar, {one_bits});
    put(out, spirv::kOpLoad, {target.element, texel, pointer});
    if (format.components == 2) {
      return put(out, spirv::kOpCompositeConstruct, {i[1], i[2], texel, zero, one});
    }
    put(out, spirv::kOpCompositeConstruct, {i[1], i[2], texel, zero, zero, one});
  }

  void write_texel(const Instruction& i, uint32_t variable, Words& out) {
    const Target& target = variables_[variable];
    const uint32_t pointer = pointer_to(target, i[2], out);
    uint32_t value = i[3];
    const auto type = value_types_.find(value);
    if (type == value_types_.end()) return refuse("the type of a written texel is not known");
    if (type->second != target.element) {
      // A vector of four, of which the format has the first components.
      const uint32_t cut = bound_++;
      if (target.variable->format->components == 1) {
        put(out, spirv::kOpCompositeExtract, {target.element, cut, value, 0});
      } else if (target.variable->format->components == 2) {
        put(out, spirv::kOpVectorShuffle, {target.element, cut, value, value, 0, 1});
      } else {
        return refuse("a texel is written as another type than its format's");
      }
      value = cut;
    }
    put(out, spirv::kOpStore, {pointer, value});
  }

  void assemble(Words& out) {
    out.assign(words_.begin(), words_.begin() + spirv::kHeaderWords);
    out[spirv::kBoundWord] = bound_;
    for (const Words* part :
         {&head_, &annotations_, &globals_out_, &new_globals_, &functions_}) {
      out.insert(out.end(), part->begin(), part->end());
    }
  }

  using Key = std::tuple<uint16_t, uint32_t, Words>;

  const Words& words_;
  const Rewrite& changes_;
  uint32_t bound_ = 0;
  uint32_t uint_ = 0, zero_ = 0;
  bool has_extension_ = false, seen_global_ = false, in_functions_ = false;
  std::string refusal_;
  std::map<uint32_t, Target> variables_;
  std::map<uint32_t, uint32_t> images_;  // loaded image -> variable
  std::set<uint32_t> types_;
  std::map<uint32_t, uint32_t> value_types_;
  std::vector<Instruction> globals_;
  std::map<Key, uint32_t> made_;
  Words head_, annotations_, globals_out_, new_globals_, functions_;
};

}  // namespace

std::string rewrite(const Words& words, const Rewrite& changes, Words& out) {
  return Rewriter(words, changes).run(out);
}

}  // namespace smartmem
