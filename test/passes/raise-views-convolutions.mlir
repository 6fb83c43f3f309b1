// RUN: smartmem-opt --smartmem-raise-views --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-raise-views --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// CHECK-DAG: #[[LAST:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d3, d1, d2)>
// CHECK-DAG: #[[FIRST:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3, d1)>
// CHECK-DAG: #[[X:.*]] = affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-DAG: #[[W:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-DAG: #[[Y:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-LABEL: func @one_tap_is_a_contraction
// REMARK: linalg.conv_2d_nchw_fchw applied: no element is under two windows: a contraction
func.func @one_tap_is_a_contraction(%x: tensor<2x8x5x7xf32>, %w: tensor<6x8x1x1xf32>) -> tensor<2x6x5x7xf32> {
  // CHECK: %[[L:.*]] = "smartmem.view"(%arg0) {map = #[[LAST]]} : {{.*}} -> tensor<2x5x7x8xf32>
  // CHECK-DAG: %[[P:.*]] = "smartmem.view"(%[[L]]) {{.*}} -> tensor<70x8xf32>
  // CHECK-DAG: %[[K:.*]] = "smartmem.view"(%arg1) {{.*}} -> tensor<6x8xf32>
  // CHECK: %[[G:.*]] = linalg.generic {indexing_maps = [#[[X]], #[[W]], #[[Y]]], iterator_types = ["parallel", "parallel", "reduction"]} ins(%[[P]], %[[K]]
  // CHECK: arith.mulf
  // CHECK: arith.addf
  // CHECK: %[[R:.*]] = "smartmem.view"(%[[G]]) {{.*}} -> tensor<2x5x7x6xf32>
  // CHECK: "smartmem.view"(%[[R]]) {map = #[[FIRST]]} : {{.*}} -> tensor<2x6x5x7xf32>
  // CHECK-NOT: linalg.conv
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x6x5x7xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<2x6x5x7xf32>) -> tensor<2x6x5x7xf32>
  %0 = linalg.conv_2d_nchw_fchw {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>} ins(%x, %w : tensor<2x8x5x7xf32>, tensor<6x8x1x1xf32>) outs(%z : tensor<2x6x5x7xf32>) -> tensor<2x6x5x7xf32>
  return %0 : tensor<2x6x5x7xf32>
}

// -----
// CHECK-DAG: #[[X:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d4, d1, d5, d3)>
// CHECK-DAG: #[[W:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d2, d3, d4, d5)>
// CHECK-DAG: #[[Y:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d2)>
// CHECK-LABEL: func @patches_are_a_contraction
func.func @patches_are_a_contraction(%x: tensor<1x3x8x6xf32>, %w: tensor<5x3x4x2xf32>) -> tensor<1x5x2x3xf32> {
  // CHECK: "smartmem.view"({{.*}} -> tensor<2x4x3x2x3xf32>
  // CHECK: linalg.generic {indexing_maps = [#[[X]], #[[W]], #[[Y]]], iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]}
  // CHECK-NOT: linalg.conv
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x5x2x3xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<1x5x2x3xf32>) -> tensor<1x5x2x3xf32>
  %0 = linalg.conv_2d_nchw_fchw {dilations = dense<1> : vector<2xi64>, strides = dense<[4, 2]> : vector<2xi64>} ins(%x, %w : tensor<1x3x8x6xf32>, tensor<5x3x4x2xf32>) outs(%z : tensor<1x5x2x3xf32>) -> tensor<1x5x2x3xf32>
  return %0 : tensor<1x5x2x3xf32>
}

// -----
// One window takes in the whole height; those along the width do not overlap.
// CHECK-LABEL: func @a_window_of_the_whole_image_is_a_contraction
func.func @a_window_of_the_whole_image_is_a_contraction(%x: tensor<1x3x4x6xf32>, %w: tensor<5x3x4x2xf32>) -> tensor<1x5x1x3xf32> {
  // CHECK-NOT: linalg.conv
  // CHECK: linalg.generic
  // CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x5x1x3xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<1x5x1x3xf32>) -> tensor<1x5x1x3xf32>
  %r = linalg.conv_2d_nchw_fchw {strides = dense<[1, 2]> : tensor<2xi64>} ins(%x, %w : tensor<1x3x4x6xf32>, tensor<5x3x4x2xf32>) outs(%z : tensor<1x5x1x3xf32>) -> tensor<1x5x1x3xf32>
  return %r : tensor<1x5x1x3xf32>
}

// CHECK-LABEL: func @a_bias_is_added_behind
// REMARK: linalg.depthwise_conv_2d_nchw_chw applied: the bias is added behind it
func.func @a_bias_is_added_behind(%x: tensor<1x8x5x7xf32>, %w: tensor<8x3x3xf32>, %bias: tensor<1x8x3x5xf32>) -> tensor<1x8x3x5xf32> {
  // CHECK: %[[Z:.*]] = linalg.fill
  // CHECK: %[[C:.*]] = linalg.depthwise_conv_2d_nchw_chw {{.*}} outs(%[[Z]]
  // CHECK: linalg.generic {{.*}} ins(%[[C]], %arg2
  // CHECK-NEXT: ^bb0
  // CHECK-NEXT: arith.addf
  %0 = linalg.depthwise_conv_2d_nchw_chw {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>} ins(%x, %w : tensor<1x8x5x7xf32>, tensor<8x3x3xf32>) outs(%bias : tensor<1x8x3x5xf32>) -> tensor<1x8x3x5xf32>
  return %0 : tensor<1x8x3x5xf32>
}

