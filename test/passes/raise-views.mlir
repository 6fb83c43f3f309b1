// RUN: smartmem-opt --smartmem-raise-views --mlir-print-local-scope %s | FileCheck %s

// CHECK-LABEL: func @expand_shape
func.func @expand_shape(%x: tensor<6x4xf32>) -> tensor<2x3x4xf32> {
  // CHECK-NOT: tensor.expand_shape
  // CHECK: "smartmem.view"(%arg0) {map = affine_map<(d0, d1, d2) -> (d0 * 3 + d1, d2)>}
  %0 = tensor.expand_shape %x [[0, 1], [2]] output_shape [2, 3, 4] : tensor<6x4xf32> into tensor<2x3x4xf32>
  return %0 : tensor<2x3x4xf32>
}

// CHECK-LABEL: func @collapse_shape
func.func @collapse_shape(%x: tensor<2x3x4xf32>) -> tensor<6x4xf32> {
  // CHECK-NOT: tensor.collapse_shape
  // CHECK: "smartmem.view"(%arg0) {map = affine_map<(d0, d1) -> (d0 floordiv 3, d0 mod 3, d1)>}
  %0 = tensor.collapse_shape %x [[0, 1], [2]] : tensor<2x3x4xf32> into tensor<6x4xf32>
  return %0 : tensor<6x4xf32>
}

// CHECK-LABEL: func @transpose
func.func @transpose(%x: tensor<2x3x4xf32>) -> tensor<4x2x3xf32> {
  %e = tensor.empty() : tensor<4x2x3xf32>
  // CHECK-NOT: linalg.transpose
  // CHECK: "smartmem.view"(%arg0) {map = affine_map<(d0, d1, d2) -> (d1, d2, d0)>}
  %0 = linalg.transpose ins(%x : tensor<2x3x4xf32>) outs(%e : tensor<4x2x3xf32>) permutation = [2, 0, 1]
  return %0 : tensor<4x2x3xf32>
}

// CHECK-LABEL: func @broadcast
func.func @broadcast(%x: tensor<3xf32>) -> tensor<2x3xf32> {
  %e = tensor.empty() : tensor<2x3xf32>
  // CHECK: "smartmem.view"(%arg0) {map = affine_map<(d0, d1) -> (d1)>}
  %0 = linalg.broadcast ins(%x : tensor<3xf32>) outs(%e : tensor<2x3xf32>) dimensions = [0]
  return %0 : tensor<2x3xf32>
}

// CHECK-LABEL: func @extract_slice
func.func @extract_slice(%x: tensor<8x9xf32>) -> tensor<2x3xf32> {
  // CHECK: "smartmem.view"(%arg0) {map = affine_map<(d0, d1) -> (d0 + 1, d1 * 4)>}
  %0 = tensor.extract_slice %x[1, 0] [2, 3] [1, 4] : tensor<8x9xf32> to tensor<2x3xf32>
  return %0 : tensor<2x3xf32>
}

// CHECK-LABEL: func @extract_slice_drops_a_dim
func.func @extract_slice_drops_a_dim(%x: tensor<3x8x1xf32>) -> tensor<8x1xf32> {
  // CHECK: "smartmem.view"(%arg0) {map = affine_map<(d0, d1) -> (2, d0, 0)>}
  %0 = tensor.extract_slice %x[2, 0, 0] [1, 8, 1] [1, 1, 1] : tensor<3x8x1xf32> to tensor<8x1xf32>
  return %0 : tensor<8x1xf32>
}

// CHECK-LABEL: func @insert_slice
func.func @insert_slice(%x: tensor<2xf32>, %y: tensor<8xf32>) -> tensor<8xf32> {
  // CHECK: %[[V:.*]] = "smartmem.view"(%arg0) {domain = affine_map<(d0) -> (d0 - 3, -d0 + 4)>, map = affine_map<(d0) -> (d0 - 3)>}
  // CHECK: "smartmem.concat"(%[[V]], %arg1) {domains = [affine_map<(d0) -> (d0 - 3, -d0 + 4)>, affine_map<(d0) -> ()>]}
  %0 = tensor.insert_slice %x into %y[3] [2] [1] : tensor<2xf32> into tensor<8xf32>
  return %0 : tensor<8xf32>
}

