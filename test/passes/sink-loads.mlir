// RUN: smartmem-opt --smartmem-sink-loads --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-sink-loads --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// Each operand is loaded where it is multiplied, and each product is added at once.

// CHECK-LABEL: spirv.func @sum
//       CHECK: %[[A:.*]] = spirv.Load "StorageBuffer"
//       CHECK: %[[PA:.*]] = spirv.FMul %[[A]], %[[A]]
//       CHECK: %[[I:.*]] = spirv.IAdd
//       CHECK: %[[P:.*]] = spirv.AccessChain %{{.*}}[%{{.*}}, %[[I]]]
//       CHECK: %[[B:.*]] = spirv.Load "StorageBuffer" %[[P]]
//       CHECK: %[[PB:.*]] = spirv.FMul %[[B]], %[[B]]
//       CHECK: %[[S:.*]] = spirv.FAdd %[[PA]], %[[PB]]
//       CHECK: %[[C:.*]] = spirv.Load "StorageBuffer"
//       CHECK: %[[PC:.*]] = spirv.FMul %[[C]], %[[C]]
//       CHECK: spirv.FAdd %[[S]], %[[PC]]
// REMARK: spirv.module applied: {{.*}} of sum stand where they are needed

hal.executable private @sum {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @sum ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c1 = arith.constant 1 : index
      hal.return %c1, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.0, [Shader], [SPV_KHR_storage_buffer_storage_class]> {
        spirv.GlobalVariable @in bind(0, 0) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
        spirv.GlobalVariable @out bind(0, 1) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
        spirv.func @sum() "None" {
          %c0 = spirv.Constant 0 : i32
          %c1 = spirv.Constant 1 : i32
          %c2 = spirv.Constant 2 : i32
          %in = spirv.mlir.addressof @in : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
          %out = spirv.mlir.addressof @out : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
          %i = spirv.IAdd %c1, %c1 : i32
          %pa = spirv.AccessChain %in[%c0, %c1] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<f32, StorageBuffer>
          %pb = spirv.AccessChain %in[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<f32, StorageBuffer>
          %pc = spirv.AccessChain %in[%c0, %c2] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<f32, StorageBuffer>
          %a = spirv.Load "StorageBuffer" %pa : f32
          %b = spirv.Load "StorageBuffer" %pb : f32
          %c = spirv.Load "StorageBuffer" %pc : f32
          %aa = spirv.FMul %a, %a : f32
          %bb = spirv.FMul %b, %b : f32
          %cc = spirv.FMul %c, %c : f32
          %ab = spirv.FAdd %aa, %bb : f32
          %abc = spirv.FAdd %ab, %cc : f32
          %po = spirv.AccessChain %out[%c0, %c0] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<f32, StorageBuffer>
          spirv.Store "StorageBuffer" %po, %abc : f32
          spirv.Return
        }
        spirv.EntryPoint "GLCompute" @sum
        spirv.ExecutionMode @sum "LocalSize", 1, 1, 1
      }
    }
  }
}

// -----
// What may be overwritten is loaded before; what is loaded behind stays there.

// CHECK-LABEL: spirv.func @swap
//       CHECK: %[[A:.*]] = spirv.Load "StorageBuffer" %[[PA:.*]] : f32
//       CHECK: %[[B:.*]] = spirv.Load "StorageBuffer" %[[PB:.*]] : f32
//       CHECK: spirv.Store "StorageBuffer" %[[PA]], %[[B]]
//       CHECK: spirv.Store "StorageBuffer" %[[PB]], %[[A]]
//       CHECK: %[[C:.*]] = spirv.Load "StorageBuffer" %[[PA]] : f32
//       CHECK: spirv.ControlBarrier
//       CHECK: spirv.Store "StorageBuffer" %[[PB]], %[[C]]

hal.executable private @swap {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @swap ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c1 = arith.constant 1 : index
      hal.return %c1, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.0, [Shader], [SPV_KHR_storage_buffer_storage_class]> {
        spirv.GlobalVariable @io bind(0, 0) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
        spirv.func @swap() "None" {
          %c0 = spirv.Constant 0 : i32
          %c1 = spirv.Constant 1 : i32
          %io = spirv.mlir.addressof @io : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
          %pa = spirv.AccessChain %io[%c0, %c0] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<f32, StorageBuffer>
          %pb = spirv.AccessChain %io[%c0, %c1] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<f32, StorageBuffer>
          %a = spirv.Load "StorageBuffer" %pa : f32
          %b = spirv.Load "StorageBuffer" %pb : f32
          spirv.Store "StorageBuffer" %pa, %b : f32
          spirv.Store "StorageBuffer" %pb, %a : f32
          %c = spirv.Load "StorageBuffer" %pa : f32
          spirv.ControlBarrier <Workgroup>, <Workgroup>, <AcquireRelease|WorkgroupMemory>
          spirv.Store "StorageBuffer" %pb, %c : f32
          spirv.Return
        }
        spirv.EntryPoint "GLCompute" @swap
        spirv.ExecutionMode @swap "LocalSize", 1, 1, 1
      }
    }
  }
}

// -----
// A sum of what loops compute: each is added as soon as it is there. Short loops may be unrolled.

// CHECK-LABEL: spirv.func @loops
//       CHECK: spirv.mlir.loop {
//       CHECK: spirv.Store "Function" %[[V1:.*]], %
//       CHECK: %[[R1:.*]] = spirv.Load "Function" %[[V1]]
//       CHECK: spirv.mlir.loop {
//       CHECK: spirv.Store "Function" %[[V2:.*]], %
//       CHECK: %[[R2:.*]] = spirv.Load "Function" %[[V2]]
//       CHECK: %[[S:.*]] = spirv.FAdd %[[R1]], %[[R2]]
//       CHECK: spirv.mlir.loop {
//       CHECK: spirv.Store "Function" %[[V0:.*]], %
//       CHECK: %[[R0:.*]] = spirv.Load "Function" %[[V0]]
//       CHECK: spirv.FAdd %[[R0]], %[[S]]

