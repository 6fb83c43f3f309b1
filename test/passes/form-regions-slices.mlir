// RUN: smartmem-opt --smartmem-form-regions --split-input-file %s | FileCheck %s

// Seven rows of nine: a fixed stride along each dim, also with the channels split and merged.
// CHECK-LABEL: func @a_slice_with_fixed_strides_is_read_in_place
func.func @a_slice_with_fixed_strides_is_read_in_place(%x: tensor<9x16xf32>, %w: tensor<16x8xf32>) -> tensor<7x8xf32> {
  // CHECK: "flow.dispatch.region"
  // CHECK: %[[S:.*]] = tensor.extract_slice %arg0[1, 0] [7, 16] [1, 1]
  // CHECK-NOT: tensor.collapse_shape
  // CHECK: linalg.matmul ins(%[[S]],
  %zero = arith.constant 0.0 : f32
  %s = tensor.extract_slice %x[1, 0] [7, 16] [1, 1] : tensor<9x16xf32> to tensor<7x16xf32>
  %v = tensor.expand_shape %s [[0], [1, 2]] output_shape [7, 4, 4] : tensor<7x16xf32> into tensor<7x4x4xf32>
  %c = tensor.collapse_shape %v [[0], [1, 2]] : tensor<7x4x4xf32> into tensor<7x16xf32>
  %e = tensor.empty() : tensor<7x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<7x8xf32>) -> tensor<7x8xf32>
  %m = linalg.matmul ins(%c, %w : tensor<7x16xf32>, tensor<16x8xf32>) outs(%f : tensor<7x8xf32>) -> tensor<7x8xf32>
  return %m : tensor<7x8xf32>
}

// -----
// All 21 rows of three pictures as one dim: there is a gap behind every seventh.
// CHECK-LABEL: func @a_slice_with_gaps_is_copied_before
func.func @a_slice_with_gaps_is_copied_before(%x: tensor<3x9x16xf32>, %w: tensor<16x8xf32>) -> tensor<21x8xf32> {
  // CHECK: %[[S:.*]] = tensor.extract_slice %arg0
  // CHECK: tensor.collapse_shape %[[S]]
  // CHECK: "flow.dispatch.region"
  // CHECK-NOT: tensor.extract_slice
  // CHECK-NOT: tensor.collapse_shape
  // CHECK: linalg.matmul
  %zero = arith.constant 0.0 : f32
  %s = tensor.extract_slice %x[0, 1, 0] [3, 7, 16] [1, 1, 1] : tensor<3x9x16xf32> to tensor<3x7x16xf32>
  %c = tensor.collapse_shape %s [[0, 1], [2]] : tensor<3x7x16xf32> into tensor<21x16xf32>
  %e = tensor.empty() : tensor<21x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<21x8xf32>) -> tensor<21x8xf32>
  %m = linalg.matmul ins(%c, %w : tensor<21x16xf32>, tensor<16x8xf32>) outs(%f : tensor<21x8xf32>) -> tensor<21x8xf32>
  return %m : tensor<21x8xf32>
}

// -----
// Every third row: gaps, too.
// CHECK-LABEL: func @so_is_a_slice_with_steps
func.func @so_is_a_slice_with_steps(%x: tensor<9x16xf32>, %w: tensor<2x8xf32>) -> tensor<24x8xf32> {
  // CHECK: %[[S:.*]] = tensor.extract_slice %arg0
  // CHECK: tensor.collapse_shape %[[S]]
  // CHECK: "flow.dispatch.region"
  // CHECK-NOT: tensor.extract_slice
  // CHECK: linalg.matmul
  %zero = arith.constant 0.0 : f32
  %s = tensor.extract_slice %x[0, 0] [3, 16] [3, 1] : tensor<9x16xf32> to tensor<3x16xf32>
  %c = tensor.collapse_shape %s [[0, 1]] : tensor<3x16xf32> into tensor<48xf32>
  %v = tensor.expand_shape %c [[0, 1]] output_shape [24, 2] : tensor<48xf32> into tensor<24x2xf32>
  %e = tensor.empty() : tensor<24x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<24x8xf32>) -> tensor<24x8xf32>
  %m = linalg.matmul ins(%v, %w : tensor<24x2xf32>, tensor<2x8xf32>) outs(%f : tensor<24x8xf32>) -> tensor<24x8xf32>
  return %m : tensor<24x8xf32>
}

// -----
// An operation alone that reads such a copy is left to IREE, as others are.
// CHECK-LABEL: func @an_operation_alone_gets_no_region
func.func @an_operation_alone_gets_no_region(%x: tensor<3x9x16xf32>) -> tensor<21x16xf32> {
  // CHECK-NOT: flow.dispatch.region
  // CHECK: return
  %s = tensor.extract_slice %x[0, 1, 0] [3, 7, 16] [1, 1, 1] : tensor<3x9x16xf32> to tensor<3x7x16xf32>
  %c = tensor.collapse_shape %s [[0, 1], [2]] : tensor<3x7x16xf32> into tensor<21x16xf32>
  %e = tensor.empty() : tensor<21x16xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%c : tensor<21x16xf32>) outs(%e : tensor<21x16xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.tanh %a : f32
    linalg.yield %v : f32
  } -> tensor<21x16xf32>
  return %r : tensor<21x16xf32>
}