// CHECK-LABEL: func @insert_slice_with_stride
func.func @insert_slice_with_stride(%x: tensor<2xf32>, %y: tensor<8xf32>) -> tensor<8xf32> {
  // CHECK: "smartmem.view"(%arg0) {domain = affine_map<(d0) -> (d0 - 1, -d0 + 4, -((d0 + 2) mod 3))>, map = affine_map<(d0) -> ((d0 + 2) floordiv 3 - 1)>}
  %0 = tensor.insert_slice %x into %y[1] [2] [3] : tensor<2xf32> into tensor<8xf32>
  return %0 : tensor<8xf32>
}

// CHECK-LABEL: func @insert_slice_into_fill_is_padding
func.func @insert_slice_into_fill_is_padding(%x: tensor<2xf32>, %f: f32) -> tensor<8xf32> {
  %e = tensor.empty() : tensor<8xf32>
  %y = linalg.fill ins(%f : f32) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  // CHECK: "smartmem.view"(%arg0, %arg1) {domain = affine_map<(d0) -> (d0 - 3, -d0 + 4)>
  // CHECK-NOT: smartmem.concat
  %0 = tensor.insert_slice %x into %y[3] [2] [1] : tensor<2xf32> into tensor<8xf32>
  return %0 : tensor<8xf32>
}

// CHECK-LABEL: func @pad
func.func @pad(%x: tensor<2x3xf32>) -> tensor<4x4xf32> {
  // CHECK: %[[C:.*]] = arith.constant 5.0
  // CHECK: "smartmem.view"(%arg0, %[[C]]) {domain = affine_map<(d0, d1) -> (d0 - 1, -d0 + 2, -d1 + 2)>, map = affine_map<(d0, d1) -> (d0 - 1, d1)>}
  %0 = tensor.pad %x low[1, 0] high[1, 1] {
  ^bb0(%i: index, %j: index):
    %c = arith.constant 5.0 : f32
    tensor.yield %c : f32
  } : tensor<2x3xf32> to tensor<4x4xf32>
  return %0 : tensor<4x4xf32>
}

// CHECK-LABEL: func @concat_through_casts
func.func @concat_through_casts(%x: tensor<2x3xf32>, %y: tensor<2x1xf32>) -> tensor<2x4xf32> {
  %a = tensor.cast %x : tensor<2x3xf32> to tensor<2x?xf32>
  // CHECK: "smartmem.view"(%arg0) {domain = affine_map<(d0, d1) -> (-d1 + 2)>, map = affine_map<(d0, d1) -> (d0, d1)>}
  // CHECK: "smartmem.view"(%arg1) {domain = affine_map<(d0, d1) -> (d1 - 3)>, map = affine_map<(d0, d1) -> (d0, 0)>}
  // CHECK: "smartmem.concat"
  %0 = tensor.concat dim(1) %a, %y : (tensor<2x?xf32>, tensor<2x1xf32>) -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// CHECK-LABEL: func @pack_and_unpack
func.func @pack_and_unpack(%x: tensor<5x8xf32>, %f: f32) -> tensor<5x8xf32> {
  %e = tensor.empty() : tensor<4x2x4x2xf32>
  // CHECK: "smartmem.view"(%arg0, %arg1) {domain = affine_map<(d0, d1, d2, d3) -> ({{.*}} + 4)>, map = affine_map<(d0, d1, d2, d3) -> (d1 * 4 + d2, d0 * 2 + d3)>}
  %p = linalg.pack %x padding_value(%f : f32) outer_dims_perm = [1, 0] inner_dims_pos = [0, 1] inner_tiles = [4, 2] into %e : tensor<5x8xf32> -> tensor<4x2x4x2xf32>
  %o = tensor.empty() : tensor<5x8xf32>
  // CHECK: "smartmem.view"(%{{.*}}) {map = affine_map<(d0, d1) -> (d1 floordiv 2, d0 floordiv 4, d0 mod 4, d1 mod 2)>}
  %u = linalg.unpack %p outer_dims_perm = [1, 0] inner_dims_pos = [0, 1] inner_tiles = [4, 2] into %o : tensor<4x2x4x2xf32> -> tensor<5x8xf32>
  return %u : tensor<5x8xf32>
}

// CHECK-LABEL: func @generic_that_transposes
func.func @generic_that_transposes(%x: tensor<4x1xf32>) -> tensor<3x4xf32> {
  %e = tensor.empty() : tensor<3x4xf32>
  // CHECK-NOT: linalg.generic
  // CHECK: "smartmem.view"(%arg0) {map = affine_map<(d0, d1) -> (d1, 0)>}
  %0 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, 0)>, affine_map<(d0, d1) -> (d1, d0)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x1xf32>) outs(%e : tensor<3x4xf32>) {
  ^bb0(%in: f32, %out: f32):
    linalg.yield %in : f32
  } -> tensor<3x4xf32>
  return %0 : tensor<3x4xf32>
}

