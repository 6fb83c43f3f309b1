// RUN: smartmem-opt --smartmem-eliminate-views --mlir-print-local-scope --split-input-file %s | FileCheck %s

// 3 x 4 rows of a linear layer are a box of the padded image, 12 rows are none: the layer
// runs over 3 x 4. What reads 12 rows reads a reshape, or the element's new place.
// CHECK-LABEL: func @runs_over_the_dims_that_are_padded
func.func @runs_over_the_dims_that_are_padded(%x: tensor<12x6xf32>, %w: tensor<6x8xf32>, %i: index) -> (tensor<5x6x8xf32>, tensor<12x8xf32>, f32) {
  %zero = arith.constant 0.0 : f32
  %c2 = arith.constant 2 : index
  %e = tensor.empty() : tensor<12x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<12x8xf32>) -> tensor<12x8xf32>
  // CHECK: %[[M:.*]] = linalg.generic {{.*}} ["parallel", "parallel", "parallel", "reduction"]} {{.*}} outs({{.*}} : tensor<3x4x8xf32>)
  // CHECK-DAG: %[[ROWS:.*]] = "smartmem.view"(%[[M]]) {{.*}} -> tensor<12x8xf32>
  // CHECK-DAG: %[[PAD:.*]] = "smartmem.view"(%[[M]], %{{.*}}) {domain = {{.*}} : (tensor<3x4x8xf32>, f32) -> tensor<5x6x8xf32>
  // CHECK-DAG: %[[H:.*]] = arith.divui %arg2
  // CHECK-DAG: %[[W:.*]] = arith.remui %arg2
  // CHECK: %[[S:.*]] = tensor.extract %[[M]][%[[H]], %[[W]], %{{.*}}]
  // CHECK: return %[[PAD]], %{{.*}}, %[[S]]
  %0 = linalg.matmul ins(%x, %w : tensor<12x6xf32>, tensor<6x8xf32>) outs(%z : tensor<12x8xf32>) -> tensor<12x8xf32>
  %1 = "smartmem.view"(%0, %zero) {map = affine_map<(h, w, c) -> (h * 4 + w - 5, c)>, domain = affine_map<(h, w, c) -> (h - 1, -h + 3, w - 1, -w + 4)>} : (tensor<12x8xf32>, f32) -> tensor<5x6x8xf32>
  %2 = linalg.exp ins(%0 : tensor<12x8xf32>) outs(%e : tensor<12x8xf32>) -> tensor<12x8xf32>
  %s = tensor.extract %0[%i, %c2] : tensor<12x8xf32>
  return %1, %2, %s : tensor<5x6x8xf32>, tensor<12x8xf32>, f32
}

// -----
// Half of the rows are padded: the layer would write a part only.
// CHECK-LABEL: func @keeps_the_rows_where_a_part_is_padded
// CHECK: linalg.matmul
// CHECK: "smartmem.view"(%{{.*}}, %{{.*}}) {domain = {{.*}} : (tensor<12x8xf32>, f32) -> tensor<4x5x8xf32>
func.func @keeps_the_rows_where_a_part_is_padded(%x: tensor<12x6xf32>, %w: tensor<6x8xf32>) -> tensor<4x5x8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<12x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<12x8xf32>) -> tensor<12x8xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<12x6xf32>, tensor<6x8xf32>) outs(%z : tensor<12x8xf32>) -> tensor<12x8xf32>
  %1 = "smartmem.view"(%0, %zero) {map = affine_map<(h, w, c) -> (h * 3 + w - 4, c)>, domain = affine_map<(h, w, c) -> (h - 1, -h + 2, w - 1, -w + 3)>} : (tensor<12x8xf32>, f32) -> tensor<4x5x8xf32>
  return %1 : tensor<4x5x8xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>

// The rows of a picture come behind another one: their dims are merged, which splits no loop
// and which composing undoes. That is done once, and holds up no other view.
// CHECK-LABEL: func @merges_the_dims_that_are_padded
//       CHECK:   %[[ROWS:.+]] = linalg.generic
//       CHECK:   %[[MERGED:.+]] = "smartmem.view"(%[[ROWS]]) {map = affine_map<(d0, d1) -> (d0 floordiv 4, d0 mod 4, d1)>} : (tensor<3x4x8xf32>) -> tensor<12x8xf32>
//       CHECK:   %[[PART:.+]] = "smartmem.view"(%[[MERGED]]) {domain = affine_map<(d0, d1) -> (d0 - 1)>, map = affine_map<(d0, d1) -> (d0 - 1, d1)>} : (tensor<12x8xf32>) -> tensor<13x8xf32>
//       CHECK:   "smartmem.concat"(%{{.+}}, %[[PART]])
//   CHECK-NOT:   smartmem.view
//       CHECK:   linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1, d0)>]
//   CHECK-NOT:   smartmem.view
func.func @merges_the_dims_that_are_padded(%x: tensor<3x4x6xf32>, %w: tensor<6x8xf32>, %first: tensor<1x8xf32>, %y: tensor<4x8xf32>) -> (tensor<13x8xf32>, tensor<8x4xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<3x4x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
  %rows = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d3)>, affine_map<(d0, d1, d2, d3) -> (d3, d2)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %w : tensor<3x4x6xf32>, tensor<6x8xf32>) outs(%f : tensor<3x4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %out, %m : f32
    linalg.yield %s : f32
  } -> tensor<3x4x8xf32>
  %0 = "smartmem.view"(%first) {domain = affine_map<(d0, d1) -> (-d0)>, map = affine_map<(d0, d1) -> (0, d1)>} : (tensor<1x8xf32>) -> tensor<13x8xf32>
  %1 = "smartmem.view"(%rows) {domain = affine_map<(d0, d1) -> (d0 - 1)>, map = affine_map<(d0, d1) -> ((d0 + 3) floordiv 4 - 1, (d0 + 3) mod 4, d1)>} : (tensor<3x4x8xf32>) -> tensor<13x8xf32>
  %2 = "smartmem.concat"(%0, %1) {domains = [affine_map<(d0, d1) -> (-d0)>, affine_map<(d0, d1) -> (d0 - 1)>]} : (tensor<13x8xf32>, tensor<13x8xf32>) -> tensor<13x8xf32>
  %e2 = tensor.empty() : tensor<4x8xf32>
  %3 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%y : tensor<4x8xf32>) outs(%e2 : tensor<4x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    %s = math.exp %in : f32
    linalg.yield %s : f32
  } -> tensor<4x8xf32>
  %4 = "smartmem.view"(%3) {map = affine_map<(d0, d1) -> (d1, d0)>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  return %2, %4 : tensor<13x8xf32>, tensor<8x4xf32>
}
