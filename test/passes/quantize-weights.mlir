// RUN: smartmem-opt --smartmem-quantize-weights=format=int4:group=8,error=0.1 --mlir-print-local-scope --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-quantize-weights=format=int4:group=8,error=0.1 --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK
// RUN: smartmem-opt --smartmem-quantize-weights --split-input-file %s | FileCheck %s --check-prefix=NONE

// Seven steps of a quarter of the largest weight, and one of -8 of them: no error.
// CHECK-LABEL: func @rounds_to_nearest
// NONE-LABEL: func @rounds_to_nearest
// NONE-NOT: xi8>
// REMARK: linalg.matmul applied: 4 bits, groups of 8: relative error 0
func.func @rounds_to_nearest(%x: tensor<3x16xf32>) -> tensor<3x512xf32> {
  // CHECK-DAG: %[[Q:.*]] = arith.constant {{.*}} : tensor<512x2x8xi8>
  // CHECK-DAG: %[[S:.*]] = arith.constant {{.*}} : tensor<512x2xf32>
  // CHECK: %[[V:.*]] = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>]{{.*}} ins(%[[Q]], %[[S]]
  // CHECK: arith.sitofp
  // CHECK: arith.mulf
  // CHECK: %[[R:.*]] = "smartmem.view"(%[[V]]) {{.*}} -> tensor<512x16xf32>
  // CHECK: %[[W:.*]] = "smartmem.view"(%[[R]]) {map = affine_map<(d0, d1) -> (d1, d0)>} {{.*}} -> tensor<16x512xf32>
  // CHECK: linalg.matmul ins(%arg0, %[[W]]
  %row = arith.constant dense<[0.25, 0.5, 0.75, 1.0, -0.25, -0.5, -2.0, 0.0, 1.0, 2.0, 3.0, 4.0, -1.0, -2.0, -8.0, 0.0]> : tensor<16xf32>
  %w = "smartmem.view"(%row) {map = affine_map<(d0, d1) -> (d0)>} : (tensor<16xf32>) -> tensor<16x512xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<3x512xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<3x512xf32>) -> tensor<3x512xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<3x16xf32>, tensor<16x512xf32>) outs(%z : tensor<3x512xf32>) -> tensor<3x512xf32>
  return %0 : tensor<3x512xf32>
}

// -----
// Half a step is as far from 0 as from the next integer.
// CHECK-LABEL: func @keeps_what_would_change_too_much
// REMARK: linalg.matmul kept: 4 bits would make a relative error of 0.16, and 0.1 is allowed
func.func @keeps_what_would_change_too_much(%x: tensor<3x16xf32>) -> tensor<3x512xf32> {
  // CHECK-NOT: xi8>
  // CHECK: linalg.matmul
  %row = arith.constant dense<[1.0, 0.0625, 0.0625, 0.0625, 0.0625, 0.0625, 0.0625, 0.0625, 1.0, 0.0625, 0.0625, 0.0625, 0.0625, 0.0625, 0.0625, 0.0625]> : tensor<16xf32>
  %w = "smartmem.view"(%row) {map = affine_map<(d0, d1) -> (d0)>} : (tensor<16xf32>) -> tensor<16x512xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<3x512xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<3x512xf32>) -> tensor<3x512xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<3x16xf32>, tensor<16x512xf32>) outs(%z : tensor<3x512xf32>) -> tensor<3x512xf32>
  return %0 : tensor<3x512xf32>
}

// -----
// CHECK-LABEL: func @keeps_odd_shapes
// REMARK: linalg.matmul kept: its 15 steps are no whole words of 4 bits
// REMARK: linalg.matmul kept: its channels are no whole vectors: its integers stay as they are
// REMARK: linalg.matmul kept: it has few weights
func.func @keeps_odd_shapes(%x: tensor<3x15xf32>, %y: tensor<3x16xf32>) -> (tensor<3x512xf32>, tensor<3x521xf32>, tensor<3x16xf32>) {
  // CHECK-NOT: xi8>
  // CHECK: linalg.matmul
  // CHECK: linalg.matmul ins(%arg1, %[[W:.*]] :
  // CHECK: linalg.matmul
  %v = arith.constant dense<1.0> : tensor<15x512xf32>
  %w = arith.constant dense<1.0> : tensor<16x521xf32>
  %u = arith.constant dense<1.0> : tensor<16x16xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<3x512xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<3x512xf32>) -> tensor<3x512xf32>
  %f = tensor.empty() : tensor<3x521xf32>
  %o = linalg.fill ins(%c : f32) outs(%f : tensor<3x521xf32>) -> tensor<3x521xf32>
  %g = tensor.empty() : tensor<3x16xf32>
  %p = linalg.fill ins(%c : f32) outs(%g : tensor<3x16xf32>) -> tensor<3x16xf32>
  %0 = linalg.matmul ins(%x, %v : tensor<3x15xf32>, tensor<15x512xf32>) outs(%z : tensor<3x512xf32>) -> tensor<3x512xf32>
  %1 = linalg.matmul ins(%y, %w : tensor<3x16xf32>, tensor<16x521xf32>) outs(%o : tensor<3x521xf32>) -> tensor<3x521xf32>
  %2 = linalg.matmul ins(%y, %u : tensor<3x16xf32>, tensor<16x16xf32>) outs(%p : tensor<3x16xf32>) -> tensor<3x16xf32>
  return %0, %1, %2 : tensor<3x512xf32>, tensor<3x521xf32>, tensor<3x16xf32>
}
