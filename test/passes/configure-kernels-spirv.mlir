// RUN: smartmem-opt --smartmem-target=adreno --smartmem-form-regions --smartmem-configure-kernels --split-input-file %s | FileCheck %s --check-prefixes=CHECK,ADRENO
// RUN: smartmem-opt --smartmem-target=valhall4 --smartmem-form-regions --smartmem-configure-kernels --split-input-file %s | FileCheck %s --check-prefixes=CHECK,VALHALL
// RUN: smartmem-opt --smartmem-target=rdna3 --smartmem-form-regions --smartmem-configure-kernels --split-input-file %s | FileCheck %s --check-prefix=RDNA
// RUN: smartmem-opt --smartmem-target=adreno --smartmem-form-regions --smartmem-configure-kernels --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// A batch of products: each thread has 4 columns, four steps at a time, and as many rows as its
// registers hold: a thread of a Mali has 64, one of an Adreno 96 if eight waves are to fit.
// CHECK-LABEL: func @batch_of_contractions
// ADRENO: compilation_info = #iree_codegen.compilation_info<lowering_config = #iree_codegen.lowering_config<tile_sizes = {{\[\[}}1, 32, 64, 0], [1, 8, 4, 0], [0, 0, 0, 4]]>, translation_info = <pipeline = #iree_gpu.spirv_pipeline<BaseVectorize> workgroup_size = [16, 4, 1]>>
// VALHALL: compilation_info = #iree_codegen.compilation_info<lowering_config = #iree_codegen.lowering_config<tile_sizes = {{\[\[}}1, 16, 64, 0], [1, 4, 4, 0], [0, 0, 0, 4]]>, translation_info = <pipeline = #iree_gpu.spirv_pipeline<BaseVectorize> workgroup_size = [16, 4, 1]>>
// RDNA-LABEL: func @batch_of_contractions
// RDNA: compilation_info = #iree_codegen.compilation_info<lowering_config = #iree_codegen.lowering_config<tile_sizes = {{\[\[}}1, 64, 64, 0], [1, 16, 4, 0], [0, 0, 0, 4]]>, translation_info = <pipeline = #iree_gpu.spirv_pipeline<BaseVectorize> workgroup_size = [16, 4, 1]>>
// REMARK: linalg.generic applied: tiles: (1, 32, 64, 0)
func.func @batch_of_contractions(%x: tensor<128x4x16xf32>, %w: tensor<64x4x16xf32>) -> tensor<4x128x64xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x128x64xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<4x128x64xf32>) -> tensor<4x128x64xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(h, m, n, k) -> (m, h, k)>, affine_map<(h, m, n, k) -> (n, h, k)>, affine_map<(h, m, n, k) -> (h, m, n)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %w : tensor<128x4x16xf32>, tensor<64x4x16xf32>) outs(%z : tensor<4x128x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<4x128x64xf32>
  return %0 : tensor<4x128x64xf32>
}

