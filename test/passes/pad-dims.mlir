// RUN: smartmem-opt --smartmem-pad-dims --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-target=adreno --smartmem-pad-dims --split-input-file %s | FileCheck %s --check-prefix=GPU
// RUN: smartmem-opt --smartmem-pad-dims --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

#mn = affine_map<(m, n) -> (m, n)>
#n = affine_map<(m, n) -> (n)>

// 252 channels are 256. The bias gets zeros, the padding of rows keeps them, and what reads
// groups of four or sums them up takes the first 252.
// CHECK-LABEL: func @bias_padding_groups_and_sum
// CHECK-DAG: %[[W:.*]] = arith.constant dense_resource<{{.*}}> : tensor<16x256xf32>
// CHECK-DAG: %[[B:.*]] = arith.constant dense_resource<{{.*}}> : tensor<256xf32>
// CHECK: %[[M:.*]] = linalg.matmul ins(%arg0, %[[W]] {{.*}} -> tensor<8x256xf32>
// CHECK: %[[R:.*]] = linalg.generic {{.*}} ins(%[[M]], %[[B]] : tensor<8x256xf32>, tensor<256xf32>)
// CHECK: %[[P:.*]] = "smartmem.view"(%[[R]], {{.*}} -> tensor<10x256xf32>
// CHECK: %[[F:.*]] = "smartmem.view"(%[[P]]) {{.*}} -> tensor<10x252xf32>
// CHECK: "smartmem.view"(%[[F]]) {{.*}} -> tensor<10x63x4xf32>
// CHECK: %[[S:.*]] = "smartmem.view"(%[[R]]) {{.*}} -> tensor<8x252xf32>
// CHECK: linalg.matmul ins(%[[S]], {{.*}} tensor<252x16xf32>
// GPU-NOT: x256xf32
// REMARK: linalg.matmul applied: 256 columns instead of 252: whole vectors
func.func @bias_padding_groups_and_sum(%x: tensor<8x16xf32>) -> (tensor<10x63x4xf32>, tensor<8x16xf32>) {
  %c = arith.constant 0.0 : f32
  %w = arith.constant dense<1.0> : tensor<16x252xf32>
  %b = arith.constant dense<2.0> : tensor<252xf32>
  %v = arith.constant dense<3.0> : tensor<252x16xf32>
  %e = tensor.empty() : tensor<8x252xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x252xf32>) -> tensor<8x252xf32>
  %m = linalg.matmul ins(%x, %w : tensor<8x16xf32>, tensor<16x252xf32>) outs(%z : tensor<8x252xf32>) -> tensor<8x252xf32>
  %r = linalg.generic {indexing_maps = [#mn, #n, #mn], iterator_types = ["parallel", "parallel"]} ins(%m, %b : tensor<8x252xf32>, tensor<252xf32>) outs(%e : tensor<8x252xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %s = arith.addf %i, %j : f32
    linalg.yield %s : f32
  } -> tensor<8x252xf32>
  %p = "smartmem.view"(%r, %c) {map = affine_map<(m, n) -> (m - 1, n)>, domain = affine_map<(m, n) -> (m - 1, 8 - m)>} : (tensor<8x252xf32>, f32) -> tensor<10x252xf32>
  %g = "smartmem.view"(%p) {map = affine_map<(m, g, n) -> (m, g * 4 + n)>} : (tensor<10x252xf32>) -> tensor<10x63x4xf32>
  %e2 = tensor.empty() : tensor<8x16xf32>
  %z2 = linalg.fill ins(%c : f32) outs(%e2 : tensor<8x16xf32>) -> tensor<8x16xf32>
  %t = linalg.matmul ins(%r, %v : tensor<8x252xf32>, tensor<252x16xf32>) outs(%z2 : tensor<8x16xf32>) -> tensor<8x16xf32>
  return %g, %t : tensor<10x63x4xf32>, tensor<8x16xf32>
}

// -----
// CHECK-LABEL: func @keeps_what_is_returned
// CHECK-NOT: x256xf32
// REMARK: linalg.matmul kept: func.return would read a copy of its columns
func.func @keeps_what_is_returned(%x: tensor<8x16xf32>) -> tensor<8x252xf32> {
  %c = arith.constant 0.0 : f32
  %w = arith.constant dense<1.0> : tensor<16x252xf32>
  %e = tensor.empty() : tensor<8x252xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x252xf32>) -> tensor<8x252xf32>
  %m = linalg.matmul ins(%x, %w : tensor<8x16xf32>, tensor<16x252xf32>) outs(%z : tensor<8x252xf32>) -> tensor<8x252xf32>
  return %m : tensor<8x252xf32>
}

// -----
// Groups of six divide no such length: each row of groups would begin elsewhere.
// CHECK-LABEL: func @keeps_groups_that_do_not_divide_more
// CHECK-NOT: x256xf32
// REMARK: linalg.matmul kept: a view of its columns is no slice of longer rows
func.func @keeps_groups_that_do_not_divide_more(%x: tensor<8x16xf32>) -> tensor<8x42x6xf32> {
  %c = arith.constant 0.0 : f32
  %w = arith.constant dense<1.0> : tensor<16x252xf32>
  %e = tensor.empty() : tensor<8x252xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x252xf32>) -> tensor<8x252xf32>
  %m = linalg.matmul ins(%x, %w : tensor<8x16xf32>, tensor<16x252xf32>) outs(%z : tensor<8x252xf32>) -> tensor<8x252xf32>
  %g = "smartmem.view"(%m) {map = affine_map<(m, g, n) -> (m, g * 6 + n)>} : (tensor<8x252xf32>) -> tensor<8x42x6xf32>
  return %g : tensor<8x42x6xf32>
}

