// RUN: smartmem-opt --smartmem-eliminate-views --mlir-print-local-scope --split-input-file %s | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>

// Read through the view, nothing would say that the sum has 3 terms.
// CHECK-LABEL: func @keeps_a_repetition_that_is_summed
func.func @keeps_a_repetition_that_is_summed(%x: tensor<4xf32>, %f: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: %[[V:.*]] = "smartmem.view"(%arg0)
  // CHECK: linalg.generic {{.*}} ins(%[[V]] : tensor<4x3xf32>)
  %0 = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d0)>} : (tensor<4xf32>) -> tensor<4x3xf32>
  %1 = linalg.generic {indexing_maps = [#id, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%0 : tensor<4x3xf32>) outs(%f : tensor<4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = arith.addf %in, %out : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// -----
#row = affine_map<(d0, d1) -> (d0)>

// CHECK-LABEL: func @keeps_a_repetition_that_another_operand_weighs
func.func @keeps_a_repetition_that_another_operand_weighs(%x: tensor<4xf32>, %w: tensor<3xf32>, %f: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: %[[V:.*]] = "smartmem.view"(%arg0)
  // CHECK: linalg.generic {{.*}} ins(%[[V]], %arg1
  %0 = "smartmem.view"(%x) {map = #row} : (tensor<4xf32>) -> tensor<4x3xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>, #row], iterator_types = ["parallel", "reduction"]} ins(%0, %w : tensor<4x3xf32>, tensor<3xf32>) outs(%f : tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %p, %out : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  return %1 : tensor<4xf32>
}
