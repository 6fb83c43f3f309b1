// RUN: smartmem-opt --smartmem-select-layouts --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-select-layouts --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// CHECK-DAG: #[[NHWC:.*]] = affine_map<(d0, d1, d2, d3) -> (0, d3, d1, d2)>
// CHECK-DAG: #[[NCHW:.*]] = affine_map<(d0, d1, d2, d3) -> (0, d2, d3, d1)>
// CHECK-DAG: #[[IMAGE:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1 * 2 + d4, d2 + d5 * 3, d3)>
// CHECK-DAG: #[[TAP:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d4, d5, d3)>
// CHECK-LABEL: func @depthwise_has_its_channels_last
// REMARK: linalg.depthwise_conv_2d_nchw_chw applied: channels last
func.func @depthwise_has_its_channels_last(%x: tensor<1x8x7x12xf32>, %w: tensor<8x3x3xf32>) -> tensor<1x8x3x6xf32> {
  // CHECK-DAG: %[[X:.*]] = "smartmem.view"(%arg0) {map = #[[NHWC]]}
  // CHECK-DAG: %[[W:.*]] = "smartmem.view"(%arg1) {{.*}} -> tensor<3x3x8xf32>
  // CHECK: %[[R:.*]] = linalg.generic {indexing_maps = [#[[IMAGE]], #[[TAP]], {{.*}} ins(%[[X]], %[[W]]
  // CHECK: %[[B:.*]] = "smartmem.view"(%[[R]]) {map = #[[NCHW]]}
  // CHECK: return %[[B]]
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x8x3x6xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<1x8x3x6xf32>) -> tensor<1x8x3x6xf32>
  %r = linalg.depthwise_conv_2d_nchw_chw {dilations = dense<[1, 3]> : vector<2xi64>, strides = dense<[2, 1]> : vector<2xi64>} ins(%x, %w : tensor<1x8x7x12xf32>, tensor<8x3x3xf32>) outs(%f : tensor<1x8x3x6xf32>) -> tensor<1x8x3x6xf32>
  return %r : tensor<1x8x3x6xf32>
}

// -----
// CHECK-LABEL: func @narrow_groups_lie_last
// REMARK: linalg.conv_2d_ngchw_gfchw applied: groups last
func.func @narrow_groups_lie_last(%x: tensor<1x16x4x7x7xf32>, %w: tensor<16x8x4x3x3xf32>) -> tensor<1x16x8x5x5xf32> {
  // CHECK-DAG: "smartmem.view"(%arg0) {{.*}} -> tensor<1x7x7x4x16xf32>
  // CHECK-DAG: "smartmem.view"(%arg1) {{.*}} -> tensor<3x3x4x8x16xf32>
  // CHECK: linalg.generic {{.*}} outs({{.*}} : tensor<1x5x5x8x16xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x16x8x5x5xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<1x16x8x5x5xf32>) -> tensor<1x16x8x5x5xf32>
  %r = linalg.conv_2d_ngchw_gfchw {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>} ins(%x, %w : tensor<1x16x4x7x7xf32>, tensor<16x8x4x3x3xf32>) outs(%f : tensor<1x16x8x5x5xf32>) -> tensor<1x16x8x5x5xf32>
  return %r : tensor<1x16x8x5x5xf32>
}

// -----
// CHECK-LABEL: func @wide_groups_keep_their_channels_last
// REMARK: linalg.conv_2d_ngchw_gfchw applied: channels last
func.func @wide_groups_keep_their_channels_last(%x: tensor<1x16x32x7x7xf32>, %w: tensor<16x32x32x3x3xf32>) -> tensor<1x16x32x5x5xf32> {
  // CHECK-DAG: "smartmem.view"(%arg0) {{.*}} -> tensor<1x7x7x16x32xf32>
  // CHECK-DAG: "smartmem.view"(%arg1) {{.*}} -> tensor<3x3x16x32x32xf32>
  // CHECK: linalg.generic {{.*}} outs({{.*}} : tensor<1x5x5x16x32xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x16x32x5x5xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<1x16x32x5x5xf32>) -> tensor<1x16x32x5x5xf32>
  %r = linalg.conv_2d_ngchw_gfchw {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>} ins(%x, %w : tensor<1x16x32x7x7xf32>, tensor<16x32x32x3x3xf32>) outs(%f : tensor<1x16x32x5x5xf32>) -> tensor<1x16x32x5x5xf32>
  return %r : tensor<1x16x32x5x5xf32>
}

// -----
// A picture's three channels are read as scalars: to permute the argument would be a kernel.
// CHECK-LABEL: func @a_picture_stays_as_it_is
func.func @a_picture_stays_as_it_is(%x: tensor<1x3x7x7xf32>, %w: tensor<16x3x3x3xf32>) -> tensor<1x16x5x5xf32> {
  // CHECK-NOT: "smartmem.view"(%arg0)
  // CHECK: "smartmem.view"(%arg1) {{.*}} -> tensor<3x3x3x16xf32>
  // CHECK: linalg.generic {{.*}} ins(%arg0, {{.*}} outs({{.*}} : tensor<1x5x5x16xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x16x5x5xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<1x16x5x5xf32>) -> tensor<1x16x5x5xf32>
  %r = linalg.conv_2d_nchw_fchw {dilations = dense<1> : vector<2xi64>, strides = dense<1> : vector<2xi64>} ins(%x, %w : tensor<1x3x7x7xf32>, tensor<16x3x3x3xf32>) outs(%f : tensor<1x16x5x5xf32>) -> tensor<1x16x5x5xf32>
  return %r : tensor<1x16x5x5xf32>
}

// -----
// CHECK-LABEL: func @a_pooling_has_its_channels_last
func.func @a_pooling_has_its_channels_last(%x: tensor<2x8x7x7xf32>, %window: tensor<3x3xf32>) -> tensor<2x8x3x3xf32> {
  // CHECK: %[[X:.*]] = "smartmem.view"(%arg0) {{.*}} -> tensor<2x7x7x8xf32>
  // CHECK: linalg.generic {{.*}} ins(%[[X]], %arg1
  // CHECK: arith.maximumf
  %c = arith.constant 0xFF800000 : f32
  %e = tensor.empty() : tensor<2x8x3x3xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<2x8x3x3xf32>) -> tensor<2x8x3x3xf32>
  %r = linalg.pooling_nchw_max {dilations = dense<1> : vector<2xi64>, strides = dense<2> : vector<2xi64>} ins(%x, %window : tensor<2x8x7x7xf32>, tensor<3x3xf32>) outs(%f : tensor<2x8x3x3xf32>) -> tensor<2x8x3x3xf32>
  return %r : tensor<2x8x3x3xf32>
}

// -----
// CHECK-LABEL: func @keeps_what_it_does_not_know
// REMARK: linalg.generic kept: it reads its image at sums of more than two loops
func.func @keeps_what_it_does_not_know(%x: tensor<9xf32>, %w: tensor<3x3xf32>, %o: tensor<5xf32>) -> tensor<5xf32> {
  // CHECK-NOT: smartmem.view
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0 + d1 + d2)>, affine_map<(d0, d1, d2) -> (d1, d2)>, affine_map<(d0, d1, d2) -> (d0)>], iterator_types = ["parallel", "reduction", "reduction"]} ins(%x, %w : tensor<9xf32>, tensor<3x3xf32>) outs(%o : tensor<5xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %c, %m : f32
    linalg.yield %s : f32
  } -> tensor<5xf32>
  return %r : tensor<5xf32>
}
