// RUN: smartmem-opt --smartmem-fold-constants --split-input-file --mlir-print-local-scope %s | FileCheck %s

// The numbers are compared in test/numerics/test_algebra_factors.py.

#id = affine_map<(d0, d1) -> (d0, d1)>
#column = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: func @into_the_weights_before
func.func @into_the_weights_before(%x: tensor<5x8xf32>) -> tensor<5x4xf32> {
  // CHECK: %[[W:.*]] = arith.constant dense_resource<scaled{{.*}}> : tensor<8x4xf32>
  // CHECK: %[[M:.*]] = linalg.matmul ins(%arg0, %[[W]]
  // CHECK-NOT: linalg.generic
  // CHECK: return %[[M]]
  %w = arith.constant dense<0.5> : tensor<8x4xf32>
  %k = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<5x4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<5x4xf32>) -> tensor<5x4xf32>
  %m = linalg.matmul ins(%x, %w : tensor<5x8xf32>, tensor<8x4xf32>) outs(%f : tensor<5x4xf32>) -> tensor<5x4xf32>
  %0 = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%m, %k : tensor<5x4xf32>, tensor<4xf32>) outs(%e : tensor<5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.mulf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<5x4xf32>
  return %0 : tensor<5x4xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
#column = affine_map<(d0, d1) -> (d1)>
// The bias takes the factor, too; it is an operand of the operation that adds it.
// CHECK-LABEL: func @through_a_bias
func.func @through_a_bias(%x: tensor<5x8xf32>) -> tensor<5x4xf32> {
  // CHECK: %[[W:.*]] = arith.constant dense_resource<scaled{{.*}}> : tensor<8x4xf32>
  // CHECK: %[[M:.*]] = linalg.matmul ins(%arg0, %[[W]]
  // CHECK: %[[B:.*]] = arith.constant dense_resource<scaled{{.*}}> : tensor<4xf32>
  // CHECK: linalg.generic {{.*}} ins(%[[M]], %[[B]] :
  // CHECK: arith.addf
  // CHECK-NOT: arith.mulf
  %w = arith.constant dense<0.5> : tensor<8x4xf32>
  %k = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %bias = arith.constant dense<3.0> : tensor<4xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<5x4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<5x4xf32>) -> tensor<5x4xf32>
  %m = linalg.matmul ins(%x, %w : tensor<5x8xf32>, tensor<8x4xf32>) outs(%f : tensor<5x4xf32>) -> tensor<5x4xf32>
  %biased = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%m, %bias : tensor<5x4xf32>, tensor<4xf32>) outs(%e : tensor<5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<5x4xf32>
  %0 = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%biased, %k : tensor<5x4xf32>, tensor<4xf32>) outs(%e : tensor<5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.mulf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<5x4xf32>
  return %0 : tensor<5x4xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
#column = affine_map<(d0, d1) -> (d1)>
// As the scale of Q in a joint projection: the rest of the weights stays.
// CHECK-LABEL: func @a_part_of_the_weights
func.func @a_part_of_the_weights(%x: tensor<5x8xf32>) -> tensor<5x4xf32> {
  // CHECK: %[[W:.*]] = arith.constant dense_resource<scaled{{.*}}> : tensor<8x8xf32>
  // CHECK: linalg.matmul ins(%arg0, %[[W]]
  // CHECK-NOT: arith.mulf
  // CHECK: arith.maximumf
  %w = arith.constant dense<0.5> : tensor<8x8xf32>
  %k = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<5x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<5x8xf32>) -> tensor<5x8xf32>
  %eq = tensor.empty() : tensor<5x4xf32>
  %m = linalg.matmul ins(%x, %w : tensor<5x8xf32>, tensor<8x8xf32>) outs(%f : tensor<5x8xf32>) -> tensor<5x8xf32>
  %q = "smartmem.view"(%m) {map = affine_map<(d0, d1) -> (d0, d1 + 0)>} : (tensor<5x8xf32>) -> tensor<5x4xf32>
  %v = "smartmem.view"(%m) {map = affine_map<(d0, d1) -> (d0, d1 + 4)>} : (tensor<5x8xf32>) -> tensor<5x4xf32>
  %0 = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%q, %k : tensor<5x4xf32>, tensor<4xf32>) outs(%eq : tensor<5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.mulf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<5x4xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%0, %v : tensor<5x4xf32>, tensor<5x4xf32>) outs(%eq : tensor<5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.maximumf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<5x4xf32>
  return %1 : tensor<5x4xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
#column = affine_map<(d0, d1) -> (d1)>
// Another operation reads a part of what would be scaled.
// CHECK-LABEL: func @keeps_factor_of_what_others_read
func.func @keeps_factor_of_what_others_read(%x: tensor<5x8xf32>) -> tensor<5x4xf32> {
  // CHECK: arith.constant dense<5.000000e-01> : tensor<8x8xf32>
  // CHECK: arith.mulf
  %w = arith.constant dense<0.5> : tensor<8x8xf32>
  %k = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<5x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<5x8xf32>) -> tensor<5x8xf32>
  %eq = tensor.empty() : tensor<5x4xf32>
  %m = linalg.matmul ins(%x, %w : tensor<5x8xf32>, tensor<8x8xf32>) outs(%f : tensor<5x8xf32>) -> tensor<5x8xf32>
  %q = "smartmem.view"(%m) {map = affine_map<(d0, d1) -> (d0, d1 + 0)>} : (tensor<5x8xf32>) -> tensor<5x4xf32>
  %v = "smartmem.view"(%m) {map = affine_map<(d0, d1) -> (d0, d1 + 3)>} : (tensor<5x8xf32>) -> tensor<5x4xf32>
  %0 = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%q, %k : tensor<5x4xf32>, tensor<4xf32>) outs(%eq : tensor<5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.mulf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<5x4xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%0, %v : tensor<5x4xf32>, tensor<5x4xf32>) outs(%eq : tensor<5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.maximumf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<5x4xf32>
  return %1 : tensor<5x4xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
#column = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: func @into_the_weights_behind
func.func @into_the_weights_behind(%x: tensor<5x4xf32>) -> tensor<5x6xf32> {
  // CHECK: %[[T:.*]] = linalg.generic
  // CHECK: math.tanh
  // CHECK-NOT: arith.mulf
  // CHECK: %[[W:.*]] = arith.constant dense_resource<scaled{{.*}}> : tensor<4x6xf32>
  // CHECK: linalg.matmul ins(%[[T]], %[[W]]
  %w = arith.constant dense<0.5> : tensor<4x6xf32>
  %k = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<5x6xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<5x6xf32>) -> tensor<5x6xf32>
  %eq = tensor.empty() : tensor<5x4xf32>
  %0 = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %k : tensor<5x4xf32>, tensor<4xf32>) outs(%eq : tensor<5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %t = math.tanh %a : f32
    %s = arith.mulf %t, %b : f32
    linalg.yield %s : f32
  } -> tensor<5x4xf32>
  %1 = linalg.matmul ins(%0, %w : tensor<5x4xf32>, tensor<4x6xf32>) outs(%f : tensor<5x6xf32>) -> tensor<5x6xf32>
  return %1 : tensor<5x6xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
