// RUN: smartmem-opt --smartmem-pack-weights --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-pack-weights --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// Eight integers of four bits are a word. A row is multiplied by the integers of a group, whose
// sum takes the scale.
// CHECK-LABEL: func @a_single_row
// REMARK: linalg.generic applied: blocks of 16 channels of 4 bits, 8 steps at once
func.func @a_single_row(%x: tensor<16xf32>) -> tensor<32xf32> {
  // CHECK-DAG: %[[S:.*]] = arith.constant {{.*}} : tensor<2x2x16xf32>
  // CHECK-DAG: %[[W:.*]] = arith.constant {{.*}} : tensor<2x2x1x16xi32>
  // CHECK-DAG: %[[X:.*]] = "smartmem.view"(%arg0) {{.*}} -> tensor<2x8xf32>
  // CHECK-COUNT-8: "smartmem.view"(%[[X]]) {{.*}} -> tensor<2xf32>
  // CHECK: %[[V:.*]] = "smartmem.view"(%[[W]]) {{.*}} -> tensor<2x2x16xi32>
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "reduction"]} ins({{.*}}, %[[V]], %[[S]] :
  // CHECK: arith.shli
  // CHECK: arith.shrsi
  // CHECK: arith.sitofp
  // CHECK: arith.mulf
  // CHECK-NOT: xi8>
  %q = arith.constant dense<[[1, 2, 3, 4, 5, 6, 7, -8, 1, 2, 3, 4, 5, 6, 7, -8]]> : tensor<1x16xi8>
  %rows = "smartmem.view"(%q) {map = affine_map<(d0, d1) -> (0, d1)>} : (tensor<1x16xi8>) -> tensor<32x16xi8>
  %s = arith.constant dense<[0.5, 0.25]> : tensor<2xf32>
  %of = "smartmem.view"(%s) {map = affine_map<(d0, d1) -> (d1 floordiv 8)>} : (tensor<2xf32>) -> tensor<32x16xf32>
  %e = tensor.empty() : tensor<32x16xf32>
  %w = linalg.generic {indexing_maps = [affine_map<(n, k) -> (n, k)>, affine_map<(n, k) -> (n, k)>, affine_map<(n, k) -> (n, k)>], iterator_types = ["parallel", "parallel"]} ins(%rows, %of : tensor<32x16xi8>, tensor<32x16xf32>) outs(%e : tensor<32x16xf32>) {
  ^bb0(%a: i8, %b: f32, %o: f32):
    %f = arith.sitofp %a : i8 to f32
    %m = arith.mulf %f, %b : f32
    linalg.yield %m : f32
  } -> tensor<32x16xf32>
  %c = arith.constant 0.0 : f32
  %n = tensor.empty() : tensor<32xf32>
  %z = linalg.fill ins(%c : f32) outs(%n : tensor<32xf32>) -> tensor<32xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (n, k)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]} ins(%x, %w : tensor<16xf32>, tensor<32x16xf32>) outs(%z : tensor<32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %t = arith.addf %o, %m : f32
    linalg.yield %t : f32
  } -> tensor<32xf32>
  return %0 : tensor<32xf32>
}

