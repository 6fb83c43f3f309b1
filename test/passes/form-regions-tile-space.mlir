// RUN: smartmem-opt --smartmem-target=adreno --smartmem-form-regions --mlir-print-local-scope --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-target=adreno --smartmem-form-regions --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// Elementwise operations of other loops are one operation: nothing goes from thread to thread.
// CHECK-LABEL: func @merges_elementwise
// CHECK: flow.dispatch.region
// CHECK: linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d2, d1)>]
// CHECK-NEXT: ^bb0
// CHECK-NEXT: math.exp
// CHECK-NEXT: arith.negf
// CHECK-NOT: linalg.generic
func.func @merges_elementwise(%all: tensor<2x5x6xf32>) -> tensor<2x6x4xf32> {
  %x = tensor.extract_slice %all[0, 0, 0] [2, 4, 6] [1, 1, 1] : tensor<2x5x6xf32> to tensor<2x4x6xf32>
  %e = tensor.empty() : tensor<2x4x6xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x : tensor<2x4x6xf32>) outs(%e : tensor<2x4x6xf32>) {
  ^bb0(%v: f32, %o: f32):
    %y = math.exp %v : f32
    linalg.yield %y : f32
  } -> tensor<2x4x6xf32>
  %f = tensor.empty() : tensor<2x6x4xf32>
  %t = linalg.transpose ins(%a : tensor<2x4x6xf32>) outs(%f : tensor<2x6x4xf32>) permutation = [0, 2, 1]
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%t : tensor<2x6x4xf32>) outs(%f : tensor<2x6x4xf32>) {
  ^bb0(%v: f32, %o: f32):
    %y = arith.negf %v : f32
    linalg.yield %y : f32
  } -> tensor<2x6x4xf32>
  return %r : tensor<2x6x4xf32>
}

// -----
// The loops before a softmax are split as its own are; the reshape is outside.
// CHECK-LABEL: func @splits_loops_before_rows
// CHECK: tensor.expand_shape %arg0 {{\[\[}}0, 1], [2], [3]]
// CHECK: flow.dispatch.region
// CHECK-NOT: tensor.expand_shape
// CHECK: linalg.generic {{.*}} ins({{.*}} : tensor<4x2x3x8xf32>)
// CHECK: linalg.generic {{.*}} -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
// CHECK-NOT: tensor.expand_shape
// CHECK: flow.return
func.func @splits_loops_before_rows(%x: tensor<8x3x8xf32>) -> tensor<4x2x3x8xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x3x8xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x : tensor<8x3x8xf32>) outs(%e : tensor<8x3x8xf32>) {
  ^bb0(%v: f32, %o: f32):
    %y = math.exp %v : f32
    linalg.yield %y : f32
  } -> tensor<8x3x8xf32>
  %s = tensor.expand_shape %a [[0, 1], [2], [3]] output_shape [4, 2, 3, 8] : tensor<8x3x8xf32> into tensor<4x2x3x8xf32>
  %f = tensor.empty() : tensor<4x2x3xf32>
  %z = linalg.fill ins(%c : f32) outs(%f : tensor<4x2x3xf32>) -> tensor<4x2x3xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%s : tensor<4x2x3x8xf32>) outs(%z : tensor<4x2x3xf32>) {
  ^bb0(%v: f32, %o: f32):
    %y = arith.addf %v, %o : f32
    linalg.yield %y : f32
  } -> tensor<4x2x3xf32>
  %most = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%s : tensor<4x2x3x8xf32>) outs(%z : tensor<4x2x3xf32>) {
  ^bb0(%v: f32, %o: f32):
    %y = arith.maximumf %v, %o : f32
    linalg.yield %y : f32
  } -> tensor<4x2x3xf32>
  %g = tensor.empty() : tensor<4x2x3x8xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%s, %sum, %most : tensor<4x2x3x8xf32>, tensor<4x2x3xf32>, tensor<4x2x3xf32>) outs(%g : tensor<4x2x3x8xf32>) {
  ^bb0(%v: f32, %w: f32, %u: f32, %o: f32):
    %d = arith.divf %v, %w : f32
    %y = arith.addf %d, %u : f32
    linalg.yield %y : f32
  } -> tensor<4x2x3x8xf32>
  return %r : tensor<4x2x3x8xf32>
}

