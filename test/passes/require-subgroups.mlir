// RUN: smartmem-opt --smartmem-require-subgroups='size=32' %s | FileCheck %s
// RUN: smartmem-opt --smartmem-require-subgroups='size=32' --smartmem-remarks %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// A sum over a subgroup needs its size. What each thread computes alone does not.

// CHECK: spirv.func @sum() "None" attributes {spirv.entry_point_abi = #spirv.entry_point_abi<subgroup_size = 32>}
// CHECK: spirv.func @alone() "None" {
// REMARK: spirv.func applied: sum needs subgroups of 32
// REMARK-NOT: alone

hal.executable private @sum {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @sum ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c1 = arith.constant 1 : index
      hal.return %c1, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.3, [Shader, GroupNonUniformArithmetic], []> {
        spirv.func @sum() "None" {
          %one = spirv.Constant 1.0 : f32
          %sum = spirv.GroupNonUniformFAdd <Subgroup> <Reduce> %one : f32 -> f32
          spirv.Return
        }
        spirv.EntryPoint "GLCompute" @sum
        spirv.ExecutionMode @sum "LocalSize", 32, 1, 1
      }
    }
  }
}

hal.executable private @alone {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @alone ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c1 = arith.constant 1 : index
      hal.return %c1, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.3, [Shader], []> {
        spirv.func @alone() "None" {
          %one = spirv.Constant 1.0 : f32
          %sum = spirv.FAdd %one, %one : f32
          spirv.Return
        }
        spirv.EntryPoint "GLCompute" @alone
        spirv.ExecutionMode @alone "LocalSize", 32, 1, 1
      }
    }
  }
}
