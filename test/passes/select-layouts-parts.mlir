// RUN: smartmem-opt --smartmem-select-layouts --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-target=adreno --smartmem-select-layouts --split-input-file %s | FileCheck %s --check-prefix=GPU
// RUN: smartmem-opt --smartmem-select-layouts --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// Of 3 x 3 steps that are 8 apart, those of the first and last row read rows -8 and 16 of 0 to 7.
// Of the columns all are needed.
// CHECK-LABEL: func @steps_that_read_padding_alone
// REMARK: linalg.conv_2d_nchw_fchw applied: the other steps of its window than 1 read padding alone
// CHECK: linalg.generic {{.*}} ins({{.*}} : tensor<1x2x8x32xf32>, tensor<1x3x2x4xf32>)
// GPU: linalg.generic {{.*}} ins({{.*}} : tensor<1x2x8x32xf32>, tensor<1x3x2x4xf32>)
func.func @steps_that_read_padding_alone(%x: tensor<1x2x8x16xf32>) -> tensor<1x4x8x16xf32> {
  %c = arith.constant 0.0 : f32
  %w = arith.constant dense<1.0> : tensor<4x2x3x3xf32>
  %p = "smartmem.view"(%x, %c) {domain = affine_map<(n, c, h, w) -> (h - 8, 15 - h, w - 8, 23 - w)>, map = affine_map<(n, c, h, w) -> (0, c, h - 8, w - 8)>} : (tensor<1x2x8x16xf32>, f32) -> tensor<1x2x24x32xf32>
  %e = tensor.empty() : tensor<1x4x8x16xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<1x4x8x16xf32>) -> tensor<1x4x8x16xf32>
  %r = linalg.conv_2d_nchw_fchw {dilations = dense<8> : vector<2xi64>, strides = dense<1> : vector<2xi64>} ins(%p, %w : tensor<1x2x24x32xf32>, tensor<4x2x3x3xf32>) outs(%f : tensor<1x4x8x16xf32>) -> tensor<1x4x8x16xf32>
  return %r : tensor<1x4x8x16xf32>
}

// -----
// A weight that is not finite makes NaN of a padding of zeros; one that is not known may be such.
// CHECK-LABEL: func @keeps_steps_with_weights_that_are_not_known
// CHECK: linalg.generic {{.*}} ins({{.*}} : tensor<1x2x24xf32>, tensor<3x2x4xf32>)
func.func @keeps_steps_with_weights_that_are_not_known(%x: tensor<1x2x8xf32>, %w: tensor<4x2x3xf32>) -> tensor<1x4x8xf32> {
  %c = arith.constant 0.0 : f32
  %p = "smartmem.view"(%x, %c) {domain = affine_map<(n, c, h) -> (h - 8, 15 - h)>, map = affine_map<(n, c, h) -> (0, c, h - 8)>} : (tensor<1x2x8xf32>, f32) -> tensor<1x2x24xf32>
  %e = tensor.empty() : tensor<1x4x8xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<1x4x8xf32>) -> tensor<1x4x8xf32>
  %r = linalg.conv_1d_ncw_fcw {dilations = dense<8> : vector<1xi64>, strides = dense<1> : vector<1xi64>} ins(%p, %w : tensor<1x2x24xf32>, tensor<4x2x3xf32>) outs(%f : tensor<1x4x8xf32>) -> tensor<1x4x8xf32>
  return %r : tensor<1x4x8xf32>
}

// -----
// 128 steps are two parts of 64 each. The second part of the image begins 64 elements behind the first.
// CHECK-DAG: #[[PARTS:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2 + d3 * 64)>
// CHECK-LABEL: func @window_in_parts
// REMARK: linalg.conv_1d_ncw_fcw applied: its window in parts of 64 steps, which are laid side by side
// CHECK-DAG: "smartmem.view"(%arg0) {map = #[[PARTS]]}{{.*}} -> tensor<1x16x80x2xf32>
// CHECK-DAG: "smartmem.view"{{.*}} -> tensor<2x8x16x64xf32>
// CHECK: linalg.generic {{.*}} "reduction", "reduction", "reduction"]} ins({{.*}} : tensor<1x80x2x16xf32>, tensor<64x2x16x8xf32>)
// GPU: linalg.generic {{.*}} ins({{.*}} : tensor<1x144x16xf32>, tensor<128x{{.*}}xf32>)
func.func @window_in_parts(%x: tensor<1x16x144xf32>) -> tensor<1x8x17xf32> {
  %c = arith.constant 0.0 : f32
  %w = arith.constant dense<1.0> : tensor<8x16x128xf32>
  %e = tensor.empty() : tensor<1x8x17xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<1x8x17xf32>) -> tensor<1x8x17xf32>
  %r = linalg.conv_1d_ncw_fcw {dilations = dense<1> : vector<1xi64>, strides = dense<1> : vector<1xi64>} ins(%x, %w : tensor<1x16x144xf32>, tensor<8x16x128xf32>) outs(%f : tensor<1x8x17xf32>) -> tensor<1x8x17xf32>
  return %r : tensor<1x8x17xf32>
}

// -----
// A prime number of steps has parts of one step: each element would be laid out 67 times.
// CHECK-LABEL: func @keeps_what_is_as_much_work_to_move
// REMARK: linalg.depthwise_conv_1d_ncw_cw kept: to lay a window of 67 steps side by side is as much work
// CHECK: linalg.generic {{.*}} ins({{.*}} : tensor<1x144x16xf32>, tensor<67x16xf32>)
func.func @keeps_what_is_as_much_work_to_move(%x: tensor<1x16x144xf32>) -> tensor<1x16x78xf32> {
  %c = arith.constant 0.0 : f32
  %w = arith.constant dense<1.0> : tensor<16x67xf32>
  %e = tensor.empty() : tensor<1x16x78xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<1x16x78xf32>) -> tensor<1x16x78xf32>
  %r = linalg.depthwise_conv_1d_ncw_cw {dilations = dense<1> : vector<1xi64>, strides = dense<1> : vector<1xi64>} ins(%x, %w : tensor<1x16x144xf32>, tensor<16x67xf32>) outs(%f : tensor<1x16x78xf32>) -> tensor<1x16x78xf32>
  return %r : tensor<1x16x78xf32>
}