// -----
// The same where one operand is read twice: its reshape goes once.
// CHECK-LABEL: func @splits_loops_of_an_operand_read_twice
// CHECK-NOT: tensor.collapse_shape
// CHECK: flow.dispatch.region
// CHECK-NOT: tensor.expand_shape
// CHECK: linalg.generic {{.*}} ins({{.*}} : tensor<4x2x3x8xf32>)
// CHECK: linalg.generic {{.*}} -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
// CHECK-NOT: tensor.expand_shape
// CHECK: flow.return
func.func @splits_loops_of_an_operand_read_twice(%x: tensor<4x2x3x8xf32>) -> tensor<4x2x3x8xf32> {
  %c = arith.constant 0.0 : f32
  %k = tensor.collapse_shape %x [[0, 1], [2], [3]] : tensor<4x2x3x8xf32> into tensor<8x3x8xf32>
  %e = tensor.empty() : tensor<8x3x8xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%k, %k : tensor<8x3x8xf32>, tensor<8x3x8xf32>) outs(%e : tensor<8x3x8xf32>) {
  ^bb0(%v: f32, %w: f32, %o: f32):
    %y = arith.mulf %v, %w : f32
    linalg.yield %y : f32
  } -> tensor<8x3x8xf32>
  %s = tensor.expand_shape %a [[0, 1], [2], [3]] output_shape [4, 2, 3, 8] : tensor<8x3x8xf32> into tensor<4x2x3x8xf32>
  %f = tensor.empty() : tensor<4x2x3xf32>
  %z = linalg.fill ins(%c : f32) outs(%f : tensor<4x2x3xf32>) -> tensor<4x2x3xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%s : tensor<4x2x3x8xf32>) outs(%z : tensor<4x2x3xf32>) {
  ^bb0(%v: f32, %o: f32):
    %y = arith.addf %v, %o : f32
    linalg.yield %y : f32
  } -> tensor<4x2x3xf32>
  %most = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%s : tensor<4x2x3x8xf32>) outs(%z : tensor<4x2x3xf32>) {
  ^bb0(%v: f32, %o: f32):
    %y = arith.maximumf %v, %o : f32
    linalg.yield %y : f32
  } -> tensor<4x2x3xf32>
  %g = tensor.empty() : tensor<4x2x3x8xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>], iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%s, %sum, %most : tensor<4x2x3x8xf32>, tensor<4x2x3xf32>, tensor<4x2x3xf32>) outs(%g : tensor<4x2x3x8xf32>) {
  ^bb0(%v: f32, %w: f32, %u: f32, %o: f32):
    %d = arith.divf %v, %w : f32
    %y = arith.addf %d, %u : f32
    linalg.yield %y : f32
  } -> tensor<4x2x3x8xf32>
  return %r : tensor<4x2x3x8xf32>
}

// -----
// The loop's index is put together from the digits that the loop is split into.
// CHECK-LABEL: func @splits_loops_with_indices
// CHECK: flow.dispatch.region
// CHECK: %[[HIGH:.*]] = linalg.index 0
// CHECK: %[[LOW:.*]] = linalg.index 1
// CHECK: %[[TWO:.*]] = arith.constant 2 : index
// CHECK: %[[PART:.*]] = arith.muli %[[HIGH]], %[[TWO]]
// CHECK: arith.addi %[[PART]], %[[LOW]]
func.func @splits_loops_with_indices(%x: tensor<8x4xf32>, %b: tensor<4x2x4xf32>) -> tensor<4x2x4xf32> {
  %e = tensor.empty() : tensor<8x4xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<8x4xf32>) outs(%e : tensor<8x4xf32>) {
  ^bb0(%v: f32, %o: f32):
    %i = linalg.index 0 : index
    %j = arith.index_cast %i : index to i32
    %k = arith.sitofp %j : i32 to f32
    %y = arith.mulf %v, %k : f32
    linalg.yield %y : f32
  } -> tensor<8x4xf32>
  %s = tensor.expand_shape %a [[0, 1], [2]] output_shape [4, 2, 4] : tensor<8x4xf32> into tensor<4x2x4xf32>
  %f = tensor.empty() : tensor<4x2x4xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%s, %b : tensor<4x2x4xf32>, tensor<4x2x4xf32>) outs(%f : tensor<4x2x4xf32>) {
  ^bb0(%v: f32, %w: f32, %o: f32):
    %y = arith.addf %v, %w : f32
    linalg.yield %y : f32
  } -> tensor<4x2x4xf32>
  return %r : tensor<4x2x4xf32>
}