#column = affine_map<(d0, d1) -> (d1)>
// The function's argument has no weights, and neither has the return.
// CHECK-LABEL: func @keeps_factor_without_weights
func.func @keeps_factor_without_weights(%x: tensor<5x4xf32>) -> tensor<5x4xf32> {
  // CHECK: arith.mulf
  %k = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %eq = tensor.empty() : tensor<5x4xf32>
  %0 = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %k : tensor<5x4xf32>, tensor<4xf32>) outs(%eq : tensor<5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.mulf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<5x4xf32>
  return %0 : tensor<5x4xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
#column = affine_map<(d0, d1) -> (d1)>
// A function that is not linear stands between.
// CHECK-LABEL: func @keeps_factor_behind_tanh
func.func @keeps_factor_behind_tanh(%x: tensor<5x8xf32>) -> tensor<5x4xf32> {
  // CHECK: math.tanh
  // CHECK: arith.mulf
  %w = arith.constant dense<0.5> : tensor<8x4xf32>
  %k = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<5x4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<5x4xf32>) -> tensor<5x4xf32>
  %m = linalg.matmul ins(%x, %w : tensor<5x8xf32>, tensor<8x4xf32>) outs(%f : tensor<5x4xf32>) -> tensor<5x4xf32>
  %0 = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%m, %k : tensor<5x4xf32>, tensor<4xf32>) outs(%e : tensor<5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %t = math.tanh %a : f32
    %s = arith.mulf %t, %b : f32
    linalg.yield %s : f32
  } -> tensor<5x4xf32>
  return %0 : tensor<5x4xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
