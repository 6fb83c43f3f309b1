// RUN: smartmem-opt --smartmem-hoist-addresses %s | FileCheck %s
// RUN: smartmem-opt --smartmem-hoist-addresses --smartmem-remarks %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// What is the same in each round is computed in front of both loops, or of the inner one. What
// counts the rounds, loads, and divisions by what may be zero stay.

// CHECK-LABEL: spirv.func @nest
//       CHECK: %[[ROW:.*]] = spirv.IMul %[[X:.*]], %cst480_i32
//       CHECK: %[[HALF:.*]] = spirv.UDiv %[[ROW]], %cst2_i32
//   CHECK-NOT: spirv.UDiv
//       CHECK: spirv.mlir.loop {
//       CHECK: ^bb1(%[[I:.*]]: i32):
//       CHECK: %[[J:.*]] = spirv.IAdd %[[HALF]], %[[I]]
//       CHECK: spirv.mlir.loop {
//       CHECK: spirv.UDiv %[[ROW]], %[[X]]
//       CHECK: %[[K:.*]] = spirv.IAdd %[[J]], %
//       CHECK: spirv.AccessChain %{{.*}}[%{{.*}}, %[[K]]]
// REMARK: spirv.module applied: 3 operations of nest are computed once

hal.executable private @nest {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @nest ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c1 = arith.constant 1 : index
      hal.return %c1, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.0, [Shader], [SPV_KHR_storage_buffer_storage_class]> {
        spirv.GlobalVariable @id built_in("LocalInvocationId") : !spirv.ptr<vector<3xi32>, Input>
        spirv.GlobalVariable @out bind(0, 0) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<i32, stride=4> [0])>, StorageBuffer>
        spirv.func @nest() "None" {
          %cst0_i32 = spirv.Constant 0 : i32
          %cst1_i32 = spirv.Constant 1 : i32
          %cst2_i32 = spirv.Constant 2 : i32
          %cst9_i32 = spirv.Constant 9 : i32
          %cst480_i32 = spirv.Constant 480 : i32
          %id = spirv.mlir.addressof @id : !spirv.ptr<vector<3xi32>, Input>
          %out = spirv.mlir.addressof @out : !spirv.ptr<!spirv.struct<(!spirv.rtarray<i32, stride=4> [0])>, StorageBuffer>
          %ids = spirv.Load "Input" %id : vector<3xi32>
          %x = spirv.CompositeExtract %ids[0 : i32] : vector<3xi32>
          spirv.mlir.loop {
            spirv.Branch ^bb1(%cst0_i32 : i32)
          ^bb1(%i: i32):
            %go = spirv.SLessThan %i, %cst9_i32 : i32
            spirv.BranchConditional %go, ^bb2, ^bb3
          ^bb2:
            spirv.mlir.loop {
              spirv.Branch ^bb1(%cst0_i32 : i32)
            ^bb1(%j: i32):
              %more = spirv.SLessThan %j, %cst9_i32 : i32
              spirv.BranchConditional %more, ^bb2, ^bb3
            ^bb2:
              %row = spirv.IMul %x, %cst480_i32 : i32
              %half = spirv.UDiv %row, %cst2_i32 : i32
              %quotient = spirv.UDiv %row, %x : i32
              %at = spirv.IAdd %half, %i : i32
              %place = spirv.IAdd %at, %j : i32
              %p = spirv.AccessChain %out[%cst0_i32, %place] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<i32, stride=4> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<i32, StorageBuffer>
              spirv.Store "StorageBuffer" %p, %quotient : i32
              %next_j = spirv.IAdd %j, %cst1_i32 : i32
              spirv.Branch ^bb1(%next_j : i32)
            ^bb3:
              spirv.mlir.merge
            }
            %next_i = spirv.IAdd %i, %cst1_i32 : i32
            spirv.Branch ^bb1(%next_i : i32)
          ^bb3:
            spirv.mlir.merge
          }
          spirv.Return
        }
        spirv.EntryPoint "GLCompute" @nest
        spirv.ExecutionMode @nest "LocalSize", 1, 1, 1
      }
    }
  }
}