hal.executable private @loops {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @loops ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c1 = arith.constant 1 : index
      hal.return %c1, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.0, [Shader], [SPV_KHR_storage_buffer_storage_class]> {
        spirv.GlobalVariable @out bind(0, 0) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
        spirv.func @loops() "None" {
          %c0 = spirv.Constant 0 : i32
          %c1 = spirv.Constant 1 : i32
          %c9 = spirv.Constant 9 : i32
          %zero = spirv.Constant 0.0 : f32
          %one = spirv.Constant 1.0 : f32
          %out = spirv.mlir.addressof @out : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
          %v0 = spirv.Variable : !spirv.ptr<f32, Function>
          spirv.mlir.loop {
            spirv.Branch ^bb1(%c0, %zero : i32, f32)
          ^bb1(%i: i32, %s: f32):
            %go = spirv.SLessThan %i, %c9 : i32
            spirv.BranchConditional %go, ^bb2, ^bb3
          ^bb2:
            %t = spirv.FAdd %s, %one : f32
            spirv.Store "Function" %v0, %t : f32
            %n = spirv.IAdd %i, %c1 : i32
            spirv.Branch ^bb1(%n, %t : i32, f32)
          ^bb3:
            spirv.mlir.merge
          }
          %r0 = spirv.Load "Function" %v0 : f32
          %v1 = spirv.Variable : !spirv.ptr<f32, Function>
          spirv.mlir.loop {
            spirv.Branch ^bb1(%c0, %zero : i32, f32)
          ^bb1(%i: i32, %s: f32):
            %go = spirv.SLessThan %i, %c9 : i32
            spirv.BranchConditional %go, ^bb2, ^bb3
          ^bb2:
            %t = spirv.FAdd %s, %one : f32
            spirv.Store "Function" %v1, %t : f32
            %n = spirv.IAdd %i, %c1 : i32
            spirv.Branch ^bb1(%n, %t : i32, f32)
          ^bb3:
            spirv.mlir.merge
          }
          %r1 = spirv.Load "Function" %v1 : f32
          %v2 = spirv.Variable : !spirv.ptr<f32, Function>
          spirv.mlir.loop {
            spirv.Branch ^bb1(%c0, %zero : i32, f32)
          ^bb1(%i: i32, %s: f32):
            %go = spirv.SLessThan %i, %c9 : i32
            spirv.BranchConditional %go, ^bb2, ^bb3
          ^bb2:
            %t = spirv.FAdd %s, %one : f32
            spirv.Store "Function" %v2, %t : f32
            %n = spirv.IAdd %i, %c1 : i32
            spirv.Branch ^bb1(%n, %t : i32, f32)
          ^bb3:
            spirv.mlir.merge
          }
          %r2 = spirv.Load "Function" %v2 : f32
          %s12 = spirv.FAdd %r1, %r2 : f32
          %s012 = spirv.FAdd %r0, %s12 : f32
          %po = spirv.AccessChain %out[%c0, %c0] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<f32, StorageBuffer>
          spirv.Store "StorageBuffer" %po, %s012 : f32
          spirv.Return
        }
        spirv.EntryPoint "GLCompute" @loops
        spirv.ExecutionMode @loops "LocalSize", 1, 1, 1
      }
    }
  }
}

// -----
// 32 rounds of nine additions of vectors: longer than a driver is to unroll.

// CHECK-LABEL: spirv.func @long
//       CHECK: spirv.mlir.loop control(DontUnroll) {

hal.executable private @long {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @long ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c1 = arith.constant 1 : index
      hal.return %c1, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.0, [Shader], [SPV_KHR_storage_buffer_storage_class]> {
        spirv.func @long() "None" {
          %c0 = spirv.Constant 0 : i32
          %c1 = spirv.Constant 1 : i32
          %c32 = spirv.Constant 32 : i32
          %one = spirv.Constant dense<1.0> : vector<4xf32>
          %v = spirv.Variable : !spirv.ptr<vector<4xf32>, Function>
          spirv.mlir.loop {
            spirv.Branch ^bb1(%c0, %one : i32, vector<4xf32>)
          ^bb1(%i: i32, %s: vector<4xf32>):
            %go = spirv.SLessThan %i, %c32 : i32
            spirv.BranchConditional %go, ^bb2, ^bb3
          ^bb2:
            %t0 = spirv.FAdd %s, %one : vector<4xf32>
            %t1 = spirv.FAdd %t0, %one : vector<4xf32>
            %t2 = spirv.FAdd %t1, %one : vector<4xf32>
            %t3 = spirv.FAdd %t2, %one : vector<4xf32>
            %t4 = spirv.FAdd %t3, %one : vector<4xf32>
            %t5 = spirv.FAdd %t4, %one : vector<4xf32>
            %t6 = spirv.FAdd %t5, %one : vector<4xf32>
            %t7 = spirv.FAdd %t6, %one : vector<4xf32>
            %t8 = spirv.FAdd %t7, %one : vector<4xf32>
            spirv.Store "Function" %v, %t8 : vector<4xf32>
            %n = spirv.IAdd %i, %c1 : i32
            spirv.Branch ^bb1(%n, %t8 : i32, vector<4xf32>)
          ^bb3:
            spirv.mlir.merge
          }
          spirv.Return
        }
        spirv.EntryPoint "GLCompute" @long
        spirv.ExecutionMode @long "LocalSize", 1, 1, 1
      }
    }
  }
}
