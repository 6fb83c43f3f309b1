// RUN: smartmem-opt --smartmem-bind-images='writes=texel_buffer max-texels=256 max-size=64' --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-bind-images='writes=texel_buffer max-texels=256 max-size=64' --smartmem-remarks --split-input-file %s -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// It can show what the other one writes.

// REMARK-COUNT-2: kept: it can share memory with another binding, and one of the two is written
// CHECK-LABEL: spirv.module
//   CHECK-NOT: UniformConstant

hal.executable private @overlap {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @overlap_kernel ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
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
          spirv.func @overlap_kernel() "None" {
            %c0 = spirv.Constant 0 : i32
            %in = spirv.mlir.addressof @in : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
            %out = spirv.mlir.addressof @out : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
            %wa = spirv.mlir.addressof @__builtin__WorkgroupId__ : !spirv.ptr<vector<3xi32>, Input>
            %wv = spirv.Load "Input" %wa : vector<3xi32>
            %w = spirv.CompositeExtract %wv[0 : i32] : vector<3xi32>
            %ta = spirv.mlir.addressof @__builtin__LocalInvocationId__ : !spirv.ptr<vector<3xi32>, Input>
            %tv = spirv.Load "Input" %ta : vector<3xi32>
            %t = spirv.CompositeExtract %tv[0 : i32] : vector<3xi32>
            %c4 = spirv.Constant 4 : i32
            %j = spirv.IMul %w, %c4 : i32
            %i = spirv.IAdd %j, %t : i32
            %vp = spirv.AccessChain %in[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            %v = spirv.Load "StorageBuffer" %vp : vector<4xf32>
            %vq = spirv.AccessChain %out[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            spirv.Store "StorageBuffer" %vq, %v : vector<4xf32>
            spirv.Return
          }
          spirv.EntryPoint "GLCompute" @overlap_kernel, @in, @out, @__builtin__LocalInvocationId__, @__builtin__WorkgroupId__
          spirv.ExecutionMode @overlap_kernel "LocalSize", 4, 1, 1
      }
    }
  }
}
util.func public @call_overlap(%given: !hal.buffer_view, %dynamic: index) {
  %b0 = arith.constant 0 : index
  %b2048 = arith.constant 2048 : index
  %b4096 = arith.constant 4096 : index
  %b1048576 = arith.constant 1048576 : index
  %in = stream.tensor.import %given : !hal.buffer_view -> tensor<1048576xi8> in !stream.resource<external>{%b1048576}
  %own, %ready = stream.resource.alloca uninitialized : !stream.resource<transient>{%b1048576} => !stream.timepoint
  %done = stream.cmd.execute await(%ready) => with(%in as %given_in: !stream.resource<external>{%b1048576}, %own as %own_in: !stream.resource<transient>{%b1048576}) {
    stream.cmd.dispatch @overlap::@vulkan::@overlap_kernel {
      ro %own_in[%b0 for %b4096] : !stream.resource<transient>{%b1048576},
      wo %own_in[%b2048 for %b4096] : !stream.resource<transient>{%b1048576}
    }
  } => !stream.timepoint
  util.return
}

// -----

// REMARK: kept: it is read and written
// CHECK-LABEL: spirv.module
//   CHECK-NOT: UniformConstant

