// RUN: smartmem-opt --smartmem-materialize-layouts --smartmem-remarks --mlir-print-local-scope --split-input-file %s 2>%t | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t

// Each layout lies behind an exponential, and a tangent reads it.
// CHECK-LABEL: func @split_and_reorder
//   CHECK-NOT: smartmem.relayout
//       CHECK: %[[T:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<2x4x4xf32>)
//  CHECK-NEXT: ^bb0
//  CHECK-NEXT: math.exp
//       CHECK: linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d1, d0, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>]{{.*}} ins(%[[T]] : tensor<2x4x4xf32>)
//  CHECK-NEXT: ^bb0
//  CHECK-NEXT: math.tanh
//      REMARK: smartmem.view applied: its reader reads the layout
//      REMARK: smartmem.view applied: its producer writes the layout
#blocks = #smartmem.layout<"split(1, 2, 4) reorder(1, 0, 2)", "buffer", []>
func.func @split_and_reorder(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  %0 = linalg.exp ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  %l = "smartmem.relayout"(%0) : (tensor<4x8xf32>) -> tensor<4x8xf32, #blocks>
  %p = "smartmem.relayout"(%l) : (tensor<4x8xf32, #blocks>) -> tensor<4x8xf32>
  %1 = linalg.tanh ins(%p : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// -----
// CHECK-LABEL: func @fuse
//       CHECK: linalg.generic {{.*}}affine_map<(d0, d1) -> (d1, d0)>]{{.*}} outs(%{{.*}} : tensor<8x4xf32>)
//       CHECK: "smartmem.view"(%{{.*}}) {map = affine_map<(d0) -> (d0 floordiv 4, d0 mod 4)>} : (tensor<8x4xf32>) -> tensor<32xf32>
#row = #smartmem.layout<"reorder(1, 0) fuse(0, 2)", "buffer", []>
func.func @fuse(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  %0 = linalg.exp ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  %l = "smartmem.relayout"(%0) : (tensor<4x8xf32>) -> tensor<4x8xf32, #row>
  %p = "smartmem.relayout"(%l) : (tensor<4x8xf32, #row>) -> tensor<4x8xf32>
  %1 = linalg.tanh ins(%p : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// -----
// The padding is what the producer's kernel writes into, and a slice is what is read of it.
// CHECK-LABEL: func @pad
//       CHECK: %[[P:.*]] = "smartmem.view"(%{{.*}}, %{{.*}}) {domain = affine_map<(d0, d1) -> (d0 - 1, -d0 + 4)>, map = affine_map<(d0, d1) -> (d0 - 1, d1)>} : (tensor<4x8xf32>, f32) -> tensor<7x8xf32>
//       CHECK: %[[S:.*]] = "smartmem.view"(%[[P]]) {map = affine_map<(d0, d1) -> (d0 + 1, d1)>} : (tensor<7x8xf32>) -> tensor<4x8xf32>
//       CHECK: linalg.generic {{.*}} ins(%[[S]] : tensor<4x8xf32>)
//      REMARK: smartmem.view applied: its producer writes into the padding
#padded = #smartmem.layout<"pad(0, 1, 2)", "buffer", []>
func.func @pad(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  %0 = linalg.exp ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  %l = "smartmem.relayout"(%0) : (tensor<4x8xf32>) -> tensor<4x8xf32, #padded>
  %p = "smartmem.relayout"(%l) : (tensor<4x8xf32, #padded>) -> tensor<4x8xf32>
  %1 = linalg.tanh ins(%p : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// -----
// What lies in the other places is not said: there is no fill value.
// CHECK-LABEL: func @store_at
//       CHECK: "smartmem.view"(%{{[0-9]+}}) {domain = affine_map<(d0, d1) -> (d0 - 8, -d0 + 11)>, map = affine_map<(d0, d1) -> (d0 - 8, d1)>} : (tensor<4x8xf32>) -> tensor<14x8xf32>
#shared = #smartmem.layout<"store_at(0, 8, 14)", "buffer", []>
func.func @store_at(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %e = tensor.empty() : tensor<4x8xf32>
  %0 = linalg.exp ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  %l = "smartmem.relayout"(%0) : (tensor<4x8xf32>) -> tensor<4x8xf32, #shared>
  %p = "smartmem.relayout"(%l) : (tensor<4x8xf32, #shared>) -> tensor<4x8xf32>
  %1 = linalg.tanh ins(%p : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %1 : tensor<4x8xf32>
}

// -----
// A window and its elements have dims of their own; windows overlap, so that it is a copy.
// CHECK-LABEL: func @unfold
//       CHECK: %[[U:.*]] = "smartmem.view"(%{{.*}}) {map = affine_map<(d0, d1) -> (d0 * 2 + d1)>} : (tensor<9xf32>) -> tensor<4x3xf32>
//       CHECK: linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, {{.*}} ins(%[[U]], %{{.*}} : tensor<4x3xf32>, tensor<3xf32>)
//      REMARK: smartmem.relayout applied: its reader reads the layout
//      REMARK: smartmem.view kept: a copy: the view is no permutation of digits
#windows = #smartmem.layout<"unfold(0, 3, 2)", "buffer", []>
func.func @unfold(%x: tensor<9xf32>, %w: tensor<3xf32>) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<9xf32>
  %0 = linalg.exp ins(%x : tensor<9xf32>) outs(%e : tensor<9xf32>) -> tensor<9xf32>
  %l = "smartmem.relayout"(%0) : (tensor<9xf32>) -> tensor<9xf32, #windows>
  %p = "smartmem.relayout"(%l) : (tensor<9xf32, #windows>) -> tensor<9xf32>
  %c = arith.constant 0.0 : f32
  %f = tensor.empty() : tensor<4xf32>
  %z = linalg.fill ins(%c : f32) outs(%f : tensor<4xf32>) -> tensor<4xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(h, r) -> (h * 2 + r)>, affine_map<(h, r) -> (r)>, affine_map<(h, r) -> (h)>], iterator_types = ["parallel", "reduction"]} ins(%p, %w : tensor<9xf32>, tensor<3xf32>) outs(%z : tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  return %r : tensor<4xf32>
}

// -----
// Callers hand over, and get, the physical shape.
// CHECK-LABEL: func @channels_last(%arg0: tensor<1x4x8x3xf32>) -> tensor<1x4x8x3xf32>
//       CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<4x8x3xf32>)
#nhwc = #smartmem.layout<"reorder(0, 2, 3, 1)", "buffer", []>
func.func @channels_last(%x: tensor<1x3x4x8xf32, #nhwc>) -> tensor<1x3x4x8xf32, #nhwc> {
  %p = "smartmem.relayout"(%x) : (tensor<1x3x4x8xf32, #nhwc>) -> tensor<1x3x4x8xf32>
  %e = tensor.empty() : tensor<1x3x4x8xf32>
  %0 = linalg.exp ins(%p : tensor<1x3x4x8xf32>) outs(%e : tensor<1x3x4x8xf32>) -> tensor<1x3x4x8xf32>
  %l = "smartmem.relayout"(%0) : (tensor<1x3x4x8xf32>) -> tensor<1x3x4x8xf32, #nhwc>
  return %l : tensor<1x3x4x8xf32, #nhwc>
}

// -----
// From one layout to another: the tensor between has none, and is one view.
// CHECK-LABEL: func @from_layout_to_layout(%arg0: tensor<8x4xf32>) -> tensor<2x4x4xf32>
//   CHECK-NOT: smartmem.relayout
#across = #smartmem.layout<"reorder(1, 0)", "buffer", []>
#blocked = #smartmem.layout<"split(1, 2, 4) reorder(1, 0, 2)", "buffer", []>
func.func @from_layout_to_layout(%x: tensor<4x8xf32, #across>) -> tensor<4x8xf32, #blocked> {
  %l = "smartmem.relayout"(%x) : (tensor<4x8xf32, #across>) -> tensor<4x8xf32, #blocked>
  return %l : tensor<4x8xf32, #blocked>
}

// -----
// The operands of a product change places where code generators want it; of nothing else.
// CHECK-LABEL: func @keeps_the_operands_of_what_is_no_product_sum
//       CHECK: ^bb0(%[[P:.*]]: f32, %[[S:.*]]: f32, %{{.*}}: f32):
//  CHECK-NEXT: %[[M:.*]] = arith.mulf %[[P]], %[[S]] : f32
//  CHECK-NEXT: arith.addf %[[M]], %[[P]] : f32
#turned = #smartmem.layout<"reorder(1, 0)", "buffer", []>
func.func @keeps_the_operands_of_what_is_no_product_sum(%x: tensor<4x8xf32, #turned>, %s: tensor<4xf32>) -> tensor<4x8xf32> {
  %p = "smartmem.relayout"(%x) : (tensor<4x8xf32, #turned>) -> tensor<4x8xf32>
  %e = tensor.empty() : tensor<4x8xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%p, %s : tensor<4x8xf32>, tensor<4xf32>) outs(%e : tensor<4x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %r = arith.addf %m, %a : f32
    linalg.yield %r : f32
  } -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----
// One view for each of the uses: both are read in the layout.
// CHECK-LABEL: func @reads_it_twice
//   CHECK-NOT: smartmem.view
//       CHECK: linalg.generic {{.*}} ins(%arg0, %arg0 : tensor<8x4xf32>, tensor<8x4xf32>)
#turned = #smartmem.layout<"reorder(1, 0)", "buffer", []>
func.func @reads_it_twice(%x: tensor<4x8xf32, #turned>) -> tensor<4x8xf32> {
  %p = "smartmem.relayout"(%x) : (tensor<4x8xf32, #turned>) -> tensor<4x8xf32>
  %e = tensor.empty() : tensor<4x8xf32>
  %0 = linalg.mul ins(%p, %p : tensor<4x8xf32>, tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----
// CHECK-LABEL: func @without_layouts
//  CHECK-NEXT: return %arg0
func.func @without_layouts(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = "smartmem.relayout"(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0 : tensor<4x8xf32>
}

// -----
// A layout that changes nothing, over a padding.
// CHECK-LABEL: func @unread_identity_of_a_padding
//   CHECK-NOT: smartmem
//       CHECK: return
#same = #smartmem.layout<"pad(0, 0, 0)", "buffer", []>
func.func @unread_identity_of_a_padding(%x: tensor<4xf32>) {
  %c = arith.constant 0.0 : f32
  %v = "smartmem.view"(%x, %c) {map = affine_map<(d0) -> (d0 - 1)>, domain = affine_map<(d0) -> (d0 - 1, 4 - d0)>} : (tensor<4xf32>, f32) -> tensor<6xf32>
  %l = "smartmem.relayout"(%v) : (tensor<6xf32>) -> tensor<6xf32, #same>
  return
}

// -----
// Others read the tensor as it was: with the layout there are two.
// CHECK-LABEL: func @keeps_a_copy_beside_other_readers
//       CHECK: linalg.exp {{.*}} -> tensor<4x8xf32>
//       CHECK: "smartmem.view"{{.*}} : (tensor<4x8xf32>) -> tensor<8x4xf32>
//      REMARK: remark: {{.*}} smartmem.relayout kept: its storage is chosen kernel by kernel
//      REMARK: smartmem.view kept: a copy: its result has other readers
#texels = #smartmem.layout<"reorder(1, 0)", "texel_buffer", [0, 1]>
func.func @keeps_a_copy_beside_other_readers(%x: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %e = tensor.empty() : tensor<4x8xf32>
  %0 = linalg.exp ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  %l = "smartmem.relayout"(%0) : (tensor<4x8xf32>) -> tensor<4x8xf32, #texels>
  %p = "smartmem.relayout"(%l) : (tensor<4x8xf32, #texels>) -> tensor<4x8xf32>
  %1 = linalg.tanh ins(%p : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) -> tensor<4x8xf32>
  return %0, %1 : tensor<4x8xf32>, tensor<4x8xf32>
}
