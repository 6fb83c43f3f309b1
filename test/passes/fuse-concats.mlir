// RUN: smartmem-opt --smartmem-raise-views --smartmem-fuse-concats --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-raise-views --smartmem-fuse-concats --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// A part of each row is computed, the rest passed on. What is computed is an element of
// the same slice as what is passed on; the constant gets the shape of the result.
// CHECK-LABEL: func @a_part_of_each_row
// REMARK: remark: {{.*}}smartmem.concat{{.*}}one operation computes all pieces
func.func @a_part_of_each_row(%x: tensor<5x6xf32>, %w: tensor<6x3xf32>, %acc: tensor<5x3xf32>) -> tensor<5x3xf32> {
  // CHECK: %[[K:.*]] = arith.constant dense_resource<folded> : tensor<6xf32>
  // CHECK-NOT: smartmem.concat
  // CHECK: %[[R:.*]] = linalg.generic
  // CHECK-SAME: ins(%arg0, %[[K]] : tensor<5x6xf32>, tensor<6xf32>)
  // CHECK: ^bb0(%[[A:.*]]: f32, %[[B:.*]]: f32,
  // CHECK: %[[J:.*]] = linalg.index 1
  // CHECK-NOT: tensor.extract
  // CHECK: %[[P:.*]] = arith.mulf %[[A]], %[[B]]
  // CHECK: %[[S:.*]] = arith.select %{{.*}}, %[[P]], %[[A]]
  // CHECK: linalg.yield %[[S]]
  // CHECK: linalg.matmul ins(%[[R]],
  %k = arith.constant dense<[2.0, 3.0]> : tensor<2xf32>
  %e = tensor.empty() : tensor<5x2xf32>
  %front = tensor.extract_slice %x[0, 0] [5, 2] [1, 1] : tensor<5x6xf32> to tensor<5x2xf32>
  %rest = tensor.extract_slice %x[0, 2] [5, 4] [1, 1] : tensor<5x6xf32> to tensor<5x4xf32>
  %f = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%front, %k : tensor<5x2xf32>, tensor<2xf32>) outs(%e : tensor<5x2xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.mulf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<5x2xf32>
  %c = tensor.concat dim(1) %f, %rest : (tensor<5x2xf32>, tensor<5x4xf32>) -> tensor<5x6xf32>
  %m = linalg.matmul ins(%c, %w : tensor<5x6xf32>, tensor<6x3xf32>) outs(%acc : tensor<5x3xf32>) -> tensor<5x3xf32>
  return %m : tensor<5x3xf32>
}

// -----
// What reads the halves of a row, exchanged and one negated, computes both. The half that
// lies before its place in the row leaves the row: it is read element by element.
// CHECK-LABEL: func @a_reader_computes_the_pieces
func.func @a_reader_computes_the_pieces(%x: tensor<5x6xf32>) -> tensor<5x6xf32> {
  // CHECK-NOT: smartmem.concat
  // CHECK: linalg.generic
  // CHECK-DAG: %[[UP:.*]] = tensor.extract %arg0
  // CHECK-DAG: %[[DOWN:.*]] = tensor.extract %arg0
  // CHECK: %[[N:.*]] = arith.negf
  // CHECK: %[[S:.*]] = arith.select %{{.*}}, %[[N]],
  // CHECK: %[[R:.*]] = arith.addf %{{.*}}, %[[S]]
  // CHECK: linalg.yield %[[R]]
  // CHECK-NOT: linalg.generic
  %e = tensor.empty() : tensor<5x3xf32>
  %ex = tensor.empty() : tensor<5x6xf32>
  %front = tensor.extract_slice %x[0, 0] [5, 3] [1, 1] : tensor<5x6xf32> to tensor<5x3xf32>
  %back = tensor.extract_slice %x[0, 3] [5, 3] [1, 1] : tensor<5x6xf32> to tensor<5x3xf32>
  %n = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%back : tensor<5x3xf32>) outs(%e : tensor<5x3xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.negf %a : f32
    linalg.yield %v : f32
  } -> tensor<5x3xf32>
  %c = tensor.concat dim(1) %n, %front : (tensor<5x3xf32>, tensor<5x3xf32>) -> tensor<5x6xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x, %c : tensor<5x6xf32>, tensor<5x6xf32>) outs(%ex : tensor<5x6xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.addf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<5x6xf32>
  return %r : tensor<5x6xf32>
}

// -----
// Halves of 8, exchanged and one negated: each vector of 8 is one of them. Only the half
// that lies before its place in the row leaves it.
// CHECK-LABEL: func @halves_are_vectors
func.func @halves_are_vectors(%x: tensor<5x16xf32>) -> tensor<5x16xf32> {
  // CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<5x2x8xf32>)
  // CHECK: %[[V:.*]] = linalg.index 1
  // CHECK: %[[L:.*]] = linalg.index 2
  // CHECK-NOT: arith.remui
  // CHECK: tensor.extract %arg0
  // CHECK: %[[R:.*]] = tensor.collapse_shape %{{.*}} : tensor<5x2x8xf32> into tensor<5x16xf32>
  // CHECK: return %[[R]]
  %e = tensor.empty() : tensor<5x8xf32>
  %front = tensor.extract_slice %x[0, 0] [5, 8] [1, 1] : tensor<5x16xf32> to tensor<5x8xf32>
  %back = tensor.extract_slice %x[0, 8] [5, 8] [1, 1] : tensor<5x16xf32> to tensor<5x8xf32>
  %n = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%back : tensor<5x8xf32>) outs(%e : tensor<5x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.negf %a : f32
    linalg.yield %v : f32
  } -> tensor<5x8xf32>
  %c = tensor.concat dim(1) %n, %front : (tensor<5x8xf32>, tensor<5x8xf32>) -> tensor<5x16xf32>
  return %c : tensor<5x16xf32>
}