hal.executable private @in_place {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @in_place_kernel ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c64 = arith.constant 64 : index
      %c1 = arith.constant 1 : index
      hal.return %c64, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.0, [Shader], [SPV_KHR_storage_buffer_storage_class]> {
          spirv.GlobalVariable @__builtin__WorkgroupId__ built_in("WorkgroupId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @__builtin__LocalInvocationId__ built_in("LocalInvocationId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @both bind(0, 0) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
          spirv.func @in_place_kernel() "None" {
            %c0 = spirv.Constant 0 : i32
            %both = spirv.mlir.addressof @both : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
            %wa = spirv.mlir.addressof @__builtin__WorkgroupId__ : !spirv.ptr<vector<3xi32>, Input>
            %wv = spirv.Load "Input" %wa : vector<3xi32>
            %w = spirv.CompositeExtract %wv[0 : i32] : vector<3xi32>
            %ta = spirv.mlir.addressof @__builtin__LocalInvocationId__ : !spirv.ptr<vector<3xi32>, Input>
            %tv = spirv.Load "Input" %ta : vector<3xi32>
            %t = spirv.CompositeExtract %tv[0 : i32] : vector<3xi32>
            %c4 = spirv.Constant 4 : i32
            %j = spirv.IMul %w, %c4 : i32
            %i = spirv.IAdd %j, %t : i32
            %vp = spirv.AccessChain %both[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            %v = spirv.Load "StorageBuffer" %vp : vector<4xf32>
            %vq = spirv.AccessChain %both[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            spirv.Store "StorageBuffer" %vq, %v : vector<4xf32>
            spirv.Return
          }
          spirv.EntryPoint "GLCompute" @in_place_kernel, @both, @__builtin__LocalInvocationId__, @__builtin__WorkgroupId__
          spirv.ExecutionMode @in_place_kernel "LocalSize", 4, 1, 1
      }
    }
  }
}
util.func public @call_in_place(%given: !hal.buffer_view, %dynamic: index) {
  %b0 = arith.constant 0 : index
  %b4096 = arith.constant 4096 : index
  %b1048576 = arith.constant 1048576 : index
  %in = stream.tensor.import %given : !hal.buffer_view -> tensor<1048576xi8> in !stream.resource<external>{%b1048576}
  %own, %ready = stream.resource.alloca uninitialized : !stream.resource<transient>{%b1048576} => !stream.timepoint
  %done = stream.cmd.execute await(%ready) => with(%in as %given_in: !stream.resource<external>{%b1048576}, %own as %own_in: !stream.resource<transient>{%b1048576}) {
    stream.cmd.dispatch @in_place::@vulkan::@in_place_kernel {
      rw %own_in[%b0 for %b4096] : !stream.resource<transient>{%b1048576}
    }
  } => !stream.timepoint
  util.return
}

// -----

// REMARK: kept: which bytes it binds is known when running only
// CHECK-LABEL: spirv.module

hal.executable private @dynamic {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @dynamic_kernel ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
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
          spirv.func @dynamic_kernel() "None" {
            %c0 = spirv.Constant 0 : i32
            %in = spirv.mlir.addressof @in : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
            %out = spirv.mlir.addressof @out : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
            %wa = spirv.mlir.addressof @__builtin__WorkgroupId__ : !spirv.ptr<vector<3xi32>, Input>
            %wv = spirv.Load "Input" %wa : vector<3xi32>
            %w = spirv.CompositeExtract %wv[0 : i32] : vector<3xi32>
            %ta = spirv.mlir.addressof @__builtin__LocalInvocationId__ : !spirv.ptr<vector<3xi32>, Input>
            %tv = spirv.Load "Input" %ta : vector<3xi32>
            %t = spirv.CompositeExtract %tv[0 : i32] : vector<3xi32>
            %c4 = spirv.Constant 4 : i32
            %j = spirv.IMul %w, %c4 : i32
            %i = spirv.IAdd %j, %t : i32
            %vp = spirv.AccessChain %in[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            %v = spirv.Load "StorageBuffer" %vp : vector<4xf32>
            %vq = spirv.AccessChain %out[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            spirv.Store "StorageBuffer" %vq, %v : vector<4xf32>
            spirv.Return
          }
          spirv.EntryPoint "GLCompute" @dynamic_kernel, @in, @out, @__builtin__LocalInvocationId__, @__builtin__WorkgroupId__
          spirv.ExecutionMode @dynamic_kernel "LocalSize", 4, 1, 1
      }
    }
  }
}
util.func public @call_dynamic(%given: !hal.buffer_view, %dynamic: index) {
  %b0 = arith.constant 0 : index
  %b4096 = arith.constant 4096 : index
  %b1048576 = arith.constant 1048576 : index
  %in = stream.tensor.import %given : !hal.buffer_view -> tensor<1048576xi8> in !stream.resource<external>{%b1048576}
  %own, %ready = stream.resource.alloca uninitialized : !stream.resource<transient>{%b1048576} => !stream.timepoint
  %done = stream.cmd.execute await(%ready) => with(%in as %given_in: !stream.resource<external>{%b1048576}, %own as %own_in: !stream.resource<transient>{%b1048576}) {
    stream.cmd.dispatch @dynamic::@vulkan::@dynamic_kernel {
      ro %given_in[%dynamic for %b4096] : !stream.resource<external>{%b1048576},
      wo %own_in[%b0 for %b4096] : !stream.resource<transient>{%b1048576}
    }
  } => !stream.timepoint
  util.return
}

