// RUN: smartmem-opt --smartmem-rewrite-algebra --split-input-file --mlir-print-local-scope %s | FileCheck %s

// Each row of the tables of rules is applied, and its numbers are compared, in
// test/numerics/test_algebra_numerics.py.

#id = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-LABEL: func @distributive
func.func @distributive(%x: tensor<4x8xf32>, %y: tensor<4x8xf32>, %z: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  // CHECK: ^bb0(%[[X:.*]]: f32, %[[Y:.*]]: f32, %[[Z:.*]]: f32, %{{.*}}: f32):
  // CHECK-NEXT: %[[S:.*]] = arith.addf %[[Z]], %[[Y]]
  // CHECK-NEXT: %[[P:.*]] = arith.mulf %[[X]], %[[S]]
  // CHECK-NEXT: linalg.yield %[[P]]
  %0 = linalg.generic {indexing_maps = [#id, #id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %y, %z : tensor<4x8xf32>, tensor<4x8xf32>, tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32, %o: f32):
    %1 = arith.mulf %a, %b : f32
    %2 = arith.mulf %a, %c : f32
    %3 = arith.addf %1, %2 : f32
    linalg.yield %3 : f32
  } -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
// Two unary minuses leave the operand: no operation is left at all.
// CHECK-LABEL: func @nothing_left
func.func @nothing_left(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  // CHECK-NOT: linalg
  // CHECK: return %arg0
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = arith.negf %a : f32
    %2 = arith.negf %1 : f32
    linalg.yield %2 : f32
  } -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
// The end of a softmax divides by the sum of a row: once for each row, not element.
// CHECK-LABEL: func @one_division_for_a_row
func.func @one_division_for_a_row(%x: tensor<4x8xf32>, %sum: tensor<4xf32>) -> tensor<4x8xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  // CHECK: ^bb0(%[[X:.*]]: f32, %[[S:.*]]: f32, %{{.*}}: f32):
  // CHECK-NEXT: %[[R:.*]] = arith.divf %{{.*}}, %[[S]]
  // CHECK-NEXT: arith.mulf %[[X]], %[[R]]
  %0 = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %sum : tensor<4x8xf32>, tensor<4xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %1 = arith.divf %a, %b : f32
    linalg.yield %1 : f32
  } -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
// Nothing is saved where each element has its own divisor.
// CHECK-LABEL: func @keeps_what_would_cost_more
func.func @keeps_what_would_cost_more(%x: tensor<4x8xf32>, %y: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  // CHECK: arith.divf
  // CHECK-NOT: arith.mulf
  %0 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %y : tensor<4x8xf32>, tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %1 = arith.divf %a, %b : f32
    linalg.yield %1 : f32
  } -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
// sqrt(y) * sqrt(y) is NaN where y is negative; y is not.
// CHECK-LABEL: func @keeps_root_of_what_may_be_negative
func.func @keeps_root_of_what_may_be_negative(%y: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  // CHECK: math.sqrt
  // CHECK: arith.mulf
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%y : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = math.sqrt %a : f32
    %2 = arith.mulf %1, %1 : f32
    linalg.yield %2 : f32
  } -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
// The product of the two constants would be 0.
// CHECK-LABEL: func @keeps_constants_that_underflow
func.func @keeps_constants_that_underflow(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %small = arith.constant 1.0e-30 : f32
  %e = tensor.empty() : tensor<4x8xf32>
  // CHECK-COUNT-2: arith.mulf
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = arith.mulf %a, %small : f32
    %2 = arith.mulf %1, %small : f32
    linalg.yield %2 : f32
  } -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
#d0 = affine_map<(d0) -> (d0)>
// CHECK-LABEL: func @function_behind_a_reduction
func.func @function_behind_a_reduction(%x: tensor<4x8xf32>) -> tensor<4xf32> {
  // CHECK: %[[ZERO:.*]] = arith.constant 0.000000e+00
  // CHECK: %[[INIT:.*]] = linalg.fill ins(%[[ZERO]]
  // CHECK: linalg.generic {{.*}} ins(%arg0 : {{.*}} outs(%[[INIT]]
  // CHECK-NOT: math.exp
  // CHECK: arith.addf
  // CHECK: linalg.generic
  // CHECK: %[[EXP:.*]] = math.exp
  // CHECK-NEXT: arith.addf %[[EXP]]
  %one = arith.constant 1.0 : f32
  %e = tensor.empty() : tensor<4xf32>
  %f = linalg.fill ins(%one : f32) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %p = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<4x8xf32>) outs(%f : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = math.exp %a : f32
    %2 = arith.mulf %1, %o : f32
    linalg.yield %2 : f32
  } -> tensor<4xf32>
  %0 = linalg.generic {indexing_maps = [#d0, #d0], iterator_types = ["parallel"]} ins(%p : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = arith.addf %a, %one : f32
    linalg.yield %1 : f32
  } -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
// What reads the result is a return, which computes nothing.
// CHECK-LABEL: func @keeps_function_without_a_reader
func.func @keeps_function_without_a_reader(%x: tensor<4x8xf32>) -> tensor<4xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  // CHECK: arith.negf
  // CHECK-NEXT: arith.addf
  %0 = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<4x8xf32>) outs(%f : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = arith.negf %a : f32
    %2 = arith.addf %1, %o : f32
    linalg.yield %2 : f32
  } -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