// -----
// Groups of 24 do not divide 416, but 432.
// CHECK-LABEL: func @length_that_groups_divide
// CHECK: linalg.matmul {{.*}} -> tensor<8x432xf32>
// CHECK: "smartmem.view"{{.*}} -> tensor<8x408xf32>
// CHECK: "smartmem.view"{{.*}} -> tensor<8x17x24xf32>
// REMARK: linalg.matmul applied: 432 columns instead of 408: whole vectors
func.func @length_that_groups_divide(%x: tensor<8x16xf32>) -> tensor<8x17x24xf32> {
  %c = arith.constant 0.0 : f32
  %w = arith.constant dense<1.0> : tensor<16x408xf32>
  %e = tensor.empty() : tensor<8x408xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x408xf32>) -> tensor<8x408xf32>
  %m = linalg.matmul ins(%x, %w : tensor<8x16xf32>, tensor<16x408xf32>) outs(%z : tensor<8x408xf32>) -> tensor<8x408xf32>
  %g = "smartmem.view"(%m) {map = affine_map<(m, g, n) -> (m, g * 24 + n)>} : (tensor<8x408xf32>) -> tensor<8x17x24xf32>
  return %g : tensor<8x17x24xf32>
}

// -----
// 40 channels would be 48, a fifth more.
// CHECK-LABEL: func @keeps_few_channels
// CHECK-NOT: x48xf32
// REMARK: linalg.matmul kept: whole vectors of its columns would be much more work
func.func @keeps_few_channels(%x: tensor<8x16xf32>) -> tensor<8x32xf32> {
  %c = arith.constant 0.0 : f32
  %w = arith.constant dense<1.0> : tensor<16x40xf32>
  %e = tensor.empty() : tensor<8x40xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x40xf32>) -> tensor<8x40xf32>
  %m = linalg.matmul ins(%x, %w : tensor<8x16xf32>, tensor<16x40xf32>) outs(%z : tensor<8x40xf32>) -> tensor<8x40xf32>
  %r = "smartmem.view"(%m) {map = affine_map<(m, n) -> (m, n)>} : (tensor<8x40xf32>) -> tensor<8x32xf32>
  return %r : tensor<8x32xf32>
}

// -----
// What is added has the channels of an argument, which nothing makes longer.
// CHECK-LABEL: func @keeps_the_channels_of_an_argument
// CHECK-NOT: x256xf32
// REMARK: linalg.matmul kept: the dim is one of an argument
func.func @keeps_the_channels_of_an_argument(%x: tensor<8x16xf32>, %y: tensor<8x252xf32>) -> tensor<8x128xf32> {
  %c = arith.constant 0.0 : f32
  %w = arith.constant dense<1.0> : tensor<16x252xf32>
  %e = tensor.empty() : tensor<8x252xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x252xf32>) -> tensor<8x252xf32>
  %m = linalg.matmul ins(%x, %w : tensor<8x16xf32>, tensor<16x252xf32>) outs(%z : tensor<8x252xf32>) -> tensor<8x252xf32>
  %r = linalg.add ins(%m, %y : tensor<8x252xf32>, tensor<8x252xf32>) outs(%e : tensor<8x252xf32>) -> tensor<8x252xf32>
  %p = "smartmem.view"(%r) {map = affine_map<(m, n) -> (m, n)>} : (tensor<8x252xf32>) -> tensor<8x128xf32>
  return %p : tensor<8x128xf32>
}

// -----
// A kernel of rows, as of softmax and normalizations, has rows of one length.
// CHECK-LABEL: func @keeps_the_channels_of_a_normalization
// CHECK-NOT: x256xf32
// REMARK: linalg.matmul kept: a normalization has its columns, of which a kernel has all rows
func.func @keeps_the_channels_of_a_normalization(%x: tensor<8x16xf32>) -> tensor<8xf32> {
  %c = arith.constant 0.0 : f32
  %w = arith.constant dense<1.0> : tensor<16x252xf32>
  %e = tensor.empty() : tensor<8x252xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x252xf32>) -> tensor<8x252xf32>
  %m = linalg.matmul ins(%x, %w : tensor<8x16xf32>, tensor<16x252xf32>) outs(%z : tensor<8x252xf32>) -> tensor<8x252xf32>
  %e1 = tensor.empty() : tensor<8xf32>
  %z1 = linalg.fill ins(%c : f32) outs(%e1 : tensor<8xf32>) -> tensor<8xf32>
  %s = linalg.reduce ins(%m : tensor<8x252xf32>) outs(%z1 : tensor<8xf32>) dimensions = [1]
    (%i: f32, %o: f32) {
      %t = arith.addf %i, %o : f32
      linalg.yield %t : f32
    }
  return %s : tensor<8xf32>
}
