// RUN: smartmem-opt --smartmem-bind-images --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-bind-images='writes=texel_buffer' --split-input-file %s | FileCheck %s --check-prefix=WRITES

// What is read becomes a texel buffer with the index of the buffer, what is written does not.

// CHECK-LABEL: spirv.module
//  CHECK-SAME: #spirv.vce<v1.4, [Shader, SampledBuffer], [SPV_KHR_storage_buffer_storage_class]>
//       CHECK: @in bind(0, 0) : !spirv.ptr<!spirv.image<i32, Buffer, NoDepth, NonArrayed, SingleSampled, NeedSampler, Rgba32ui>, UniformConstant>
//       CHECK: @out bind(0, 1) : !spirv.ptr<!spirv.struct
//       CHECK: %[[IMAGE:.*]] = spirv.Load "UniformConstant"
//       CHECK: %[[I:.*]] = spirv.IAdd
//       CHECK: %[[TEXEL:.*]] = spirv.ImageFetch %[[IMAGE]], %[[I]] {{.*}} -> vector<4xi32>
//       CHECK: %[[V:.*]] = spirv.Bitcast %[[TEXEL]] : vector<4xi32> to vector<4xf32>
//   CHECK-NOT: spirv.AccessChain %in
//       CHECK: spirv.Store "StorageBuffer" %{{.*}}, %[[V]]

// WRITES-LABEL: spirv.module
//  WRITES-SAME: [Shader, ImageBuffer, SampledBuffer]
//       WRITES: @out bind(0, 1) : !spirv.ptr<!spirv.image<i32, Buffer, NoDepth, NonArrayed, SingleSampled, NoSampler, Rgba32ui>, UniformConstant>
//       WRITES: %[[BITS:.*]] = spirv.Bitcast %{{.*}} : vector<4xf32> to vector<4xi32>
//       WRITES: spirv.ImageWrite %{{.*}}, %{{.*}}, %[[BITS]]
//   WRITES-NOT: spirv.Store

hal.executable private @vectors {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @vectors_kernel ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
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
          spirv.func @vectors_kernel() "None" {
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
          spirv.EntryPoint "GLCompute" @vectors_kernel, @in, @out, @__builtin__LocalInvocationId__, @__builtin__WorkgroupId__
          spirv.ExecutionMode @vectors_kernel "LocalSize", 4, 1, 1
      }
    }
  }
}
util.func public @call_vectors(%given: !hal.buffer_view, %dynamic: index) {
  %b0 = arith.constant 0 : index
  %b4096 = arith.constant 4096 : index
  %b1048576 = arith.constant 1048576 : index
  %in = stream.tensor.import %given : !hal.buffer_view -> tensor<1048576xi8> in !stream.resource<external>{%b1048576}
  %own, %ready = stream.resource.alloca uninitialized : !stream.resource<transient>{%b1048576} => !stream.timepoint
  %done = stream.cmd.execute await(%ready) => with(%in as %given_in: !stream.resource<external>{%b1048576}, %own as %own_in: !stream.resource<transient>{%b1048576}) {
    stream.cmd.dispatch @vectors::@vulkan::@vectors_kernel {
      ro %given_in[%b0 for %b4096] : !stream.resource<external>{%b1048576},
      wo %own_in[%b0 for %b4096] : !stream.resource<transient>{%b1048576}
    }
  } => !stream.timepoint
  util.return
}

// -----

// A scalar is a texel of its own: no component is selected. A pair is half a texel's words.

// CHECK-LABEL: spirv.module
//  CHECK-SAME: [Shader, SampledBuffer, StorageImageExtendedFormats]
//       CHECK: @one bind(0, 0) : {{.*}}NeedSampler, R32ui>
//       CHECK: @two bind(0, 1) : {{.*}}NeedSampler, Rg32ui>
//       CHECK: %[[S:.*]] = spirv.ImageFetch %{{.*}}, %{{.*}} : {{.*}}R32ui>
//       CHECK: %[[W:.*]] = spirv.CompositeExtract %[[S]][0 : i32] : vector<4xi32>
//       CHECK: spirv.Bitcast %[[W]] : i32 to f32
//       CHECK: %[[P:.*]] = spirv.ImageFetch
//       CHECK: spirv.VectorShuffle [0 : i32, 1 : i32] %[[P]], %[[P]]

