// RUN: smartmem-opt --smartmem-pack-weights --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-target=adreno --smartmem-pack-weights --split-input-file %s | FileCheck %s --check-prefix=GPU
// RUN: smartmem-opt --smartmem-pack-weights --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// All taps of a step of the reduction lie side by side, then the next step.
// CHECK-DAG: #[[X:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d0 + d4, d1 + d5, d6)>
// CHECK-DAG: #[[W:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d2, d6, d4, d5, d3)>
// CHECK-DAG: #[[Y:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d0, d1, d2, d3)>
// CHECK-LABEL: func @blocks_of_channels
// CHECK: %[[P:.*]] = arith.constant {{.*}} : tensor<2x2x3x3x32xf32>
// CHECK: %[[R:.*]] = linalg.generic {indexing_maps = [#[[X]], #[[W]], #[[Y]]], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]} ins(%arg0, %[[P]]
// The addition runs over the blocks, too, and a reshape is behind it.
// CHECK: %[[S:.*]] = linalg.generic {{.*}} ins(%[[R]], {{.*}} : tensor<5x5x2x32xf32>, tensor<2x32xf32>)
// CHECK: "smartmem.view"(%[[S]]) {{.*}} -> tensor<5x5x64xf32>
// REMARK: linalg.generic applied: blocks of 32 channels, as its kernel reads them
// GPU-LABEL: func @blocks_of_channels
// GPU: tensor<3x3x2x64xf32>) outs
func.func @blocks_of_channels(%x: tensor<7x7x2xf32>, %bias: tensor<64xf32>) -> tensor<5x5x64xf32> {
  %w = arith.constant dense<1.0> : tensor<3x3x2x64xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<5x5x64xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<5x5x64xf32>) -> tensor<5x5x64xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(h, w, n, r, q, k) -> (h + r, w + q, k)>, affine_map<(h, w, n, r, q, k) -> (r, q, k, n)>, affine_map<(h, w, n, r, q, k) -> (h, w, n)>], iterator_types = ["parallel", "parallel", "parallel", "reduction", "reduction", "reduction"]} ins(%x, %w : tensor<7x7x2xf32>, tensor<3x3x2x64xf32>) outs(%z : tensor<5x5x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<5x5x64xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(h, w, n) -> (h, w, n)>, affine_map<(h, w, n) -> (n)>, affine_map<(h, w, n) -> (h, w, n)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%0, %bias : tensor<5x5x64xf32>, tensor<64xf32>) outs(%e : tensor<5x5x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<5x5x64xf32>
  return %1 : tensor<5x5x64xf32>
}

// -----
// CHECK-LABEL: func @keeps_one_block
// CHECK: tensor<3x2x16xf32>) outs
// REMARK: linalg.generic kept: its channels are not several blocks of whole vectors
func.func @keeps_one_block(%x: tensor<7x2xf32>) -> tensor<5x16xf32> {
  %w = arith.constant dense<1.0> : tensor<3x2x16xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<5x16xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<5x16xf32>) -> tensor<5x16xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(h, n, r, k) -> (h + r, k)>, affine_map<(h, n, r, k) -> (r, k, n)>, affine_map<(h, n, r, k) -> (h, n)>], iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%x, %w : tensor<7x2xf32>, tensor<3x2x16xf32>) outs(%z : tensor<5x16xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<5x16xf32>
  return %0 : tensor<5x16xf32>
}

// -----
// Vectors are loaded of the weights alone, and scalars of the picture as it lies.
// CHECK-LABEL: func @keeps_points_innermost
// CHECK: tensor<3x2x64xf32>) outs
// REMARK: linalg.generic kept: its image has points innermost: blocks are wide there
func.func @keeps_points_innermost(%x: tensor<2x7xf32>) -> tensor<5x64xf32> {
  %w = arith.constant dense<1.0> : tensor<3x2x64xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<5x64xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<5x64xf32>) -> tensor<5x64xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(h, n, r, k) -> (k, h + r)>, affine_map<(h, n, r, k) -> (r, k, n)>, affine_map<(h, n, r, k) -> (h, n)>], iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%x, %w : tensor<2x7xf32>, tensor<3x2x64xf32>) outs(%z : tensor<5x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<5x64xf32>
  return %0 : tensor<5x64xf32>
}
