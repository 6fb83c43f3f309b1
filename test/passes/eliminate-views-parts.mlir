// RUN: smartmem-opt --smartmem-eliminate-views --smartmem-validate --mlir-print-local-scope --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-eliminate-views --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// A 1x1 convolution behind a channel shuffle reads the second half of each of two groups: the
// reduction becomes two sums of whole vectors, and nothing is copied.
// CHECK-LABEL: func @behind_a_shuffle
// CHECK: %[[X:.*]] = "smartmem.view"(%arg0) {map = affine_map<(d0, d1, d2) -> (d0 * 16 + d1 + 8, d2)>} : (tensor<32x6xf32>) -> tensor<2x8x6xf32>
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "reduction", "reduction"]{{.*}} ins(%[[X]]
// REMARK: eliminate first, in its reads: a sum of a few parts costs less than a copy
func.func @behind_a_shuffle(%x: tensor<32x6xf32>) -> tensor<6x4xf32> {
  %w = arith.constant dense<0.5> : tensor<16x4xf32>
  %v = "smartmem.view"(%x) {map = affine_map<(p, k) -> ((k floordiv 8) * 16 + k mod 8 + 8, p)>} : (tensor<32x6xf32>) -> tensor<6x16xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<6x4xf32>
  %i = linalg.fill ins(%c : f32) outs(%e : tensor<6x4xf32>) -> tensor<6x4xf32>
  %r = linalg.matmul ins(%v, %w : tensor<6x16xf32>, tensor<16x4xf32>) outs(%i : tensor<6x4xf32>) -> tensor<6x4xf32>
  return %r : tensor<6x4xf32>
}

// -----
// Parts that are shorter than a vector would be scalar code.
// CHECK-LABEL: func @of_short_parts
// CHECK: "smartmem.view"(%arg0) {map = affine_map<(d0, d1) -> ({{.*}}floordiv 2{{.*}}
// CHECK: linalg.matmul
func.func @of_short_parts(%x: tensor<32x6xf32>) -> tensor<6x4xf32> {
  %w = arith.constant dense<0.5> : tensor<16x4xf32>
  %v = "smartmem.view"(%x) {map = affine_map<(p, k) -> ((k floordiv 2) * 4 + k mod 2 + 1, p)>} : (tensor<32x6xf32>) -> tensor<6x16xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<6x4xf32>
  %i = linalg.fill ins(%c : f32) outs(%e : tensor<6x4xf32>) -> tensor<6x4xf32>
  %r = linalg.matmul ins(%v, %w : tensor<6x16xf32>, tensor<16x4xf32>) outs(%i : tensor<6x4xf32>) -> tensor<6x4xf32>
  return %r : tensor<6x4xf32>
}
