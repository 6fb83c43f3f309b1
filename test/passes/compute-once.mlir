// RUN: smartmem-opt --smartmem-compute-once --mlir-print-local-scope --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-compute-once --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// The scale of squeeze-excite: a sigmoid for each channel, of what a layer gives.
// CHECK-LABEL: func @sigmoid_of_each_channel
// CHECK: %[[Y:.*]] = linalg.matvec
// CHECK: %[[Z:.*]] = linalg.generic {{.*}} iterator_types = ["parallel"]} ins(%[[Y]] : tensor<8xf32>)
// CHECK: math.exp
// CHECK: arith.divf
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]} ins(%arg0, %[[Z]] : tensor<5x8xf32>, tensor<8xf32>)
// CHECK-NOT: math.exp
// CHECK: arith.mulf
// REMARK: applied: a part of it is computed once, where its operand is made
func.func @sigmoid_of_each_channel(%x: tensor<5x8xf32>, %m: tensor<8x4xf32>, %v: tensor<4xf32>) -> tensor<5x8xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %e = tensor.empty() : tensor<8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  %y = linalg.matvec ins(%m, %v : tensor<8x4xf32>, tensor<4xf32>) outs(%z : tensor<8xf32>) -> tensor<8xf32>
  %re = tensor.empty() : tensor<5x8xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(h, c) -> (h, c)>, affine_map<(h, c) -> (c)>, affine_map<(h, c) -> (h, c)>], iterator_types = ["parallel", "parallel"]} ins(%x, %y : tensor<5x8xf32>, tensor<8xf32>) outs(%re : tensor<5x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %n = arith.negf %b : f32
    %p = math.exp %n : f32
    %q = arith.addf %p, %one : f32
    %s = arith.divf %one, %q : f32
    %t = arith.mulf %a, %s : f32
    linalg.yield %t : f32
  } -> tensor<5x8xf32>
  return %r : tensor<5x8xf32>
}

// -----
// Rows vary along the outer loop alone: what depends on them leaves the inner loop anyway.
// CHECK-LABEL: func @keeps_what_varies_along_outer_loops
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT: linalg.generic
func.func @keeps_what_varies_along_outer_loops(%x: tensor<5x8xf32>, %m: tensor<5x4xf32>, %v: tensor<4xf32>) -> tensor<5x8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<5xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<5xf32>) -> tensor<5xf32>
  %y = linalg.matvec ins(%m, %v : tensor<5x4xf32>, tensor<4xf32>) outs(%z : tensor<5xf32>) -> tensor<5xf32>
  %re = tensor.empty() : tensor<5x8xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(h, c) -> (h, c)>, affine_map<(h, c) -> (h)>, affine_map<(h, c) -> (h, c)>], iterator_types = ["parallel", "parallel"]} ins(%x, %y : tensor<5x8xf32>, tensor<5xf32>) outs(%re : tensor<5x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = math.exp %b : f32
    %t = arith.mulf %a, %p : f32
    linalg.yield %t : f32
  } -> tensor<5x8xf32>
  return %r : tensor<5x8xf32>
}

// -----
// CHECK-LABEL: func @keeps_what_would_be_a_kernel_of_its_own
// CHECK-COUNT-1: linalg.generic
// CHECK-NOT: linalg.generic
// REMARK: kept: what is repeated in it would be a kernel of its own
func.func @keeps_what_would_be_a_kernel_of_its_own(%x: tensor<5x8xf32>, %y: tensor<8xf32>) -> tensor<5x8xf32> {
  %re = tensor.empty() : tensor<5x8xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(h, c) -> (h, c)>, affine_map<(h, c) -> (c)>, affine_map<(h, c) -> (h, c)>], iterator_types = ["parallel", "parallel"]} ins(%x, %y : tensor<5x8xf32>, tensor<8xf32>) outs(%re : tensor<5x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = math.exp %b : f32
    %t = arith.mulf %a, %p : f32
    linalg.yield %t : f32
  } -> tensor<5x8xf32>
  return %r : tensor<5x8xf32>
}

// -----
// The norm of rows is written transposed, so that rows are innermost: it stays one kernel.
// CHECK-LABEL: func @keeps_the_parts_of_a_normalization
// CHECK-COUNT-2: linalg.generic
// CHECK-NOT: linalg.generic
func.func @keeps_the_parts_of_a_normalization(%x: tensor<5x8xf32>) -> tensor<8x5xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<5xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<5xf32>) -> tensor<5xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(h, c) -> (h, c)>, affine_map<(h, c) -> (h)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<5x8xf32>) outs(%z : tensor<5xf32>) {
  ^bb0(%a: f32, %o: f32):
    %m = arith.mulf %a, %a : f32
    %t = arith.addf %o, %m : f32
    linalg.yield %t : f32
  } -> tensor<5xf32>
  %re = tensor.empty() : tensor<8x5xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(c, h) -> (h, c)>, affine_map<(c, h) -> (h)>, affine_map<(c, h) -> (c, h)>], iterator_types = ["parallel", "parallel"]} ins(%x, %s : tensor<5x8xf32>, tensor<5xf32>) outs(%re : tensor<8x5xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = math.rsqrt %b : f32
    %t = arith.mulf %a, %p : f32
    linalg.yield %t : f32
  } -> tensor<8x5xf32>
  return %r : tensor<8x5xf32>
}
