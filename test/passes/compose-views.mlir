// RUN: smartmem-opt --smartmem-compose-views --mlir-print-local-scope --split-input-file %s | FileCheck %s

// CHECK-LABEL: func @two_views
func.func @two_views(%x: tensor<4x8xf32>) -> tensor<32xf32> {
  // CHECK: %[[V:.*]] = "smartmem.view"(%arg0) {map = affine_map<(d0) -> (d0 mod 4, d0 floordiv 4)>}
  // CHECK-NEXT: return %[[V]]
  %0 = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d1, d0)>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %1 = "smartmem.view"(%0) {map = affine_map<(d0) -> (d0 floordiv 4, d0 mod 4)>} : (tensor<8x4xf32>) -> tensor<32xf32>
  return %1 : tensor<32xf32>
}

// -----
// CHECK-LABEL: func @views_that_undo_each_other
func.func @views_that_undo_each_other(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // CHECK-NEXT: return %arg0
  %0 = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d1, d0)>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %1 = "smartmem.view"(%0) {map = affine_map<(d0, d1) -> (d1, d0)>} : (tensor<8x4xf32>) -> tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// -----
// CHECK-LABEL: func @slice_of_concat
func.func @slice_of_concat(%x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<2xf32> {
  // CHECK-NOT: smartmem.concat
  // CHECK: "smartmem.view"(%arg1) {map = affine_map<(d0) -> (d0 + 1)>}
  %0 = "smartmem.view"(%x) {map = affine_map<(d0) -> (d0)>, domain = affine_map<(d0) -> (3 - d0)>} : (tensor<4xf32>) -> tensor<8xf32>
  %1 = "smartmem.view"(%y) {map = affine_map<(d0) -> (d0 - 4)>, domain = affine_map<(d0) -> (d0 - 4)>} : (tensor<4xf32>) -> tensor<8xf32>
  %2 = "smartmem.concat"(%0, %1) {domains = [affine_map<(d0) -> (3 - d0)>, affine_map<(d0) -> ()>]} : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  %3 = "smartmem.view"(%2) {map = affine_map<(d0) -> (d0 + 5)>} : (tensor<8xf32>) -> tensor<2xf32>
  return %3 : tensor<2xf32>
}

// -----
// Two slices of one tensor, joined the other way round.
// CHECK-LABEL: func @roll
func.func @roll(%x: tensor<8xf32>) -> tensor<8xf32> {
  // CHECK-NOT: smartmem.concat
  // CHECK: "smartmem.view"(%arg0) {map = affine_map<(d0) -> ((d0 + 3) mod 8)>}
  %a = "smartmem.view"(%x) {map = affine_map<(d0) -> (d0 + 3)>} : (tensor<8xf32>) -> tensor<5xf32>
  %b = "smartmem.view"(%x) {map = affine_map<(d0) -> (d0)>} : (tensor<8xf32>) -> tensor<3xf32>
  %0 = "smartmem.view"(%a) {map = affine_map<(d0) -> (d0)>, domain = affine_map<(d0) -> (4 - d0)>} : (tensor<5xf32>) -> tensor<8xf32>
  %1 = "smartmem.view"(%b) {map = affine_map<(d0) -> (d0 - 5)>, domain = affine_map<(d0) -> (d0 - 5)>} : (tensor<3xf32>) -> tensor<8xf32>
  %2 = "smartmem.concat"(%0, %1) {domains = [affine_map<(d0) -> (4 - d0)>, affine_map<(d0) -> (d0 - 5)>]} : (tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32>
  return %2 : tensor<8xf32>
}

// -----
// CHECK-LABEL: func @folds_a_permuted_constant
func.func @folds_a_permuted_constant(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %c = arith.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  // CHECK-NOT: smartmem.view
  // CHECK: arith.constant dense_resource<{{.*}}> : tensor<2x2xf32>
  %0 = "smartmem.view"(%c) {map = affine_map<(d0, d1) -> (d1, d0)>} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %1 = arith.addf %x, %0 : tensor<2x2xf32>
  return %1 : tensor<2x2xf32>
}

// -----
// CHECK-LABEL: func @keeps_the_order_of_a_contracted_weight
func.func @keeps_the_order_of_a_contracted_weight(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %c = arith.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  // CHECK: smartmem.view
  %0 = "smartmem.view"(%c) {map = affine_map<(d0, d1) -> (d1, d0)>} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  %1 = linalg.matmul ins(%x, %0 : tensor<2x2xf32>, tensor<2x2xf32>) outs(%x : tensor<2x2xf32>) -> tensor<2x2xf32>
  return %1 : tensor<2x2xf32>
}

// -----
// CHECK-LABEL: func @keeps_padding_apart
func.func @keeps_padding_apart(%x: tensor<4xf32>, %f: f32) -> tensor<2x3xf32> {
  // CHECK: %[[P:.*]] = "smartmem.view"(%arg0, %arg1)
  // CHECK: "smartmem.view"(%[[P]]) {map = affine_map<(d0, d1) -> (d0 * 3 + d1)>}
  %0 = "smartmem.view"(%x, %f) {map = affine_map<(d0) -> (d0 - 1)>, domain = affine_map<(d0) -> (d0 - 1, 4 - d0)>} : (tensor<4xf32>, f32) -> tensor<6xf32>
  %1 = "smartmem.view"(%0) {map = affine_map<(d0, d1) -> (d0 * 3 + d1)>} : (tensor<6xf32>) -> tensor<2x3xf32>
  return %1 : tensor<2x3xf32>
}

// -----
// CHECK-LABEL: func @keeps_a_mask
func.func @keeps_a_mask(%x: tensor<4xf32>, %f: f32) -> tensor<4xf32> {
  // CHECK: "smartmem.view"(%arg0, %arg1) {domain = affine_map<(d0) -> (d0 - 1)>, map = affine_map<(d0) -> (d0)>}
  %0 = "smartmem.view"(%x, %f) {map = affine_map<(d0) -> (d0)>, domain = affine_map<(d0) -> (d0 - 1)>} : (tensor<4xf32>, f32) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----
// A view of a concat looks through it where it reads one of the sources only.
// CHECK-LABEL: func @stores_a_concat_that_would_be_read_here_and_there
func.func @stores_a_concat_that_would_be_read_here_and_there(%a: tensor<4x6xf32>, %b: tensor<4x6xf32>) -> (tensor<4x3x4xf32>, tensor<6x2xf32>) {
  // CHECK: %[[C:.*]] = "smartmem.concat"(
  // CHECK: "smartmem.view"(%[[C]]) {map = affine_map<(d0, d1, d2) -> (d1 * 4 + d2, d0)>}
  // CHECK: "smartmem.view"(%arg0) {map = affine_map<(d0, d1) -> (d1 + 1, d0)>}
  %0 = "smartmem.view"(%a) {map = affine_map<(d0, d1) -> (d0, d1)>, domain = affine_map<(d0, d1) -> (-d0 + 3)>} : (tensor<4x6xf32>) -> tensor<12x6xf32>
  %1 = "smartmem.view"(%b) {map = affine_map<(d0, d1) -> (d0 mod 4, d1)>} : (tensor<4x6xf32>) -> tensor<12x6xf32>
  %2 = "smartmem.concat"(%0, %1) {domains = [affine_map<(d0, d1) -> (-d0 + 3)>, affine_map<(d0, d1) -> (d0 - 4)>]} : (tensor<12x6xf32>, tensor<12x6xf32>) -> tensor<12x6xf32>
  %3 = "smartmem.view"(%2) {map = affine_map<(d0, d1, d2) -> (d1 * 4 + d2, d0)>} : (tensor<12x6xf32>) -> tensor<4x3x4xf32>
  %4 = "smartmem.view"(%2) {map = affine_map<(d0, d1) -> (d1 + 1, d0)>} : (tensor<12x6xf32>) -> tensor<6x2xf32>
  return %3, %4 : tensor<4x3x4xf32>, tensor<6x2xf32>
}