#column = affine_map<(d0, d1) -> (d1)>
// Weights of 5120 elements would have to be kept twice.
// CHECK-LABEL: func @keeps_factor_of_large_shared_weights
func.func @keeps_factor_of_large_shared_weights(%x: tensor<5x80xf32>, %y: tensor<5x80xf32>) -> (tensor<5x64xf32>, tensor<5x64xf32>) {
  // CHECK: arith.mulf
  %w = arith.constant dense<0.5> : tensor<80x64xf32>
  %k = arith.constant dense<2.0> : tensor<64xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<5x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<5x64xf32>) -> tensor<5x64xf32>
  %m = linalg.matmul ins(%x, %w : tensor<5x80xf32>, tensor<80x64xf32>) outs(%f : tensor<5x64xf32>) -> tensor<5x64xf32>
  %n = linalg.matmul ins(%y, %w : tensor<5x80xf32>, tensor<80x64xf32>) outs(%f : tensor<5x64xf32>) -> tensor<5x64xf32>
  %0 = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%m, %k : tensor<5x64xf32>, tensor<64xf32>) outs(%e : tensor<5x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.mulf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<5x64xf32>
  return %0, %n : tensor<5x64xf32>, tensor<5x64xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
#column = affine_map<(d0, d1) -> (d1)>
// The contraction adds to a tensor that is not constant.
// CHECK-LABEL: func @keeps_factor_of_a_given_start
func.func @keeps_factor_of_a_given_start(%x: tensor<5x8xf32>, %f: tensor<5x4xf32>) -> tensor<5x4xf32> {
  // CHECK: arith.mulf
  %w = arith.constant dense<0.5> : tensor<8x4xf32>
  %k = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %eq = tensor.empty() : tensor<5x4xf32>
  %m = linalg.matmul ins(%x, %w : tensor<5x8xf32>, tensor<8x4xf32>) outs(%f : tensor<5x4xf32>) -> tensor<5x4xf32>
  %0 = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%m, %k : tensor<5x4xf32>, tensor<4xf32>) outs(%eq : tensor<5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.mulf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<5x4xf32>
  return %0 : tensor<5x4xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
#column = affine_map<(d0, d1) -> (d1)>
// 0 * inf would be NaN where the matmul gave 0.
// CHECK-LABEL: func @keeps_factor_that_is_not_finite
func.func @keeps_factor_that_is_not_finite(%x: tensor<5x8xf32>) -> tensor<5x4xf32> {
  // CHECK: arith.mulf
  %w = arith.constant dense<0.5> : tensor<8x4xf32>
  %k = arith.constant dense<0x7F800000> : tensor<4xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<5x4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<5x4xf32>) -> tensor<5x4xf32>
  %m = linalg.matmul ins(%x, %w : tensor<5x8xf32>, tensor<8x4xf32>) outs(%f : tensor<5x4xf32>) -> tensor<5x4xf32>
  %0 = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%m, %k : tensor<5x4xf32>, tensor<4xf32>) outs(%e : tensor<5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.mulf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<5x4xf32>
  return %0 : tensor<5x4xf32>
}

// -----
#row = affine_map<(d0, d1) -> (d0)>
#id = affine_map<(d0, d1) -> (d0, d1)>
#column = affine_map<(d0, d1) -> (d1)>
// The rows of the result are those of x, not of the weights.
// CHECK-LABEL: func @keeps_factor_of_rows
func.func @keeps_factor_of_rows(%x: tensor<5x8xf32>) -> tensor<5x4xf32> {
  // CHECK: arith.mulf
  %k = arith.constant dense<[1.0, 2.0, 3.0, 4.0, 5.0]> : tensor<5xf32>
  %w = arith.constant dense<0.5> : tensor<8x4xf32>
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<5x4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<5x4xf32>) -> tensor<5x4xf32>
  %m = linalg.matmul ins(%x, %w : tensor<5x8xf32>, tensor<8x4xf32>) outs(%f : tensor<5x4xf32>) -> tensor<5x4xf32>
  %0 = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%m, %k : tensor<5x4xf32>, tensor<5xf32>) outs(%e : tensor<5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.mulf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<5x4xf32>
  return %0 : tensor<5x4xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
#transposed = affine_map<(d0, d1) -> (d1, d0)>
#first = affine_map<(d0, d1) -> (-d0 + 3)>
#second = affine_map<(d0, d1) -> (d0 - 4)>
// The concat reads the transposed result, which stays a movement of its own.
// CHECK-LABEL: func @keeps_factor_of_a_result_that_a_concat_reads
func.func @keeps_factor_of_a_result_that_a_concat_reads(%x: tensor<5x8xf32>, %y: tensor<4x5xf32>) -> (tensor<8x5xf32>, tensor<4x5xf32>) {
  // CHECK-NOT: dense_resource
  // CHECK: arith.mulf
  %w = arith.constant dense<0.5> : tensor<8x4xf32>
  %k = arith.constant 2.0 : f32
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<5x4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<5x4xf32>) -> tensor<5x4xf32>
  %m = linalg.matmul ins(%x, %w : tensor<5x8xf32>, tensor<8x4xf32>) outs(%f : tensor<5x4xf32>) -> tensor<5x4xf32>
  %t = "smartmem.view"(%m) {map = #transposed} : (tensor<5x4xf32>) -> tensor<4x5xf32>
  %a = "smartmem.view"(%t) {domain = #first, map = #id} : (tensor<4x5xf32>) -> tensor<8x5xf32>
  %b = "smartmem.view"(%y) {domain = #second, map = affine_map<(d0, d1) -> (d0 - 4, d1)>} : (tensor<4x5xf32>) -> tensor<8x5xf32>
  %joined = "smartmem.concat"(%a, %b) {domains = [#first, #second]} : (tensor<8x5xf32>, tensor<8x5xf32>) -> tensor<8x5xf32>
  %o = tensor.empty() : tensor<4x5xf32>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%t : tensor<4x5xf32>) outs(%o : tensor<4x5xf32>) {
  ^bb0(%p: f32, %r: f32):
    %s = arith.mulf %p, %k : f32
    linalg.yield %s : f32
  } -> tensor<4x5xf32>
  return %joined, %0 : tensor<8x5xf32>, tensor<4x5xf32>
}
