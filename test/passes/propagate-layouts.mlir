// RUN: smartmem-opt --smartmem-propagate-layouts --mlir-print-local-scope --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-propagate-layouts --smartmem-materialize-layouts --mlir-print-local-scope --split-input-file %s | FileCheck %s --check-prefix=LAID
// RUN: smartmem-opt --smartmem-propagate-layouts --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// The order in which one operation writes and another reads is that of all between: forward
// through an elementwise operation and a padding, and nothing is permuted.
// CHECK-LABEL: func @between_two_windows
// CHECK-SAME: (%[[X:.*]]: tensor<1x7x7x8xf32>)
// REMARK: remark: {{.*}}applied: 3 tensors lie in the order [0, 2, 3, 1]
func.func @between_two_windows(%x: tensor<1x7x7x8xf32>) -> tensor<1x9x9x8xf32> {
  // CHECK: %[[A:.*]] = "smartmem.view"(%[[X]]) {{.*}} -> tensor<1x8x7x7xf32, #smartmem.layout<"reorder(0, 2, 3, 1)", "buffer", []>>
  // CHECK: linalg.generic {{.*}} ins(%[[A]] : {{.*}}) outs(%{{.*}} : tensor<1x8x7x7xf32, #smartmem.layout<"reorder(0, 2, 3, 1)"
  // CHECK: "smartmem.view"{{.*}} -> tensor<1x8x9x9xf32, #smartmem.layout<"reorder(0, 2, 3, 1)"
  // CHECK-NOT: smartmem.relayout
  // LAID: "smartmem.view"(%{{.*}}) {map = affine_map<(d0, d1, d2, d3) -> (0, d1, d2, d3)>} : (tensor<1x7x7x8xf32>) -> tensor<1x7x7x8xf32>
  // LAID: linalg.generic
  // LAID: "smartmem.view"{{.*}} -> tensor<1x9x9x8xf32>
  // LAID: "smartmem.view"(%{{.*}}) {map = affine_map<(d0, d1, d2, d3) -> (0, d1, d2, d3)>} : (tensor<1x9x9x8xf32>) -> tensor<1x9x9x8xf32>
  %zero = arith.constant 0.0 : f32
  %a = "smartmem.view"(%x) {map = affine_map<(n, c, h, w) -> (n, h, w, c)>} : (tensor<1x7x7x8xf32>) -> tensor<1x8x7x7xf32>
  %e = tensor.empty() : tensor<1x8x7x7xf32>
  %b = linalg.generic {indexing_maps = [affine_map<(n, c, h, w) -> (n, c, h, w)>, affine_map<(n, c, h, w) -> (n, c, h, w)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%a : tensor<1x8x7x7xf32>) outs(%e : tensor<1x8x7x7xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = arith.maximumf %i, %zero : f32
    linalg.yield %r : f32
  } -> tensor<1x8x7x7xf32>
  %p = "smartmem.view"(%b, %zero) {map = affine_map<(n, c, h, w) -> (n, c, h - 1, w - 1)>, domain = affine_map<(n, c, h, w) -> (h - 1, -h + 7, w - 1, -w + 7)>} : (tensor<1x8x7x7xf32>, f32) -> tensor<1x8x9x9xf32>
  %c = "smartmem.view"(%p) {map = affine_map<(n, h, w, c) -> (n, c, h, w)>} : (tensor<1x8x9x9xf32>) -> tensor<1x9x9x8xf32>
  return %c : tensor<1x9x9x8xf32>
}

// -----
// Two pieces of a concat, one of which another operation reads, lie as the reader wants it.
// CHECK-LABEL: func @joined
func.func @joined(%x: tensor<1x4x4x8xf32>, %y: tensor<1x4x4x8xf32>) -> (tensor<1x4x4x16xf32>, tensor<1x4x4x8xf32>) {
  // CHECK: smartmem.concat{{.*}} -> tensor<1x16x4x4xf32, #smartmem.layout<"reorder(0, 2, 3, 1)"
  // LAID-LABEL: func @joined
  // LAID: "smartmem.concat"(%{{.*}}, %{{.*}}) {domains = [affine_map<(d0, d1, d2, d3) -> (-d3 + 7)>, affine_map<(d0, d1, d2, d3) -> (d3 - 8)>]}
  %a = "smartmem.view"(%x) {map = affine_map<(n, c, h, w) -> (n, h, w, c)>} : (tensor<1x4x4x8xf32>) -> tensor<1x8x4x4xf32>
  %b = "smartmem.view"(%y) {map = affine_map<(n, c, h, w) -> (n, h, w, c)>} : (tensor<1x4x4x8xf32>) -> tensor<1x8x4x4xf32>
  %pa = "smartmem.view"(%a) {map = affine_map<(n, c, h, w) -> (n, c, h, w)>, domain = affine_map<(n, c, h, w) -> (7 - c)>} : (tensor<1x8x4x4xf32>) -> tensor<1x16x4x4xf32>
  %pb = "smartmem.view"(%b) {map = affine_map<(n, c, h, w) -> (n, c - 8, h, w)>, domain = affine_map<(n, c, h, w) -> (c - 8)>} : (tensor<1x8x4x4xf32>) -> tensor<1x16x4x4xf32>
  %j = "smartmem.concat"(%pa, %pb) {domains = [affine_map<(n, c, h, w) -> (7 - c)>, affine_map<(n, c, h, w) -> (c - 8)>]} : (tensor<1x16x4x4xf32>, tensor<1x16x4x4xf32>) -> tensor<1x16x4x4xf32>
  %r = "smartmem.view"(%j) {map = affine_map<(n, h, w, c) -> (n, c, h, w)>} : (tensor<1x16x4x4xf32>) -> tensor<1x4x4x16xf32>
  %s = "smartmem.view"(%b) {map = affine_map<(n, h, w, c) -> (n, c, h, w)>} : (tensor<1x8x4x4xf32>) -> tensor<1x4x4x8xf32>
  return %r, %s : tensor<1x4x4x16xf32>, tensor<1x4x4x8xf32>
}

// -----
// What is returned lies row-major: to permute it would move as much as to read it permuted.
// CHECK-LABEL: func @returned
// CHECK-NOT: smartmem.layout
// LAID-LABEL: func @returned
// LAID: smartmem.view{{.*}}(d0, d1, d2, d3) -> (d0, d2, d3, d1)
// LAID-NOT: smartmem.view
// LAID: return
func.func @returned(%x: tensor<1x7x7x8xf32>) -> tensor<1x8x7x7xf32> {
  %a = "smartmem.view"(%x) {map = affine_map<(n, c, h, w) -> (n, h, w, c)>} : (tensor<1x7x7x8xf32>) -> tensor<1x8x7x7xf32>
  %e = tensor.empty() : tensor<1x8x7x7xf32>
  %b = linalg.generic {indexing_maps = [affine_map<(n, c, h, w) -> (n, c, h, w)>, affine_map<(n, c, h, w) -> (n, c, h, w)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%a : tensor<1x8x7x7xf32>) outs(%e : tensor<1x8x7x7xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = arith.negf %i : f32
    linalg.yield %r : f32
  } -> tensor<1x8x7x7xf32>
  return %b : tensor<1x8x7x7xf32>
}

// -----
// A named operation reads no layouts: it gets a relayout, which is counted as a copy. Two
// readers that want the order outweigh it.
// CHECK-LABEL: func @relayout_for_a_named_operation
// CHECK: %[[B:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<8x8x4xf32, #smartmem.layout<"reorder(1, 2, 0)"
// CHECK: %[[P:.*]] = "smartmem.relayout"(%[[B]])
// CHECK: linalg.softmax {{.*}} ins(%[[P]] :
func.func @relayout_for_a_named_operation(%x: tensor<8x4x8xf32>) -> (tensor<8x4x8xf32>, tensor<8x4x8xf32>, tensor<8x8x4xf32>) {
  %a = "smartmem.view"(%x) {map = affine_map<(c, h, w) -> (h, w, c)>} : (tensor<8x4x8xf32>) -> tensor<8x8x4xf32>
  %e = tensor.empty() : tensor<8x8x4xf32>
  %b = linalg.generic {indexing_maps = [affine_map<(c, h, w) -> (c, h, w)>, affine_map<(c, h, w) -> (c, h, w)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%a : tensor<8x8x4xf32>) outs(%e : tensor<8x8x4xf32>) {
  ^bb0(%i: f32, %o: f32):
    %r = arith.negf %i : f32
    linalg.yield %r : f32
  } -> tensor<8x8x4xf32>
  %s = linalg.softmax dimension(2) ins(%b : tensor<8x8x4xf32>) outs(%e : tensor<8x8x4xf32>) -> tensor<8x8x4xf32>
  %c = "smartmem.view"(%b) {map = affine_map<(h, w, c) -> (c, h, w)>} : (tensor<8x8x4xf32>) -> tensor<8x4x8xf32>
  %d = "smartmem.view"(%b) {map = affine_map<(h, w, c) -> (c, h, w)>} : (tensor<8x8x4xf32>) -> tensor<8x4x8xf32>
  return %c, %d, %s : tensor<8x4x8xf32>, tensor<8x4x8xf32>, tensor<8x8x4xf32>
}
