// RUN: smartmem-opt --smartmem-target=adreno --smartmem-select-layouts --smartmem-lower-to-linalg='max-window=0' --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-select-layouts --smartmem-lower-to-linalg='max-window=0' --split-input-file %s | FileCheck %s --check-prefix=CPU
// RUN: smartmem-opt --smartmem-target=adreno --smartmem-select-layouts --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// Three channels of a picture become four on GPUs, where padding writes them anyway.

// One operation moves and pads; the weights of the fourth channel are zeros.
// CHECK-LABEL: func @a_padded_picture_gets_a_fourth_channel
// CHECK: %[[P:.*]] = linalg.generic {{.*}} : tensor<1x7x7x4xf32>)
// CHECK: tensor.extract %arg0
// CHECK-NOT: tensor.pad
// CHECK: %[[W:.*]] = arith.constant {{.*}} : tensor<3x3x4x8xf32>
// CHECK: linalg.generic {{.*}} ins(%[[P]], %[[W]]
// CPU-LABEL: func @a_padded_picture_gets_a_fourth_channel
// CPU: tensor.pad
// CPU: tensor<3x3x3x8xf32>
// REMARK: linalg.conv_2d_nchw_fchw applied: channels last, 4 with zeros
func.func @a_padded_picture_gets_a_fourth_channel(%x: tensor<1x3x5x5xf32>) -> tensor<1x8x5x5xf32> {
  %w = arith.constant dense<0.5> : tensor<8x3x3x3xf32>
  %c = arith.constant 0.0 : f32
  %p = "smartmem.view"(%x, %c) {map = affine_map<(n, c, h, w) -> (n, c, h - 1, w - 1)>, domain = affine_map<(n, c, h, w) -> (h - 1, 5 - h, w - 1, 5 - w)>} : (tensor<1x3x5x5xf32>, f32) -> tensor<1x3x7x7xf32>
  %e = tensor.empty() : tensor<1x8x5x5xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<1x8x5x5xf32>) -> tensor<1x8x5x5xf32>
  %r = linalg.conv_2d_nchw_fchw {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>} ins(%p, %w : tensor<1x3x7x7xf32>, tensor<8x3x3x3xf32>) outs(%f : tensor<1x8x5x5xf32>) -> tensor<1x8x5x5xf32>
  return %r : tensor<1x8x5x5xf32>
}

// -----
// Nothing pads it: more channels would be a kernel that copies.
// CHECK-LABEL: func @keeps_a_picture_that_is_not_padded
// CHECK-NOT: tensor.extract
// CHECK: tensor<3x3x3x8xf32>
// REMARK: linalg.conv_2d_nchw_fchw applied: channels last: vectors
func.func @keeps_a_picture_that_is_not_padded(%x: tensor<1x3x7x7xf32>) -> tensor<1x8x5x5xf32> {
  %w = arith.constant dense<0.5> : tensor<8x3x3x3xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x8x5x5xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<1x8x5x5xf32>) -> tensor<1x8x5x5xf32>
  %r = linalg.conv_2d_nchw_fchw {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>} ins(%x, %w : tensor<1x3x7x7xf32>, tensor<8x3x3x3xf32>) outs(%f : tensor<1x8x5x5xf32>) -> tensor<1x8x5x5xf32>
  return %r : tensor<1x8x5x5xf32>
}

// -----
// A second channel, and two of zeros, would be twice the work.
// CHECK-LABEL: func @keeps_few_channels
// CHECK: tensor.pad
// CHECK-NOT: tensor<3x3x4x8xf32>
// REMARK: linalg.conv_2d_nchw_fchw applied: channels last: vectors
func.func @keeps_few_channels(%x: tensor<1x2x5x5xf32>) -> tensor<1x8x5x5xf32> {
  %w = arith.constant dense<0.5> : tensor<8x2x3x3xf32>
  %c = arith.constant 0.0 : f32
  %p = "smartmem.view"(%x, %c) {map = affine_map<(n, c, h, w) -> (n, c, h - 1, w - 1)>, domain = affine_map<(n, c, h, w) -> (h - 1, 5 - h, w - 1, 5 - w)>} : (tensor<1x2x5x5xf32>, f32) -> tensor<1x2x7x7xf32>
  %e = tensor.empty() : tensor<1x8x5x5xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<1x8x5x5xf32>) -> tensor<1x8x5x5xf32>
  %r = linalg.conv_2d_nchw_fchw {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>} ins(%p, %w : tensor<1x2x7x7xf32>, tensor<8x2x3x3xf32>) outs(%f : tensor<1x8x5x5xf32>) -> tensor<1x8x5x5xf32>
  return %r : tensor<1x8x5x5xf32>
}