hal.executable private @scalars {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @scalars_kernel ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c64 = arith.constant 64 : index
      %c1 = arith.constant 1 : index
      hal.return %c64, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.0, [Shader], [SPV_KHR_storage_buffer_storage_class]> {
          spirv.GlobalVariable @__builtin__WorkgroupId__ built_in("WorkgroupId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @__builtin__LocalInvocationId__ built_in("LocalInvocationId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @one bind(0, 0) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
          spirv.GlobalVariable @two bind(0, 1) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<2xf32>, stride=8> [0])>, StorageBuffer>
          spirv.GlobalVariable @out bind(0, 2) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
          spirv.func @scalars_kernel() "None" {
            %c0 = spirv.Constant 0 : i32
            %one = spirv.mlir.addressof @one : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
            %two = spirv.mlir.addressof @two : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<2xf32>, stride=8> [0])>, StorageBuffer>
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
            %ap = spirv.AccessChain %one[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<f32, StorageBuffer>
            %a = spirv.Load "StorageBuffer" %ap : f32
            %bp = spirv.AccessChain %two[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<2xf32>, stride=8> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<2xf32>, StorageBuffer>
            %b = spirv.Load "StorageBuffer" %bp : vector<2xf32>
            %e = spirv.CompositeExtract %b[1 : i32] : vector<2xf32>
            %s = spirv.FAdd %a, %e : f32
            %sq = spirv.AccessChain %out[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<f32, StorageBuffer>
            spirv.Store "StorageBuffer" %sq, %s : f32
            spirv.Return
          }
          spirv.EntryPoint "GLCompute" @scalars_kernel, @one, @two, @out, @__builtin__LocalInvocationId__, @__builtin__WorkgroupId__
          spirv.ExecutionMode @scalars_kernel "LocalSize", 4, 1, 1
      }
    }
  }
}
util.func public @call_scalars(%given: !hal.buffer_view, %dynamic: index) {
  %b0 = arith.constant 0 : index
  %b1024 = arith.constant 1024 : index
  %b2048 = arith.constant 2048 : index
  %b4096 = arith.constant 4096 : index
  %b1048576 = arith.constant 1048576 : index
  %in = stream.tensor.import %given : !hal.buffer_view -> tensor<1048576xi8> in !stream.resource<external>{%b1048576}
  %own, %ready = stream.resource.alloca uninitialized : !stream.resource<transient>{%b1048576} => !stream.timepoint
  %done = stream.cmd.execute await(%ready) => with(%in as %given_in: !stream.resource<external>{%b1048576}, %own as %own_in: !stream.resource<transient>{%b1048576}) {
    stream.cmd.dispatch @scalars::@vulkan::@scalars_kernel {
      ro %given_in[%b0 for %b1024] : !stream.resource<external>{%b1048576},
      ro %own_in[%b0 for %b2048] : !stream.resource<transient>{%b1048576},
      wo %own_in[%b4096 for %b1024] : !stream.resource<transient>{%b1048576}
    }
  } => !stream.timepoint
  util.return
}

// -----

// Halves: four are two words, one is half a word.

