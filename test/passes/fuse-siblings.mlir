// RUN: smartmem-opt --smartmem-fuse-siblings --mlir-print-local-scope --split-input-file %s | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d1)>
#heads = affine_map<(d0, d1, d2) -> (d0, d1, d2)>

// Three projections, one without a bias, one with a scale behind the split into heads.
// Their weights, scales and biases lie behind each other; elimination makes the slices free.
// CHECK-LABEL: func @projections
//  CHECK-SAME:   %[[X:[a-z0-9]+]]:
func.func @projections(%x: tensor<3x2xf32>) -> (tensor<2x3x3xf32>, tensor<2x3x2xf32>) {
  %zero = arith.constant 0.0 : f32
  %two = arith.constant 2.0 : f32
  %a = arith.constant dense<[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]> : tensor<2x4xf32>
  %b = arith.constant dense<1.0> : tensor<2x4xf32>
  %c = arith.constant dense<3.0> : tensor<2x4xf32>
  %p = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %q = arith.constant dense<5.0> : tensor<4xf32>
  %e = tensor.empty() : tensor<3x4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<3x4xf32>) -> tensor<3x4xf32>
  // CHECK: %[[W:.*]] = arith.constant dense_resource<merged> : tensor<3x2x4xf32>
  // CHECK: %[[M:.*]] = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d1, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d3, d2)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%[[X]], %[[W]] :
  // CHECK: %[[K:.*]] = arith.constant dense_resource<merged_1> : tensor<3x4xf32>
  // CHECK: %[[S:.*]] = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>]{{.*}} ins(%[[M]], %[[K]] :
  // CHECK: arith.mulf
  // CHECK: %[[P:.*]] = arith.constant dense_resource<merged_2> : tensor<3x4xf32>
  // CHECK: %[[R:.*]] = linalg.generic {{.*}} ins(%[[S]], %[[P]] :
  // CHECK: arith.addf
  // CHECK: %[[Q0:.*]] = "smartmem.view"(%[[R]]) {map = affine_map<(d0, d1) -> (0, d0, d1)>}
  // CHECK: %[[K0:.*]] = "smartmem.view"(%[[R]]) {map = affine_map<(d0, d1) -> (1, d0, d1)>}
  // CHECK: %[[V0:.*]] = "smartmem.view"(%[[R]]) {map = affine_map<(d0, d1) -> (2, d0, d1)>}
  %0 = linalg.matmul ins(%x, %a : tensor<3x2xf32>, tensor<2x4xf32>) outs(%f : tensor<3x4xf32>) -> tensor<3x4xf32>
  %1 = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%0, %p : tensor<3x4xf32>, tensor<4xf32>) outs(%e : tensor<3x4xf32>) {
  ^bb0(%in: f32, %bias: f32, %out: f32):
    %s = arith.addf %in, %bias : f32
    linalg.yield %s : f32
  } -> tensor<3x4xf32>
  // CHECK: %[[Q:.*]] = "smartmem.view"(%[[Q0]]) {map = affine_map<(d0, d1, d2) -> (d1, d0 * 2 + d2)>}
  // CHECK-NOT: arith.mulf
  %2 = "smartmem.view"(%1) {map = affine_map<(d0, d1, d2) -> (d1, d0 * 2 + d2)>} : (tensor<3x4xf32>) -> tensor<2x3x2xf32>
  %h = tensor.empty() : tensor<2x3x2xf32>
  %3 = linalg.generic {indexing_maps = [#heads, #heads], iterator_types = ["parallel", "parallel", "parallel"]} ins(%2 : tensor<2x3x2xf32>) outs(%h : tensor<2x3x2xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = arith.mulf %in, %two : f32
    linalg.yield %s : f32
  } -> tensor<2x3x2xf32>
  // CHECK: %[[K:.*]] = "smartmem.view"(%[[K0]]) {map = affine_map<(d0, d1, d2) -> (d2, d0 * 2 + d1)>}
  %4 = linalg.matmul ins(%x, %b : tensor<3x2xf32>, tensor<2x4xf32>) outs(%f : tensor<3x4xf32>) -> tensor<3x4xf32>
  %5 = "smartmem.view"(%4) {map = affine_map<(d0, d1, d2) -> (d2, d0 * 2 + d1)>} : (tensor<3x4xf32>) -> tensor<2x2x3xf32>
  // CHECK: %[[V:.*]] = "smartmem.view"(%[[V0]]) {map = affine_map<(d0, d1, d2) -> (d1, d0 * 2 + d2)>}
  %6 = linalg.matmul ins(%x, %c : tensor<3x2xf32>, tensor<2x4xf32>) outs(%f : tensor<3x4xf32>) -> tensor<3x4xf32>
  %7 = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%6, %q : tensor<3x4xf32>, tensor<4xf32>) outs(%e : tensor<3x4xf32>) {
  ^bb0(%in: f32, %bias: f32, %out: f32):
    %s = arith.addf %in, %bias : f32
    linalg.yield %s : f32
  } -> tensor<3x4xf32>
  %8 = "smartmem.view"(%7) {map = affine_map<(d0, d1, d2) -> (d1, d0 * 2 + d2)>} : (tensor<3x4xf32>) -> tensor<2x3x2xf32>
  // CHECK: linalg.batch_matmul ins(%[[Q]], %[[K]] :
  // CHECK: linalg.batch_matmul ins(%{{.*}}, %[[V]] :
  %g = tensor.empty() : tensor<2x3x3xf32>
  %9 = linalg.fill ins(%zero : f32) outs(%g : tensor<2x3x3xf32>) -> tensor<2x3x3xf32>
  %10 = linalg.batch_matmul ins(%3, %5 : tensor<2x3x2xf32>, tensor<2x2x3xf32>) outs(%9 : tensor<2x3x3xf32>) -> tensor<2x3x3xf32>
  %11 = linalg.fill ins(%zero : f32) outs(%h : tensor<2x3x2xf32>) -> tensor<2x3x2xf32>
  %12 = linalg.batch_matmul ins(%10, %8 : tensor<2x3x3xf32>, tensor<2x3x2xf32>) outs(%11 : tensor<2x3x2xf32>) -> tensor<2x3x2xf32>
  return %10, %12 : tensor<2x3x3xf32>, tensor<2x3x2xf32>
}