// -----
// Rows of 18 are no whole vectors, and whoever reads them wants no longer ones.
// CHECK-LABEL: func @rows_keep_their_length
func.func @rows_keep_their_length(%x: tensor<5x18xf32>) -> tensor<5x18xf32> {
  // CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<5x18xf32>)
  // CHECK-NOT: collapse_shape
  %e = tensor.empty() : tensor<5x10xf32>
  %front = tensor.extract_slice %x[0, 0] [5, 8] [1, 1] : tensor<5x18xf32> to tensor<5x8xf32>
  %back = tensor.extract_slice %x[0, 8] [5, 10] [1, 1] : tensor<5x18xf32> to tensor<5x10xf32>
  %n = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%back : tensor<5x10xf32>) outs(%e : tensor<5x10xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.negf %a : f32
    linalg.yield %v : f32
  } -> tensor<5x10xf32>
  %c = tensor.concat dim(1) %n, %front : (tensor<5x10xf32>, tensor<5x8xf32>) -> tensor<5x18xf32>
  return %c : tensor<5x18xf32>
}

// -----
// Each element would pay for an exponential that most do not want.
// CHECK-LABEL: func @dear_pieces_are_stored
func.func @dear_pieces_are_stored(%x: tensor<5x2xf32>, %y: tensor<5x4xf32>) -> tensor<5x6xf32> {
  // CHECK: math.exp
  // CHECK: smartmem.concat
  %e = tensor.empty() : tensor<5x2xf32>
  %f = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<5x2xf32>) outs(%e : tensor<5x2xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.exp %a : f32
    linalg.yield %v : f32
  } -> tensor<5x2xf32>
  %c = tensor.concat dim(1) %f, %y : (tensor<5x2xf32>, tensor<5x4xf32>) -> tensor<5x6xf32>
  return %c : tensor<5x6xf32>
}

// -----
// The end of a contraction costs nothing where it is, and others read it.
// CHECK-LABEL: func @ends_and_shared_pieces_are_stored
func.func @ends_and_shared_pieces_are_stored(%x: tensor<5x3xf32>, %w: tensor<3x2xf32>, %acc: tensor<5x2xf32>, %y: tensor<5x2xf32>) -> (tensor<5x4xf32>, tensor<5x4xf32>, tensor<5x2xf32>) {
  // CHECK: smartmem.concat
  // CHECK: smartmem.concat
  %e = tensor.empty() : tensor<5x2xf32>
  %m = linalg.matmul ins(%x, %w : tensor<5x3xf32>, tensor<3x2xf32>) outs(%acc : tensor<5x2xf32>) -> tensor<5x2xf32>
  %f = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%m : tensor<5x2xf32>) outs(%e : tensor<5x2xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.negf %a : f32
    linalg.yield %v : f32
  } -> tensor<5x2xf32>
  %g = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%y : tensor<5x2xf32>) outs(%e : tensor<5x2xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.negf %a : f32
    linalg.yield %v : f32
  } -> tensor<5x2xf32>
  %c = tensor.concat dim(1) %f, %y : (tensor<5x2xf32>, tensor<5x2xf32>) -> tensor<5x4xf32>
  %d = tensor.concat dim(1) %g, %y : (tensor<5x2xf32>, tensor<5x2xf32>) -> tensor<5x4xf32>
  return %c, %d, %g : tensor<5x4xf32>, tensor<5x4xf32>, tensor<5x2xf32>
}

// -----
// Every element would read all nine tensors.
// CHECK-LABEL: func @many_pieces_are_stored
// CHECK: smartmem.concat
// REMARK: 9 elements would be read for each one, not 8
func.func @many_pieces_are_stored(%x0: tensor<4x2xf32>, %x1: tensor<4x2xf32>, %x2: tensor<4x2xf32>, %x3: tensor<4x2xf32>, %x4: tensor<4x2xf32>, %x5: tensor<4x2xf32>, %x6: tensor<4x2xf32>, %x7: tensor<4x2xf32>, %x8: tensor<4x2xf32>) -> tensor<4x18xf32> {
  %e = tensor.empty() : tensor<4x2xf32>
  %f = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x0 : tensor<4x2xf32>) outs(%e : tensor<4x2xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.negf %a : f32
    linalg.yield %v : f32
  } -> tensor<4x2xf32>
  %c = tensor.concat dim(1) %f, %x1, %x2, %x3, %x4, %x5, %x6, %x7, %x8 : (tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>, tensor<4x2xf32>) -> tensor<4x18xf32>
  return %c : tensor<4x18xf32>
}
