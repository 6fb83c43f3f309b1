// RUN: smartmem-opt --smartmem-raise-views --smartmem-classify-ops --smartmem-compose-views --smartmem-eliminate-views --mlir-print-local-scope --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-raise-views --smartmem-classify-ops --smartmem-compose-views --smartmem-eliminate-views --smartmem-lower-to-linalg --smartmem-form-regions --split-input-file %s | FileCheck %s --check-prefix=FUSED

// SmartMem, tables 5 and 6: the producer is ili_variable.

#id = affine_map<(d0, d1) -> (d0, d1)>

// Elimination leaves both. smartmem-form-regions refuses here: the contraction would
// compute the exponential of each element anew for every column.
// CHECK-LABEL: func @then_ild_variable_tries_to_fuse
// FUSED-LABEL: func @then_ild_variable_tries_to_fuse
func.func @then_ild_variable_tries_to_fuse(%x: tensor<4x8xf32>, %w: tensor<8x6xf32>) -> tensor<4x6xf32> {
  // CHECK: %[[A:.*]] = linalg.generic
  // CHECK-NOT: smartmem.view
  // CHECK: linalg.matmul {{.*}} ins(%[[A]]
  // FUSED-NOT: flow.dispatch.region
  // FUSED: math.exp
  // FUSED: flow.dispatch.region
  // FUSED: linalg.matmul
  %c = arith.constant 0.0 : f32
  %e0 = tensor.empty() : tensor<4x8xf32>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x8xf32>) outs(%e0 : tensor<4x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = math.exp %in : f32
    linalg.yield %s : f32
  } -> tensor<4x8xf32>
  %f1 = tensor.empty() : tensor<4x6xf32>
  %i1 = linalg.fill ins(%c : f32) outs(%f1 : tensor<4x6xf32>) -> tensor<4x6xf32>
  %1 = linalg.matmul ins(%0, %w : tensor<4x8xf32>, tensor<8x6xf32>) outs(%i1 : tensor<4x6xf32>) -> tensor<4x6xf32>
  return %1 : tensor<4x6xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>

// Elimination leaves both; smartmem-form-regions makes one kernel of them.
// CHECK-LABEL: func @then_ili_variable_tries_to_fuse
// FUSED-LABEL: func @then_ili_variable_tries_to_fuse
func.func @then_ili_variable_tries_to_fuse(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // CHECK: %[[A:.*]] = linalg.generic
  // CHECK-NOT: smartmem.view
  // CHECK: linalg.generic {{.*}} ins(%[[A]]
  // FUSED: flow.dispatch.region
  // FUSED: math.exp
  // FUSED-NOT: flow.dispatch.region
  // FUSED: math.exp
  // FUSED: flow.return
  %e0 = tensor.empty() : tensor<4x8xf32>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x8xf32>) outs(%e0 : tensor<4x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = math.exp %in : f32
    linalg.yield %s : f32
  } -> tensor<4x8xf32>
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

// The producer writes transposed.
// CHECK-LABEL: func @then_ild_fixed_eliminates_it
// FUSED-LABEL: func @then_ild_fixed_eliminates_it
func.func @then_ild_fixed_eliminates_it(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {
  // CHECK-NOT: smartmem.view
  // CHECK: %[[A:.*]] = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1, d0)>]
  // CHECK-NOT: smartmem.view
  // CHECK: return %[[A]]
  // FUSED-NOT: linalg.transpose
  %e0 = tensor.empty() : tensor<4x8xf32>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x8xf32>) outs(%e0 : tensor<4x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = math.exp %in : f32
    linalg.yield %s : f32
  } -> tensor<4x8xf32>
  %e1 = tensor.empty() : tensor<8x4xf32>
  %1 = linalg.transpose ins(%0 : tensor<4x8xf32>) outs(%e1 : tensor<8x4xf32>) permutation = [1, 0]
  return %1 : tensor<8x4xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>

// A slice is an offset and a stride for those who read it.
// CHECK-LABEL: func @then_ili_fixed_eliminates_it
// FUSED-LABEL: func @then_ili_fixed_eliminates_it
func.func @then_ili_fixed_eliminates_it(%x: tensor<4x8xf32>) -> tensor<4x4xf32> {
  // CHECK: %[[A:.*]] = linalg.generic
  // CHECK: %[[V:.*]] = "smartmem.view"(%[[A]]) {map = affine_map<(d0, d1) -> (d0, d1 * 2)>}
  // CHECK: linalg.generic {{.*}} ins(%[[V]]
  // FUSED: math.exp
  // FUSED: flow.dispatch.region
  // FUSED-NEXT: tensor.extract_slice
  // FUSED: math.exp
  %e0 = tensor.empty() : tensor<4x8xf32>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x8xf32>) outs(%e0 : tensor<4x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = math.exp %in : f32
    linalg.yield %s : f32
  } -> tensor<4x8xf32>
  %1 = tensor.extract_slice %0[0, 0] [4, 4] [1, 2] : tensor<4x8xf32> to tensor<4x4xf32>
  %e2 = tensor.empty() : tensor<4x4xf32>
  %2 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%1 : tensor<4x4xf32>) outs(%e2 : tensor<4x4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = math.exp %in : f32
    linalg.yield %s : f32
  } -> tensor<4x4xf32>
  return %2 : tensor<4x4xf32>
}
