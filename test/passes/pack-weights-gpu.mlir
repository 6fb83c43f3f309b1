// RUN: smartmem-opt --smartmem-target=adreno --smartmem-pack-weights --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-target=adreno --smartmem-pack-weights --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// GPUs load vectors of columns, or of steps that data and weights have side by side.

// Weights of 2x2 windows, as PyTorch stores them: (filter, channel, row, column). The data
// has its channels innermost, so that neither steps nor columns could be loaded as vectors.
// CHECK-DAG: #[[W:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d5, d3, d4, d2)>
// CHECK-LABEL: func @columns_lie_innermost
// CHECK: %[[P:.*]] = arith.constant {{.*}} : tensor<16x2x2x32xf32>
// CHECK: linalg.generic {indexing_maps = [{{.*}}, #[[W]], {{.*}} ins(%arg0, %[[P]]
// REMARK: linalg.generic applied: blocks of 32 channels, as its kernel reads them
#patches = affine_map<(h, w, f, c, r, q) -> (h, r, w, q, c)>
#weights = affine_map<(h, w, f, c, r, q) -> (f, c, r, q)>
#result = affine_map<(h, w, f, c, r, q) -> (h, w, f)>
func.func @columns_lie_innermost(%x: tensor<4x2x4x2x16xf32>) -> tensor<4x4x32xf32> {
  %v = arith.constant dense<1.0> : tensor<32x16x2x2xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x4x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<4x4x32xf32>) -> tensor<4x4x32xf32>
  %0 = linalg.generic {indexing_maps = [#patches, #weights, #result], iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]} ins(%x, %v : tensor<4x2x4x2x16xf32>, tensor<32x16x2x2xf32>) outs(%z : tensor<4x4x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<4x4x32xf32>
  return %0 : tensor<4x4x32xf32>
}

// -----
// The steps lie side by side in both.
// CHECK-LABEL: func @keeps_weights_along_the_steps
// CHECK: arith.constant {{.*}} : tensor<32x16xf32>
func.func @keeps_weights_along_the_steps(%x: tensor<8x16xf32>) -> tensor<8x32xf32> {
  %v = arith.constant dense<1.0> : tensor<32x16xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x32xf32>) -> tensor<8x32xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %v : tensor<8x16xf32>, tensor<32x16xf32>) outs(%z : tensor<8x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<8x32xf32>
  return %0 : tensor<8x32xf32>
}

// -----
// CHECK-LABEL: func @keeps_columns_that_are_no_vectors
// CHECK: arith.constant {{.*}} : tensor<10x16xf32>
// REMARK: linalg.generic kept: its channels are no whole vectors
func.func @keeps_columns_that_are_no_vectors(%x: tensor<16x8xf32>) -> tensor<8x10xf32> {
  %v = arith.constant dense<1.0> : tensor<10x16xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x10xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x10xf32>) -> tensor<8x10xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %v : tensor<16x8xf32>, tensor<10x16xf32>) outs(%z : tensor<8x10xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<8x10xf32>
  return %0 : tensor<8x10xf32>
}

// -----
// A layer of one number has no loops over its data.
// CHECK-LABEL: func @one_number
// CHECK: linalg.matmul
func.func @one_number(%x: tensor<1x1xf32>) -> tensor<1x16xf32> {
  %zero = arith.constant 0.0 : f32
  %w = arith.constant dense<[[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0]]> : tensor<1x16xf32>
  %e = tensor.empty() : tensor<1x16xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x16xf32>) -> tensor<1x16xf32>
  %y = linalg.matmul ins(%x, %w : tensor<1x1xf32>, tensor<1x16xf32>) outs(%f : tensor<1x16xf32>) -> tensor<1x16xf32>
  return %y : tensor<1x16xf32>
}