// -----
// The weights are stored by output channel, and stay so; the one row needs no loop.
// CHECK-LABEL: func @stored_by_channel
//  CHECK-SAME:   %[[X:[a-z0-9]+]]:
func.func @stored_by_channel(%x: tensor<1x2xf32>) -> tensor<1x1xf32> {
  %zero = arith.constant 0.0 : f32
  %a = arith.constant dense<1.0> : tensor<4x2xf32>
  %b = arith.constant dense<2.0> : tensor<4x2xf32>
  // CHECK: %[[C:.*]] = arith.constant dense_resource<merged> : tensor<2x4x2xf32>
  // CHECK: %[[W:.*]] = "smartmem.view"(%[[C]]) {map = affine_map<(d0, d1, d2) -> (d0, d2, d1)>}
  // CHECK: linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (0, d2)>, affine_map<(d0, d1, d2) -> (d0, d2, d1)>, affine_map<(d0, d1, d2) -> (d0, 0, d1)>], {{.*}} ins(%[[X]], %[[W]] :
  %v = "smartmem.view"(%a) {map = affine_map<(d0, d1) -> (d1, d0)>} : (tensor<4x2xf32>) -> tensor<2x4xf32>
  %w = "smartmem.view"(%b) {map = affine_map<(d0, d1) -> (d1, d0)>} : (tensor<4x2xf32>) -> tensor<2x4xf32>
  %e = tensor.empty() : tensor<1x4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<1x4xf32>) -> tensor<1x4xf32>
  %0 = linalg.matmul ins(%x, %v : tensor<1x2xf32>, tensor<2x4xf32>) outs(%f : tensor<1x4xf32>) -> tensor<1x4xf32>
  %1 = linalg.matmul ins(%x, %w : tensor<1x2xf32>, tensor<2x4xf32>) outs(%f : tensor<1x4xf32>) -> tensor<1x4xf32>
  %t = "smartmem.view"(%1) {map = affine_map<(d0, d1) -> (d1, d0)>} : (tensor<1x4xf32>) -> tensor<4x1xf32>
  %g = tensor.empty() : tensor<1x1xf32>
  %h = linalg.fill ins(%zero : f32) outs(%g : tensor<1x1xf32>) -> tensor<1x1xf32>
  %2 = linalg.matmul ins(%0, %t : tensor<1x4xf32>, tensor<4x1xf32>) outs(%h : tensor<1x1xf32>) -> tensor<1x1xf32>
  return %2 : tensor<1x1xf32>
}

