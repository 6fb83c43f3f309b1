// RUN: smartmem-opt --smartmem-eliminate-views --mlir-print-local-scope --split-input-file %s | FileCheck %s

#id = affine_map<(d0, d1) -> (d0, d1)>

// CHECK-LABEL: func @producer_writes_in_the_order_of_the_view
func.func @producer_writes_in_the_order_of_the_view(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  // CHECK-NOT: smartmem.view
  // CHECK: linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1, d0)>]
  // CHECK-SAME: outs(%{{.*}} : tensor<8x4xf32>)
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = math.exp %in : f32
    linalg.yield %s : f32
  } -> tensor<4x8xf32>
  %1 = "smartmem.view"(%0) {map = affine_map<(d0, d1) -> (d1, d0)>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  return %1 : tensor<8x4xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>

// CHECK-LABEL: func @consumer_reads_in_the_order_of_the_view
func.func @consumer_reads_in_the_order_of_the_view(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {
  %e = tensor.empty() : tensor<8x4xf32>
  // CHECK-NOT: smartmem.view
  // CHECK: linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1, d0)>, affine_map<(d0, d1) -> (d0, d1)>]
  // CHECK-SAME: ins(%arg0
  %0 = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d1, d0)>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<8x4xf32>) outs(%e : tensor<8x4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = math.exp %in : f32
    linalg.yield %s : f32
  } -> tensor<8x4xf32>
  return %1 : tensor<8x4xf32>
}

// -----
// Heads of an attention: only the batch loop of the contraction is split.
// CHECK-LABEL: func @contraction_splits_its_batch
func.func @contraction_splits_its_batch(%q: tensor<7x2x4xf32>, %k: tensor<2x4x7xf32>) -> tensor<2x7x7xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<2x7x7xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<2x7x7xf32>) -> tensor<2x7x7xf32>
  // CHECK-NOT: smartmem.view
  // CHECK: linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d1, d0, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d3, d2)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%arg0, %arg1
  %0 = "smartmem.view"(%q) {map = affine_map<(d0, d1, d2) -> (d1, d0, d2)>} : (tensor<7x2x4xf32>) -> tensor<2x7x4xf32>
  %1 = linalg.batch_matmul ins(%0, %k : tensor<2x7x4xf32>, tensor<2x4x7xf32>) outs(%f : tensor<2x7x7xf32>) -> tensor<2x7x7xf32>
  return %1 : tensor<2x7x7xf32>
}

// -----
// CHECK-LABEL: func @keeps_what_would_split_rows_of_a_contraction
func.func @keeps_what_would_split_rows_of_a_contraction(%x: tensor<2x3x2x2x8xf32>, %w: tensor<8x8xf32>) -> tensor<24x8xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<24x8xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<24x8xf32>) -> tensor<24x8xf32>
  // CHECK: %[[V:.*]] = "smartmem.view"(%arg0)
  // CHECK: linalg.matmul ins(%[[V]]
  %0 = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d0 floordiv 12, (d0 floordiv 2) mod 3, (d0 floordiv 6) mod 2, d0 mod 2, d1)>} : (tensor<2x3x2x2x8xf32>) -> tensor<24x8xf32>
  %1 = linalg.matmul ins(%0, %w : tensor<24x8xf32>, tensor<8x8xf32>) outs(%f : tensor<24x8xf32>) -> tensor<24x8xf32>
  return %1 : tensor<24x8xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0, 0)>

// A roll of rows moves above the normalization, to what it reads.
// CHECK-LABEL: func @roll_moves_up
func.func @roll_moves_up(%x: tensor<8x4xf32>, %mean: tensor<8x1xf32>) -> tensor<8x4xf32> {
  %e = tensor.empty() : tensor<8x4xf32>
  // CHECK-DAG: %[[X:.*]] = "smartmem.view"(%arg0) {map = affine_map<(d0, d1) -> ((d0 + 3) mod 8, d1)>}
  // CHECK-DAG: %[[M:.*]] = "smartmem.view"(%arg1) {map = affine_map<(d0) -> ((d0 + 3) mod 8, 0)>}
  // CHECK: %[[R:.*]] = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>]{{.*}} ins(%[[X]], %[[M]]
  // CHECK: return %[[R]]
  %0 = linalg.generic {indexing_maps = [#id, #row, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %mean : tensor<8x4xf32>, tensor<8x1xf32>) outs(%e : tensor<8x4xf32>) {
  ^bb0(%in: f32, %m: f32, %out: f32):
    %s = arith.subf %in, %m : f32
    linalg.yield %s : f32
  } -> tensor<8x4xf32>
  %1 = "smartmem.view"(%0) {map = affine_map<(d0, d1) -> ((d0 + 3) mod 8, d1)>} : (tensor<8x4xf32>) -> tensor<8x4xf32>
  return %1 : tensor<8x4xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>

// CHECK-LABEL: func @part_becomes_an_index
func.func @part_becomes_an_index(%qkv: tensor<4x6xf32>) -> tensor<2x4xf32> {
  %e = tensor.empty() : tensor<2x4xf32>
  // CHECK: %[[P:.*]] = "smartmem.view"(%arg0) {map = affine_map<(d0, d1, d2) -> (d0, d1 * 2 + d2)>} : (tensor<4x6xf32>) -> tensor<4x3x2xf32>
  // CHECK: linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1, 1, d0)>, affine_map<(d0, d1) -> (d0, d1)>]{{.*}} ins(%[[P]]
  %0 = "smartmem.view"(%qkv) {map = affine_map<(d0, d1) -> (d1, d0 + 2)>} : (tensor<4x6xf32>) -> tensor<2x4xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<2x4xf32>) outs(%e : tensor<2x4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = math.exp %in : f32
    linalg.yield %s : f32
  } -> tensor<2x4xf32>
  return %1 : tensor<2x4xf32>
}

// -----
// CHECK-LABEL: func @reshape_and_slice_are_free
func.func @reshape_and_slice_are_free(%x: tensor<4x6xf32>) -> (tensor<24xf32>, tensor<2x3xf32>) {
  // CHECK-COUNT-2: smartmem.view
  %0 = "smartmem.view"(%x) {map = affine_map<(d0) -> (d0 floordiv 6, d0 mod 6)>} : (tensor<4x6xf32>) -> tensor<24xf32>
  %1 = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d0 + 1, d1 + 3)>} : (tensor<4x6xf32>) -> tensor<2x3xf32>
  return %0, %1 : tensor<24xf32>, tensor<2x3xf32>
}

// -----
// CHECK-LABEL: func @keeps_a_view_of_an_argument_that_is_returned
func.func @keeps_a_view_of_an_argument_that_is_returned(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {
  // CHECK: smartmem.view
  %0 = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d1, d0)>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  return %0 : tensor<8x4xf32>
}
