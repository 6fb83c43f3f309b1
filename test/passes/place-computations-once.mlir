// RUN: smartmem-opt --smartmem-place-computations --mlir-print-local-scope --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-place-computations --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// The scale of squeeze-excite: a sigmoid for each channel, of what a layer gives.
// CHECK-LABEL: func @sigmoid_of_each_channel
// CHECK: linalg.matvec
// CHECK: %[[S:.*]] = linalg.generic {{.*}} iterator_types = ["parallel"]}
// CHECK: math.exp
// CHECK: %[[K:.*]] = "smartmem.view"(%[[S]]) {map = affine_map<(d0) -> (d0)>}
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]} ins(%arg0, %[[K]] : tensor<5x8xf32>, tensor<8xf32>)
// REMARK: applied: its 22 FLOPs would be computed 5 times, not where a layer ends
func.func @sigmoid_of_each_channel(%x: tensor<5x8xf32>, %m: tensor<8x4xf32>, %v: tensor<4xf32>) -> tensor<5x8xf32> {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %e = tensor.empty() : tensor<8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  %y = linalg.matvec ins(%m, %v : tensor<8x4xf32>, tensor<4xf32>) outs(%z : tensor<8xf32>) -> tensor<8xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(c) -> (c)>, affine_map<(c) -> (c)>], iterator_types = ["parallel"]} ins(%y : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %n = arith.negf %a : f32
    %p = math.exp %n : f32
    %q = arith.addf %p, %one : f32
    %r = arith.divf %one, %q : f32
    linalg.yield %r : f32
  } -> tensor<8xf32>
  %re = tensor.empty() : tensor<5x8xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(h, c) -> (h, c)>, affine_map<(h, c) -> (c)>, affine_map<(h, c) -> (h, c)>], iterator_types = ["parallel", "parallel"]} ins(%x, %s : tensor<5x8xf32>, tensor<8xf32>) outs(%re : tensor<5x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %t = arith.mulf %a, %b : f32
    linalg.yield %t : f32
  } -> tensor<5x8xf32>
  return %r : tensor<5x8xf32>
}

// -----
// To load it costs more than to add a bias.
// CHECK-LABEL: func @computes_what_is_cheap_again
// CHECK-NOT: smartmem.view
func.func @computes_what_is_cheap_again(%x: tensor<5x8xf32>, %k: tensor<8xf32>, %m: tensor<8x4xf32>, %v: tensor<4xf32>) -> tensor<5x8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<8xf32>) -> tensor<8xf32>
  %y = linalg.matvec ins(%m, %v : tensor<8x4xf32>, tensor<4xf32>) outs(%z : tensor<8xf32>) -> tensor<8xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(c) -> (c)>, affine_map<(c) -> (c)>, affine_map<(c) -> (c)>], iterator_types = ["parallel"]} ins(%y, %k : tensor<8xf32>, tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %n = arith.addf %a, %b : f32
    linalg.yield %n : f32
  } -> tensor<8xf32>
  %re = tensor.empty() : tensor<5x8xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(h, c) -> (h, c)>, affine_map<(h, c) -> (c)>, affine_map<(h, c) -> (h, c)>], iterator_types = ["parallel", "parallel"]} ins(%x, %s : tensor<5x8xf32>, tensor<8xf32>) outs(%re : tensor<5x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %t = arith.mulf %a, %b : f32
    linalg.yield %t : f32
  } -> tensor<5x8xf32>
  return %r : tensor<5x8xf32>
}

// -----
// No layer makes it: kept, it would be a kernel of its own.
// CHECK-LABEL: func @computes_what_would_be_a_kernel_of_its_own
// CHECK-NOT: smartmem.view
func.func @computes_what_would_be_a_kernel_of_its_own(%x: tensor<5x8xf32>, %y: tensor<8xf32>) -> tensor<5x8xf32> {
  %e = tensor.empty() : tensor<8xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(c) -> (c)>, affine_map<(c) -> (c)>], iterator_types = ["parallel"]} ins(%y : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %p = math.exp %a : f32
    linalg.yield %p : f32
  } -> tensor<8xf32>
  %re = tensor.empty() : tensor<5x8xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(h, c) -> (h, c)>, affine_map<(h, c) -> (c)>, affine_map<(h, c) -> (h, c)>], iterator_types = ["parallel", "parallel"]} ins(%x, %s : tensor<5x8xf32>, tensor<8xf32>) outs(%re : tensor<5x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %t = arith.mulf %a, %b : f32
    linalg.yield %t : f32
  } -> tensor<5x8xf32>
  return %r : tensor<5x8xf32>
}
