// RUN: smartmem-opt --smartmem-fold-constants --split-input-file --mlir-print-local-scope %s | FileCheck %s

// Factors, which move into weights, are in fold-constants-factors.mlir.

#id = affine_map<(d0) -> (d0)>
// A chain of two: both are computed.
// CHECK-LABEL: func @operation_on_constants
func.func @operation_on_constants() -> tensor<4xf32> {
  // CHECK-NOT: linalg
  // CHECK: %[[C:.*]] = arith.constant dense_resource<folded{{.*}}> : tensor<4xf32>
  // CHECK-NOT: linalg
  // CHECK: return %[[C]]
  %w = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %e = tensor.empty() : tensor<4xf32>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%w : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = math.exp %a : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%0 : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.addf %a, %a : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
#column = affine_map<(d0, d1) -> (d1)>
// An outer product of constants that is 64 times as large as they are is no constant.
// CHECK-LABEL: func @keeps_what_would_be_too_large
func.func @keeps_what_would_be_too_large(%a: tensor<128xf32>) -> tensor<128x128xf32> {
  %u = arith.constant dense<2.0> : tensor<128xf32>
  %e = tensor.empty() : tensor<128x128xf32>
  // CHECK: linalg.generic
  // CHECK: arith.mulf
  %0 = linalg.generic {indexing_maps = [#row, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%u, %u : tensor<128xf32>, tensor<128xf32>) outs(%e : tensor<128x128xf32>) {
  ^bb0(%x: f32, %y: f32, %o: f32):
    %s = arith.mulf %x, %y : f32
    linalg.yield %s : f32
  } -> tensor<128x128xf32>
  return %0 : tensor<128x128xf32>
}

// -----
#id = affine_map<(d0) -> (d0)>
// CHECK-LABEL: func @keeps_what_cannot_be_evaluated
func.func @keeps_what_cannot_be_evaluated() -> tensor<4xf32> {
  %w = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %e = tensor.empty() : tensor<4xf32>
  // CHECK: math.cbrt
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%w : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = math.cbrt %a : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
#column = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: func @part_of_a_body
func.func @part_of_a_body(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %k = arith.constant dense<2.0> : tensor<8xf32>
  %l = arith.constant dense<3.0> : tensor<8xf32>
  %e = tensor.empty() : tensor<4x8xf32>
  // CHECK: %[[C:.*]] = arith.constant dense_resource<folded{{.*}}> : tensor<8xf32>
  // CHECK: linalg.generic {{.*}} ins(%arg0, %[[C]] :
  // CHECK-NEXT: ^bb0(%[[X:.*]]: f32, %[[K:.*]]: f32, %{{.*}}: f32):
  // CHECK-NEXT: arith.addf %[[X]], %[[K]]
  // CHECK-NEXT: linalg.yield
  %0 = linalg.generic {indexing_maps = [#id, #column, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %k, %l : tensor<4x8xf32>, tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32, %o: f32):
    %1 = arith.divf %b, %c : f32
    %2 = arith.addf %a, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
#column = affine_map<(d0, d1) -> (d1)>
// CHECK-LABEL: func @nothing_to_fold
func.func @nothing_to_fold(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // CHECK: %[[K:.*]] = arith.constant dense<2.000000e+00> : tensor<8xf32>
  // CHECK: linalg.generic {{.*}} ins(%arg0, %[[K]] :
  // CHECK: arith.addf
  %k = arith.constant dense<2.0> : tensor<8xf32>
  %e = tensor.empty() : tensor<4x8xf32>
  %0 = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %k : tensor<4x8xf32>, tensor<8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %1 = arith.addf %a, %b : f32
    linalg.yield %1 : f32
  } -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----
// CHECK-LABEL: func @indices_to_sort
func.func @indices_to_sort(%x: tensor<4xf32>) -> tensor<4xi64> {
  // CHECK: %[[I:.*]] = linalg.generic
  // CHECK: tm_tensor.sort {{.*}} outs(%arg0, %[[I]] :
  %e = tensor.empty() : tensor<4xi64>
  %0 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} outs(%e : tensor<4xi64>) {
  ^bb0(%o: i64):
    %2 = linalg.index 0 : index
    %3 = arith.index_cast %2 : index to i64
    linalg.yield %3 : i64
  } -> tensor<4xi64>
  %1:2 = tm_tensor.sort dimension(0) outs(%x, %0 : tensor<4xf32>, tensor<4xi64>) {
  ^bb0(%a: f32, %b: f32, %c: i64, %d: i64):
    %2 = arith.cmpf oge, %a, %b : f32
    tm_tensor.yield %2 : i1
  } -> tensor<4xf32>, tensor<4xi64>
  return %1#1 : tensor<4xi64>
}
