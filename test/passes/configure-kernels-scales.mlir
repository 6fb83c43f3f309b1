// RUN: smartmem-opt --allow-unregistered-dialect --smartmem-configure-kernels --mlir-print-local-scope --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --allow-unregistered-dialect --smartmem-configure-kernels --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// CHECK-LABEL: func @scale_of_rows
// CHECK-SAME: (%[[X:.*]]: tensor<8x8x6xf32>, %[[S:.*]]: tensor<6xf32>, %[[W:.*]]: tensor<6x16xf32>)
// CHECK-NOT: linalg.generic
// CHECK: %[[ROWS:.*]] = tensor.collapse_shape %[[X]]
// CHECK: flow.dispatch.region
// CHECK: %[[V:.*]] = linalg.generic {{.*}}affine_map<(d0, d1) -> (d0)>{{.*}} ins(%[[W]], %[[S]] :
// CHECK: arith.mulf
// CHECK: linalg.contract {{.*}} ins(%[[ROWS]], %[[V]] :
// REMARK: applied: its kernel scales the weights instead of reading scaled rows
func.func @scale_of_rows(%x: tensor<8x8x6xf32>, %s: tensor<6xf32>, %w: tensor<6x16xf32>) -> tensor<64x16xf32> {
  %ye = tensor.empty() : tensor<8x8x6xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(c, h, v) -> (h, v, c)>, affine_map<(c, h, v) -> (c)>, affine_map<(c, h, v) -> (h, v, c)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x, %s : tensor<8x8x6xf32>, tensor<6xf32>) outs(%ye : tensor<8x8x6xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    linalg.yield %p : f32
  } -> tensor<8x8x6xf32>
  %rows = tensor.collapse_shape %y [[0, 1], [2]] : tensor<8x8x6xf32> into tensor<64x6xf32>
  %r = "flow.dispatch.region"() ({
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<64x16xf32>
    %z = linalg.fill ins(%zero : f32) outs(%e : tensor<64x16xf32>) -> tensor<64x16xf32>
    %m = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%rows, %w : tensor<64x6xf32>, tensor<6x16xf32>) outs(%z : tensor<64x16xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %p = arith.mulf %a, %b : f32
      %q = arith.addf %p, %o : f32
      linalg.yield %q : f32
    } -> tensor<64x16xf32>
    "flow.return"(%m) : (tensor<64x16xf32>) -> ()
  }, {
  }) {operandSegmentSizes = array<i32: 0, 0>} : () -> tensor<64x16xf32>
  return %r : tensor<64x16xf32>
}

// -----
// CHECK-LABEL: func @keeps_few_rows
// CHECK: linalg.generic
// CHECK: flow.dispatch.region
// CHECK-NOT: linalg.contract
// REMARK: kept: fewer than 32 rows use each weight
func.func @keeps_few_rows(%x: tensor<16x6xf32>, %s: tensor<6xf32>, %w: tensor<6x16xf32>) -> tensor<16x16xf32> {
  %ye = tensor.empty() : tensor<16x6xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(h, c) -> (h, c)>, affine_map<(h, c) -> (c)>, affine_map<(h, c) -> (h, c)>], iterator_types = ["parallel", "parallel"]} ins(%x, %s : tensor<16x6xf32>, tensor<6xf32>) outs(%ye : tensor<16x6xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    linalg.yield %p : f32
  } -> tensor<16x6xf32>
  %r = "flow.dispatch.region"() ({
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<16x16xf32>
    %z = linalg.fill ins(%zero : f32) outs(%e : tensor<16x16xf32>) -> tensor<16x16xf32>
    %m = linalg.matmul ins(%y, %w : tensor<16x6xf32>, tensor<6x16xf32>) outs(%z : tensor<16x16xf32>) -> tensor<16x16xf32>
    "flow.return"(%m) : (tensor<16x16xf32>) -> ()
  }, {
  }) {operandSegmentSizes = array<i32: 0, 0>} : () -> tensor<16x16xf32>
  return %r : tensor<16x16xf32>
}

// -----
// CHECK-LABEL: func @keeps_rows_that_others_read
// CHECK-NOT: linalg.contract
// REMARK: kept: the scaled rows are read by others, too
func.func @keeps_rows_that_others_read(%x: tensor<64x6xf32>, %s: tensor<6xf32>, %w: tensor<6x16xf32>) -> (tensor<64x16xf32>, tensor<64x6xf32>) {
  %ye = tensor.empty() : tensor<64x6xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(h, c) -> (h, c)>, affine_map<(h, c) -> (c)>, affine_map<(h, c) -> (h, c)>], iterator_types = ["parallel", "parallel"]} ins(%x, %s : tensor<64x6xf32>, tensor<6xf32>) outs(%ye : tensor<64x6xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    linalg.yield %p : f32
  } -> tensor<64x6xf32>
  %r = "flow.dispatch.region"() ({
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<64x16xf32>
    %z = linalg.fill ins(%zero : f32) outs(%e : tensor<64x16xf32>) -> tensor<64x16xf32>
    %m = linalg.matmul ins(%y, %w : tensor<64x6xf32>, tensor<6x16xf32>) outs(%z : tensor<64x16xf32>) -> tensor<64x16xf32>
    "flow.return"(%m) : (tensor<64x16xf32>) -> ()
  }, {
  }) {operandSegmentSizes = array<i32: 0, 0>} : () -> tensor<64x16xf32>
  return %r, %y : tensor<64x16xf32>, tensor<64x6xf32>
}

