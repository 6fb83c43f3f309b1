// RUN: smartmem-opt --smartmem-target=cpu:x86-64-v4 --smartmem-pad-dims --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-target=adreno --smartmem-pad-dims --split-input-file %s | FileCheck %s --check-prefix=GPU
// RUN: smartmem-opt --smartmem-target=cpu:x86-64-v4 --smartmem-pad-dims --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// Rows of 1024 elements lie in one set of the cache, 1056 do not. The second matmul sums the first 1024.
// CHECK-LABEL: func @rows_between_two_contractions
// CHECK: linalg.matmul ins(%arg0, {{.*}} tensor<64x1056xf32>)
// CHECK: math.tanh
// CHECK: %[[R:.*]] = "smartmem.view"({{.*}} : (tensor<16x1056xf32>) -> tensor<16x1024xf32>
// CHECK: linalg.matmul ins(%[[R]], {{.*}} tensor<1024x256xf32>)
// GPU-NOT: x1056xf32
// REMARK: linalg.matmul applied: 1056 columns instead of 1024: rows lie in different sets of the cache
func.func @rows_between_two_contractions(%x: tensor<16x64xf32>) -> tensor<16x256xf32> {
  %c = arith.constant 0.0 : f32
  %w = arith.constant dense<1.0> : tensor<64x1024xf32>
  %v = arith.constant dense<1.0> : tensor<1024x256xf32>
  %e = tensor.empty() : tensor<16x1024xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<16x1024xf32>) -> tensor<16x1024xf32>
  %m = linalg.matmul ins(%x, %w : tensor<16x64xf32>, tensor<64x1024xf32>) outs(%z : tensor<16x1024xf32>) -> tensor<16x1024xf32>
  %t = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (m, n)>], iterator_types = ["parallel", "parallel"]} ins(%m : tensor<16x1024xf32>) outs(%e : tensor<16x1024xf32>) {
  ^bb0(%a: f32, %o: f32):
    %h = math.tanh %a : f32
    linalg.yield %h : f32
  } -> tensor<16x1024xf32>
  %e2 = tensor.empty() : tensor<16x256xf32>
  %z2 = linalg.fill ins(%c : f32) outs(%e2 : tensor<16x256xf32>) -> tensor<16x256xf32>
  %r = linalg.matmul ins(%t, %v : tensor<16x1024xf32>, tensor<1024x256xf32>) outs(%z2 : tensor<16x256xf32>) -> tensor<16x256xf32>
  return %r : tensor<16x256xf32>
}

// -----
// Rows of 512 elements share a set with every second one: too many of a window, which has three rows.
// CHECK-LABEL: func @rows_of_a_window
// CHECK: linalg.matmul ins(%arg0, {{.*}} tensor<16x544xf32>)
// CHECK: linalg.generic {{.*}} ins({{.*}} : tensor<1x4x4x512xf32>, tensor<3x3x512x64xf32>)
// REMARK: linalg.generic applied: 544 columns instead of 512: rows lie in different sets of the cache
func.func @rows_of_a_window(%x: tensor<16x16xf32>) -> tensor<1x2x2x64xf32> {
  %c = arith.constant 0.0 : f32
  %w = arith.constant dense<1.0> : tensor<16x512xf32>
  %v = arith.constant dense<1.0> : tensor<3x3x512x64xf32>
  %e = tensor.empty() : tensor<16x512xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<16x512xf32>) -> tensor<16x512xf32>
  %m = linalg.matmul ins(%x, %w : tensor<16x16xf32>, tensor<16x512xf32>) outs(%z : tensor<16x512xf32>) -> tensor<16x512xf32>
  %i = "smartmem.view"(%m) {map = affine_map<(n, h, w, c) -> (h * 4 + w, c)>} : (tensor<16x512xf32>) -> tensor<1x4x4x512xf32>
  %e2 = tensor.empty() : tensor<1x2x2x64xf32>
  %z2 = linalg.fill ins(%c : f32) outs(%e2 : tensor<1x2x2x64xf32>) -> tensor<1x2x2x64xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(n, h, w, o, r, q, c) -> (n, h + r, w + q, c)>, affine_map<(n, h, w, o, r, q, c) -> (r, q, c, o)>, affine_map<(n, h, w, o, r, q, c) -> (n, h, w, o)>], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]} ins(%i, %v : tensor<1x4x4x512xf32>, tensor<3x3x512x64xf32>) outs(%z2 : tensor<1x2x2x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<1x2x2x64xf32>
  return %r : tensor<1x2x2x64xf32>
}

// -----
// The layer before has ten times the products: a thirtieth of them is more than is saved.
// CHECK-LABEL: func @keeps_rows_that_cost_more_than_they_save
// CHECK-NOT: x1056xf32
// REMARK: linalg.matmul kept: to compute longer rows would be more work than they save
func.func @keeps_rows_that_cost_more_than_they_save(%x: tensor<16x512xf32>) -> tensor<16x32xf32> {
  %c = arith.constant 0.0 : f32
  %w = arith.constant dense<1.0> : tensor<512x1024xf32>
  %v = arith.constant dense<1.0> : tensor<1024x32xf32>
  %e = tensor.empty() : tensor<16x1024xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<16x1024xf32>) -> tensor<16x1024xf32>
  %m = linalg.matmul ins(%x, %w : tensor<16x512xf32>, tensor<512x1024xf32>) outs(%z : tensor<16x1024xf32>) -> tensor<16x1024xf32>
  %e2 = tensor.empty() : tensor<16x32xf32>
  %z2 = linalg.fill ins(%c : f32) outs(%e2 : tensor<16x32xf32>) -> tensor<16x32xf32>
  %r = linalg.matmul ins(%m, %v : tensor<16x1024xf32>, tensor<1024x32xf32>) outs(%z2 : tensor<16x32xf32>) -> tensor<16x32xf32>
  return %r : tensor<16x32xf32>
}

// -----
// CHECK-LABEL: func @keeps_rows_of_an_argument
// REMARK: linalg.matmul kept: the dim is one of an argument
func.func @keeps_rows_of_an_argument(%x: tensor<16x1024xf32>) -> tensor<16x32xf32> {
  %c = arith.constant 0.0 : f32
  %v = arith.constant dense<1.0> : tensor<1024x32xf32>
  %e2 = tensor.empty() : tensor<16x32xf32>
  %z2 = linalg.fill ins(%c : f32) outs(%e2 : tensor<16x32xf32>) -> tensor<16x32xf32>
  %r = linalg.matmul ins(%x, %v : tensor<16x1024xf32>, tensor<1024x32xf32>) outs(%z2 : tensor<16x32xf32>) -> tensor<16x32xf32>
  return %r : tensor<16x32xf32>
}
