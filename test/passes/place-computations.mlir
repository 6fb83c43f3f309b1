// RUN: smartmem-opt --smartmem-place-computations --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-place-computations --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// The mean of a row, as torch-mlir writes it for ONNX: a dim of one is dropped, then rows repeat it.
// CHECK-LABEL: func @mean_of_a_row
// CHECK-SAME: %[[X:.*]]: tensor<4x8xf32>, %[[MEAN:.*]]: tensor<4x1xf32>
// CHECK-NOT: smartmem.view
// CHECK: linalg.generic {indexing_maps = [#[[ID:.*]], #[[ROW:.*]], #[[ID]]]
// CHECK-SAME: ins(%[[X]], %[[MEAN]] : tensor<4x8xf32>, tensor<4x1xf32>)
// REMARK: smartmem.view applied: repeated as it is read
func.func @mean_of_a_row(%x: tensor<4x8xf32>, %mean: tensor<4x1xf32>) -> tensor<4x8xf32> {
  %row = "smartmem.view"(%mean) {map = affine_map<(d0) -> (d0, 0)>} : (tensor<4x1xf32>) -> tensor<4xf32>
  %all = "smartmem.view"(%row) {map = affine_map<(d0, d1) -> (d0)>} : (tensor<4xf32>) -> tensor<4x8xf32>
  %e = tensor.empty() : tensor<4x8xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x, %all : tensor<4x8xf32>, tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %d = arith.subf %a, %b : f32
    linalg.yield %d : f32
  } -> tensor<4x8xf32>
  return %r : tensor<4x8xf32>
}

// -----
// One number for all, and a reader whose loops stand in another order.
// CHECK-LABEL: func @a_number
// CHECK-SAME: %[[N:.*]]: tensor<f32>
// CHECK: linalg.generic {indexing_maps = [#[[NONE:.*]], #{{.*}}], {{.*}} ins(%[[N]] : tensor<f32>)
func.func @a_number(%n: tensor<f32>) -> tensor<8x4xf32> {
  %all = "smartmem.view"(%n) {map = affine_map<(d0, d1) -> ()>} : (tensor<f32>) -> tensor<4x8xf32>
  %e = tensor.empty() : tensor<8x4xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1, d0)>], iterator_types = ["parallel", "parallel"]} ins(%all : tensor<4x8xf32>) outs(%e : tensor<8x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %d = math.exp %a : f32
    linalg.yield %d : f32
  } -> tensor<8x4xf32>
  return %r : tensor<8x4xf32>
}

// -----
// What is permuted beside is a movement: its place is chosen later.
// CHECK-LABEL: func @permuted
// CHECK: smartmem.view
func.func @permuted(%x: tensor<4x2xf32>) -> tensor<8x2x4xf32> {
  %all = "smartmem.view"(%x) {map = affine_map<(d0, d1, d2) -> (d2, d1)>} : (tensor<4x2xf32>) -> tensor<8x2x4xf32>
  %e = tensor.empty() : tensor<8x2x4xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%all : tensor<8x2x4xf32>) outs(%e : tensor<8x2x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %d = math.exp %a : f32
    linalg.yield %d : f32
  } -> tensor<8x2x4xf32>
  return %r : tensor<8x2x4xf32>
}

// -----
// A loop of 4 cannot tell how long a dim of 8 is: a part is repeated.
// CHECK-LABEL: func @part
// CHECK: smartmem.view
func.func @part(%x: tensor<8xf32>) -> tensor<4x8xf32> {
  %all = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d0)>} : (tensor<8xf32>) -> tensor<4x8xf32>
  %e = tensor.empty() : tensor<4x8xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%all : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %d = math.exp %a : f32
    linalg.yield %d : f32
  } -> tensor<4x8xf32>
  return %r : tensor<4x8xf32>
}

// -----
// A sum would not know how often to take each.
// CHECK-LABEL: func @sum
// CHECK: smartmem.view
func.func @sum(%x: tensor<4xf32>) -> tensor<4xf32> {
  %all = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d0)>} : (tensor<4xf32>) -> tensor<4x8xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%all : tensor<4x8xf32>) outs(%z : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<4xf32>
  return %s : tensor<4xf32>
}

// -----
// A lookup reads its indices without the dim of one: what computes them can become part of it.
// Others leave the reshape where it is.
// CHECK-LABEL: func @lookup
// CHECK-SAME: %[[IDS:.*]]: tensor<1x5xi64>
// CHECK: linalg.generic {{.*}} ins(%[[IDS]] : tensor<1x5xi64>)
// CHECK: smartmem.view
// CHECK: math.exp
func.func @lookup(%ids: tensor<1x5xi64>, %table: tensor<9x4xf32>, %x: tensor<1x4xf32>) -> (tensor<5x4xf32>, tensor<4xf32>) {
  %flat = "smartmem.view"(%ids) {map = affine_map<(d0) -> (0, d0)>} : (tensor<1x5xi64>) -> tensor<5xi64>
  %e = tensor.empty() : tensor<5x4xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%flat : tensor<5xi64>) outs(%e : tensor<5x4xf32>) {
  ^bb0(%id: i64, %o: f32):
    %i = arith.index_cast %id : i64 to index
    %j = linalg.index 1 : index
    %v = tensor.extract %table[%i, %j] : tensor<9x4xf32>
    linalg.yield %v : f32
  } -> tensor<5x4xf32>
  %row = "smartmem.view"(%x) {map = affine_map<(d0) -> (0, d0)>} : (tensor<1x4xf32>) -> tensor<4xf32>
  %f = tensor.empty() : tensor<4xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%row : tensor<4xf32>) outs(%f : tensor<4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.exp %a : f32
    linalg.yield %v : f32
  } -> tensor<4xf32>
  return %r, %s : tensor<5x4xf32>, tensor<4xf32>
}

// -----

// The only map that named d0 is gone; a constant 0 of the new one stands for it.
// CHECK-LABEL: func @a_loop_of_one_iteration
func.func @a_loop_of_one_iteration(%x: tensor<1x3xf32>) -> tensor<1x2x3xf32> {
  // CHECK-NOT: smartmem.view
  // CHECK: linalg.generic
  // CHECK-SAME: ins(%{{.*}} : tensor<1x3xf32>)
  %v = "smartmem.view"(%x) {map = affine_map<(d0, d1, d2) -> (d0, d2)>} : (tensor<1x3xf32>) -> tensor<1x2x3xf32>
  %e = tensor.empty() : tensor<1x2x3xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%v : tensor<1x2x3xf32>) outs(%e : tensor<1x2x3xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = math.exp %a : f32
    linalg.yield %s : f32
  } -> tensor<1x2x3xf32>
  return %r : tensor<1x2x3xf32>
}
