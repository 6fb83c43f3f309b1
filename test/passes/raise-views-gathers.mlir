// RUN: smartmem-opt --smartmem-raise-views --cse --mlir-print-local-scope %s | FileCheck %s

#id = affine_map<(d0) -> (d0)>

// CHECK-LABEL: func @flip
func.func @flip(%x: tensor<8xf32>) -> tensor<8xf32> {
  %e = tensor.empty() : tensor<8xf32>
  // CHECK: "smartmem.view"(%arg0) {map = affine_map<(d0) -> (-d0 + 7)>}
  %0 = linalg.generic {indexing_maps = [#id], iterator_types = ["parallel"]} outs(%e : tensor<8xf32>) {
  ^bb0(%out: f32):
    %c7 = arith.constant 7 : index
    %i = linalg.index 0 : index
    %j = arith.subi %c7, %i : index
    %v = tensor.extract %x[%j] : tensor<8xf32>
    linalg.yield %v : f32
  } -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// A table of constants with PyTorch's wrap of negative indices: [5, 6, 7, 0, ..., 4].
// CHECK-LABEL: func @rotation_by_table
func.func @rotation_by_table(%x: tensor<8xf32>) -> tensor<8xf32> {
  %table = arith.constant dense<[-3, -2, -1, 0, 1, 2, 3, 4]> : tensor<8xi64>
  %e = tensor.empty() : tensor<8xf32>
  // CHECK: "smartmem.view"(%arg0) {map = affine_map<(d0) -> ((d0 + 5) mod 8)>}
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%table : tensor<8xi64>) outs(%e : tensor<8xf32>) {
  ^bb0(%in: i64, %out: f32):
    %c0 = arith.constant 0 : i64
    %c8 = arith.constant 8 : i64
    %neg = arith.cmpi slt, %in, %c0 : i64
    %wrapped = arith.addi %in, %c8 : i64
    %index = arith.select %neg, %wrapped, %in : i64
    %j = arith.index_cast %index : i64 to index
    %v = tensor.extract %x[%j] : tensor<8xf32>
    linalg.yield %v : f32
  } -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// The table is a parameter and passes through a reshape: rows 0 0 2 2 of x.
// CHECK-LABEL: func @repeat_by_parameter
func.func @repeat_by_parameter(%x: tensor<3x5xf32>) -> tensor<4x5xf32> {
  %p = arith.constant dense_resource<rows> : tensor<2x2xi64>
  %table = tensor.collapse_shape %p [[0, 1]] : tensor<2x2xi64> into tensor<4xi64>
  %e = tensor.empty() : tensor<4x5xf32>
  // CHECK: "smartmem.view"(%arg0) {map = affine_map<(d0, d1) -> ((d0 floordiv 2) * 2, d1)>}
  %0 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%table : tensor<4xi64>) outs(%e : tensor<4x5xf32>) {
  ^bb0(%in: i64, %out: f32):
    %j = arith.index_cast %in : i64 to index
    %k = linalg.index 1 : index
    %v = tensor.extract %x[%j, %k] : tensor<3x5xf32>
    linalg.yield %v : f32
  } -> tensor<4x5xf32>
  return %0 : tensor<4x5xf32>
}

// Reflection: two runs, 2 1 and 0 1 2 3.
// CHECK-LABEL: func @reflection_in_pieces
func.func @reflection_in_pieces(%x: tensor<4xf32>) -> tensor<6xf32> {
  %table = arith.constant dense<[2, 1, 0, 1, 2, 3]> : tensor<6xi64>
  %e = tensor.empty() : tensor<6xf32>
  // CHECK: "smartmem.concat"(%{{.*}}, %{{.*}})
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%table : tensor<6xi64>) outs(%e : tensor<6xf32>) {
  ^bb0(%in: i64, %out: f32):
    %j = arith.index_cast %in : i64 to index
    %v = tensor.extract %x[%j] : tensor<4xf32>
    linalg.yield %v : f32
  } -> tensor<6xf32>
  return %0 : tensor<6xf32>
}

// CHECK-LABEL: func @keeps_gather_at_run_time_indices
func.func @keeps_gather_at_run_time_indices(%x: tensor<4xf32>, %table: tensor<6xi64>) -> tensor<6xf32> {
  %e = tensor.empty() : tensor<6xf32>
  // CHECK: linalg.generic
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%table : tensor<6xi64>) outs(%e : tensor<6xf32>) {
  ^bb0(%in: i64, %out: f32):
    %j = arith.index_cast %in : i64 to index
    %v = tensor.extract %x[%j] : tensor<4xf32>
    linalg.yield %v : f32
  } -> tensor<6xf32>
  return %0 : tensor<6xf32>
}

// CHECK-LABEL: func @keeps_gather_without_quasi_affine_form
func.func @keeps_gather_without_quasi_affine_form(%x: tensor<32xf32>) -> tensor<18xf32> {
  %table = arith.constant dense<[3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3, 2, 31]> : tensor<18xi64>
  %e = tensor.empty() : tensor<18xf32>
  // CHECK: linalg.generic
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%table : tensor<18xi64>) outs(%e : tensor<18xf32>) {
  ^bb0(%in: i64, %out: f32):
    %j = arith.index_cast %in : i64 to index
    %v = tensor.extract %x[%j] : tensor<32xf32>
    linalg.yield %v : f32
  } -> tensor<18xf32>
  return %0 : tensor<18xf32>
}

{-#
  dialect_resources: {
    builtin: {
      rows: "0x080000000000000000000000000000000000000002000000000000000200000000000000"
    }
  }
#-}

// -----
// CHECK-LABEL: func @tells_indices_of_equal_extents_apart
func.func @tells_indices_of_equal_extents_apart(%x: tensor<3x3x3xf32>) -> tensor<3x3x3xf32> {
  // CHECK: "smartmem.view"(%arg0) {map = affine_map<(d0, d1, d2) -> (-d0 + 2, d2, d1)>}
  %c2 = arith.constant 2 : index
  %e = tensor.empty() : tensor<3x3x3xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel"]} outs(%e : tensor<3x3x3xf32>) {
  ^bb0(%out: f32):
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %k = linalg.index 2 : index
    %f = arith.subi %c2, %i : index
    %v = tensor.extract %x[%f, %k, %j] : tensor<3x3x3xf32>
    linalg.yield %v : f32
  } -> tensor<3x3x3xf32>
  return %0 : tensor<3x3x3xf32>
}
