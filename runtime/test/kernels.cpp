#include "kernels.h"

#include <gtest/gtest.h>

#include <spirv-tools/libspirv.hpp>
#include <sstream>

namespace smartmem::test {
namespace {

const char kHead[] = R"(
OpCapability Shader
OpCapability SampledBuffer
OpCapability ImageBuffer
OpCapability StorageImageExtendedFormats
OpExtension "SPV_KHR_storage_buffer_storage_class"
OpMemoryModel Logical GLSL450
)";

const char kTypes[] = R"(
%void = OpTypeVoid
%function = OpTypeFunction %void
%f = OpTypeFloat 32
%u = OpTypeInt 32 0
%i = OpTypeInt 32 1
%v4f = OpTypeVector %f 4
%v4u = OpTypeVector %u 4
%v4i = OpTypeVector %i 4
%v2f = OpTypeVector %f 2
%v2u = OpTypeVector %u 2
%v2i = OpTypeVector %i 2
%v3u = OpTypeVector %u 3
%pv3u = OpTypePointer Input %v3u
%gid = OpVariable %pv3u Input
%zero = OpConstant %u 0
%four = OpConstant %u 4
%push_struct = OpTypeStruct %u
%ppush = OpTypePointer PushConstant %push_struct
%pu = OpTypePointer PushConstant %u
%push = OpVariable %ppush PushConstant
)";

const char kStart[] = R"(
%main = OpFunction %void None %function
%label = OpLabel
%g = OpLoad %v3u %gid
%n = OpCompositeExtract %u %g 0
%shift_pointer = OpAccessChain %pu %push %zero
%shift = OpLoad %u %shift_pointer
)";

const char kEnd[] = "OpReturn\nOpFunctionEnd\n";

// Collects the parts of a module for its bindings.
class Builder {
 public:
  explicit Builder(Element element) : element_(element) {
    const std::string s(1, element.scalar);
    scalar_ = "%" + s;
    texel_ = "%v4" + s;
    type_ = element.components == 1 ? scalar_ : "%v" + std::to_string(element.components) + s;
  }

  void declare(const std::string& name, uint32_t binding, const Side& side, bool writes) {
    interface_ += " %" + name;
    std::string suffix;
    if (side.shown == Shown::kImage && side.row) suffix = "_row" + std::to_string(side.row);
    names_ << "OpName %" << name << " \"" << name << suffix << "\"\n";
    decorations_ << "OpDecorate %" << name << " DescriptorSet 0\n"
                 << "OpDecorate %" << name << " Binding " << binding << "\n";
    if (side.shown == Shown::kBuffer) return declare_buffer(name);
    const char* dim = side.shown == Shown::kTexels ? "Buffer" : "2D";
    types_ << "%" << name << "_t = OpTypeImage " << scalar_ << " " << dim << " 2 0 0 "
           << (writes ? 2 : 1) << " " << (side.unknown_format ? "Unknown" : format()) << "\n"
           << "%" << name << "_p = OpTypePointer UniformConstant %" << name << "_t\n"
           << "%" << name << " = OpVariable %" << name << "_p UniformConstant\n";
  }

  // The value at texel `index`.
  std::string read(const std::string& name, const Side& side, bool storage,
                   const std::string& index) {
    const std::string value = "%" + fresh();
    if (side.shown == Shown::kBuffer) {
      const std::string pointer = chain(name, index);
      body_ << value << " = OpLoad " << type_ << " " << pointer << "\n";
      return value;
    }
    const std::string image = "%" + fresh(), texel = "%" + fresh();
    const std::string at = coordinate(side, index);
    body_ << image << " = OpLoad %" << name << "_t %" << name << "\n"
          << texel << " = " << (storage ? "OpImageRead " : "OpImageFetch ") << texel_ << " "
          << image << " " << at << (side.shown == Shown::kImage && !storage ? " Lod %zero" : "")
          << "\n";
    if (element_.components == 4) return texel;
    body_ << value << " = "
          << (element_.components == 1
                  ? "OpCompositeExtract " + type_ + " " + texel + " 0"
                  : "OpVectorShuffle " + type_ + " " + texel + " " + texel + " 0 1")
          << "\n";
    return value;
  }

  void write(const std::string& name, const Side& side, const std::string& index,
             const std::string& value) {
    if (side.shown == Shown::kBuffer) {
      const std::string pointer = chain(name, index);
      body_ << "OpStore " << pointer << " " << value << "\n";
      return;
    }
    const std::string image = "%" + fresh(), at = coordinate(side, index);
    std::string texel = value;
    if (element_.components != 4) {
      texel = "%" + fresh();
      body_ << texel << " = OpCompositeConstruct " << texel_;
      for (uint32_t i = 0; i < 4; i += element_.components) body_ << " " << value;
      body_ << "\n";
    }
    body_ << image << " = OpLoad %" << name << "_t %" << name << "\n"
          << "OpImageWrite " << image << " " << at << " " << texel << "\n";
  }

  std::string add(const std::string& a, const std::string& b) {
    return binary(element_.scalar == 'f' ? "OpFAdd" : "OpIAdd", type_, a, b);
  }

  std::string binary(const std::string& op, const std::string& type, const std::string& a,
                     const std::string& b) {
    const std::string sum = "%" + fresh();
    body_ << sum << " = " << op << " " << type << " " << a << " " << b << "\n";
    return sum;
  }

  void line(const std::string& text) { body_ << text << "\n"; }

  std::string module() const {
    return std::string(kHead) + "OpEntryPoint GLCompute %main \"main\" %gid %push" +
           interface_ + "\nOpExecutionMode %main LocalSize 1 1 1\n" + names_.str() +
           "OpDecorate %gid BuiltIn WorkgroupId\nOpDecorate %push_struct Block\n"
           "OpMemberDecorate %push_struct 0 Offset 0\n" +
           decorations_.str() + kTypes + types_.str() + kStart + body_.str() + kEnd;
  }