// -----
// CHECK-LABEL: func @integers_too
func.func @integers_too(%x: tensor<1x8x5x7xi32>, %w: tensor<6x8x1x1xi32>, %bias: tensor<1x6x5x7xi32>) -> tensor<1x6x5x7xi32> {
  // CHECK: arith.muli
  // CHECK: arith.addi
  // CHECK: linalg.generic
  // CHECK: arith.addi
  %0 = linalg.conv_2d_nchw_fchw {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>} ins(%x, %w : tensor<1x8x5x7xi32>, tensor<6x8x1x1xi32>) outs(%bias : tensor<1x6x5x7xi32>) -> tensor<1x6x5x7xi32>
  return %0 : tensor<1x6x5x7xi32>
}

// -----
// CHECK: #[[STRIDES:.*]] = affine_map<(d0, d1, d2, d3) -> (0, d1 * 2, d2 * 2, d3)>
// CHECK-LABEL: func @strides_of_one_tap_are_a_slice
func.func @strides_of_one_tap_are_a_slice(%x: tensor<1x8x5x7xf32>, %w: tensor<6x8x1x1xf32>) -> tensor<1x6x3x4xf32> {
  // CHECK: "smartmem.view"({{.*}}) {map = #[[STRIDES]]} : {{.*}} -> tensor<1x3x4x8xf32>
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel", "reduction"]
  // CHECK-NOT: linalg.conv
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x6x3x4xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<1x6x3x4xf32>) -> tensor<1x6x3x4xf32>
  %0 = linalg.conv_2d_nchw_fchw {dilations = dense<1> : vector<2xi64>, strides = dense<2> : vector<2xi64>} ins(%x, %w : tensor<1x8x5x7xf32>, tensor<6x8x1x1xf32>) outs(%z : tensor<1x6x3x4xf32>) -> tensor<1x6x3x4xf32>
  return %0 : tensor<1x6x3x4xf32>
}

// -----
// CHECK-LABEL: func @windows_that_overlap_stay
func.func @windows_that_overlap_stay(%x: tensor<1x8x5x7xf32>, %w: tensor<6x8x3x3xf32>) -> tensor<1x6x2x3xf32> {
  // CHECK: linalg.conv_2d_nchw_fchw
  // CHECK-NOT: linalg.generic
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x6x2x3xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<1x6x2x3xf32>) -> tensor<1x6x2x3xf32>
  %0 = linalg.conv_2d_nchw_fchw {dilations = dense<1> : vector<2xi64>, strides = dense<2> : vector<2xi64>} ins(%x, %w : tensor<1x8x5x7xf32>, tensor<6x8x3x3xf32>) outs(%z : tensor<1x6x2x3xf32>) -> tensor<1x6x2x3xf32>
  return %0 : tensor<1x6x2x3xf32>
}

// -----
// CHECK-LABEL: func @two_widths_stay
func.func @two_widths_stay(%x: tensor<1x8x5x7xi8>, %w: tensor<6x8x1x1xi8>, %bias: tensor<1x6x5x7xi32>) -> tensor<1x6x5x7xi32> {
  // CHECK: linalg.conv_2d_nchw_fchw {{.*}} outs(%arg2
  // CHECK-NOT: linalg.generic
  %0 = linalg.conv_2d_nchw_fchw {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>} ins(%x, %w : tensor<1x8x5x7xi8>, tensor<6x8x1x1xi8>) outs(%bias : tensor<1x6x5x7xi32>) -> tensor<1x6x5x7xi32>
  return %0 : tensor<1x6x5x7xi32>
}

// -----
// CHECK-LABEL: func @a_pooling_stays
func.func @a_pooling_stays(%x: tensor<1x8x5x7xf32>, %window: tensor<1x1xf32>, %init: tensor<1x8x5x7xf32>) -> tensor<1x8x5x7xf32> {
  // CHECK: linalg.pooling_nchw_sum {{.*}} outs(%arg2
  // CHECK-NOT: linalg.generic
  %0 = linalg.pooling_nchw_sum {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>} ins(%x, %window : tensor<1x8x5x7xf32>, tensor<1x1xf32>) outs(%init : tensor<1x8x5x7xf32>) -> tensor<1x8x5x7xf32>
  return %0 : tensor<1x8x5x7xf32>
}

// -----
// CHECK-LABEL: func @keeps_the_maximum_over_windows
func.func @keeps_the_maximum_over_windows(%x: tensor<8xf32>) -> tensor<6xf32> {
  // CHECK: %[[LEAST:.*]] = arith.constant 0xFF800000
  // CHECK: %[[START:.*]] = linalg.fill ins(%[[LEAST]] :
  // CHECK: linalg.generic {{.*}} outs(%[[START]] :
  // CHECK-NOT: arith.addf
  %least = arith.constant 0xFF800000 : f32
  %w = tensor.empty() : tensor<3xf32>
  %e = tensor.empty() : tensor<6xf32>
  %0 = linalg.fill ins(%least : f32) outs(%e : tensor<6xf32>) -> tensor<6xf32>
  %1 = linalg.generic {
    indexing_maps = [affine_map<(d0, d1) -> (d0 + d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0)>],
    iterator_types = ["parallel", "reduction"]
  } ins(%x, %w : tensor<8xf32>, tensor<3xf32>) outs(%0 : tensor<6xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %2 = arith.maximumf %a, %o : f32
    linalg.yield %2 : f32
  } -> tensor<6xf32>
  return %1 : tensor<6xf32>
}