// -----
// Of many rows, the weights are unpacked once, into the blocks that the contraction reads.
// Integers of 8 bits, with two scales.
// CHECK-LABEL: func @many_rows
// REMARK: linalg.generic applied: blocks of 32 channels of 8 bits, 16 steps at once
func.func @many_rows(%x: tensor<20x32xf32>) -> tensor<20x64xf32> {
  // CHECK-DAG: %[[W:.*]] = arith.constant {{.*}} : tensor<2x2x4x32xi32>
  // CHECK: %[[U:.*]] = linalg.generic {{.*}} ins(%[[W]], {{.*}} outs({{.*}} : tensor<2x2x4x4x32xf32>)
  // CHECK: %[[V:.*]] = "smartmem.view"(%[[U]]) {{.*}} -> tensor<2x32x32xf32>
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%arg0, %[[V]] : tensor<20x32xf32>, tensor<2x32x32xf32>)
  %q = arith.constant dense<[[0, 255, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32]]> : tensor<1x32xi8>
  %rows = "smartmem.view"(%q) {map = affine_map<(d0, d1) -> (0, d1)>} : (tensor<1x32xi8>) -> tensor<64x32xi8>
  %e = tensor.empty() : tensor<64x32xf32>
  %s = arith.constant dense<[0.5, 0.25]> : tensor<2xf32>
  %of = "smartmem.view"(%s) {map = affine_map<(d0, d1) -> (d1 floordiv 16)>} : (tensor<2xf32>) -> tensor<64x32xf32>
  %w = linalg.generic {indexing_maps = [affine_map<(n, k) -> (n, k)>, affine_map<(n, k) -> (n, k)>, affine_map<(n, k) -> (n, k)>], iterator_types = ["parallel", "parallel"]} ins(%rows, %of : tensor<64x32xi8>, tensor<64x32xf32>) outs(%e : tensor<64x32xf32>) {
  ^bb0(%a: i8, %b: f32, %o: f32):
    %f = arith.uitofp %a : i8 to f32
    %m = arith.mulf %f, %b : f32
    linalg.yield %m : f32
  } -> tensor<64x32xf32>
  %c = arith.constant 0.0 : f32
  %n = tensor.empty() : tensor<20x64xf32>
  %z = linalg.fill ins(%c : f32) outs(%n : tensor<20x64xf32>) -> tensor<20x64xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<20x32xf32>, tensor<64x32xf32>) outs(%z : tensor<20x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %t = arith.addf %o, %m : f32
    linalg.yield %t : f32
  } -> tensor<20x64xf32>
  return %0 : tensor<20x64xf32>
}

// -----
// With one scale for each channel, many rows are multiplied by the integers themselves, less
// their zero point; the result is scaled.
// CHECK-LABEL: func @one_scale_for_a_channel
// REMARK: linalg.generic applied: it multiplies by integers, and its result is scaled
// REMARK: linalg.generic applied: blocks of 32 channels, as its kernel reads them
func.func @one_scale_for_a_channel(%x: tensor<20x8xf32>) -> tensor<20x64xf32> {
  // CHECK: %[[W:.*]] = arith.constant {{.*}} : tensor<2x8x32xi8>
  // CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%arg0, %[[W]] : tensor<20x8xf32>, tensor<2x8x32xi8>)
  // CHECK: %[[F:.*]] = arith.sitofp
  // CHECK: arith.mulf %{{.*}}, %[[F]]
  // CHECK: linalg.generic {{.*}} ins(%{{.*}} : tensor<20x2x32xf32>, tensor<2x32xf32>)
  // CHECK: arith.mulf
  %q = arith.constant dense<[[0, 1, 2, 3, 4, 5, 6, 127]]> : tensor<1x8xi8>
  %rows = "smartmem.view"(%q) {map = affine_map<(d0, d1) -> (0, d1)>} : (tensor<1x8xi8>) -> tensor<64x8xi8>
  %e = tensor.empty() : tensor<64x8xf32>
  %s = arith.constant dense<0.5> : tensor<64xf32>
  %p = arith.constant dense<7.0> : tensor<1xf32>
  %w = linalg.generic {indexing_maps = [affine_map<(n, k) -> (n, k)>, affine_map<(n, k) -> (n)>, affine_map<(n, k) -> (0)>, affine_map<(n, k) -> (n, k)>], iterator_types = ["parallel", "parallel"]} ins(%rows, %s, %p : tensor<64x8xi8>, tensor<64xf32>, tensor<1xf32>) outs(%e : tensor<64x8xf32>) {
  ^bb0(%a: i8, %b: f32, %zero: f32, %o: f32):
    %f = arith.sitofp %a : i8 to f32
    %d = arith.subf %f, %zero : f32
    %m = arith.mulf %d, %b : f32
    linalg.yield %m : f32
  } -> tensor<64x8xf32>
  %c = arith.constant 0.0 : f32
  %n = tensor.empty() : tensor<20x64xf32>
  %z = linalg.fill ins(%c : f32) outs(%n : tensor<20x64xf32>) -> tensor<20x64xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<20x8xf32>, tensor<64x8xf32>) outs(%z : tensor<20x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %t = arith.addf %o, %m : f32
    linalg.yield %t : f32
  } -> tensor<20x64xf32>
  return %0 : tensor<20x64xf32>
}

