// RUN: smartmem-opt '--smartmem-form-regions' --smartmem-configure-kernels --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-form-regions --smartmem-target=adreno --split-input-file %s | FileCheck %s --check-prefix=SPIRV
// RUN: smartmem-opt --smartmem-form-regions --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// Exceptions from the red cell: many-to-many operators that want the same block of results.

// CHECK-LABEL: func @contractions_that_are_added_up
// CHECK: "flow.dispatch.region"
// CHECK: linalg.generic {{.*}} ins({{.*}}tensor<4x8x32xf32>) {{.*}}lowering_config = #iree_cpu.lowering_config<vector_common_parallel = [14, 1, 32, 0], vector_reduction = [0, 0, 0, 1]>
// CHECK-NOT: flow.return
// CHECK: linalg.generic {{.*}} ins({{.*}}tensor<4x16x32xf32>) {{.*}}compilation_info
// CHECK: "flow.return"
// SPIRV-LABEL: func @contractions_that_are_added_up
// SPIRV-COUNT-2: flow.dispatch.region
// REMARK: applied: both sums are combined at once: a block of results takes up one after the other
#rows = affine_map<(m, n, l, k) -> (m, k)>
#weights = affine_map<(m, n, l, k) -> (n, k, l)>
#result = affine_map<(m, n, l, k) -> (m, n, l)>
#id = affine_map<(m, n, l) -> (m, n, l)>
#swapped = affine_map<(m, n, l) -> (n, m, l)>
func.func @contractions_that_are_added_up(%x: tensor<28x8xf32>, %w: tensor<4x8x32xf32>, %y: tensor<28x16xf32>, %v: tensor<4x16x32xf32>) -> tensor<28x4x32xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<28x4x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<28x4x32xf32>) -> tensor<28x4x32xf32>
  %p = linalg.generic {indexing_maps = [#rows, #weights, #result], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %w : tensor<28x8xf32>, tensor<4x8x32xf32>) outs(%z : tensor<28x4x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<28x4x32xf32>
  %q = linalg.generic {indexing_maps = [#rows, #weights, #result], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%y, %v : tensor<28x16xf32>, tensor<4x16x32xf32>) outs(%z : tensor<28x4x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<28x4x32xf32>
  %r = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%p, %q : tensor<28x4x32xf32>, tensor<28x4x32xf32>) outs(%e : tensor<28x4x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<28x4x32xf32>
  return %r : tensor<28x4x32xf32>
}

// -----
// One of the sums lies in another order: its blocks are others.
// CHECK-LABEL: func @keeps_contractions_in_other_orders_apart
// CHECK-COUNT-2: flow.dispatch.region
#rows = affine_map<(m, n, l, k) -> (m, k)>
#weights = affine_map<(m, n, l, k) -> (n, k, l)>
#result = affine_map<(m, n, l, k) -> (m, n, l)>
#id = affine_map<(m, n, l) -> (m, n, l)>
#swapped = affine_map<(m, n, l) -> (n, m, l)>
func.func @keeps_contractions_in_other_orders_apart(%x: tensor<28x8xf32>, %w: tensor<4x8x32xf32>, %y: tensor<28x16xf32>, %v: tensor<4x16x32xf32>) -> tensor<28x4x32xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<28x4x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<28x4x32xf32>) -> tensor<28x4x32xf32>
  %p = linalg.generic {indexing_maps = [#rows, #weights, #result], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %w : tensor<28x8xf32>, tensor<4x8x32xf32>) outs(%z : tensor<28x4x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<28x4x32xf32>
  %se = tensor.empty() : tensor<4x28x32xf32>
  %sz = linalg.fill ins(%c : f32) outs(%se : tensor<4x28x32xf32>) -> tensor<4x28x32xf32>
  %q = linalg.generic {indexing_maps = [#rows, #weights, affine_map<(m, n, l, k) -> (n, m, l)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%y, %v : tensor<28x16xf32>, tensor<4x16x32xf32>) outs(%sz : tensor<4x28x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<4x28x32xf32>
  %r = linalg.generic {indexing_maps = [#id, #swapped, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%p, %q : tensor<28x4x32xf32>, tensor<4x28x32xf32>) outs(%e : tensor<28x4x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.addf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<28x4x32xf32>
  return %r : tensor<28x4x32xf32>
}

// -----
// The pooling behind a convolution: a workgroup has all rows of a block of columns.
// CHECK-LABEL: func @sum_over_the_rows_of_a_contraction
// CHECK: "flow.dispatch.region"
// CHECK: linalg.generic {{.*}}tensor<4x8x32xf32>) {{.*}}lowering_config = #iree_cpu.lowering_config<vector_common_parallel = [14, 1, 32, 0], vector_reduction = [0, 0, 0, 1]>
// CHECK: linalg.generic {{.*}}compilation_info = {{.*}}distribution = [1, 32, 0], vector_common_parallel = [1, 32, 0], vector_reduction = [0, 0, 14]>
// CHECK: "flow.return"
// SPIRV-LABEL: func @sum_over_the_rows_of_a_contraction
// SPIRV-COUNT-2: flow.dispatch.region
// REMARK: applied: a workgroup has all the rows that are summed up: it need not store them
#rows = affine_map<(m, n, l, k) -> (m, k)>
#weights = affine_map<(m, n, l, k) -> (n, k, l)>
#result = affine_map<(m, n, l, k) -> (m, n, l)>
#id = affine_map<(m, n, l) -> (m, n, l)>
#swapped = affine_map<(m, n, l) -> (n, m, l)>
func.func @sum_over_the_rows_of_a_contraction(%x: tensor<28x8xf32>, %w: tensor<4x8x32xf32>) -> tensor<4x32xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<28x4x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<28x4x32xf32>) -> tensor<28x4x32xf32>
  %p = linalg.generic {indexing_maps = [#rows, #weights, #result], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %w : tensor<28x8xf32>, tensor<4x8x32xf32>) outs(%z : tensor<28x4x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<28x4x32xf32>
  %pe = tensor.empty() : tensor<4x32xf32>
  %pz = linalg.fill ins(%c : f32) outs(%pe : tensor<4x32xf32>) -> tensor<4x32xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(n, l, m) -> (m, n, l)>, affine_map<(n, l, m) -> (n, l)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%p : tensor<28x4x32xf32>) outs(%pz : tensor<4x32xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.addf %o, %a : f32
    linalg.yield %s : f32
  } -> tensor<4x32xf32>
  return %r : tensor<4x32xf32>
}

// -----
// An elementwise operation between the two sums is computed in the second one: of an operation
// between two sums, iree-compile finds no tiles.
// CHECK-LABEL: func @what_is_between_two_sums_is_computed_in_the_second
// CHECK: "flow.dispatch.region"
// CHECK: linalg.generic {{.*}}tensor<4x8x32xf32>) {{.*}}lowering_config = #iree_cpu.lowering_config<vector_common_parallel = [14, 1, 32, 0], vector_reduction = [0, 0, 0, 1]>
// CHECK-NOT: arith.negf
// CHECK: linalg.generic {{.*}}compilation_info = {{.*}}distribution = [1, 32, 0], vector_common_parallel = [1, 32, 0], vector_reduction = [0, 0, 14]>
// CHECK: arith.negf
// CHECK-NEXT: arith.addf
// CHECK: "flow.return"
// SPIRV-LABEL: func @what_is_between_two_sums_is_computed_in_the_second
// SPIRV-COUNT-2: flow.dispatch.region
// REMARK: applied: a workgroup has all the rows that are summed up: it need not store them
#rows = affine_map<(m, n, l, k) -> (m, k)>
#weights = affine_map<(m, n, l, k) -> (n, k, l)>
#result = affine_map<(m, n, l, k) -> (m, n, l)>
#id = affine_map<(m, n, l) -> (m, n, l)>
#swapped = affine_map<(m, n, l) -> (n, m, l)>
func.func @what_is_between_two_sums_is_computed_in_the_second(%x: tensor<28x8xf32>, %w: tensor<4x8x32xf32>) -> tensor<4x32xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<28x4x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<28x4x32xf32>) -> tensor<28x4x32xf32>
  %p = linalg.generic {indexing_maps = [#rows, #weights, #result], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %w : tensor<28x8xf32>, tensor<4x8x32xf32>) outs(%z : tensor<28x4x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<28x4x32xf32>
  %n = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]} ins(%p : tensor<28x4x32xf32>) outs(%e : tensor<28x4x32xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.negf %a : f32
    linalg.yield %s : f32
  } -> tensor<28x4x32xf32>
  %pe = tensor.empty() : tensor<4x32xf32>
  %pz = linalg.fill ins(%c : f32) outs(%pe : tensor<4x32xf32>) -> tensor<4x32xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(n, l, m) -> (m, n, l)>, affine_map<(n, l, m) -> (n, l)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%n : tensor<28x4x32xf32>) outs(%pz : tensor<4x32xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.addf %o, %a : f32
    linalg.yield %s : f32
  } -> tensor<4x32xf32>
  return %r : tensor<4x32xf32>
}

// -----
// One block of columns would be all of the work, for one thread.
// CHECK-LABEL: func @keeps_a_sum_over_the_rows_of_few_columns_apart
// CHECK-COUNT-2: flow.dispatch.region
#rows = affine_map<(m, n, l, k) -> (m, k)>
#weights = affine_map<(m, n, l, k) -> (n, k, l)>
#result = affine_map<(m, n, l, k) -> (m, n, l)>
#id = affine_map<(m, n, l) -> (m, n, l)>
#swapped = affine_map<(m, n, l) -> (n, m, l)>
func.func @keeps_a_sum_over_the_rows_of_few_columns_apart(%x: tensor<28x8xf32>, %w: tensor<2x8x32xf32>) -> tensor<2x32xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<28x2x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<28x2x32xf32>) -> tensor<28x2x32xf32>
  %p = linalg.generic {indexing_maps = [#rows, #weights, #result], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %w : tensor<28x8xf32>, tensor<2x8x32xf32>) outs(%z : tensor<28x2x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<28x2x32xf32>
  %pe = tensor.empty() : tensor<2x32xf32>
  %pz = linalg.fill ins(%c : f32) outs(%pe : tensor<2x32xf32>) -> tensor<2x32xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(n, l, m) -> (m, n, l)>, affine_map<(n, l, m) -> (n, l)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%p : tensor<28x2x32xf32>) outs(%pz : tensor<2x32xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.addf %o, %a : f32
    linalg.yield %s : f32
  } -> tensor<2x32xf32>
  return %r : tensor<2x32xf32>
}