// -----

// REMARK: kept: no texel buffer of this device can start where it starts
// REMARK: applied: written as a texel_buffer
// CHECK-LABEL: spirv.module

hal.executable private @misaligned {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @misaligned_kernel ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
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
          spirv.func @misaligned_kernel() "None" {
            %c0 = spirv.Constant 0 : i32
            %in = spirv.mlir.addressof @in : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
            %out = spirv.mlir.addressof @out : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
            %wa = spirv.mlir.addressof @__builtin__WorkgroupId__ : !spirv.ptr<vector<3xi32>, Input>
            %wv = spirv.Load "Input" %wa : vector<3xi32>
            %w = spirv.CompositeExtract %wv[0 : i32] : vector<3xi32>
            %ta = spirv.mlir.addressof @__builtin__LocalInvocationId__ : !spirv.ptr<vector<3xi32>, Input>
            %tv = spirv.Load "Input" %ta : vector<3xi32>
            %t = spirv.CompositeExtract %tv[0 : i32] : vector<3xi32>
            %c4 = spirv.Constant 4 : i32
            %j = spirv.IMul %w, %c4 : i32
            %i = spirv.IAdd %j, %t : i32
            %vp = spirv.AccessChain %in[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            %v = spirv.Load "StorageBuffer" %vp : vector<4xf32>
            %vq = spirv.AccessChain %out[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            spirv.Store "StorageBuffer" %vq, %v : vector<4xf32>
            spirv.Return
          }
          spirv.EntryPoint "GLCompute" @misaligned_kernel, @in, @out, @__builtin__LocalInvocationId__, @__builtin__WorkgroupId__
          spirv.ExecutionMode @misaligned_kernel "LocalSize", 4, 1, 1
      }
    }
  }
}
util.func public @call_misaligned(%given: !hal.buffer_view, %dynamic: index) {
  %b0 = arith.constant 0 : index
  %b64 = arith.constant 64 : index
  %b4096 = arith.constant 4096 : index
  %b1048576 = arith.constant 1048576 : index
  %in = stream.tensor.import %given : !hal.buffer_view -> tensor<1048576xi8> in !stream.resource<external>{%b1048576}
  %own, %ready = stream.resource.alloca uninitialized : !stream.resource<transient>{%b1048576} => !stream.timepoint
  %done = stream.cmd.execute await(%ready) => with(%in as %given_in: !stream.resource<external>{%b1048576}, %own as %own_in: !stream.resource<transient>{%b1048576}) {
    stream.cmd.dispatch @misaligned::@vulkan::@misaligned_kernel {
      ro %given_in[%b64 for %b4096] : !stream.resource<external>{%b1048576},
      wo %own_in[%b0 for %b4096] : !stream.resource<transient>{%b1048576}
    }
  } => !stream.timepoint
  util.return
}

// -----

