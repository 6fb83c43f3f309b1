// RUN: smartmem-opt --smartmem-rewrite-algebra --split-input-file --mlir-print-local-scope %s | FileCheck %s

// Q * k is a kernel; what reads Q * K^T multiplies at little cost.

#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// CHECK-LABEL: func @scale_behind_a_contraction
func.func @scale_behind_a_contraction(%q: tensor<2x5x4xf32>, %k: tensor<2x4x5xf32>) -> tensor<2x5x5xf32> {
  %c = arith.constant 0.5 : f32
  %zero = arith.constant 0.0 : f32
  %eq = tensor.empty() : tensor<2x5x4xf32>
  %e = tensor.empty() : tensor<2x5x5xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<2x5x5xf32>) -> tensor<2x5x5xf32>
  // CHECK-NOT: linalg.generic
  // CHECK: %[[S:.*]] = linalg.batch_matmul
  // CHECK: linalg.generic {{.*}} ins(%[[S]] :
  // CHECK: %[[M:.*]] = arith.mulf
  // CHECK: math.exp %[[M]]
  %s = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%q : tensor<2x5x4xf32>) outs(%eq : tensor<2x5x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = arith.mulf %a, %c : f32
    linalg.yield %1 : f32
  } -> tensor<2x5x4xf32>
  %m = linalg.batch_matmul ins(%s, %k : tensor<2x5x4xf32>, tensor<2x4x5xf32>) outs(%f : tensor<2x5x5xf32>) -> tensor<2x5x5xf32>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%m : tensor<2x5x5xf32>) outs(%e : tensor<2x5x5xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = math.exp %a : f32
    linalg.yield %1 : f32
  } -> tensor<2x5x5xf32>
  return %0 : tensor<2x5x5xf32>
}

// -----
#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// The scale stays: another operation reads the scaled tensor.
// CHECK-LABEL: func @keeps_scale_with_two_readers
func.func @keeps_scale_with_two_readers(%q: tensor<2x5x4xf32>, %k: tensor<2x4x5xf32>) -> (tensor<2x5x5xf32>, tensor<2x5x4xf32>) {
  %c = arith.constant 0.5 : f32
  %zero = arith.constant 0.0 : f32
  %eq = tensor.empty() : tensor<2x5x4xf32>
  %e = tensor.empty() : tensor<2x5x5xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<2x5x5xf32>) -> tensor<2x5x5xf32>
  // CHECK: %[[S:.*]] = linalg.generic
  // CHECK: arith.mulf
  // CHECK: linalg.batch_matmul ins(%[[S]]
  // CHECK-NOT: arith.mulf
  // CHECK: math.exp
  %s = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%q : tensor<2x5x4xf32>) outs(%eq : tensor<2x5x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = arith.mulf %a, %c : f32
    linalg.yield %1 : f32
  } -> tensor<2x5x4xf32>
  %m = linalg.batch_matmul ins(%s, %k : tensor<2x5x4xf32>, tensor<2x4x5xf32>) outs(%f : tensor<2x5x5xf32>) -> tensor<2x5x5xf32>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%m : tensor<2x5x5xf32>) outs(%e : tensor<2x5x5xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = math.exp %a : f32
    linalg.yield %1 : f32
  } -> tensor<2x5x5xf32>
  return %0, %s : tensor<2x5x5xf32>, tensor<2x5x4xf32>
}

// -----
#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// The scale stays: a return reads the result and cannot multiply.
// CHECK-LABEL: func @keeps_scale_of_a_returned_contraction
func.func @keeps_scale_of_a_returned_contraction(%q: tensor<2x5x4xf32>, %k: tensor<2x4x5xf32>) -> tensor<2x5x5xf32> {
  %c = arith.constant 0.5 : f32
  %zero = arith.constant 0.0 : f32
  %eq = tensor.empty() : tensor<2x5x4xf32>
  %e = tensor.empty() : tensor<2x5x5xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<2x5x5xf32>) -> tensor<2x5x5xf32>
  // CHECK: %[[S:.*]] = linalg.generic
  // CHECK: arith.mulf
  // CHECK: %[[M:.*]] = linalg.batch_matmul ins(%[[S]]
  // CHECK: return %[[M]]
  %s = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%q : tensor<2x5x4xf32>) outs(%eq : tensor<2x5x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = arith.mulf %a, %c : f32
    linalg.yield %1 : f32
  } -> tensor<2x5x4xf32>
  %m = linalg.batch_matmul ins(%s, %k : tensor<2x5x4xf32>, tensor<2x4x5xf32>) outs(%f : tensor<2x5x5xf32>) -> tensor<2x5x5xf32>
  return %m : tensor<2x5x5xf32>
}
