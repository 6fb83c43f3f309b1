// RUN: smartmem-opt --allow-unregistered-dialect --smartmem-form-regions --mlir-print-local-scope --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --allow-unregistered-dialect --smartmem-form-regions --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// Each kernel writes its part of a concat, as soon as it is computed; the padding of the whole
// is what the first writes into. The blocks of the second are whole blocks of the whole. A
// reader of one part reads a slice of what there is by then.
// CHECK-LABEL: func @parts_of_a_padded_concat
// REMARK: applied: its producer writes the middle of it
// REMARK: applied: its producer writes the middle of it
// CHECK: %[[ZEROS:.*]] = linalg.fill
// CHECK: %[[ONE:.*]] = "flow.dispatch.region"
// CHECK: linalg.matmul
// CHECK: %[[A:.*]] = tensor.insert_slice %{{.*}} into %[[ZEROS]][1, 0] [4, 8]
// CHECK: "flow.return"(%[[A]])
// CHECK: tensor.extract_slice %[[ONE]][1, 0] [4, 8]
// CHECK: %[[TWO:.*]] = "flow.dispatch.region"
// CHECK: linalg.generic
// CHECK: %[[B:.*]] = tensor.insert_slice %{{.*}} into %{{.*}}[1, 1, 0] [4, 2, 8] [1, 1, 1] : tensor<4x2x8xf32> into tensor<6x3x8xf32>
// CHECK: "flow.return"(%[[B]])
// CHECK-NOT: tensor.pad
func.func @parts_of_a_padded_concat(%x: tensor<4x16xf32>, %w: tensor<16x8xf32>, %v: tensor<2x16x8xf32>) -> (tensor<6x24xf32>, tensor<4xf32>) {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  %a = linalg.matmul ins(%x, %w : tensor<4x16xf32>, tensor<16x8xf32>) outs(%z : tensor<4x8xf32>) -> tensor<4x8xf32>
  %se = tensor.empty() : tensor<4xf32>
  %sz = linalg.fill ins(%zero : f32) outs(%se : tensor<4xf32>) -> tensor<4xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m)>], iterator_types = ["parallel", "reduction"]} ins(%a : tensor<4x8xf32>) outs(%sz : tensor<4xf32>) {
  ^bb0(%i: f32, %o: f32):
    %t = arith.addf %i, %o : f32
    linalg.yield %t : f32
  } -> tensor<4xf32>
  %be = tensor.empty() : tensor<4x2x8xf32>
  %bz = linalg.fill ins(%zero : f32) outs(%be : tensor<4x2x8xf32>) -> tensor<4x2x8xf32>
  %b = linalg.generic {indexing_maps = [affine_map<(m, b, n, k) -> (m, k)>, affine_map<(m, b, n, k) -> (b, k, n)>, affine_map<(m, b, n, k) -> (m, b, n)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %v : tensor<4x16xf32>, tensor<2x16x8xf32>) outs(%bz : tensor<4x2x8xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %p = arith.mulf %i, %j : f32
    %t = arith.addf %p, %o : f32
    linalg.yield %t : f32
  } -> tensor<4x2x8xf32>
  %c = tensor.collapse_shape %b [[0], [1, 2]] : tensor<4x2x8xf32> into tensor<4x16xf32>
  %d = tensor.empty() : tensor<4x24xf32>
  %d1 = tensor.insert_slice %c into %d[0, 8] [4, 16] [1, 1] : tensor<4x16xf32> into tensor<4x24xf32>
  %d2 = tensor.insert_slice %a into %d1[0, 0] [4, 8] [1, 1] : tensor<4x8xf32> into tensor<4x24xf32>
  %p = tensor.pad %d2 low[1, 0] high[1, 0] {
  ^bb0(%i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<4x24xf32> to tensor<6x24xf32>
  return %p, %s : tensor<6x24xf32>, tensor<4xf32>
}

// -----
// Parts that overlap keep their order. Another reader of what is overwritten later reads it as
// it was.
// CHECK-LABEL: func @parts_that_overlap
// CHECK: %[[ONE:.*]] = "flow.dispatch.region"
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[0, 0] [4, 8]
// CHECK: %[[TWO:.*]] = tensor.insert_slice %arg2 into %[[ONE]][0, 4] [4, 8]
// CHECK: %[[S:.*]] = tensor.extract_slice %[[ONE]][0, 0] [4, 8]
// CHECK: "test.reader"(%[[S]])
// CHECK: return %[[TWO]]
func.func @parts_that_overlap(%x: tensor<4x16xf32>, %w: tensor<16x8xf32>, %y: tensor<4x8xf32>) -> tensor<4x12xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  %d = tensor.empty() : tensor<4x12xf32>
  %a = linalg.matmul ins(%x, %w : tensor<4x16xf32>, tensor<16x8xf32>) outs(%z : tensor<4x8xf32>) -> tensor<4x8xf32>
  %d1 = tensor.insert_slice %a into %d[0, 0] [4, 8] [1, 1] : tensor<4x8xf32> into tensor<4x12xf32>
  %d2 = tensor.insert_slice %y into %d1[0, 4] [4, 8] [1, 1] : tensor<4x8xf32> into tensor<4x12xf32>
  "test.reader"(%a) : (tensor<4x8xf32>) -> ()
  return %d2 : tensor<4x12xf32>
}

// -----
// A part that is itself written part by part is no tensor of its own: its parts are written
// into the whole, and what reads it reads a slice of what there is by then.
// CHECK-LABEL: func @parts_within_parts
// CHECK: %[[X:.*]] = tensor.insert_slice %arg0 into %{{.*}}[0, 8] [4, 8] [1, 1] : tensor<4x8xf32> into tensor<4x24xf32>
// CHECK: %[[A:.*]] = "flow.dispatch.region"
// CHECK: tensor.insert_slice %{{.*}} into %[[X]][0, 0] [4, 8]
// CHECK: "flow.dispatch.region"
// CHECK: tensor.extract_slice %[[A]][0, 0] [4, 16]
// CHECK: linalg.matmul
// CHECK: tensor.insert_slice %{{.*}} into %[[A]][0, 16] [4, 8]
func.func @parts_within_parts(%x: tensor<4x8xf32>, %w: tensor<8x8xf32>, %v: tensor<16x8xf32>) -> tensor<4x24xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  %a = linalg.matmul ins(%x, %w : tensor<4x8xf32>, tensor<8x8xf32>) outs(%z : tensor<4x8xf32>) -> tensor<4x8xf32>
  %i = tensor.empty() : tensor<4x16xf32>
  %i1 = tensor.insert_slice %x into %i[0, 8] [4, 8] [1, 1] : tensor<4x8xf32> into tensor<4x16xf32>
  %i2 = tensor.insert_slice %a into %i1[0, 0] [4, 8] [1, 1] : tensor<4x8xf32> into tensor<4x16xf32>
  %c = linalg.matmul ins(%i2, %v : tensor<4x16xf32>, tensor<16x8xf32>) outs(%z : tensor<4x8xf32>) -> tensor<4x8xf32>
  %o = tensor.empty() : tensor<4x24xf32>
  %o1 = tensor.insert_slice %c into %o[0, 16] [4, 8] [1, 1] : tensor<4x8xf32> into tensor<4x24xf32>
  %o2 = tensor.insert_slice %i2 into %o1[0, 0] [4, 16] [1, 1] : tensor<4x16xf32> into tensor<4x24xf32>
  return %o2 : tensor<4x24xf32>
}