// CHECK-LABEL: spirv.module
//       CHECK: @four bind(0, 0) : {{.*}}NeedSampler, Rg32ui>
//       CHECK: @one bind(0, 1) : {{.*}}NeedSampler, R32ui>
//       CHECK: spirv.Bitcast %{{.*}} : vector<2xi32> to vector<4xf16>
//       CHECK: %[[WORD:.*]] = spirv.ShiftRightLogical %[[I:.*]], %{{.*}} : i32, i32
//       CHECK: spirv.ImageFetch %{{.*}}, %[[WORD]]
//       CHECK: %[[PAIR:.*]] = spirv.Bitcast %{{.*}} : i32 to vector<2xf16>
//       CHECK: %[[HALF:.*]] = spirv.BitwiseAnd %[[I]]
//       CHECK: spirv.VectorExtractDynamic %[[PAIR]][%[[HALF]]]
//   An even index tells which half.
//       CHECK: %[[EVEN:.*]] = spirv.Bitcast %{{.*}} : i32 to vector<2xf16>
//       CHECK: spirv.CompositeExtract %[[EVEN]][0 : i32]

hal.executable private @halves {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @halves_kernel ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c64 = arith.constant 64 : index
      %c1 = arith.constant 1 : index
      hal.return %c64, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.0, [Shader, Float16, StorageBuffer16BitAccess], [SPV_KHR_16bit_storage, SPV_KHR_storage_buffer_storage_class]> {
          spirv.GlobalVariable @__builtin__WorkgroupId__ built_in("WorkgroupId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @__builtin__LocalInvocationId__ built_in("LocalInvocationId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @four bind(0, 0) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf16>, stride=8> [0])>, StorageBuffer>
          spirv.GlobalVariable @one bind(0, 1) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f16, stride=2> [0])>, StorageBuffer>
          spirv.GlobalVariable @out bind(0, 2) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf16>, stride=8> [0])>, StorageBuffer>
          spirv.func @halves_kernel() "None" {
            %c0 = spirv.Constant 0 : i32
            %four = spirv.mlir.addressof @four : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf16>, stride=8> [0])>, StorageBuffer>
            %one = spirv.mlir.addressof @one : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f16, stride=2> [0])>, StorageBuffer>
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
            %even = spirv.IMul %i, %c4 : i32
            %ap = spirv.AccessChain %four[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf16>, stride=8> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf16>, StorageBuffer>
            %a = spirv.Load "StorageBuffer" %ap : vector<4xf16>
            %bp = spirv.AccessChain %one[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f16, stride=2> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<f16, StorageBuffer>
            %b = spirv.Load "StorageBuffer" %bp : f16
            %dp = spirv.AccessChain %one[%c0, %even] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f16, stride=2> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<f16, StorageBuffer>
            %d = spirv.Load "StorageBuffer" %dp : f16
            %s = spirv.FAdd %b, %d : f16
            %v = spirv.CompositeInsert %s, %a[0 : i32] : f16 into vector<4xf16>
            %vq = spirv.AccessChain %out[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf16>, stride=8> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf16>, StorageBuffer>
            spirv.Store "StorageBuffer" %vq, %v : vector<4xf16>
            spirv.Return
          }
          spirv.EntryPoint "GLCompute" @halves_kernel, @four, @one, @out, @__builtin__LocalInvocationId__, @__builtin__WorkgroupId__
          spirv.ExecutionMode @halves_kernel "LocalSize", 4, 1, 1
      }
    }
  }
}
util.func public @call_halves(%given: !hal.buffer_view, %dynamic: index) {
  %b0 = arith.constant 0 : index
  %b2048 = arith.constant 2048 : index
  %b4096 = arith.constant 4096 : index
  %b1048576 = arith.constant 1048576 : index
  %in = stream.tensor.import %given : !hal.buffer_view -> tensor<1048576xi8> in !stream.resource<external>{%b1048576}
  %own, %ready = stream.resource.alloca uninitialized : !stream.resource<transient>{%b1048576} => !stream.timepoint
  %done = stream.cmd.execute await(%ready) => with(%in as %given_in: !stream.resource<external>{%b1048576}, %own as %own_in: !stream.resource<transient>{%b1048576}) {
    stream.cmd.dispatch @halves::@vulkan::@halves_kernel {
      ro %given_in[%b0 for %b2048] : !stream.resource<external>{%b1048576},
      ro %own_in[%b0 for %b2048] : !stream.resource<transient>{%b1048576},
      wo %own_in[%b4096 for %b2048] : !stream.resource<transient>{%b1048576}
    }
  } => !stream.timepoint
  util.return
}

