// RUN: smartmem-opt --smartmem-target=adreno --smartmem-form-regions --smartmem-configure-kernels --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-target=adreno --smartmem-form-regions --smartmem-configure-kernels --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK
// RUN: smartmem-opt --smartmem-form-regions --smartmem-configure-kernels --split-input-file %s | FileCheck %s --check-prefix=CPU

// CHECK-LABEL: func @a_sum_of_products_becomes_contractions
// CHECK: %[[Z:.*]] = linalg.fill
// CHECK: %[[R0:.*]] = linalg.generic {{.*}} ins(%arg0, %arg2 : {{.*}} outs(%[[Z]] :
// CHECK: ^bb0(%[[A:.*]]: f32, %[[B:.*]]: f32, %[[O:.*]]: f32):
// CHECK: %[[M:.*]] = arith.mulf %[[A]], %[[B]]
// CHECK: arith.addf %[[O]], %[[M]]
// CHECK: %[[R1:.*]] = linalg.generic {{.*}} ins(%arg1, %arg3 : {{.*}} outs(%[[R0]] :
// CHECK-NOT: linalg.generic
// CHECK: "flow.return"(%[[R1]])
// REMARK: linalg.generic applied: 2 contractions, each added to the one before
// CPU-LABEL: func @a_sum_of_products_becomes_contractions
// CPU-COUNT-1: linalg.generic
// CPU-NOT: linalg.generic
func.func @a_sum_of_products_becomes_contractions(%x: tensor<8x16xf32>, %y: tensor<8x16xf32>, %v: tensor<16x32xf32>, %w: tensor<16x32xf32>) -> tensor<8x32xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x32xf32>) -> tensor<8x32xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %v, %y, %w : tensor<8x16xf32>, tensor<16x32xf32>, tensor<8x16xf32>, tensor<16x32xf32>) outs(%z : tensor<8x32xf32>) {
  ^bb0(%a: f32, %b: f32, %a1: f32, %b1: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %m1 = arith.mulf %a1, %b1 : f32
    %s = arith.addf %m, %m1 : f32
    %t = arith.addf %o, %s : f32
    linalg.yield %t : f32
  } -> tensor<8x32xf32>
  return %r : tensor<8x32xf32>
}

// -----
// The weights have their columns outermost and rows innermost: no loads of vectors.
// CHECK-LABEL: func @keeps_what_no_tiles_suit
// CPU-LABEL: func @keeps_what_no_tiles_suit
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT: linalg.generic
// REMARK: linalg.generic kept: an operand has neither columns nor a reduction innermost
func.func @keeps_what_no_tiles_suit(%x: tensor<16x8xf32>, %y: tensor<16x8xf32>, %v: tensor<32x16xf32>, %w: tensor<32x16xf32>) -> tensor<8x32xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x32xf32>) -> tensor<8x32xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (k, m)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %v, %y, %w : tensor<16x8xf32>, tensor<32x16xf32>, tensor<16x8xf32>, tensor<32x16xf32>) outs(%z : tensor<8x32xf32>) {
  ^bb0(%a: f32, %b: f32, %a1: f32, %b1: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %m1 = arith.mulf %a1, %b1 : f32
    %s = arith.addf %m, %m1 : f32
    %t = arith.addf %o, %s : f32
    linalg.yield %t : f32
  } -> tensor<8x32xf32>
  return %r : tensor<8x32xf32>
}

// -----
// A depthwise window has no reduction left: it is elementwise.
// CHECK-LABEL: func @keeps_sums_without_a_reduction
// CHECK: "flow.dispatch.region"
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT: linalg.generic
func.func @keeps_sums_without_a_reduction(%i: tensor<9x32xf32>, %v: tensor<32xf32>, %w: tensor<32xf32>) -> tensor<8x32xf32> {
  %x = tensor.extract_slice %i[0, 0] [8, 32] [1, 1] : tensor<9x32xf32> to tensor<8x32xf32>
  %y = tensor.extract_slice %i[1, 0] [8, 32] [1, 1] : tensor<9x32xf32> to tensor<8x32xf32>
  %e = tensor.empty() : tensor<8x32xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>], iterator_types = ["parallel", "parallel"]} ins(%x, %v, %y, %w : tensor<8x32xf32>, tensor<32xf32>, tensor<8x32xf32>, tensor<32xf32>) outs(%e : tensor<8x32xf32>) {
  ^bb0(%a: f32, %b: f32, %a1: f32, %b1: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %m1 = arith.mulf %a1, %b1 : f32
    %s = arith.addf %m, %m1 : f32
    linalg.yield %s : f32
  } -> tensor<8x32xf32>
  return %r : tensor<8x32xf32>
}
