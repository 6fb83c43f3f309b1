// RUN: smartmem-opt --smartmem-raise-views --smartmem-classify-ops --smartmem-compose-views --smartmem-eliminate-views --mlir-print-local-scope --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-raise-views --smartmem-classify-ops --smartmem-compose-views --smartmem-eliminate-views --smartmem-lower-to-linalg --smartmem-form-regions --split-input-file %s | FileCheck %s --check-prefix=FUSED

// SmartMem, tables 5 and 6: the producer is ild_variable.

// Each computes in its own order.
// CHECK-LABEL: func @then_ild_variable_keeps_both
// FUSED-LABEL: func @then_ild_variable_keeps_both
func.func @then_ild_variable_keeps_both(%x: tensor<4x8xf32>, %w: tensor<8x6xf32>, %v: tensor<6x5xf32>) -> tensor<4x5xf32> {
  // CHECK: %[[A:.*]] = linalg.matmul
  // CHECK-NOT: smartmem.view
  // CHECK: linalg.matmul {{.*}} ins(%[[A]], %arg2
  // FUSED-COUNT-2: flow.dispatch.region
  %c = arith.constant 0.0 : f32
  %f0 = tensor.empty() : tensor<4x6xf32>
  %i0 = linalg.fill ins(%c : f32) outs(%f0 : tensor<4x6xf32>) -> tensor<4x6xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<4x8xf32>, tensor<8x6xf32>) outs(%i0 : tensor<4x6xf32>) -> tensor<4x6xf32>
  %f1 = tensor.empty() : tensor<4x5xf32>
  %i1 = linalg.fill ins(%c : f32) outs(%f1 : tensor<4x5xf32>) -> tensor<4x5xf32>
  %1 = linalg.matmul ins(%0, %v : tensor<4x6xf32>, tensor<6x5xf32>) outs(%i1 : tensor<4x5xf32>) -> tensor<4x5xf32>
  return %1 : tensor<4x5xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>

// Elimination leaves both; smartmem-form-regions makes one kernel of them.
// CHECK-LABEL: func @then_ili_variable_tries_to_fuse
// FUSED-LABEL: func @then_ili_variable_tries_to_fuse
func.func @then_ili_variable_tries_to_fuse(%x: tensor<4x8xf32>, %w: tensor<8x6xf32>) -> tensor<4x6xf32> {
  // CHECK: %[[A:.*]] = linalg.matmul
  // CHECK-NOT: smartmem.view
  // CHECK: linalg.generic {{.*}} ins(%[[A]]
  // FUSED: flow.dispatch.region
  // FUSED: linalg.matmul
  // FUSED-NOT: flow.dispatch.region
  // FUSED: math.exp
  // FUSED: flow.return
  %c = arith.constant 0.0 : f32
  %f0 = tensor.empty() : tensor<4x6xf32>
  %i0 = linalg.fill ins(%c : f32) outs(%f0 : tensor<4x6xf32>) -> tensor<4x6xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<4x8xf32>, tensor<8x6xf32>) outs(%i0 : tensor<4x6xf32>) -> tensor<4x6xf32>
  %e1 = tensor.empty() : tensor<4x6xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<4x6xf32>) outs(%e1 : tensor<4x6xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = math.exp %in : f32
    linalg.yield %s : f32
  } -> tensor<4x6xf32>
  return %1 : tensor<4x6xf32>
}

// -----
// The producer writes transposed.
// CHECK-LABEL: func @then_ild_fixed_eliminates_it
// FUSED-LABEL: func @then_ild_fixed_eliminates_it
func.func @then_ild_fixed_eliminates_it(%x: tensor<4x8xf32>, %w: tensor<8x6xf32>) -> tensor<6x4xf32> {
  // CHECK-NOT: smartmem.view
  // CHECK: %[[A:.*]] = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d1, d0)>]
  // CHECK-NOT: smartmem.view
  // CHECK: return %[[A]]
  // FUSED-NOT: linalg.transpose
  %c = arith.constant 0.0 : f32
  %f0 = tensor.empty() : tensor<4x6xf32>
  %i0 = linalg.fill ins(%c : f32) outs(%f0 : tensor<4x6xf32>) -> tensor<4x6xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<4x8xf32>, tensor<8x6xf32>) outs(%i0 : tensor<4x6xf32>) -> tensor<4x6xf32>
  %e1 = tensor.empty() : tensor<6x4xf32>
  %1 = linalg.transpose ins(%0 : tensor<4x6xf32>) outs(%e1 : tensor<6x4xf32>) permutation = [1, 0]
  return %1 : tensor<6x4xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>

// A slice is an offset for those who read it: it stands in the kernel that does.
// CHECK-LABEL: func @then_ili_fixed_eliminates_it
// FUSED-LABEL: func @then_ili_fixed_eliminates_it
func.func @then_ili_fixed_eliminates_it(%x: tensor<4x8xf32>, %w: tensor<8x6xf32>) -> tensor<4x3xf32> {
  // CHECK: %[[A:.*]] = linalg.matmul
  // CHECK: %[[V:.*]] = "smartmem.view"(%[[A]]) {map = affine_map<(d0, d1) -> (d0, d1 + 3)>}
  // CHECK: linalg.generic {{.*}} ins(%[[V]]
  // FUSED: flow.dispatch.region
  // FUSED: linalg.matmul
  // FUSED: flow.dispatch.region
  // FUSED-NEXT: tensor.extract_slice
  // FUSED: math.exp
  %c = arith.constant 0.0 : f32
  %f0 = tensor.empty() : tensor<4x6xf32>
  %i0 = linalg.fill ins(%c : f32) outs(%f0 : tensor<4x6xf32>) -> tensor<4x6xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<4x8xf32>, tensor<8x6xf32>) outs(%i0 : tensor<4x6xf32>) -> tensor<4x6xf32>
  %1 = tensor.extract_slice %0[0, 3] [4, 3] [1, 1] : tensor<4x6xf32> to tensor<4x3xf32>
  %e2 = tensor.empty() : tensor<4x3xf32>
  %2 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%1 : tensor<4x3xf32>) outs(%e2 : tensor<4x3xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = math.exp %in : f32
    linalg.yield %s : f32
  } -> tensor<4x3xf32>
  return %2 : tensor<4x3xf32>
}
