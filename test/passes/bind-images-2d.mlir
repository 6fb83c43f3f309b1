// RUN: smartmem-opt --smartmem-bind-images='reads=image2d writes=image2d' --split-input-file %s | FileCheck %s

// Row and column as the tensor has them: 24 texels a row, without a division.

// CHECK-LABEL: spirv.module
//  CHECK-SAME: #spirv.vce<v1.4, [Shader], [
//       CHECK: @in_row24 bind(0, 0) : !spirv.ptr<!spirv.image<i32, Dim2D, NoDepth, NonArrayed, SingleSampled, NeedSampler, Rgba32ui>, UniformConstant>
//       CHECK: @out_row24 bind(0, 1) : {{.*}}NoSampler, Rgba32ui>
//       CHECK: %[[W:.*]] = spirv.CompositeExtract
//       CHECK: %[[T:.*]] = spirv.CompositeExtract
//   CHECK-NOT: spirv.UDiv
//   CHECK-NOT: spirv.UMod
//       CHECK: %[[AT:.*]] = spirv.CompositeConstruct %[[T]], %[[W]] : (i32, i32) -> vector<2xi32>
//       CHECK: spirv.ImageFetch %{{.*}}, %[[AT]] ["Lod"], %{{.*}}
//       CHECK: spirv.ImageWrite
//       CHECK: spirv.EntryPoint "GLCompute" @rows_kernel, @in_row24, @out_row24