// -----
// The scale would be of the initial value, too.
// CHECK-LABEL: func @keeps_what_starts_at_a_bias
// REMARK: linalg.generic kept: it does more than to add up products by its quantized weights
func.func @keeps_what_starts_at_a_bias(%x: tensor<1x6x6x2xf32>, %bias: tensor<1x4x4x64xf32>) -> tensor<1x4x4x64xf32> {
  // CHECK: linalg.generic {{.*}} ins(%arg0, %{{.*}} : tensor<1x6x6x2xf32>, tensor<3x3x2x64xf32>) outs(%arg1
  %q = arith.constant dense<3> : tensor<3x3x2x64xi8>
  %s = arith.constant dense<0.5> : tensor<64xf32>
  %e = tensor.empty() : tensor<3x3x2x64xf32>
  %w = linalg.generic {indexing_maps = [affine_map<(r, q, k, n) -> (r, q, k, n)>, affine_map<(r, q, k, n) -> (n)>, affine_map<(r, q, k, n) -> (r, q, k, n)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%q, %s : tensor<3x3x2x64xi8>, tensor<64xf32>) outs(%e : tensor<3x3x2x64xf32>) {
  ^bb0(%a: i8, %b: f32, %o: f32):
    %f = arith.sitofp %a : i8 to f32
    %m = arith.mulf %f, %b : f32
    linalg.yield %m : f32
  } -> tensor<3x3x2x64xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(b, h, w, n, r, q, k) -> (b, h + r, w + q, k)>, affine_map<(b, h, w, n, r, q, k) -> (r, q, k, n)>, affine_map<(b, h, w, n, r, q, k) -> (b, h, w, n)>], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]} ins(%x, %w : tensor<1x6x6x2xf32>, tensor<3x3x2x64xf32>) outs(%bias : tensor<1x4x4x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %t = arith.addf %o, %m : f32
    linalg.yield %t : f32
  } -> tensor<1x4x4x64xf32>
  return %0 : tensor<1x4x4x64xf32>
}

// -----
// A word of steps has two scales.
// CHECK-LABEL: func @keeps_scales_of_single_steps
// REMARK: linalg.generic kept: its scales change within a word of weights
func.func @keeps_scales_of_single_steps(%x: tensor<8xf32>) -> tensor<16xf32> {
  // CHECK: tensor<1x8xi8>
  %q = arith.constant dense<[[1, 2, 3, 4, 5, 6, 7, 8]]> : tensor<1x8xi8>
  %rows = "smartmem.view"(%q) {map = affine_map<(d0, d1) -> (0, d1)>} : (tensor<1x8xi8>) -> tensor<16x8xi8>
  %s = arith.constant dense<[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]> : tensor<8xf32>
  %e = tensor.empty() : tensor<16x8xf32>
  %w = linalg.generic {indexing_maps = [affine_map<(n, k) -> (n, k)>, affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (n, k)>], iterator_types = ["parallel", "parallel"]} ins(%rows, %s : tensor<16x8xi8>, tensor<8xf32>) outs(%e : tensor<16x8xf32>) {
  ^bb0(%a: i8, %b: f32, %o: f32):
    %f = arith.sitofp %a : i8 to f32
    %m = arith.mulf %f, %b : f32
    linalg.yield %m : f32
  } -> tensor<16x8xf32>
  %c = arith.constant 0.0 : f32
  %n = tensor.empty() : tensor<16xf32>
  %z = linalg.fill ins(%c : f32) outs(%n : tensor<16xf32>) -> tensor<16xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (n, k)>, affine_map<(n, k) -> (n)>], iterator_types = ["parallel", "reduction"]} ins(%x, %w : tensor<8xf32>, tensor<16x8xf32>) outs(%z : tensor<16xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %t = arith.addf %o, %m : f32
    linalg.yield %t : f32
  } -> tensor<16xf32>
  return %0 : tensor<16xf32>
}