// REMARK: kept: an access of 1 bytes is no texel
// CHECK-LABEL: spirv.module

hal.executable private @bytes {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @bytes_kernel ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c64 = arith.constant 64 : index
      %c1 = arith.constant 1 : index
      hal.return %c64, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.0, [Shader, Int8, StorageBuffer8BitAccess], [SPV_KHR_storage_buffer_storage_class]> {
          spirv.GlobalVariable @__builtin__WorkgroupId__ built_in("WorkgroupId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @__builtin__LocalInvocationId__ built_in("LocalInvocationId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @in bind(0, 0) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<i8, stride=1> [0])>, StorageBuffer>
          spirv.GlobalVariable @out bind(0, 1) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<i8, stride=1> [0])>, StorageBuffer>
          spirv.func @bytes_kernel() "None" {
            %c0 = spirv.Constant 0 : i32
            %in = spirv.mlir.addressof @in : !spirv.ptr<!spirv.struct<(!spirv.rtarray<i8, stride=1> [0])>, StorageBuffer>
            %out = spirv.mlir.addressof @out : !spirv.ptr<!spirv.struct<(!spirv.rtarray<i8, stride=1> [0])>, StorageBuffer>
            %wa = spirv.mlir.addressof @__builtin__WorkgroupId__ : !spirv.ptr<vector<3xi32>, Input>
            %wv = spirv.Load "Input" %wa : vector<3xi32>
            %w = spirv.CompositeExtract %wv[0 : i32] : vector<3xi32>
            %ta = spirv.mlir.addressof @__builtin__LocalInvocationId__ : !spirv.ptr<vector<3xi32>, Input>
            %tv = spirv.Load "Input" %ta : vector<3xi32>
            %t = spirv.CompositeExtract %tv[0 : i32] : vector<3xi32>
            %c4 = spirv.Constant 4 : i32
            %j = spirv.IMul %w, %c4 : i32
            %i = spirv.IAdd %j, %t : i32
            %vp = spirv.AccessChain %in[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<i8, stride=1> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<i8, StorageBuffer>
            %v = spirv.Load "StorageBuffer" %vp : i8
            %vq = spirv.AccessChain %out[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<i8, stride=1> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<i8, StorageBuffer>
            spirv.Store "StorageBuffer" %vq, %v : i8
            spirv.Return
          }
          spirv.EntryPoint "GLCompute" @bytes_kernel, @in, @out, @__builtin__LocalInvocationId__, @__builtin__WorkgroupId__
          spirv.ExecutionMode @bytes_kernel "LocalSize", 4, 1, 1
      }
    }
  }
}
util.func public @call_bytes(%given: !hal.buffer_view, %dynamic: index) {
  %b0 = arith.constant 0 : index
  %b256 = arith.constant 256 : index
  %b1048576 = arith.constant 1048576 : index
  %in = stream.tensor.import %given : !hal.buffer_view -> tensor<1048576xi8> in !stream.resource<external>{%b1048576}
  %own, %ready = stream.resource.alloca uninitialized : !stream.resource<transient>{%b1048576} => !stream.timepoint
  %done = stream.cmd.execute await(%ready) => with(%in as %given_in: !stream.resource<external>{%b1048576}, %own as %own_in: !stream.resource<transient>{%b1048576}) {
    stream.cmd.dispatch @bytes::@vulkan::@bytes_kernel {
      ro %given_in[%b0 for %b256] : !stream.resource<external>{%b1048576},
      wo %own_in[%b0 for %b256] : !stream.resource<transient>{%b1048576}
    }
  } => !stream.timepoint
  util.return
}

// -----

// REMARK: applied: read as a texel_buffer, texels of 4 bytes
// REMARK: kept: two halves would share a texel
// CHECK-LABEL: spirv.module