 private:
  std::string fresh() { return "t" + std::to_string(next_++); }

  std::string format() const {
    const std::string size = element_.components == 4   ? "Rgba32"
                             : element_.components == 2 ? "Rg32"
                                                        : "R32";
    return size + (element_.scalar == 'u' ? "ui" : std::string(1, element_.scalar));
  }

  void declare_buffer(const std::string& name) {
    decorations_ << "OpDecorate %" << name << "_a ArrayStride " << element_.components * 4
                 << "\nOpDecorate %" << name << "_s Block\nOpMemberDecorate %" << name
                 << "_s 0 Offset 0\n";
    types_ << "%" << name << "_a = OpTypeRuntimeArray " << type_ << "\n"
           << "%" << name << "_s = OpTypeStruct %" << name << "_a\n"
           << "%" << name << "_p = OpTypePointer StorageBuffer %" << name << "_s\n"
           << "%" << name << " = OpVariable %" << name << "_p StorageBuffer\n";
    if (has_element_pointer_) return;
    types_ << "%pe = OpTypePointer StorageBuffer " << type_ << "\n";
    has_element_pointer_ = true;
  }

  std::string chain(const std::string& name, const std::string& index) {
    const std::string pointer = "%" + fresh();
    body_ << pointer << " = OpAccessChain %pe %" << name << " %zero " << index << "\n";
    return pointer;
  }

  std::string coordinate(const Side& side, const std::string& index) {
    if (side.shown == Shown::kTexels) return index;
    const std::string row = "%" + fresh();
    types_ << row << " = OpConstant %u " << (side.row ? side.row : 4096) << "\n";
    const std::string x = binary("OpUMod", "%u", index, row);
    const std::string y = binary("OpUDiv", "%u", index, row);
    const std::string at = "%" + fresh();
    body_ << at << " = OpCompositeConstruct %v2u " << x << " " << y << "\n";
    return at;
  }

  Element element_;
  std::string scalar_, texel_, type_, interface_;
  std::ostringstream names_, decorations_, types_, body_;
  bool has_element_pointer_ = false;
  int next_ = 0;
};

}  // namespace

std::string doubling_kernel(Side in, Side out, Element element) {
  Builder builder(element);
  builder.declare("source", 0, in, false);
  builder.declare("target", 1, out, true);
  const std::string at = builder.binary("OpIAdd", "%u", "%n", "%shift");
  const std::string value = builder.read("source", in, false, at);
  builder.write("target", out, "%n", builder.add(value, value));
  return builder.module();
}

std::string in_place_kernel(Side side, Element element) {
  Builder builder(element);
  builder.declare("both", 0, side, true);
  const std::string value = builder.read("both", side, true, "%n");
  builder.write("both", side, "%n", builder.add(value, value));
  return builder.module();
}

std::string shared_binding_kernel(Shown a) {
  Builder builder({4, 'f'});
  const Side wide = {a, 0, false}, target = {};
  builder.declare("a", 0, wide, false);
  builder.declare("target", 1, target, true);
  std::string module;
  const std::string value = builder.read("a", wide, false, "%n");
  const std::string at = builder.binary("OpIMul", "%u", "%n", "%four");
  builder.line("%b_image = OpLoad %b_t %b");
  builder.line("%b_texel = OpImageFetch %v4f %b_image " + at);
  builder.line("%b_value = OpVectorShuffle %v4f %b_texel %b_texel 0 0 0 0");
  builder.write("target", target, "%n", builder.add(value, "%b_value"));
  module = builder.module();
  const auto insert = [&](const std::string& before, const std::string& text) {
    module.insert(module.find(before), text);
  };
  insert("OpDecorate %gid", "OpName %b \"b\"\n");
  insert("OpDecorate %gid", "OpDecorate %b DescriptorSet 0\nOpDecorate %b Binding 0\n");
  const size_t name = module.find("OpName %b \"b\"\n");  // names go before decorations
  module.erase(name, 14);
  insert("OpName", "OpName %b \"b\"\n");
  insert("\n%main = OpFunction",
         "%b_t = OpTypeImage %f Buffer 2 0 0 1 R32f\n"
         "%b_p = OpTypePointer UniformConstant %b_t\n"
         "%b = OpVariable %b_p UniformConstant\n");
  insert("\nOpExecutionMode", " %b");
  return module;
}

std::vector<uint32_t> assemble(const std::string& text) {
  spvtools::SpirvTools tools(SPV_ENV_UNIVERSAL_1_4);
  std::string message;
  tools.SetMessageConsumer(
      [&](spv_message_level_t, const char*, const spv_position_t& at, const char* what) {
        message += std::to_string(at.line) + ": " + what + "\n";
      });
  std::vector<uint32_t> words;
  EXPECT_TRUE(tools.Assemble(text, &words)) << message << text;
  return words;
}

std::string validate(const std::vector<uint32_t>& words) {
  spvtools::SpirvTools tools(SPV_ENV_VULKAN_1_2);
  std::string message;
  tools.SetMessageConsumer([&](spv_message_level_t, const char*, const spv_position_t&,
                               const char* what) { message += std::string(what) + "\n"; });
  const bool valid = tools.Validate(words);
  return valid ? "" : message.empty() ? "not valid" : message;
}

std::string disassemble(const std::vector<uint32_t>& words) {
  spvtools::SpirvTools tools(SPV_ENV_UNIVERSAL_1_4);
  std::string text;
  EXPECT_TRUE(tools.Disassemble(words, &text, SPV_BINARY_TO_TEXT_OPTION_NO_HEADER));
  return text;
}

}  // namespace smartmem::test
