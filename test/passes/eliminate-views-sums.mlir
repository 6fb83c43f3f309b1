// RUN: smartmem-opt --smartmem-target=adreno --smartmem-eliminate-views --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-target=adreno --smartmem-eliminate-views --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK
// RUN: smartmem-opt --smartmem-eliminate-views --split-input-file %s | FileCheck %s --check-prefix=CPU

// CPU: iterator_types = ["parallel", "reduction", "reduction"]
// CPU: iterator_types = ["parallel", "parallel", "reduction", "reduction", "reduction"]
// CHECK-LABEL: func @mean_of_places
// CHECK: %[[Y:.*]] = "smartmem.view"(%{{.*}} : (tensor<14x14x64xf32>) -> tensor<196x64xf32>
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} ins(%[[Y]] : tensor<196x64xf32>)
// REMARK: linalg.generic applied: one loop along neighbouring dims
func.func @mean_of_places(%x: tensor<14x14x64xf32>) -> tensor<64xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<64xf32>) -> tensor<64xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(c, h, w) -> (h, w, c)>, affine_map<(c, h, w) -> (c)>], iterator_types = ["parallel", "reduction", "reduction"]} ins(%x : tensor<14x14x64xf32>) outs(%z : tensor<64xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<64xf32>
  return %s : tensor<64xf32>
}

// -----
// The patches of a picture: only what lies side by side is one loop, and reshapes of
// reshapes are read as one.
// CHECK-LABEL: func @patches
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<784x96xf32>
// CHECK: %[[Y:.*]] = "smartmem.view"(%[[X]]) {{.*}} : (tensor<784x96xf32>) -> tensor<14x2x14x192xf32>
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%[[Y]] : tensor<14x2x14x192xf32>)
func.func @patches(%x: tensor<784x96xf32>) -> tensor<14x14xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<14x14xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<14x14xf32>) -> tensor<14x14xf32>
  %v = "smartmem.view"(%x) {map = affine_map<(h, p, w, q, c) -> (h * 56 + p * 28 + w * 2 + q, c)>} : (tensor<784x96xf32>) -> tensor<14x2x14x2x96xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(h, w, p, q, c) -> (h, p, w, q, c)>, affine_map<(h, w, p, q, c) -> (h, w)>], iterator_types = ["parallel", "parallel", "reduction", "reduction", "reduction"]} ins(%v : tensor<14x2x14x2x96xf32>) outs(%z : tensor<14x14xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<14x14xf32>
  return %s : tensor<14x14xf32>
}

// -----
// CHECK-LABEL: func @keeps_dims_that_lie_apart
// CHECK-NOT: smartmem.view
// REMARK: linalg.generic kept: its sums run along dims that lie apart
func.func @keeps_dims_that_lie_apart(%x: tensor<8x12x16xf32>) -> tensor<12xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<12xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<12xf32>) -> tensor<12xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(k, a, b) -> (a, k, b)>, affine_map<(k, a, b) -> (k)>], iterator_types = ["parallel", "reduction", "reduction"]} ins(%x : tensor<8x12x16xf32>) outs(%z : tensor<12xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<12xf32>
  return %s : tensor<12xf32>
}

// -----
// CHECK-LABEL: func @keeps_weights_in_another_order
// CHECK-NOT: smartmem.view
// REMARK: linalg.generic kept: its sums run along dims that lie apart
func.func @keeps_weights_in_another_order(%x: tensor<8x12x16xf32>, %w: tensor<12x8xf32>) -> tensor<16xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<16xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<16xf32>) -> tensor<16xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(k, a, b) -> (a, b, k)>, affine_map<(k, a, b) -> (b, a)>, affine_map<(k, a, b) -> (k)>], iterator_types = ["parallel", "reduction", "reduction"]} ins(%x, %w : tensor<8x12x16xf32>, tensor<12x8xf32>) outs(%z : tensor<16xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %d = arith.subf %a, %b : f32
    %t = arith.addf %d, %o : f32
    linalg.yield %t : f32
  } -> tensor<16xf32>
  return %s : tensor<16xf32>
}

// -----
// What a kernel writes into a padding has no rows one behind the other.
// CHECK-LABEL: func @keeps_what_is_padded
// CHECK-COUNT-1: smartmem.view
// CHECK-NOT: smartmem.view
// REMARK: linalg.generic kept: what it reads is padded, too
func.func @keeps_what_is_padded(%x: tensor<8x12x16xf32>) -> (tensor<16xf32>, tensor<10x14x16xf32>) {
  %c = arith.constant 0.0 : f32
  %p = "smartmem.view"(%x, %c) {map = affine_map<(d0, d1, d2) -> (d0 - 1, d1 - 1, d2)>, domain = affine_map<(d0, d1, d2) -> (d0 - 1, 8 - d0, d1 - 1, 12 - d1)>} : (tensor<8x12x16xf32>, f32) -> tensor<10x14x16xf32>
  %e = tensor.empty() : tensor<16xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<16xf32>) -> tensor<16xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(k, a, b) -> (a, b, k)>, affine_map<(k, a, b) -> (k)>], iterator_types = ["parallel", "reduction", "reduction"]} ins(%x : tensor<8x12x16xf32>) outs(%z : tensor<16xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<16xf32>
  return %s, %p : tensor<16xf32>, tensor<10x14x16xf32>
}

// -----
// A window at one place reads a part of its image: the image's dims stay apart.
// CHECK-LABEL: func @keeps_a_window_at_one_place
// CHECK-NOT: smartmem.view
// CHECK: linalg.generic {{.*}} ins(%arg0, %arg1 : tensor<4x4x16xf32>, tensor<3x3x16xf32>)
func.func @keeps_a_window_at_one_place(%x: tensor<4x4x16xf32>, %w: tensor<3x3x16xf32>, %init: tensor<1x1x16xf32>) -> tensor<1x1x16xf32> {
  %s = linalg.generic {indexing_maps = [affine_map<(h, w, c, r, q) -> (h * 2 + r, w * 2 + q, c)>, affine_map<(h, w, c, r, q) -> (r, q, c)>, affine_map<(h, w, c, r, q) -> (h, w, c)>], iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction"]} ins(%x, %w : tensor<4x4x16xf32>, tensor<3x3x16xf32>) outs(%init : tensor<1x1x16xf32>) {
  ^bb0(%i: f32, %f: f32, %o: f32):
    %p = arith.mulf %i, %f : f32
    %a = arith.addf %p, %o : f32
    linalg.yield %a : f32
  } -> tensor<1x1x16xf32>
  return %s : tensor<1x1x16xf32>
}
