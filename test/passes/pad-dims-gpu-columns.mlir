// RUN: smartmem-opt --smartmem-target=adreno --smartmem-pad-dims --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-pad-dims --split-input-file %s | FileCheck %s --check-prefix=CPU
// RUN: smartmem-opt --smartmem-target=adreno --smartmem-pad-dims --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// Values with a column of ones: the padding that makes it makes four. Both products have 20
// columns, and what reads them takes the first 17.
// CHECK-LABEL: func @columns_of_a_padding
// CHECK: %[[V:.*]] = "smartmem.view"(%arg2, {{.*}}) {domain = {{.*}} -> tensor<2x8x20xf32>
// CHECK: %[[A:.*]] = linalg.batch_matmul ins(%arg1, %[[V]] {{.*}} -> tensor<2x4x20xf32>
// CHECK: %[[B:.*]] = linalg.batch_matmul ins(%arg0, %[[A]] {{.*}} -> tensor<2x8x20xf32>
// CHECK: %[[P:.*]] = "smartmem.view"(%[[B]]) {{.*}} -> tensor<2x8x17xf32>
// CHECK: "smartmem.view"(%[[P]]) {{.*}} -> tensor<2x8x16xf32>
// CPU-LABEL: func @columns_of_a_padding
// CPU-NOT: x20xf32
// REMARK: linalg.batch_matmul applied: 20 columns instead of 17: whole vectors
func.func @columns_of_a_padding(%q: tensor<2x8x4xf32>, %k: tensor<2x4x8xf32>, %x: tensor<2x8x16xf32>) -> tensor<2x8x16xf32> {
  %one = arith.constant 1.0 : f32
  %c = arith.constant 0.0 : f32
  %ea = tensor.empty() : tensor<2x4x17xf32>
  %za = linalg.fill ins(%c : f32) outs(%ea : tensor<2x4x17xf32>) -> tensor<2x4x17xf32>
  %eb = tensor.empty() : tensor<2x8x17xf32>
  %zb = linalg.fill ins(%c : f32) outs(%eb : tensor<2x8x17xf32>) -> tensor<2x8x17xf32>
  %v = "smartmem.view"(%x, %one) {map = affine_map<(b, n, d) -> (b, n, d)>, domain = affine_map<(b, n, d) -> (15 - d)>} : (tensor<2x8x16xf32>, f32) -> tensor<2x8x17xf32>
  %a = linalg.batch_matmul ins(%k, %v : tensor<2x4x8xf32>, tensor<2x8x17xf32>) outs(%za : tensor<2x4x17xf32>) -> tensor<2x4x17xf32>
  %b = linalg.batch_matmul ins(%q, %a : tensor<2x8x4xf32>, tensor<2x4x17xf32>) outs(%zb : tensor<2x8x17xf32>) -> tensor<2x8x17xf32>
  %r = "smartmem.view"(%b) {map = affine_map<(b, n, d) -> (b, n, d)>} : (tensor<2x8x17xf32>) -> tensor<2x8x16xf32>
  return %r : tensor<2x8x16xf32>
}

// -----
// The slice ends with the columns, and its padding begins before them: what is behind is read.
// CHECK-LABEL: func @keeps_a_padding_that_begins_later
// CHECK-NOT: x20xf32
// REMARK: linalg.batch_matmul kept: a padding makes the dim
func.func @keeps_a_padding_that_begins_later(%k: tensor<2x4x8xf32>, %x: tensor<2x8x32xf32>) -> tensor<2x4x16xf32> {
  %one = arith.constant 1.0 : f32
  %c = arith.constant 0.0 : f32
  %ea = tensor.empty() : tensor<2x4x17xf32>
  %za = linalg.fill ins(%c : f32) outs(%ea : tensor<2x4x17xf32>) -> tensor<2x4x17xf32>
  %v = "smartmem.view"(%x, %one) {map = affine_map<(b, n, d) -> (b, n, d - 1)>, domain = affine_map<(b, n, d) -> (d - 1)>} : (tensor<2x8x32xf32>, f32) -> tensor<2x8x17xf32>
  %a = linalg.batch_matmul ins(%k, %v : tensor<2x4x8xf32>, tensor<2x8x17xf32>) outs(%za : tensor<2x4x17xf32>) -> tensor<2x4x17xf32>
  %r = "smartmem.view"(%a) {map = affine_map<(b, n, d) -> (b, n, d)>} : (tensor<2x4x17xf32>) -> tensor<2x4x16xf32>
  return %r : tensor<2x4x16xf32>
}

// -----
// CHECK-LABEL: func @keeps_what_is_returned
// CHECK-NOT: x20xf32
// REMARK: linalg.matmul kept: func.return would read a copy of its columns
func.func @keeps_what_is_returned(%x: tensor<8x4xf32>) -> tensor<8x17xf32> {
  %w = arith.constant dense<1.0> : tensor<4x17xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x17xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x17xf32>) -> tensor<8x17xf32>
  %m = linalg.matmul ins(%x, %w : tensor<8x4xf32>, tensor<4x17xf32>) outs(%z : tensor<8x17xf32>) -> tensor<8x17xf32>
  return %m : tensor<8x17xf32>
}

// -----
// Nine columns would be twelve, a third more.
// CHECK-LABEL: func @keeps_few_columns
// CHECK-NOT: x12xf32
// REMARK: linalg.matmul kept: whole vectors of its columns would be much more work
func.func @keeps_few_columns(%x: tensor<8x4xf32>) -> tensor<8x8xf32> {
  %w = arith.constant dense<1.0> : tensor<4x9xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x9xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x9xf32>) -> tensor<8x9xf32>
  %m = linalg.matmul ins(%x, %w : tensor<8x4xf32>, tensor<4x9xf32>) outs(%z : tensor<8x9xf32>) -> tensor<8x9xf32>
  %r = "smartmem.view"(%m) {map = affine_map<(m, n) -> (m, n)>} : (tensor<8x9xf32>) -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}

// -----
// Of one row each element of the weights is read once: no block of results would share it.
// CHECK-LABEL: func @keeps_the_columns_of_one_row
// CHECK-NOT: x20xf32
func.func @keeps_the_columns_of_one_row(%x: tensor<1x4xf32>) -> tensor<1x16xf32> {
  %w = arith.constant dense<1.0> : tensor<4x18xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<1x18xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<1x18xf32>) -> tensor<1x18xf32>
  %m = linalg.matmul ins(%x, %w : tensor<1x4xf32>, tensor<4x18xf32>) outs(%z : tensor<1x18xf32>) -> tensor<1x18xf32>
  %r = "smartmem.view"(%m) {map = affine_map<(m, n) -> (m, n)>} : (tensor<1x18xf32>) -> tensor<1x16xf32>
  return %r : tensor<1x16xf32>
}
