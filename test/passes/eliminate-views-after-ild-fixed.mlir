// RUN: smartmem-opt --smartmem-raise-views --smartmem-classify-ops --smartmem-compose-views --smartmem-eliminate-views --mlir-print-local-scope --split-input-file %s | FileCheck %s

// SmartMem, tables 5 and 6: the producer is ild_fixed.

// The consumer reads transposed.
// CHECK-LABEL: func @then_ild_variable_eliminates_the_first
func.func @then_ild_variable_eliminates_the_first(%x: tensor<8x4xf32>, %w: tensor<8x6xf32>) -> tensor<4x6xf32> {
  // CHECK-NOT: smartmem.view
  // CHECK: linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d2, d0)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>]{{.*}} ins(%arg0, %arg1
  %c = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<4x8xf32>
  %0 = linalg.transpose ins(%x : tensor<8x4xf32>) outs(%e0 : tensor<4x8xf32>) permutation = [1, 0]
  %f1 = tensor.empty() : tensor<4x6xf32>
  %i1 = linalg.fill ins(%c : f32) outs(%f1 : tensor<4x6xf32>) -> tensor<4x6xf32>
  %1 = linalg.matmul ins(%0, %w : tensor<4x8xf32>, tensor<8x6xf32>) outs(%i1 : tensor<4x6xf32>) -> tensor<4x6xf32>
  return %1 : tensor<4x6xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>

// The consumer reads transposed.
// CHECK-LABEL: func @then_ili_variable_eliminates_the_first
func.func @then_ili_variable_eliminates_the_first(%x: tensor<8x4xf32>) -> tensor<4x8xf32> {
  // CHECK-NOT: smartmem.view
  // CHECK: linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1, d0)>, affine_map<(d0, d1) -> (d0, d1)>]{{.*}} ins(%arg0
  %e0 = tensor.empty() : tensor<4x8xf32>
  %0 = linalg.transpose ins(%x : tensor<8x4xf32>) outs(%e0 : tensor<4x8xf32>) permutation = [1, 0]
  %e1 = tensor.empty() : tensor<4x8xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<4x8xf32>) outs(%e1 : tensor<4x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = math.exp %in : f32
    linalg.yield %s : f32
  } -> tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>

// Two movements become one, which goes into the reads of the consumer; what is left
// keeps the row-major order and moves nothing.
// CHECK-LABEL: func @then_ild_fixed_eliminates_both
func.func @then_ild_fixed_eliminates_both(%x: tensor<8x4xf32>) -> tensor<8x4xf32> {
  // CHECK: %[[S:.*]] = "smartmem.view"(%arg0) {map = affine_map<(d0, d1, d2) -> (d0 * 4 + d1, d2)>}
  // CHECK: linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d1, d2, d0)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>]{{.*}} ins(%[[S]]
  %e0 = tensor.empty() : tensor<4x8xf32>
  %0 = linalg.transpose ins(%x : tensor<8x4xf32>) outs(%e0 : tensor<4x8xf32>) permutation = [1, 0]
  %f = tensor.collapse_shape %0 [[0, 1]] : tensor<4x8xf32> into tensor<32xf32>
  %1 = tensor.expand_shape %f [[0, 1]] output_shape [8, 4] : tensor<32xf32> into tensor<8x4xf32>
  %e2 = tensor.empty() : tensor<8x4xf32>
  %2 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%1 : tensor<8x4xf32>) outs(%e2 : tensor<8x4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = math.exp %in : f32
    linalg.yield %s : f32
  } -> tensor<8x4xf32>
  return %2 : tensor<8x4xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>

// The slice of the transposed is one read at a constant index.
// CHECK-LABEL: func @then_ili_fixed_eliminates_both
func.func @then_ili_fixed_eliminates_both(%x: tensor<8x4xf32>) -> tensor<2x8xf32> {
  // CHECK: %[[S:.*]] = "smartmem.view"(%arg0) {map = affine_map<(d0, d1, d2) -> (d0, d1 * 2 + d2)>}
  // CHECK-NOT: smartmem.view
  // CHECK: linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1, 1, d0)>, affine_map<(d0, d1) -> (d0, d1)>]{{.*}} ins(%[[S]]
  %e0 = tensor.empty() : tensor<4x8xf32>
  %0 = linalg.transpose ins(%x : tensor<8x4xf32>) outs(%e0 : tensor<4x8xf32>) permutation = [1, 0]
  %1 = tensor.extract_slice %0[2, 0] [2, 8] [1, 1] : tensor<4x8xf32> to tensor<2x8xf32>
  %e2 = tensor.empty() : tensor<2x8xf32>
  %2 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%1 : tensor<2x8xf32>) outs(%e2 : tensor<2x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = math.exp %in : f32
    linalg.yield %s : f32
  } -> tensor<2x8xf32>
  return %2 : tensor<2x8xf32>
}