hal.executable private @rows {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @rows_kernel ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c64 = arith.constant 64 : index
      %c1 = arith.constant 1 : index
      hal.return %c64, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.0, [Shader], [SPV_KHR_storage_buffer_storage_class]> {
          spirv.GlobalVariable @__builtin__WorkgroupId__ built_in("WorkgroupId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @__builtin__LocalInvocationId__ built_in("LocalInvocationId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @in bind(0, 0) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
          spirv.GlobalVariable @out bind(0, 1) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
          spirv.func @rows_kernel() "None" {
            %c0 = spirv.Constant 0 : i32
            %in = spirv.mlir.addressof @in : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
            %out = spirv.mlir.addressof @out : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
            %wa = spirv.mlir.addressof @__builtin__WorkgroupId__ : !spirv.ptr<vector<3xi32>, Input>
            %wv = spirv.Load "Input" %wa : vector<3xi32>
            %w = spirv.CompositeExtract %wv[0 : i32] : vector<3xi32>
            %ta = spirv.mlir.addressof @__builtin__LocalInvocationId__ : !spirv.ptr<vector<3xi32>, Input>
            %tv = spirv.Load "Input" %ta : vector<3xi32>
            %t = spirv.CompositeExtract %tv[0 : i32] : vector<3xi32>
            %c24 = spirv.Constant 24 : i32
            %j = spirv.IMul %w, %c24 : i32
            %i = spirv.IAdd %j, %t : i32
            %vp = spirv.AccessChain %in[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            %v = spirv.Load "StorageBuffer" %vp : vector<4xf32>
            %vq = spirv.AccessChain %out[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            spirv.Store "StorageBuffer" %vq, %v : vector<4xf32>
            spirv.Return
          }
          spirv.EntryPoint "GLCompute" @rows_kernel, @in, @out, @__builtin__LocalInvocationId__, @__builtin__WorkgroupId__
          spirv.ExecutionMode @rows_kernel "LocalSize", 24, 1, 1
      }
    }
  }
}
util.func public @call_rows(%given: !hal.buffer_view, %dynamic: index) {
  %b0 = arith.constant 0 : index
  %b24576 = arith.constant 24576 : index
  %b1048576 = arith.constant 1048576 : index
  %in = stream.tensor.import %given : !hal.buffer_view -> tensor<1048576xi8> in !stream.resource<external>{%b1048576}
  %own, %ready = stream.resource.alloca uninitialized : !stream.resource<transient>{%b1048576} => !stream.timepoint
  %done = stream.cmd.execute await(%ready) => with(%in as %given_in: !stream.resource<external>{%b1048576}, %own as %own_in: !stream.resource<transient>{%b1048576}) {
    stream.cmd.dispatch @rows::@vulkan::@rows_kernel {
      ro %given_in[%b0 for %b24576] : !stream.resource<external>{%b1048576},
      wo %own_in[%b0 for %b24576] : !stream.resource<transient>{%b1048576}
    }
  } => !stream.timepoint
  util.return
}

// -----

// An index that nothing is known of, in a small tensor: one row.

// CHECK-LABEL: spirv.module
//       CHECK: @in_row4096 bind(0, 0)
//       CHECK: %[[I:.*]] = spirv.IMul %[[X:.*]], %[[X]] : i32
//   CHECK-NOT: spirv.BitwiseAnd
//       CHECK: %[[ZERO:.*]] = spirv.Constant 0 : i32
//       CHECK: spirv.CompositeConstruct %[[I]], %[[ZERO]]

hal.executable private @small {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @small_kernel ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c64 = arith.constant 64 : index
      %c1 = arith.constant 1 : index
      hal.return %c64, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.0, [Shader], [SPV_KHR_storage_buffer_storage_class]> {
          spirv.GlobalVariable @__builtin__WorkgroupId__ built_in("WorkgroupId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @__builtin__LocalInvocationId__ built_in("LocalInvocationId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @in bind(0, 0) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
          spirv.GlobalVariable @out bind(0, 1) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
          spirv.func @small_kernel() "None" {
            %c0 = spirv.Constant 0 : i32
            %in = spirv.mlir.addressof @in : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
            %out = spirv.mlir.addressof @out : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
            %wa = spirv.mlir.addressof @__builtin__WorkgroupId__ : !spirv.ptr<vector<3xi32>, Input>
            %wv = spirv.Load "Input" %wa : vector<3xi32>
            %w = spirv.CompositeExtract %wv[0 : i32] : vector<3xi32>
            %ta = spirv.mlir.addressof @__builtin__LocalInvocationId__ : !spirv.ptr<vector<3xi32>, Input>
            %tv = spirv.Load "Input" %ta : vector<3xi32>
            %t = spirv.CompositeExtract %tv[0 : i32] : vector<3xi32>
            %i = spirv.IMul %w, %w : i32
            %vp = spirv.AccessChain %in[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            %v = spirv.Load "StorageBuffer" %vp : vector<4xf32>
            %vq = spirv.AccessChain %out[%c0, %t] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            spirv.Store "StorageBuffer" %vq, %v : vector<4xf32>
            spirv.Return
          }
          spirv.EntryPoint "GLCompute" @small_kernel, @in, @out, @__builtin__LocalInvocationId__, @__builtin__WorkgroupId__
          spirv.ExecutionMode @small_kernel "LocalSize", 4, 1, 1
      }
    }
  }
}
util.func public @call_small(%given: !hal.buffer_view, %dynamic: index) {
  %b0 = arith.constant 0 : index
  %b64 = arith.constant 64 : index
  %b65536 = arith.constant 65536 : index
  %b1048576 = arith.constant 1048576 : index
  %in = stream.tensor.import %given : !hal.buffer_view -> tensor<1048576xi8> in !stream.resource<external>{%b1048576}
  %own, %ready = stream.resource.alloca uninitialized : !stream.resource<transient>{%b1048576} => !stream.timepoint
  %done = stream.cmd.execute await(%ready) => with(%in as %given_in: !stream.resource<external>{%b1048576}, %own as %own_in: !stream.resource<transient>{%b1048576}) {
    stream.cmd.dispatch @small::@vulkan::@small_kernel {
      ro %given_in[%b0 for %b65536] : !stream.resource<external>{%b1048576},
      wo %own_in[%b0 for %b64] : !stream.resource<transient>{%b1048576}
    }
  } => !stream.timepoint
  util.return
}

// -----

// In a large one: rows of a power of two.

// CHECK-LABEL: spirv.module
//       CHECK: @in_row4096 bind(0, 0)
//       CHECK: %[[I:.*]] = spirv.IMul %[[X:.*]], %[[X]] : i32
//   CHECK-NOT: spirv.UDiv
//       CHECK: %[[COLUMN:.*]] = spirv.BitwiseAnd %[[I]]
//       CHECK: %[[ROW:.*]] = spirv.ShiftRightLogical %[[I]]
//       CHECK: spirv.CompositeConstruct %[[COLUMN]], %[[ROW]]

hal.executable private @large {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @large_kernel ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c64 = arith.constant 64 : index
      %c1 = arith.constant 1 : index
      hal.return %c64, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.0, [Shader], [SPV_KHR_storage_buffer_storage_class]> {
          spirv.GlobalVariable @__builtin__WorkgroupId__ built_in("WorkgroupId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @__builtin__LocalInvocationId__ built_in("LocalInvocationId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @in bind(0, 0) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
          spirv.GlobalVariable @out bind(0, 1) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
          spirv.func @large_kernel() "None" {
            %c0 = spirv.Constant 0 : i32
            %in = spirv.mlir.addressof @in : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
            %out = spirv.mlir.addressof @out : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
            %wa = spirv.mlir.addressof @__builtin__WorkgroupId__ : !spirv.ptr<vector<3xi32>, Input>
            %wv = spirv.Load "Input" %wa : vector<3xi32>
            %w = spirv.CompositeExtract %wv[0 : i32] : vector<3xi32>
            %ta = spirv.mlir.addressof @__builtin__LocalInvocationId__ : !spirv.ptr<vector<3xi32>, Input>
            %tv = spirv.Load "Input" %ta : vector<3xi32>
            %t = spirv.CompositeExtract %tv[0 : i32] : vector<3xi32>
            %i = spirv.IMul %w, %w : i32
            %vp = spirv.AccessChain %in[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            %v = spirv.Load "StorageBuffer" %vp : vector<4xf32>
            %vq = spirv.AccessChain %out[%c0, %t] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            spirv.Store "StorageBuffer" %vq, %v : vector<4xf32>
            spirv.Return
          }
          spirv.EntryPoint "GLCompute" @large_kernel, @in, @out, @__builtin__LocalInvocationId__, @__builtin__WorkgroupId__
          spirv.ExecutionMode @large_kernel "LocalSize", 4, 1, 1
      }
    }
  }
}
util.func public @call_large(%given: !hal.buffer_view, %dynamic: index) {
  %b0 = arith.constant 0 : index
  %b64 = arith.constant 64 : index
  %b131072 = arith.constant 131072 : index
  %b1048576 = arith.constant 1048576 : index
  %in = stream.tensor.import %given : !hal.buffer_view -> tensor<1048576xi8> in !stream.resource<external>{%b1048576}
  %own, %ready = stream.resource.alloca uninitialized : !stream.resource<transient>{%b1048576} => !stream.timepoint
  %done = stream.cmd.execute await(%ready) => with(%in as %given_in: !stream.resource<external>{%b1048576}, %own as %own_in: !stream.resource<transient>{%b1048576}) {
    stream.cmd.dispatch @large::@vulkan::@large_kernel {
      ro %given_in[%b0 for %b131072] : !stream.resource<external>{%b1048576},
      wo %own_in[%b0 for %b64] : !stream.resource<transient>{%b1048576}
    }
  } => !stream.timepoint
  util.return
}

// -----

// A loop's counter lies below the loop's end: it is the column.

// CHECK-LABEL: spirv.module
//       CHECK: @in_row16 bind(0, 0)
//       CHECK: ^bb1(%[[K:.*]]: i32):
//       CHECK: spirv.CompositeConstruct %[[K]], %{{.*}} : (i32, i32)

hal.executable private @loop {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @loop_kernel ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c64 = arith.constant 64 : index
      %c1 = arith.constant 1 : index
      hal.return %c64, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.0, [Shader], [SPV_KHR_storage_buffer_storage_class]> {
          spirv.GlobalVariable @__builtin__WorkgroupId__ built_in("WorkgroupId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @__builtin__LocalInvocationId__ built_in("LocalInvocationId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @in bind(0, 0) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
          spirv.GlobalVariable @out bind(0, 1) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
          spirv.func @loop_kernel() "None" {
            %c0 = spirv.Constant 0 : i32
            %in = spirv.mlir.addressof @in : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
            %out = spirv.mlir.addressof @out : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
            %wa = spirv.mlir.addressof @__builtin__WorkgroupId__ : !spirv.ptr<vector<3xi32>, Input>
            %wv = spirv.Load "Input" %wa : vector<3xi32>
            %w = spirv.CompositeExtract %wv[0 : i32] : vector<3xi32>
            %ta = spirv.mlir.addressof @__builtin__LocalInvocationId__ : !spirv.ptr<vector<3xi32>, Input>
            %tv = spirv.Load "Input" %ta : vector<3xi32>
            %t = spirv.CompositeExtract %tv[0 : i32] : vector<3xi32>
            %c16 = spirv.Constant 16 : i32
            %c1 = spirv.Constant 1 : i32
            %j = spirv.IMul %w, %c16 : i32
            spirv.mlir.loop {
              spirv.Branch ^bb1(%c0 : i32)
            ^bb1(%k: i32):
              %more = spirv.SLessThan %k, %c16 : i32
              spirv.BranchConditional %more, ^bb2, ^bb3
            ^bb2:
              %i = spirv.IAdd %j, %k : i32
            %vp = spirv.AccessChain %in[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            %v = spirv.Load "StorageBuffer" %vp : vector<4xf32>
            %vq = spirv.AccessChain %out[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            spirv.Store "StorageBuffer" %vq, %v : vector<4xf32>
              %next = spirv.IAdd %k, %c1 : i32
              spirv.Branch ^bb1(%next : i32)
            ^bb3:
              spirv.mlir.merge
            }
            spirv.Return
          }
          spirv.EntryPoint "GLCompute" @loop_kernel, @in, @out, @__builtin__LocalInvocationId__, @__builtin__WorkgroupId__
          spirv.ExecutionMode @loop_kernel "LocalSize", 4, 1, 1
      }
    }
  }
}
util.func public @call_loop(%given: !hal.buffer_view, %dynamic: index) {
  %b0 = arith.constant 0 : index
  %b16384 = arith.constant 16384 : index
  %b1048576 = arith.constant 1048576 : index
  %in = stream.tensor.import %given : !hal.buffer_view -> tensor<1048576xi8> in !stream.resource<external>{%b1048576}
  %own, %ready = stream.resource.alloca uninitialized : !stream.resource<transient>{%b1048576} => !stream.timepoint
  %done = stream.cmd.execute await(%ready) => with(%in as %given_in: !stream.resource<external>{%b1048576}, %own as %own_in: !stream.resource<transient>{%b1048576}) {
    stream.cmd.dispatch @loop::@vulkan::@loop_kernel {
      ro %given_in[%b0 for %b16384] : !stream.resource<external>{%b1048576},
      wo %own_in[%b0 for %b16384] : !stream.resource<transient>{%b1048576}
    }
  } => !stream.timepoint
  util.return
}

// -----

// One index of a small and a large tensor: that it lies in the small one says nothing of the
// other access.

// CHECK-LABEL: spirv.module
//       CHECK: %[[I:.*]] = spirv.IMul %[[X:.*]], %[[X]] : i32
//   CHECK-NOT: spirv.BitwiseAnd
//       CHECK: %[[ZERO:.*]] = spirv.Constant 0 : i32
//       CHECK: spirv.CompositeConstruct %[[I]], %[[ZERO]]
//       CHECK: %[[COLUMN:.*]] = spirv.BitwiseAnd %[[I]]
//       CHECK: %[[ROW:.*]] = spirv.ShiftRightLogical %[[I]]
//       CHECK: spirv.CompositeConstruct %[[COLUMN]], %[[ROW]]

hal.executable private @two_sizes {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @two_sizes_kernel ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c64 = arith.constant 64 : index
      %c1 = arith.constant 1 : index
      hal.return %c64, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.0, [Shader], [SPV_KHR_storage_buffer_storage_class]> {
          spirv.GlobalVariable @__builtin__WorkgroupId__ built_in("WorkgroupId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @__builtin__LocalInvocationId__ built_in("LocalInvocationId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @small bind(0, 0) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
          spirv.GlobalVariable @large bind(0, 1) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
          spirv.GlobalVariable @out bind(0, 2) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
          spirv.func @two_sizes_kernel() "None" {
            %c0 = spirv.Constant 0 : i32
            %small = spirv.mlir.addressof @small : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
            %large = spirv.mlir.addressof @large : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
            %out = spirv.mlir.addressof @out : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
            %wa = spirv.mlir.addressof @__builtin__WorkgroupId__ : !spirv.ptr<vector<3xi32>, Input>
            %wv = spirv.Load "Input" %wa : vector<3xi32>
            %w = spirv.CompositeExtract %wv[0 : i32] : vector<3xi32>
            %ta = spirv.mlir.addressof @__builtin__LocalInvocationId__ : !spirv.ptr<vector<3xi32>, Input>
            %tv = spirv.Load "Input" %ta : vector<3xi32>
            %t = spirv.CompositeExtract %tv[0 : i32] : vector<3xi32>
            %i = spirv.IMul %w, %w : i32
            %ap = spirv.AccessChain %small[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            %a = spirv.Load "StorageBuffer" %ap : vector<4xf32>
            %bp = spirv.AccessChain %large[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            %b = spirv.Load "StorageBuffer" %bp : vector<4xf32>
            %v = spirv.FAdd %a, %b : vector<4xf32>
            %vq = spirv.AccessChain %out[%c0, %t] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            spirv.Store "StorageBuffer" %vq, %v : vector<4xf32>
            spirv.Return
          }
          spirv.EntryPoint "GLCompute" @two_sizes_kernel, @small, @large, @out, @__builtin__LocalInvocationId__, @__builtin__WorkgroupId__
          spirv.ExecutionMode @two_sizes_kernel "LocalSize", 4, 1, 1
      }
    }
  }
}
util.func public @call_two_sizes(%given: !hal.buffer_view, %dynamic: index) {
  %b0 = arith.constant 0 : index
  %b64 = arith.constant 64 : index
  %b65536 = arith.constant 65536 : index
  %b131072 = arith.constant 131072 : index
  %b1048576 = arith.constant 1048576 : index
  %in = stream.tensor.import %given : !hal.buffer_view -> tensor<1048576xi8> in !stream.resource<external>{%b1048576}
  %own, %ready = stream.resource.alloca uninitialized : !stream.resource<transient>{%b1048576} => !stream.timepoint
  %done = stream.cmd.execute await(%ready) => with(%in as %given_in: !stream.resource<external>{%b1048576}, %own as %own_in: !stream.resource<transient>{%b1048576}) {
    stream.cmd.dispatch @two_sizes::@vulkan::@two_sizes_kernel {
      ro %given_in[%b0 for %b65536] : !stream.resource<external>{%b1048576},
      ro %given_in[%b65536 for %b131072] : !stream.resource<external>{%b1048576},
      wo %own_in[%b0 for %b64] : !stream.resource<transient>{%b1048576}
    }
  } => !stream.timepoint
  util.return
}