// -----
// Groups of four channels: threads lie side by side along the groups, not the channels.
// CHECK-LABEL: func @window_of_a_grouped_convolution
// CHECK-NOT: compilation_info
// CHECK: linalg.generic
// CHECK: linalg.generic {{.*}} attrs = {compilation_info
// ADRENO-SAME: tile_sizes = {{\[\[}}1, 7, 32, 4, 0], [1, 7, 1, 0, 0], [0, 0, 0, 0, 4]]>
// VALHALL-SAME: tile_sizes = {{\[\[}}1, 1, 32, 4, 0], [1, 1, 1, 0, 0], [0, 0, 0, 0, 4]]>
// CHECK-SAME: workgroup_size = [32, 1, 1]
func.func @window_of_a_grouped_convolution(%x: tensor<8x8x32x4xf32>, %w: tensor<2x32x4x4xf32>) -> tensor<8x7x32x4xf32> {
  %x0 = tensor.extract_slice %x[0, 0, 0, 0] [8, 7, 32, 4] [1, 1, 1, 1] : tensor<8x8x32x4xf32> to tensor<8x7x32x4xf32>
  %x1 = tensor.extract_slice %x[0, 1, 0, 0] [8, 7, 32, 4] [1, 1, 1, 1] : tensor<8x8x32x4xf32> to tensor<8x7x32x4xf32>
  %w0 = tensor.extract_slice %w[0, 0, 0, 0] [1, 32, 4, 4] [1, 1, 1, 1] : tensor<2x32x4x4xf32> to tensor<32x4x4xf32>
  %w1 = tensor.extract_slice %w[1, 0, 0, 0] [1, 32, 4, 4] [1, 1, 1, 1] : tensor<2x32x4x4xf32> to tensor<32x4x4xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x7x32x4xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x7x32x4xf32>) -> tensor<8x7x32x4xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(h, w, g, o, i) -> (h, w, g, i)>, affine_map<(h, w, g, o, i) -> (g, i, o)>, affine_map<(h, w, g, o, i) -> (h, w, g, i)>, affine_map<(h, w, g, o, i) -> (g, i, o)>, affine_map<(h, w, g, o, i) -> (h, w, g, o)>], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]} ins(%x0, %w0, %x1, %w1 : tensor<8x7x32x4xf32>, tensor<32x4x4xf32>, tensor<8x7x32x4xf32>, tensor<32x4x4xf32>) outs(%z : tensor<8x7x32x4xf32>) {
  ^bb0(%a: f32, %b: f32, %a1: f32, %b1: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %m1 = arith.mulf %a1, %b1 : f32
    %s = arith.addf %m, %m1 : f32
    %t = arith.addf %o, %s : f32
    linalg.yield %t : f32
  } -> tensor<8x7x32x4xf32>
  return %0 : tensor<8x7x32x4xf32>
}

// -----
// Patches of a picture: of three sums, the one along the rows of the picture is vectors.
// Adreno has 64 threads in step, Valhall 16.
// CHECK-LABEL: func @sums_over_several_loops
// ADRENO: tile_sizes = {{\[\[}}1, 14, 64, 0, 0, 0], [1, 7, 4, 0, 0, 0], [0, 0, 0, 1, 1, 4]]>
// ADRENO-SAME: workgroup_size = [16, 2, 1]
// VALHALL: tile_sizes = {{\[\[}}1, 2, 64, 0, 0, 0], [1, 2, 4, 0, 0, 0], [0, 0, 0, 1, 1, 4]]>
// VALHALL-SAME: workgroup_size = [16, 1, 1]
func.func @sums_over_several_loops(%x: tensor<3x14x16x14x16xf32>, %w: tensor<3x16x16x64xf32>) -> tensor<14x14x64xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<14x14x64xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<14x14x64xf32>) -> tensor<14x14x64xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(h, w, o, c, p, q) -> (c, h, p, w, q)>, affine_map<(h, w, o, c, p, q) -> (c, p, q, o)>, affine_map<(h, w, o, c, p, q) -> (h, w, o)>], iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]} ins(%x, %w : tensor<3x14x16x14x16xf32>, tensor<3x16x16x64xf32>) outs(%z : tensor<14x14x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<14x14x64xf32>
  return %0 : tensor<14x14x64xf32>
}

// -----
// Of a narrow one, IREE gives each result a workgroup.
// CHECK-LABEL: func @plain_multiplications
// ADRENO: tile_sizes = {{\[\[}}
// VALHALL: tile_sizes = {{\[\[}}
func.func @plain_multiplications(%x: tensor<64x16xf32>, %w: tensor<16x64xf32>) -> tensor<64x64xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x64xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<64x64xf32>) -> tensor<64x64xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<64x16xf32>, tensor<16x64xf32>) outs(%z : tensor<64x64xf32>) -> tensor<64x64xf32>
  return %0 : tensor<64x64xf32>
}

// -----
// Rows innermost in one operand, the reduction in the other: no vectors of columns.
// CHECK-LABEL: func @keeps_operands_without_vectors
// CHECK-NOT: compilation_info
// REMARK: linalg.generic kept: an operand has neither columns nor a reduction innermost
func.func @keeps_operands_without_vectors(%x: tensor<4x16x64xf32>, %w: tensor<4x64x16xf32>) -> tensor<4x64x64xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x64x64xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<4x64x64xf32>) -> tensor<4x64x64xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(h, m, n, k) -> (h, k, m)>, affine_map<(h, m, n, k) -> (h, n, k)>, affine_map<(h, m, n, k) -> (h, m, n)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %w : tensor<4x16x64xf32>, tensor<4x64x16xf32>) outs(%z : tensor<4x64x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<4x64x64xf32>
  return %0 : tensor<4x64x64xf32>
}