// -----
// 12 = 4 x 3 = 3 x 4 have no common digits: two kernels.
// CHECK-LABEL: func @keeps_other_digits_apart
// REMARK: linalg.generic kept: its loops differ: a reshape or slice lies between
// CHECK-NOT: flow.dispatch.region
func.func @keeps_other_digits_apart(%x: tensor<4x3xf32>) -> tensor<3x4xf32> {
  %e = tensor.empty() : tensor<4x3xf32>
  %a = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x3xf32>) outs(%e : tensor<4x3xf32>) {
  ^bb0(%v: f32, %o: f32):
    %y = math.exp %v : f32
    linalg.yield %y : f32
  } -> tensor<4x3xf32>
  %c = tensor.collapse_shape %a [[0, 1]] : tensor<4x3xf32> into tensor<12xf32>
  %s = tensor.expand_shape %c [[0, 1]] output_shape [3, 4] : tensor<12xf32> into tensor<3x4xf32>
  %f = tensor.empty() : tensor<3x4xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%s : tensor<3x4xf32>) outs(%f : tensor<3x4xf32>) {
  ^bb0(%v: f32, %o: f32):
    %y = arith.negf %v : f32
    linalg.yield %y : f32
  } -> tensor<3x4xf32>
  return %r : tensor<3x4xf32>
}

// -----
// A depthwise window and the operations behind it are one.
// CHECK-LABEL: func @takes_the_end_of_a_depthwise_window
// CHECK: flow.dispatch.region
// CHECK: arith.mulf
// CHECK: arith.mulf
// CHECK: arith.addf
// CHECK: %[[B:.*]] = arith.addf
// CHECK-NEXT: %[[M:.*]] = arith.maximumf %[[B]]
// CHECK-NEXT: linalg.yield %[[M]]
// CHECK-NOT: linalg.generic
func.func @takes_the_end_of_a_depthwise_window(%i: tensor<9x32xf32>, %v: tensor<32xf32>, %w: tensor<32xf32>, %bias: tensor<32xf32>, %least: f32) -> tensor<8x32xf32> {
  %x = tensor.extract_slice %i[0, 0] [8, 32] [1, 1] : tensor<9x32xf32> to tensor<8x32xf32>
  %y = tensor.extract_slice %i[1, 0] [8, 32] [1, 1] : tensor<9x32xf32> to tensor<8x32xf32>
  %e = tensor.empty() : tensor<8x32xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>], iterator_types = ["parallel", "parallel"]} ins(%x, %v, %y, %w : tensor<8x32xf32>, tensor<32xf32>, tensor<8x32xf32>, tensor<32xf32>) outs(%e : tensor<8x32xf32>) {
  ^bb0(%a: f32, %b: f32, %a1: f32, %b1: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %m1 = arith.mulf %a1, %b1 : f32
    %t = arith.addf %m, %m1 : f32
    linalg.yield %t : f32
  } -> tensor<8x32xf32>
  %f = linalg.generic {indexing_maps = [affine_map<(m, n) -> (m, n)>, affine_map<(m, n) -> (n)>, affine_map<(m, n) -> (m, n)>], iterator_types = ["parallel", "parallel"]} ins(%s, %bias : tensor<8x32xf32>, tensor<32xf32>) outs(%e : tensor<8x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %t = arith.addf %a, %b : f32
    %m = arith.maximumf %t, %least : f32
    linalg.yield %m : f32
  } -> tensor<8x32xf32>
  return %f : tensor<8x32xf32>
}
