// RUN: smartmem-opt --smartmem-classify-ops %s | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>
#swap = affine_map<(d0, d1) -> (d1, d0)>
#row = affine_map<(d0, d1) -> (d0)>

// CHECK-LABEL: func @contraction
func.func @contraction(%x: tensor<4x8xf32>, %w: tensor<8x2xf32>, %o: tensor<4x2xf32>) -> tensor<4x2xf32> {
  // CHECK: linalg.matmul {smartmem.group = #smartmem.group<"ild_variable">, smartmem.mapping = #smartmem.mapping<"many_to_many">}
  %0 = linalg.matmul ins(%x, %w : tensor<4x8xf32>, tensor<8x2xf32>) outs(%o : tensor<4x2xf32>) -> tensor<4x2xf32>
  return %0 : tensor<4x2xf32>
}

// CHECK-LABEL: func @reduction
func.func @reduction(%x: tensor<4x8xf32>, %o: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: linalg.generic
  // CHECK-SAME: smartmem.group = #smartmem.group<"ild_variable">, smartmem.mapping = #smartmem.mapping<"many_to_many">
  %0 = linalg.generic {indexing_maps = [#id, #row], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<4x8xf32>) outs(%o : tensor<4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = arith.addf %in, %out : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// CHECK-LABEL: func @unary
func.func @unary(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // CHECK: linalg.exp {smartmem.group = #smartmem.group<"ili_variable">, smartmem.mapping = #smartmem.mapping<"one_to_one">}
  %0 = linalg.exp ins(%x : tensor<4x8xf32>) outs(%x : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// CHECK-LABEL: func @elementwise_with_broadcast
func.func @elementwise_with_broadcast(%x: tensor<4x8xf32>, %y: tensor<4xf32>) -> tensor<4x8xf32> {
  // CHECK: smartmem.group = #smartmem.group<"ili_variable">, smartmem.mapping = #smartmem.mapping<"one_to_many">
  %0 = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %y : tensor<4x8xf32>, tensor<4xf32>) outs(%x : tensor<4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// A weight is no run-time operand: its broadcast does not count.
// CHECK-LABEL: func @bias
func.func @bias(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %b = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  // CHECK: smartmem.group = #smartmem.group<"ili_variable">, smartmem.mapping = #smartmem.mapping<"one_to_one">
  %0 = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %b : tensor<4x8xf32>, tensor<4xf32>) outs(%x : tensor<4x8xf32>) {
  ^bb0(%a: f32, %c: f32, %out: f32):
    %s = arith.addf %a, %c : f32
    linalg.yield %s : f32
  } -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// Operands in different layouts move the addition to another group (section 3.1).
// CHECK-LABEL: func @add_of_transposed
func.func @add_of_transposed(%x: tensor<4x8xf32>, %y: tensor<8x4xf32>) -> tensor<4x8xf32> {
  // CHECK: smartmem.group = #smartmem.group<"ild_variable">, smartmem.mapping = #smartmem.mapping<"shuffle">
  %0 = linalg.generic {indexing_maps = [#id, #swap, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %y : tensor<4x8xf32>, tensor<8x4xf32>) outs(%x : tensor<4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// CHECK-LABEL: func @gather
func.func @gather(%x: tensor<9xf32>, %i: tensor<4xi64>, %o: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: smartmem.group = #smartmem.group<"ili_fixed">, smartmem.mapping = #smartmem.mapping<"one_to_many">
  %0 = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%i : tensor<4xi64>) outs(%o : tensor<4xf32>) {
  ^bb0(%in: i64, %out: f32):
    %j = arith.index_cast %in : i64 to index
    %v = tensor.extract %x[%j] : tensor<9xf32>
    linalg.yield %v : f32
  } -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// CHECK-LABEL: func @views
func.func @views(%x: tensor<6x4xf32>, %f: f32) -> (tensor<24xf32>, tensor<4x6xf32>, tensor<2x4xf32>, tensor<3x6x4xf32>, tensor<8x4xf32>, tensor<6x4xf32>) {
  // CHECK: smartmem.group = #smartmem.group<"ild_fixed">, smartmem.mapping = #smartmem.mapping<"reorganize">
  %reshape = "smartmem.view"(%x) {map = affine_map<(d0) -> (d0 floordiv 4, d0 mod 4)>} : (tensor<6x4xf32>) -> tensor<24xf32>
  // CHECK: smartmem.group = #smartmem.group<"ild_fixed">, smartmem.mapping = #smartmem.mapping<"shuffle">
  %transpose = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d1, d0)>} : (tensor<6x4xf32>) -> tensor<4x6xf32>
  // CHECK: smartmem.group = #smartmem.group<"ili_fixed">, smartmem.mapping = #smartmem.mapping<"one_to_one">
  %slice = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d0 * 3 + 1, d1)>} : (tensor<6x4xf32>) -> tensor<2x4xf32>
  // CHECK: smartmem.group = #smartmem.group<"ili_fixed">, smartmem.mapping = #smartmem.mapping<"one_to_many">
  %expand = "smartmem.view"(%x) {map = affine_map<(d0, d1, d2) -> (d1, d2)>} : (tensor<6x4xf32>) -> tensor<3x6x4xf32>
  // CHECK: smartmem.group = #smartmem.group<"ili_fixed">, smartmem.mapping = #smartmem.mapping<"one_to_one">
  %pad = "smartmem.view"(%x, %f) {map = affine_map<(d0, d1) -> (d0 - 1, d1)>, domain = affine_map<(d0, d1) -> (d0 - 1, 6 - d0)>} : (tensor<6x4xf32>, f32) -> tensor<8x4xf32>
  // CHECK: smartmem.group = #smartmem.group<"ili_fixed">, smartmem.mapping = #smartmem.mapping<"one_to_one">
  %roll = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> ((d0 + 2) mod 6, d1)>} : (tensor<6x4xf32>) -> tensor<6x4xf32>
  return %reshape, %transpose, %slice, %expand, %pad, %roll : tensor<24xf32>, tensor<4x6xf32>, tensor<2x4xf32>, tensor<3x6x4xf32>, tensor<8x4xf32>, tensor<6x4xf32>
}

// CHECK-LABEL: func @constants_are_not_classified
func.func @constants_are_not_classified() -> tensor<4xf32> {
  // CHECK-NOT: smartmem
  %0 = arith.constant dense<1.0> : tensor<4xf32>
  %1 = tensor.empty() : tensor<4xf32>
  // CHECK: return
  return %0 : tensor<4xf32>
}