// -----
// Keys and values become one; the wider queries stay.
// CHECK-LABEL: func @grouped_queries
func.func @grouped_queries(%x: tensor<3x2xf32>) -> tensor<3x2xf32> {
  %zero = arith.constant 0.0 : f32
  %a = arith.constant dense<1.0> : tensor<2x4xf32>
  %b = arith.constant dense<2.0> : tensor<2x2xf32>
  %c = arith.constant dense<3.0> : tensor<2x2xf32>
  %p = arith.constant dense<1.0> : tensor<4x2xf32>
  %e4 = tensor.empty() : tensor<3x4xf32>
  %f4 = linalg.fill ins(%zero : f32) outs(%e4 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %e = tensor.empty() : tensor<3x2xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<3x2xf32>) -> tensor<3x2xf32>
  // CHECK: linalg.matmul {{.*}} -> tensor<3x4xf32>
  // CHECK: arith.constant dense_resource<merged> : tensor<2x2x2xf32>
  %0 = linalg.matmul ins(%x, %a : tensor<3x2xf32>, tensor<2x4xf32>) outs(%f4 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %1 = linalg.matmul ins(%x, %b : tensor<3x2xf32>, tensor<2x2xf32>) outs(%f : tensor<3x2xf32>) -> tensor<3x2xf32>
  %2 = linalg.matmul ins(%x, %c : tensor<3x2xf32>, tensor<2x2xf32>) outs(%f : tensor<3x2xf32>) -> tensor<3x2xf32>
  %3 = linalg.matmul ins(%0, %p : tensor<3x4xf32>, tensor<4x2xf32>) outs(%f : tensor<3x2xf32>) -> tensor<3x2xf32>
  %4 = "smartmem.view"(%1) {map = affine_map<(d0, d1) -> (d1, d0)>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
  %e3 = tensor.empty() : tensor<3x3xf32>
  %f3 = linalg.fill ins(%zero : f32) outs(%e3 : tensor<3x3xf32>) -> tensor<3x3xf32>
  %5 = linalg.matmul ins(%3, %4 : tensor<3x2xf32>, tensor<2x3xf32>) outs(%f3 : tensor<3x3xf32>) -> tensor<3x3xf32>
  %6 = linalg.matmul ins(%5, %2 : tensor<3x3xf32>, tensor<3x2xf32>) outs(%f : tensor<3x2xf32>) -> tensor<3x2xf32>
  return %6 : tensor<3x2xf32>
}

// -----
// One layer, or the one merged already: nothing changes, and there is nothing to remark.
// CHECK-LABEL: func @single_layer
func.func @single_layer(%x: tensor<3x2xf32>) -> tensor<3x4xf32> {
  %zero = arith.constant 0.0 : f32
  %a = arith.constant dense<1.0> : tensor<2x4xf32>
  %e = tensor.empty() : tensor<3x4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<3x4xf32>) -> tensor<3x4xf32>
  // CHECK: %[[R:.*]] = linalg.matmul
  // CHECK: return %[[R]]
  %0 = linalg.matmul ins(%x, %a : tensor<3x2xf32>, tensor<2x4xf32>) outs(%f : tensor<3x4xf32>) -> tensor<3x4xf32>
  return %0 : tensor<3x4xf32>
}