hal.executable private @half {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @half_kernel ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c64 = arith.constant 64 : index
      %c1 = arith.constant 1 : index
      hal.return %c64, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.0, [Shader, Float16, StorageBuffer16BitAccess], [SPV_KHR_storage_buffer_storage_class]> {
          spirv.GlobalVariable @__builtin__WorkgroupId__ built_in("WorkgroupId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @__builtin__LocalInvocationId__ built_in("LocalInvocationId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @in bind(0, 0) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f16, stride=2> [0])>, StorageBuffer>
          spirv.GlobalVariable @out bind(0, 1) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f16, stride=2> [0])>, StorageBuffer>
          spirv.func @half_kernel() "None" {
            %c0 = spirv.Constant 0 : i32
            %in = spirv.mlir.addressof @in : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f16, stride=2> [0])>, StorageBuffer>
            %out = spirv.mlir.addressof @out : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f16, stride=2> [0])>, StorageBuffer>
            %wa = spirv.mlir.addressof @__builtin__WorkgroupId__ : !spirv.ptr<vector<3xi32>, Input>
            %wv = spirv.Load "Input" %wa : vector<3xi32>
            %w = spirv.CompositeExtract %wv[0 : i32] : vector<3xi32>
            %ta = spirv.mlir.addressof @__builtin__LocalInvocationId__ : !spirv.ptr<vector<3xi32>, Input>
            %tv = spirv.Load "Input" %ta : vector<3xi32>
            %t = spirv.CompositeExtract %tv[0 : i32] : vector<3xi32>
            %c4 = spirv.Constant 4 : i32
            %j = spirv.IMul %w, %c4 : i32
            %i = spirv.IAdd %j, %t : i32
            %vp = spirv.AccessChain %in[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f16, stride=2> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<f16, StorageBuffer>
            %v = spirv.Load "StorageBuffer" %vp : f16
            %vq = spirv.AccessChain %out[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f16, stride=2> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<f16, StorageBuffer>
            spirv.Store "StorageBuffer" %vq, %v : f16
            spirv.Return
          }
          spirv.EntryPoint "GLCompute" @half_kernel, @in, @out, @__builtin__LocalInvocationId__, @__builtin__WorkgroupId__
          spirv.ExecutionMode @half_kernel "LocalSize", 4, 1, 1
      }
    }
  }
}
util.func public @call_half(%given: !hal.buffer_view, %dynamic: index) {
  %b0 = arith.constant 0 : index
  %b512 = arith.constant 512 : index
  %b1048576 = arith.constant 1048576 : index
  %in = stream.tensor.import %given : !hal.buffer_view -> tensor<1048576xi8> in !stream.resource<external>{%b1048576}
  %own, %ready = stream.resource.alloca uninitialized : !stream.resource<transient>{%b1048576} => !stream.timepoint
  %done = stream.cmd.execute await(%ready) => with(%in as %given_in: !stream.resource<external>{%b1048576}, %own as %own_in: !stream.resource<transient>{%b1048576}) {
    stream.cmd.dispatch @half::@vulkan::@half_kernel {
      ro %given_in[%b0 for %b512] : !stream.resource<external>{%b1048576},
      wo %own_in[%b0 for %b512] : !stream.resource<transient>{%b1048576}
    }
  } => !stream.timepoint
  util.return
}

// -----

// REMARK: kept: the kernel cannot cast f16
// CHECK-LABEL: spirv.module

