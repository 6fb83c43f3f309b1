// RUN: smartmem-opt --smartmem-target=adreno --smartmem-form-regions --smartmem-configure-kernels --split-input-file %s | FileCheck %s

// Two contractions that are combined are one kernel of a GPU, too, if their loops are alike.

// The block of results is that of the last sum; the code generator has one list of sizes.
// CHECK-LABEL: func @contractions_that_are_added_up
// CHECK-COUNT-1: flow.dispatch.region
// CHECK: linalg.generic {{.*}} ins({{.*}}tensor<8x32xf32>)
// CHECK: linalg.generic {{.*}} ins({{.*}}tensor<16x32xf32>) {{.*}}compilation_info {{.*}}tile_sizes = {{.*}}[0, 0, 4]]
// CHECK-NOT: flow.dispatch.region
#rows = affine_map<(m, n, k) -> (m, k)>
#weights = affine_map<(m, n, k) -> (k, n)>
#result = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>
func.func @contractions_that_are_added_up(%x: tensor<28x8xf32>, %w: tensor<8x32xf32>, %y: tensor<28x16xf32>, %v: tensor<16x32xf32>) -> tensor<28x32xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<28x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<28x32xf32>) -> tensor<28x32xf32>
  %p = linalg.generic {indexing_maps = [#rows, #weights, #result], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<28x8xf32>, tensor<8x32xf32>) outs(%z : tensor<28x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<28x32xf32>
  %q = linalg.generic {indexing_maps = [#rows, #weights, #result], iterator_types = ["parallel", "parallel", "reduction"]} ins(%y, %v : tensor<28x16xf32>, tensor<16x32xf32>) outs(%z : tensor<28x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<28x32xf32>
  %r = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %q : tensor<28x32xf32>, tensor<28x32xf32>) outs(%e : tensor<28x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<28x32xf32>
  return %r : tensor<28x32xf32>
}

// -----
// Six steps are no whole vectors, sixteen are: no list of sizes suits both.
// CHECK-LABEL: func @keeps_sums_of_other_steps_apart
// CHECK-COUNT-2: flow.dispatch.region
#rows = affine_map<(m, n, k) -> (m, k)>
#weights = affine_map<(m, n, k) -> (k, n)>
#result = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>
func.func @keeps_sums_of_other_steps_apart(%x: tensor<28x6xf32>, %w: tensor<6x32xf32>, %y: tensor<28x16xf32>, %v: tensor<16x32xf32>) -> tensor<28x32xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<28x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<28x32xf32>) -> tensor<28x32xf32>
  %p = linalg.generic {indexing_maps = [#rows, #weights, #result], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<28x6xf32>, tensor<6x32xf32>) outs(%z : tensor<28x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<28x32xf32>
  %q = linalg.generic {indexing_maps = [#rows, #weights, #result], iterator_types = ["parallel", "parallel", "reduction"]} ins(%y, %v : tensor<28x16xf32>, tensor<16x32xf32>) outs(%z : tensor<28x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<28x32xf32>
  %r = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %q : tensor<28x32xf32>, tensor<28x32xf32>) outs(%e : tensor<28x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<28x32xf32>
  return %r : tensor<28x32xf32>
}