// CHECK-LABEL: func @leaves_computation
func.func @leaves_computation(%x: tensor<4xf32>) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<4xf32>
  // CHECK: linalg.exp
  // CHECK-NOT: smartmem
  %0 = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// CHECK-LABEL: func @keeps_dynamic_shape
func.func @keeps_dynamic_shape(%x: tensor<?x4xf32>) -> tensor<?x2x2xf32> {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?x4xf32>
  // CHECK: tensor.expand_shape
  %0 = tensor.expand_shape %x [[0], [1, 2]] output_shape [%n, 2, 2] : tensor<?x4xf32> into tensor<?x2x2xf32>
  return %0 : tensor<?x2x2xf32>
}

// CHECK-LABEL: func @keeps_padding_that_depends_on_the_index
func.func @keeps_padding_that_depends_on_the_index(%x: tensor<2xindex>) -> tensor<4xindex> {
  // CHECK: tensor.pad
  %0 = tensor.pad %x low[1] high[1] {
  ^bb0(%i: index):
    tensor.yield %i : index
  } : tensor<2xindex> to tensor<4xindex>
  return %0 : tensor<4xindex>
}

// CHECK-LABEL: func @keeps_slice_at_a_run_time_offset
func.func @keeps_slice_at_a_run_time_offset(%x: tensor<8xf32>, %at: index) -> tensor<4xf32> {
  // CHECK: tensor.extract_slice %arg0[%arg1] [4] [1]
  %0 = tensor.extract_slice %x[%at] [4] [1] : tensor<8xf32> to tensor<4xf32>
  return %0 : tensor<4xf32>
}

// Nothing is read of what has no elements: there is nothing to find about the indices.
// CHECK-LABEL: func @gather_of_nothing
func.func @gather_of_nothing(%x: tensor<5xf32>) -> tensor<0xf32> {
  // CHECK: tensor.extract
  %idx = arith.constant dense<> : tensor<0xi64>
  %e = tensor.empty() : tensor<0xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%idx : tensor<0xi64>) outs(%e : tensor<0xf32>) {
  ^bb0(%i: i64, %o: f32):
    %k = arith.index_cast %i : i64 to index
    %v = tensor.extract %x[%k] : tensor<5xf32>
    linalg.yield %v : f32
  } -> tensor<0xf32>
  return %r : tensor<0xf32>
}

// A concat that begins with all pieces of another one begins with that one.
// CHECK-LABEL: func @shared_pieces
func.func @shared_pieces(%a: tensor<1xf32>, %b: tensor<2xf32>, %c: tensor<3xf32>, %d: tensor<4xf32>) -> (tensor<3xf32>, tensor<6xf32>, tensor<10xf32>, tensor<5xf32>) {
  // CHECK-DAG: %[[AB:.*]] = "smartmem.concat"({{.*}}) {{.*}} -> tensor<3xf32>
  // CHECK-DAG: %[[V:.*]] = "smartmem.view"(%[[AB]]) {{.*}} -> tensor<6xf32>
  // CHECK-DAG: %[[ABC:.*]] = "smartmem.concat"(%[[V]], {{.*}}) {{.*}} -> tensor<6xf32>
  // CHECK-DAG: %[[W:.*]] = "smartmem.view"(%[[ABC]]) {{.*}} -> tensor<10xf32>
  // CHECK-DAG: "smartmem.concat"(%[[W]], {{.*}}) {{.*}} -> tensor<10xf32>
  %ab = tensor.concat dim(0) %a, %b : (tensor<1xf32>, tensor<2xf32>) -> tensor<3xf32>
  %abc = tensor.concat dim(0) %a, %b, %c : (tensor<1xf32>, tensor<2xf32>, tensor<3xf32>) -> tensor<6xf32>
  %abcd = tensor.concat dim(0) %a, %b, %c, %d : (tensor<1xf32>, tensor<2xf32>, tensor<3xf32>, tensor<4xf32>) -> tensor<10xf32>
  // It begins with another piece.
  // CHECK-DAG: "smartmem.view"(%arg1) {{.*}} -> tensor<5xf32>
  %bc = tensor.concat dim(0) %b, %c : (tensor<2xf32>, tensor<3xf32>) -> tensor<5xf32>
  return %ab, %abc, %abcd, %bc : tensor<3xf32>, tensor<6xf32>, tensor<10xf32>, tensor<5xf32>
}
