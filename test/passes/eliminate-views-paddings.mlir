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