hal.executable private @no_cast {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @no_cast_kernel ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c64 = arith.constant 64 : index
      %c1 = arith.constant 1 : index
      hal.return %c64, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.0, [Shader, StorageBuffer16BitAccess], [SPV_KHR_storage_buffer_storage_class]> {
          spirv.GlobalVariable @__builtin__WorkgroupId__ built_in("WorkgroupId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @__builtin__LocalInvocationId__ built_in("LocalInvocationId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @in bind(0, 0) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf16>, stride=8> [0])>, StorageBuffer>
          spirv.GlobalVariable @out bind(0, 1) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf16>, stride=8> [0])>, StorageBuffer>
          spirv.func @no_cast_kernel() "None" {
            %c0 = spirv.Constant 0 : i32
            %in = spirv.mlir.addressof @in : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf16>, stride=8> [0])>, StorageBuffer>
            %out = spirv.mlir.addressof @out : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf16>, stride=8> [0])>, StorageBuffer>
            %wa = spirv.mlir.addressof @__builtin__WorkgroupId__ : !spirv.ptr<vector<3xi32>, Input>
            %wv = spirv.Load "Input" %wa : vector<3xi32>
            %w = spirv.CompositeExtract %wv[0 : i32] : vector<3xi32>
            %ta = spirv.mlir.addressof @__builtin__LocalInvocationId__ : !spirv.ptr<vector<3xi32>, Input>
            %tv = spirv.Load "Input" %ta : vector<3xi32>
            %t = spirv.CompositeExtract %tv[0 : i32] : vector<3xi32>
            %c4 = spirv.Constant 4 : i32
            %j = spirv.IMul %w, %c4 : i32
            %i = spirv.IAdd %j, %t : i32
            %vp = spirv.AccessChain %in[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf16>, stride=8> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf16>, StorageBuffer>
            %v = spirv.Load "StorageBuffer" %vp : vector<4xf16>
            %vq = spirv.AccessChain %out[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf16>, stride=8> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf16>, StorageBuffer>
            spirv.Store "StorageBuffer" %vq, %v : vector<4xf16>
            spirv.Return
          }
          spirv.EntryPoint "GLCompute" @no_cast_kernel, @in, @out, @__builtin__LocalInvocationId__, @__builtin__WorkgroupId__
          spirv.ExecutionMode @no_cast_kernel "LocalSize", 4, 1, 1
      }
    }
  }
}
util.func public @call_no_cast(%given: !hal.buffer_view, %dynamic: index) {
  %b0 = arith.constant 0 : index
  %b2048 = arith.constant 2048 : index
  %b1048576 = arith.constant 1048576 : index
  %in = stream.tensor.import %given : !hal.buffer_view -> tensor<1048576xi8> in !stream.resource<external>{%b1048576}
  %own, %ready = stream.resource.alloca uninitialized : !stream.resource<transient>{%b1048576} => !stream.timepoint
  %done = stream.cmd.execute await(%ready) => with(%in as %given_in: !stream.resource<external>{%b1048576}, %own as %own_in: !stream.resource<transient>{%b1048576}) {
    stream.cmd.dispatch @no_cast::@vulkan::@no_cast_kernel {
      ro %given_in[%b0 for %b2048] : !stream.resource<external>{%b1048576},
      wo %own_in[%b0 for %b2048] : !stream.resource<transient>{%b1048576}
    }
  } => !stream.timepoint
  util.return
}

// -----

// More scalars than a texel buffer holds: through wider texels, whose component the index
// tells; more than those hold: through an image; more than that holds: kept.

// REMARK: applied: read as a texel_buffer, texels of 8 bytes
// REMARK: applied: read as a image2d, texels of 4 bytes
// REMARK: kept: 1048576 bytes are more than an image of this device can hold
// CHECK-LABEL: spirv.module
//       CHECK: @wide bind(0, 0) : {{.*}}Buffer, {{.*}}Rg32ui>
//       CHECK: @image_row64 bind(0, 1) : {{.*}}Dim2D, {{.*}}R32ui>
//       CHECK: spirv.ShiftRightLogical %[[I:.*]], %{{.*}}
//       CHECK: %[[LANE:.*]] = spirv.BitwiseAnd %[[I]]
//       CHECK: spirv.VectorExtractDynamic %{{.*}}[%[[LANE]]]