// -----
// One step of a sum is none.
// CHECK-LABEL: func @keeps_products
// CHECK-NOT: compilation_info
// REMARK: linalg.batch_matmul kept: it sums nothing up
func.func @keeps_products(%all: tensor<4x9x1xf32>, %b: tensor<4x1x8xf32>) -> tensor<4x8x8xf32> {
  %a = tensor.extract_slice %all[0, 0, 0] [4, 8, 1] [1, 1, 1] : tensor<4x9x1xf32> to tensor<4x8x1xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x8x8xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
  %r = linalg.batch_matmul ins(%a, %b : tensor<4x8x1xf32>, tensor<4x1x8xf32>) outs(%z : tensor<4x8x8xf32>) -> tensor<4x8x8xf32>
  return %r : tensor<4x8x8xf32>
}

// -----
// A window of each channel: a thread has some points, and four channels.
// CHECK-LABEL: func @a_depthwise_window
// ADRENO: tile_sizes = {{\[\[}}8, 32], [8, 4]]>, translation_info = <pipeline = #iree_gpu.spirv_pipeline<BaseVectorize> workgroup_size = [8, 1, 1]>>
// VALHALL: tile_sizes = {{\[\[}}8, 32], [4, 4]]>, translation_info = <pipeline = #iree_gpu.spirv_pipeline<BaseVectorize> workgroup_size = [8, 2, 1]>>
// REMARK: linalg.generic applied: tiles: (8, 4), a thread for some points of a window's channels
func.func @a_depthwise_window(%i: tensor<9x32xf32>, %v: tensor<32xf32>, %w: tensor<32xf32>) -> tensor<8x32xf32> {
  %x = tensor.extract_slice %i[0, 0] [8, 32] [1, 1] : tensor<9x32xf32> to tensor<8x32xf32>
  %y = tensor.extract_slice %i[1, 0] [8, 32] [1, 1] : tensor<9x32xf32> to tensor<8x32xf32>
  %e = tensor.empty() : tensor<8x32xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>], iterator_types = ["parallel", "parallel"]} ins(%x, %v, %y, %w : tensor<8x32xf32>, tensor<32xf32>, tensor<8x32xf32>, tensor<32xf32>) outs(%e : tensor<8x32xf32>) {
  ^bb0(%a: f32, %b: f32, %a1: f32, %b1: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %m1 = arith.mulf %a1, %b1 : f32
    %s = arith.addf %m, %m1 : f32
    linalg.yield %s : f32
  } -> tensor<8x32xf32>
  return %r : tensor<8x32xf32>
}

// -----
// Single columns, as no vector divides 11; one of i, along which %x lies; a loop that no operand
// has. Of four rows at a time a thread takes one step: the code generator leaves a vector<4x4xf32>
// of four steps.
// CHECK-LABEL: func @rows_of_copies
// CHECK: tile_sizes = {{\[\[}}1, 1, 16, 11, 0], [1, 1, 4, 1, 0], [0, 0, 0, 0, 1]]>
// CHECK-SAME: workgroup_size = [11, 4, 1]
func.func @rows_of_copies(%x: tensor<12x16x16xf32>, %w: tensor<12x11xf32>) -> tensor<16x2x16x11xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<16x2x16x11xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<16x2x16x11xf32>) -> tensor<16x2x16x11xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(i, h, m, n, k) -> (k, m, i)>, affine_map<(i, h, m, n, k) -> (k, n)>, affine_map<(i, h, m, n, k) -> (i, h, m, n)>], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]} ins(%x, %w : tensor<12x16x16xf32>, tensor<12x11xf32>) outs(%z : tensor<16x2x16x11xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<16x2x16x11xf32>
  return %0 : tensor<16x2x16x11xf32>
}