// -----
// Every second row of 60 of 64 channels, in groups of 4: one slice of 15 groups of 16.
// CHECK-LABEL: func @a_slice_of_a_split_slice_is_one
func.func @a_slice_of_a_split_slice_is_one(%x: tensor<9x64xf32>, %w: tensor<15x4x8xf32>) -> tensor<15x4x8xf32> {
  // CHECK: %[[G:.*]] = tensor.expand_shape %arg0 {{.*}} : tensor<9x64xf32> into tensor<9x16x4xf32>
  // CHECK: "flow.dispatch.region"
  // CHECK: %[[S:.*]] = tensor.extract_slice %[[G]][1, 0, 0] [4, 15, 4] [2, 1, 1] : tensor<9x16x4xf32> to tensor<4x15x4xf32>
  // CHECK-NOT: tensor.extract_slice
  // CHECK: linalg.generic {{.*}} ins(%[[S]], %arg1
  %zero = arith.constant 0.0 : f32
  %a = tensor.extract_slice %x[0, 0] [9, 60] [1, 1] : tensor<9x64xf32> to tensor<9x60xf32>
  %g = tensor.expand_shape %a [[0], [1, 2]] output_shape [9, 15, 4] : tensor<9x60xf32> into tensor<9x15x4xf32>
  %s = tensor.extract_slice %g[1, 0, 0] [4, 15, 4] [2, 1, 1] : tensor<9x15x4xf32> to tensor<4x15x4xf32>
  %e = tensor.empty() : tensor<15x4x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<15x4x8xf32>) -> tensor<15x4x8xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(g, r, n, k) -> (r, g, k)>, affine_map<(g, r, n, k) -> (g, k, n)>, affine_map<(g, r, n, k) -> (g, r, n)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%s, %w : tensor<4x15x4xf32>, tensor<15x4x8xf32>) outs(%f : tensor<15x4x8xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %p = arith.mulf %i, %j : f32
    %t = arith.addf %p, %o : f32
    linalg.yield %t : f32
  } -> tensor<15x4x8xf32>
  return %m : tensor<15x4x8xf32>
}

// -----
// Groups of 4 of 60 of 62 channels: rows of groups would begin anywhere, and both slices stay.
// CHECK-LABEL: func @a_slice_that_groups_do_not_divide_stays
func.func @a_slice_that_groups_do_not_divide_stays(%x: tensor<9x62xf32>, %w: tensor<15x4x8xf32>) -> tensor<15x4x8xf32> {
  // CHECK: "flow.dispatch.region"
  // CHECK: %[[A:.*]] = tensor.extract_slice %arg0[0, 0] [9, 60]
  // CHECK: %[[G:.*]] = tensor.expand_shape %[[A]]
  // CHECK: tensor.extract_slice %[[G]][1, 0, 0] [4, 15, 4] [2, 1, 1]
  %zero = arith.constant 0.0 : f32
  %a = tensor.extract_slice %x[0, 0] [9, 60] [1, 1] : tensor<9x62xf32> to tensor<9x60xf32>
  %g = tensor.expand_shape %a [[0], [1, 2]] output_shape [9, 15, 4] : tensor<9x60xf32> into tensor<9x15x4xf32>
  %s = tensor.extract_slice %g[1, 0, 0] [4, 15, 4] [2, 1, 1] : tensor<9x15x4xf32> to tensor<4x15x4xf32>
  %e = tensor.empty() : tensor<15x4x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<15x4x8xf32>) -> tensor<15x4x8xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(g, r, n, k) -> (r, g, k)>, affine_map<(g, r, n, k) -> (g, k, n)>, affine_map<(g, r, n, k) -> (g, r, n)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%s, %w : tensor<4x15x4xf32>, tensor<15x4x8xf32>) outs(%f : tensor<15x4x8xf32>) {
  ^bb0(%i: f32, %j: f32, %o: f32):
    %p = arith.mulf %i, %j : f32
    %t = arith.addf %p, %o : f32
    linalg.yield %t : f32
  } -> tensor<15x4x8xf32>
  return %m : tensor<15x4x8xf32>
}

// -----
// The sum of a window's slices is read with its channels split: two kernels, as no loop of one
// splits the slices.
// CHECK-LABEL: func @slices_whose_sum_is_reshaped
// CHECK: "flow.dispatch.region"
// CHECK: arith.maximumf
// CHECK-NOT: arith.negf
// CHECK: "flow.return"
// CHECK: tensor.expand_shape
// CHECK: arith.negf
func.func @slices_whose_sum_is_reshaped(%x: tensor<9x16xf32>) -> tensor<8x2x8xf32> {
  %0 = tensor.extract_slice %x[0, 0] [8, 16] [1, 1] : tensor<9x16xf32> to tensor<8x16xf32>
  %1 = tensor.extract_slice %x[1, 0] [8, 16] [1, 1] : tensor<9x16xf32> to tensor<8x16xf32>
  %e = tensor.empty() : tensor<8x16xf32>
  %2 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%0, %1 : tensor<8x16xf32>, tensor<8x16xf32>) outs(%e : tensor<8x16xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.maximumf %a, %b : f32
    linalg.yield %m : f32
  } -> tensor<8x16xf32>
  %3 = tensor.expand_shape %2 [[0], [1, 2]] output_shape [8, 2, 8] : tensor<8x16xf32> into tensor<8x2x8xf32>
  %e3 = tensor.empty() : tensor<8x2x8xf32>
  %4 = linalg.generic {indexing_maps = [affine_map<(i, j, k) -> (i, j, k)>, affine_map<(i, j, k) -> (i, j, k)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%3 : tensor<8x2x8xf32>) outs(%e3 : tensor<8x2x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %n = arith.negf %a : f32
    linalg.yield %n : f32
  } -> tensor<8x2x8xf32>
  return %4 : tensor<8x2x8xf32>
}