hal.executable private @limits {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @limits_kernel ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c64 = arith.constant 64 : index
      %c1 = arith.constant 1 : index
      hal.return %c64, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.0, [Shader], [SPV_KHR_storage_buffer_storage_class]> {
          spirv.GlobalVariable @__builtin__WorkgroupId__ built_in("WorkgroupId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @__builtin__LocalInvocationId__ built_in("LocalInvocationId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @wide bind(0, 0) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
          spirv.GlobalVariable @image bind(0, 1) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
          spirv.GlobalVariable @large bind(0, 2) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
          spirv.GlobalVariable @out bind(0, 3) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
          spirv.func @limits_kernel() "None" {
            %c0 = spirv.Constant 0 : i32
            %wide = spirv.mlir.addressof @wide : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
            %image = spirv.mlir.addressof @image : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
            %large = spirv.mlir.addressof @large : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
            %out = spirv.mlir.addressof @out : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
            %wa = spirv.mlir.addressof @__builtin__WorkgroupId__ : !spirv.ptr<vector<3xi32>, Input>
            %wv = spirv.Load "Input" %wa : vector<3xi32>
            %w = spirv.CompositeExtract %wv[0 : i32] : vector<3xi32>
            %ta = spirv.mlir.addressof @__builtin__LocalInvocationId__ : !spirv.ptr<vector<3xi32>, Input>
            %tv = spirv.Load "Input" %ta : vector<3xi32>
            %t = spirv.CompositeExtract %tv[0 : i32] : vector<3xi32>
            %c4 = spirv.Constant 4 : i32
            %j = spirv.IMul %w, %c4 : i32
            %i = spirv.IAdd %j, %t : i32
            %ap = spirv.AccessChain %wide[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<f32, StorageBuffer>
            %a = spirv.Load "StorageBuffer" %ap : f32
            %bp = spirv.AccessChain %image[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<f32, StorageBuffer>
            %b = spirv.Load "StorageBuffer" %bp : f32
            %ep = spirv.AccessChain %large[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<f32, StorageBuffer>
            %e = spirv.Load "StorageBuffer" %ep : f32
            %s = spirv.FAdd %a, %b : f32
            %r = spirv.FAdd %s, %e : f32
            %rq = spirv.AccessChain %out[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<f32, StorageBuffer>
            spirv.Store "StorageBuffer" %rq, %r : f32
            spirv.Return
          }
          spirv.EntryPoint "GLCompute" @limits_kernel, @wide, @image, @large, @out, @__builtin__LocalInvocationId__, @__builtin__WorkgroupId__
          spirv.ExecutionMode @limits_kernel "LocalSize", 4, 1, 1
      }
    }
  }
}
util.func public @call_limits(%given: !hal.buffer_view, %dynamic: index) {
  %b0 = arith.constant 0 : index
  %b1024 = arith.constant 1024 : index
  %b2048 = arith.constant 2048 : index
  %b4096 = arith.constant 4096 : index
  %b8192 = arith.constant 8192 : index
  %b1048576 = arith.constant 1048576 : index
  %in = stream.tensor.import %given : !hal.buffer_view -> tensor<1048576xi8> in !stream.resource<external>{%b1048576}
  %own, %ready = stream.resource.alloca uninitialized : !stream.resource<transient>{%b1048576} => !stream.timepoint
  %done = stream.cmd.execute await(%ready) => with(%in as %given_in: !stream.resource<external>{%b1048576}, %own as %own_in: !stream.resource<transient>{%b1048576}) {
    stream.cmd.dispatch @limits::@vulkan::@limits_kernel {
      ro %given_in[%b0 for %b2048] : !stream.resource<external>{%b1048576},
      ro %given_in[%b4096 for %b8192] : !stream.resource<external>{%b1048576},
      ro %given_in[%b0 for %b1048576] : !stream.resource<external>{%b1048576},
      wo %own_in[%b0 for %b1024] : !stream.resource<transient>{%b1048576}
    }
  } => !stream.timepoint
  util.return
}
