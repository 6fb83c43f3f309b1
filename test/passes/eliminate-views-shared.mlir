// RUN: smartmem-opt --smartmem-eliminate-views --mlir-print-local-scope --split-input-file %s | FileCheck %s

// The order that the pad needs has fewer dims than the tensor that others read.
#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// CHECK-LABEL: func @writes_an_order_of_lower_rank
func.func @writes_an_order_of_lower_rank(%x: tensor<4x5x1xf32>) -> (tensor<5x6xf32>, tensor<4x5x1xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x5x1xf32>
  // CHECK: %[[W:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<5x4xf32>)
  // CHECK: "smartmem.view"(%[[W]], %{{.*}}) {domain
  // CHECK: linalg.generic {{.*}} ins(%[[W]] : tensor<5x4xf32>)
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x : tensor<4x5x1xf32>) outs(%e : tensor<4x5x1xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = math.exp %a : f32
    linalg.yield %s : f32
  } -> tensor<4x5x1xf32>
  %1 = "smartmem.view"(%0) {map = affine_map<(d0, d1) -> (d1, d0, 0)>} : (tensor<4x5x1xf32>) -> tensor<5x4xf32>
  %2 = "smartmem.view"(%1, %zero) {map = affine_map<(d0, d1) -> (d0, d1 - 1)>, domain = affine_map<(d0, d1) -> (d1 - 1, -d1 + 4)>} : (tensor<5x4xf32>, f32) -> tensor<5x6xf32>
  %3 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%0 : tensor<4x5x1xf32>) outs(%e : tensor<4x5x1xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = math.absf %a : f32
    linalg.yield %s : f32
  } -> tensor<4x5x1xf32>
  return %2, %3 : tensor<5x6xf32>, tensor<4x5x1xf32>
}