// -----

// Accesses of two widths: an image for each, of one number.

// CHECK-LABEL: spirv.module
//       CHECK: @wide bind(0, 0) {aliased} : {{.*}}NeedSampler, Rgba32ui>
//       CHECK: @narrow bind(0, 0) {aliased} : {{.*}}NeedSampler, R32ui>
//   CHECK-NOT: AccessChain %wide

hal.executable private @widths {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @widths_kernel ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c64 = arith.constant 64 : index
      %c1 = arith.constant 1 : index
      hal.return %c64, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.0, [Shader], [SPV_KHR_storage_buffer_storage_class]> {
          spirv.GlobalVariable @__builtin__WorkgroupId__ built_in("WorkgroupId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @__builtin__LocalInvocationId__ built_in("LocalInvocationId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @wide bind(0, 0) {aliased} : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
          spirv.GlobalVariable @narrow bind(0, 0) {aliased} : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
          spirv.GlobalVariable @out bind(0, 1) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
          spirv.func @widths_kernel() "None" {
            %c0 = spirv.Constant 0 : i32
            %wide = spirv.mlir.addressof @wide : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
            %narrow = spirv.mlir.addressof @narrow : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>
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
            %ap = spirv.AccessChain %wide[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            %a = spirv.Load "StorageBuffer" %ap : vector<4xf32>
            %bp = spirv.AccessChain %narrow[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<f32, StorageBuffer>
            %b = spirv.Load "StorageBuffer" %bp : f32
            %e = spirv.CompositeExtract %a[1 : i32] : vector<4xf32>
            %s = spirv.FAdd %b, %e : f32
            %sq = spirv.AccessChain %out[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<f32, stride=4> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<f32, StorageBuffer>
            spirv.Store "StorageBuffer" %sq, %s : f32
            spirv.Return
          }
          spirv.EntryPoint "GLCompute" @widths_kernel, @wide, @narrow, @out, @__builtin__LocalInvocationId__, @__builtin__WorkgroupId__
          spirv.ExecutionMode @widths_kernel "LocalSize", 4, 1, 1
      }
    }
  }
}
util.func public @call_widths(%given: !hal.buffer_view, %dynamic: index) {
  %b0 = arith.constant 0 : index
  %b1024 = arith.constant 1024 : index
  %b4096 = arith.constant 4096 : index
  %b1048576 = arith.constant 1048576 : index
  %in = stream.tensor.import %given : !hal.buffer_view -> tensor<1048576xi8> in !stream.resource<external>{%b1048576}
  %own, %ready = stream.resource.alloca uninitialized : !stream.resource<transient>{%b1048576} => !stream.timepoint
  %done = stream.cmd.execute await(%ready) => with(%in as %given_in: !stream.resource<external>{%b1048576}, %own as %own_in: !stream.resource<transient>{%b1048576}) {
    stream.cmd.dispatch @widths::@vulkan::@widths_kernel {
      ro %given_in[%b0 for %b4096] : !stream.resource<external>{%b1048576},
      wo %own_in[%b4096 for %b1024] : !stream.resource<transient>{%b1048576}
    }
  } => !stream.timepoint
  util.return
}

// -----

// What is read is the index of what is read next.

// CHECK-LABEL: spirv.module
//       CHECK: %[[T:.*]] = spirv.ImageFetch {{.*}}R32ui>
//       CHECK: %[[I:.*]] = spirv.CompositeExtract %[[T]][0 : i32]
//       CHECK: %[[V:.*]] = spirv.ImageFetch %{{.*}}, %[[I]] : {{.*}}Rgba32ui>
//       CHECK: %[[R:.*]] = spirv.Bitcast %[[V]]
//   CHECK-NOT: spirv.Load "StorageBuffer"
//       CHECK: spirv.Store "StorageBuffer" %{{.*}}, %[[R]]

hal.executable private @gather {
  hal.executable.variant public @vulkan target(<"vulkan-spirv", "vulkan-spirv-fb">) {
    hal.executable.export public @gather_kernel ordinal(0) layout(#hal.pipeline.layout<bindings = [#hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>, #hal.pipeline.binding<storage_buffer>]>) count(%arg0: !hal.device) -> (index, index, index) {
      %c64 = arith.constant 64 : index
      %c1 = arith.constant 1 : index
      hal.return %c64, %c1, %c1 : index, index, index
    }
    builtin.module {
      spirv.module Logical GLSL450 requires #spirv.vce<v1.0, [Shader], [SPV_KHR_storage_buffer_storage_class]> {
          spirv.GlobalVariable @__builtin__WorkgroupId__ built_in("WorkgroupId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @__builtin__LocalInvocationId__ built_in("LocalInvocationId") : !spirv.ptr<vector<3xi32>, Input>
          spirv.GlobalVariable @indices bind(0, 0) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<i32, stride=4> [0])>, StorageBuffer>
          spirv.GlobalVariable @table bind(0, 1) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
          spirv.GlobalVariable @out bind(0, 2) : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
          spirv.func @gather_kernel() "None" {
            %c0 = spirv.Constant 0 : i32
            %indices = spirv.mlir.addressof @indices : !spirv.ptr<!spirv.struct<(!spirv.rtarray<i32, stride=4> [0])>, StorageBuffer>
            %table = spirv.mlir.addressof @table : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>
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
            %xp = spirv.AccessChain %indices[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<i32, stride=4> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<i32, StorageBuffer>
            %x = spirv.Load "StorageBuffer" %xp : i32
            %vp = spirv.AccessChain %table[%c0, %x] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            %v = spirv.Load "StorageBuffer" %vp : vector<4xf32>
            %vq = spirv.AccessChain %out[%c0, %i] : !spirv.ptr<!spirv.struct<(!spirv.rtarray<vector<4xf32>, stride=16> [0])>, StorageBuffer>, i32, i32 -> !spirv.ptr<vector<4xf32>, StorageBuffer>
            spirv.Store "StorageBuffer" %vq, %v : vector<4xf32>
            spirv.Return
          }
          spirv.EntryPoint "GLCompute" @gather_kernel, @indices, @table, @out, @__builtin__LocalInvocationId__, @__builtin__WorkgroupId__
          spirv.ExecutionMode @gather_kernel "LocalSize", 4, 1, 1
      }
    }
  }
}
util.func public @call_gather(%given: !hal.buffer_view, %dynamic: index) {
  %b0 = arith.constant 0 : index
  %b1024 = arith.constant 1024 : index
  %b4096 = arith.constant 4096 : index
  %b65536 = arith.constant 65536 : index
  %b1048576 = arith.constant 1048576 : index
  %in = stream.tensor.import %given : !hal.buffer_view -> tensor<1048576xi8> in !stream.resource<external>{%b1048576}
  %own, %ready = stream.resource.alloca uninitialized : !stream.resource<transient>{%b1048576} => !stream.timepoint
  %done = stream.cmd.execute await(%ready) => with(%in as %given_in: !stream.resource<external>{%b1048576}, %own as %own_in: !stream.resource<transient>{%b1048576}) {
    stream.cmd.dispatch @gather::@vulkan::@gather_kernel {
      ro %given_in[%b0 for %b1024] : !stream.resource<external>{%b1048576},
      ro %own_in[%b0 for %b65536] : !stream.resource<transient>{%b1048576},
      wo %own_in[%b65536 for %b4096] : !stream.resource<transient>{%b1048576}
    }
  } => !stream.timepoint
  util.return
}