// -----
// The scale is for what the result has too: it could go behind the sum, not into the weights.
// CHECK-LABEL: func @keeps_a_scale_along_a_parallel_loop
// CHECK-NOT: linalg.contract
// REMARK: kept: the scale is not for what the contraction sums over
func.func @keeps_a_scale_along_a_parallel_loop(%x: tensor<6x64xf32>, %s: tensor<64xf32>, %w: tensor<6x16xf32>) -> tensor<64x16xf32> {
  %ye = tensor.empty() : tensor<6x64xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(h, c) -> (h, c)>, affine_map<(h, c) -> (c)>, affine_map<(h, c) -> (h, c)>], iterator_types = ["parallel", "parallel"]} ins(%x, %s : tensor<6x64xf32>, tensor<64xf32>) outs(%ye : tensor<6x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    linalg.yield %p : f32
  } -> tensor<6x64xf32>
  %r = "flow.dispatch.region"() ({
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<64x16xf32>
    %z = linalg.fill ins(%zero : f32) outs(%e : tensor<64x16xf32>) -> tensor<64x16xf32>
    %m = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%y, %w : tensor<6x64xf32>, tensor<6x16xf32>) outs(%z : tensor<64x16xf32>) {
    ^bb0(%a: f32, %b: f32, %o: f32):
      %p = arith.mulf %a, %b : f32
      %q = arith.addf %p, %o : f32
      linalg.yield %q : f32
    } -> tensor<64x16xf32>
    "flow.return"(%m) : (tensor<64x16xf32>) -> ()
  }, {
  }) {operandSegmentSizes = array<i32: 0, 0>} : () -> tensor<64x16xf32>
  return %r : tensor<64x16xf32>
}

// -----
// A shortcut's contraction is combined with it, or rows are summed up behind it.
// CHECK-LABEL: func @keeps_rows_of_kernels_with_several_sums
// CHECK-NOT: linalg.contract
// REMARK: kept: its kernel takes up other sums, too
func.func @keeps_rows_of_kernels_with_several_sums(%x: tensor<64x6xf32>, %s: tensor<6xf32>, %w: tensor<6x16xf32>, %x2: tensor<64x6xf32>) -> tensor<64x16xf32> {
  %ye = tensor.empty() : tensor<64x6xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(h, c) -> (h, c)>, affine_map<(h, c) -> (c)>, affine_map<(h, c) -> (h, c)>], iterator_types = ["parallel", "parallel"]} ins(%x, %s : tensor<64x6xf32>, tensor<6xf32>) outs(%ye : tensor<64x6xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    linalg.yield %p : f32
  } -> tensor<64x6xf32>
  %r = "flow.dispatch.region"() ({
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<64x16xf32>
    %z = linalg.fill ins(%zero : f32) outs(%e : tensor<64x16xf32>) -> tensor<64x16xf32>
    %m = linalg.matmul ins(%x2, %w : tensor<64x6xf32>, tensor<6x16xf32>) outs(%z : tensor<64x16xf32>) -> tensor<64x16xf32>
    %m2 = linalg.matmul ins(%y, %w : tensor<64x6xf32>, tensor<6x16xf32>) outs(%m : tensor<64x16xf32>) -> tensor<64x16xf32>
    "flow.return"(%m2) : (tensor<64x16xf32>) -> ()
  }, {
  }) {operandSegmentSizes = array<i32: 0, 0>} : () -> tensor<64x16xf32>
  return %r : tensor<64x16xf32>
}

// -----
// What follows the scale, here a ReLU, does not commute with it.
// CHECK-LABEL: func @keeps_a_scale_that_more_follows
// CHECK: linalg.generic
// CHECK: arith.maximumf
// CHECK: flow.dispatch.region
// CHECK-NOT: linalg.contract
func.func @keeps_a_scale_that_more_follows(%x: tensor<64x6xf32>, %s: tensor<6xf32>, %w: tensor<6x16xf32>) -> tensor<64x16xf32> {
  %zero = arith.constant 0.0 : f32
  %ye = tensor.empty() : tensor<64x6xf32>
  %y = linalg.generic {indexing_maps = [affine_map<(h, c) -> (h, c)>, affine_map<(h, c) -> (c)>, affine_map<(h, c) -> (h, c)>], iterator_types = ["parallel", "parallel"]} ins(%x, %s : tensor<64x6xf32>, tensor<6xf32>) outs(%ye : tensor<64x6xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %q = arith.maximumf %p, %zero : f32
    linalg.yield %q : f32
  } -> tensor<64x6xf32>
  %r = "flow.dispatch.region"() ({
    %e = tensor.empty() : tensor<64x16xf32>
    %z = linalg.fill ins(%zero : f32) outs(%e : tensor<64x16xf32>) -> tensor<64x16xf32>
    %m = linalg.matmul ins(%y, %w : tensor<64x6xf32>, tensor<6x16xf32>) outs(%z : tensor<64x16xf32>) -> tensor<64x16xf32>
    "flow.return"(%m) : (tensor<64x16xf32>) -> ()
  }, {
  }) {operandSegmentSizes = array<i32: 0, 0>} : () -> tensor<64x16xf32>
  return %r : tensor<64x16xf32>
}
