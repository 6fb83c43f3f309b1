// RUN: smartmem-opt --smartmem-form-regions --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-form-regions --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// CHECK-LABEL: func @contraction_with_a_slice
func.func @contraction_with_a_slice(%qkv: tensor<7x24xf32>, %w: tensor<8x7xf32>) -> tensor<7x7xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<7x7xf32>
  // CHECK: %[[R:.*]] = "flow.dispatch.region"
  // CHECK-NOT: flow.dispatch.region
  // CHECK-DAG: tensor.extract_slice %arg0[0, 8] [7, 8] [1, 1]
  // CHECK-DAG: linalg.fill
  // CHECK: %[[M:.*]] = linalg.matmul
  // CHECK: "flow.return"(%[[M]])
  // CHECK: return %[[R]]
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<7x7xf32>) -> tensor<7x7xf32>
  %s = tensor.extract_slice %qkv[0, 8] [7, 8] [1, 1] : tensor<7x24xf32> to tensor<7x8xf32>
  %0 = linalg.matmul ins(%s, %w : tensor<7x8xf32>, tensor<8x7xf32>) outs(%f : tensor<7x7xf32>) -> tensor<7x7xf32>
  return %0 : tensor<7x7xf32>
}

// -----
// CHECK-LABEL: func @softmax_is_one_kernel
func.func @softmax_is_one_kernel(%x: tensor<7x16xf32>) -> tensor<7x16xf32> {
  // CHECK: %[[R:.*]] = "flow.dispatch.region"
  // CHECK-COUNT-4: linalg.generic
  // CHECK: "flow.return"
  // CHECK-NOT: flow.dispatch.region
  // CHECK: return %[[R]]
  %low = arith.constant 0xFF800000 : f32
  %zero = arith.constant 0.0 : f32
  %er = tensor.empty() : tensor<7xf32>
  %em = tensor.empty() : tensor<7x16xf32>
  %fm = linalg.fill ins(%low : f32) outs(%er : tensor<7xf32>) -> tensor<7xf32>
  %fs = linalg.fill ins(%zero : f32) outs(%er : tensor<7xf32>) -> tensor<7xf32>
  %max = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<7x16xf32>) outs(%fm : tensor<7xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.maximumf %a, %o : f32
    linalg.yield %v : f32
  } -> tensor<7xf32>
  %exp = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x, %max : tensor<7x16xf32>, tensor<7xf32>) outs(%em : tensor<7x16xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %d = arith.subf %a, %b : f32
    %v = math.exp %d : f32
    linalg.yield %v : f32
  } -> tensor<7x16xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%exp : tensor<7x16xf32>) outs(%fs : tensor<7xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.addf %a, %o : f32
    linalg.yield %v : f32
  } -> tensor<7xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%exp, %sum : tensor<7x16xf32>, tensor<7xf32>) outs(%em : tensor<7x16xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.divf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<7x16xf32>
  return %r : tensor<7x16xf32>
}

// -----
// CHECK-LABEL: func @contraction_with_its_elementwise_end
func.func @contraction_with_its_elementwise_end(%x: tensor<7x8xf32>, %w: tensor<8x7xf32>) -> tensor<7x7xf32> {
  // CHECK: "flow.dispatch.region"
  // CHECK: linalg.matmul
  // CHECK: linalg.generic
  // CHECK: "flow.return"
  // CHECK-NOT: flow.dispatch.region
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<7x7xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<7x7xf32>) -> tensor<7x7xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<7x8xf32>, tensor<8x7xf32>) outs(%f : tensor<7x7xf32>) -> tensor<7x7xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<7x7xf32>) outs(%e : tensor<7x7xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.tanh %a : f32
    linalg.yield %v : f32
  } -> tensor<7x7xf32>
  return %1 : tensor<7x7xf32>
}

// -----
// CHECK-LABEL: func @keeps_an_elementwise_operation_before_a_contraction_apart
func.func @keeps_an_elementwise_operation_before_a_contraction_apart(%x: tensor<7x8xf32>, %w: tensor<8x7xf32>) -> tensor<7x7xf32> {
  // An operation alone is left to IREE, which may fuse it with what is in no region.
  // CHECK-NOT: flow.dispatch.region
  // CHECK: linalg.generic
  // CHECK: "flow.dispatch.region"
  // CHECK: linalg.matmul
  // CHECK: "flow.return"
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<7x7xf32>
  %ex = tensor.empty() : tensor<7x8xf32>
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<7x7xf32>) -> tensor<7x7xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<7x8xf32>) outs(%ex : tensor<7x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.tanh %a : f32
    linalg.yield %v : f32
  } -> tensor<7x8xf32>
  %1 = linalg.matmul ins(%0, %w : tensor<7x8xf32>, tensor<8x7xf32>) outs(%f : tensor<7x7xf32>) -> tensor<7x7xf32>
  return %1 : tensor<7x7xf32>
}

// -----
// CHECK-LABEL: func @leaves_sums_over_several_dims_to_iree
func.func @leaves_sums_over_several_dims_to_iree(%x: tensor<7x8x5xf32>, %o: tensor<7xf32>) -> tensor<7xf32> {
  // CHECK-NOT: flow.dispatch.region
  // CHECK: return
  %0 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0)>], iterator_types = ["parallel", "reduction", "reduction"]} ins(%x : tensor<7x8x5xf32>) outs(%o : tensor<7xf32>) {
  ^bb0(%a: f32, %b: f32):
    %v = arith.addf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<7xf32>
  return %0 : tensor<7xf32>
}

// -----
// CHECK-DAG: #[[CHW:.*]] = affine_map<(d0, d1, d2) -> (d2, d0, d1)>
// CHECK-DAG: #[[HW:.*]] = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK-DAG: #[[C:.*]] = affine_map<(d0, d1, d2) -> (d2)>
// CHECK-LABEL: func @all_loops_take_the_order_of_the_reduction
func.func @all_loops_take_the_order_of_the_reduction(%x: tensor<7x5x6xf32>, %scale: tensor<7xf32>) -> tensor<7x5x6xf32> {
  // CHECK: "flow.dispatch.region"
  // CHECK: linalg.generic {indexing_maps = [#[[CHW]], #[[HW]]], iterator_types = ["parallel", "parallel", "reduction"]}
  // CHECK: linalg.generic {indexing_maps = [#[[CHW]], #[[HW]], #[[C]], #[[CHW]]], iterator_types = ["parallel", "parallel", "parallel"]}
  %zero = arith.constant 0.0 : f32
  %es = tensor.empty() : tensor<5x6xf32>
  %er = tensor.empty() : tensor<7x5x6xf32>
  %fill = linalg.fill ins(%zero : f32) outs(%es : tensor<5x6xf32>) -> tensor<5x6xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(h, w, c) -> (c, h, w)>, affine_map<(h, w, c) -> (h, w)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x : tensor<7x5x6xf32>) outs(%fill : tensor<5x6xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.addf %a, %o : f32
    linalg.yield %v : f32
  } -> tensor<5x6xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(c, h, w) -> (c, h, w)>, affine_map<(c, h, w) -> (h, w)>, affine_map<(c, h, w) -> (c)>, affine_map<(c, h, w) -> (c, h, w)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x, %sum, %scale : tensor<7x5x6xf32>, tensor<5x6xf32>, tensor<7xf32>) outs(%er : tensor<7x5x6xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32, %o: f32):
    %d = arith.subf %a, %b : f32
    %v = arith.mulf %d, %c : f32
    linalg.yield %v : f32
  } -> tensor<7x5x6xf32>
  return %r : tensor<7x5x6xf32>
}

// -----
// CHECK-LABEL: func @keeps_a_transposing_operation_before_a_normalization_apart
func.func @keeps_a_transposing_operation_before_a_normalization_apart(%x: tensor<6x7xf32>) -> tensor<7x6xf32> {
  // CHECK-NOT: flow.dispatch.region
  // CHECK: linalg.generic
  // CHECK: math.tanh
  // CHECK: "flow.dispatch.region"
  // CHECK-COUNT-2: linalg.generic
  // CHECK: "flow.return"
  %zero = arith.constant 0.0 : f32
  %es = tensor.empty() : tensor<7xf32>
  %er = tensor.empty() : tensor<7x6xf32>
  %fill = linalg.fill ins(%zero : f32) outs(%es : tensor<7xf32>) -> tensor<7xf32>
  %t = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1, d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<6x7xf32>) outs(%er : tensor<7x6xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.tanh %a : f32
    linalg.yield %v : f32
  } -> tensor<7x6xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%t : tensor<7x6xf32>) outs(%fill : tensor<7xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.addf %a, %o : f32
    linalg.yield %v : f32
  } -> tensor<7xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%t, %sum : tensor<7x6xf32>, tensor<7xf32>) outs(%er : tensor<7x6xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.divf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<7x6xf32>
  return %r : tensor<7x6xf32>
}

// -----
// CHECK-LABEL: func @writes_into_the_padded_tensor
func.func @writes_into_the_padded_tensor(%x: tensor<4x6x8xf32>, %w: tensor<7x8xf32>) -> (tensor<1x6x8x7xf32>, tensor<4x6x7xf32>) {
  // CHECK: %[[FILL:.*]] = linalg.fill {{.*}} -> tensor<6x8x7xf32>
  // CHECK: %[[R:.*]] = "flow.dispatch.region"
  // CHECK: %[[M:.*]] = linalg.generic
  // CHECK: %[[P:.*]] = tensor.insert_slice %[[M]] into %[[FILL]][1, 1, 0] [4, 6, 7] [1, 1, 1]
  // CHECK: "flow.return"(%[[P]])
  // CHECK-DAG: tensor.expand_shape %[[R]]
  // CHECK-DAG: tensor.extract_slice %[[R]][1, 1, 0] [4, 6, 7] [1, 1, 1]
  // CHECK-NOT: tensor.pad
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x6x7xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<4x6x7xf32>) -> tensor<4x6x7xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(h, w, n, k) -> (h, w, k)>, affine_map<(h, w, n, k) -> (n, k)>, affine_map<(h, w, n, k) -> (h, w, n)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %w : tensor<4x6x8xf32>, tensor<7x8xf32>) outs(%f : tensor<4x6x7xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %p, %o : f32
    linalg.yield %s : f32
  } -> tensor<4x6x7xf32>
  %u = tensor.expand_shape %m [[0, 1], [2], [3]] output_shape [1, 4, 6, 7] : tensor<4x6x7xf32> into tensor<1x4x6x7xf32>
  %pad = tensor.pad %u low[0, 1, 1, 0] high[0, 1, 1, 0] {
  ^bb0(%i: index, %j: index, %k: index, %l: index):
    tensor.yield %zero : f32
  } : tensor<1x4x6x7xf32> to tensor<1x6x8x7xf32>
  return %pad, %m : tensor<1x6x8x7xf32>, tensor<4x6x7xf32>
}

// -----
// In the dims in which the other reader reads it, the middle of the padded tensor is no box.
// CHECK-LABEL: func @keeps_a_pad_where_others_read_in_other_dims
// REMARK: not padded in place: others read it in other dims, in which a part is no box
func.func @keeps_a_pad_where_others_read_in_other_dims(%x: tensor<4x8xf32>, %w: tensor<7x8xf32>) -> (tensor<6x7xf32>, tensor<28xf32>) {
  // CHECK: "flow.dispatch.region"
  // CHECK: tensor.pad
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x7xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<4x7xf32>) -> tensor<4x7xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(h, n, k) -> (h, k)>, affine_map<(h, n, k) -> (n, k)>, affine_map<(h, n, k) -> (h, n)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x, %w : tensor<4x8xf32>, tensor<7x8xf32>) outs(%f : tensor<4x7xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %p, %o : f32
    linalg.yield %s : f32
  } -> tensor<4x7xf32>
  %pad = tensor.pad %m low[1, 0] high[1, 0] {
  ^bb0(%i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<4x7xf32> to tensor<6x7xf32>
  %flat = tensor.collapse_shape %m [[0, 1]] : tensor<4x7xf32> into tensor<28xf32>
  return %pad, %flat : tensor<6x7xf32>, tensor<28xf32>
}

// -----
// CHECK-LABEL: func @a_gather_before_a_normalization_joins_it
func.func @a_gather_before_a_normalization_joins_it(%x: tensor<7x6xf32>) -> tensor<7x6xf32> {
  // CHECK-NOT: tensor.extract
  // CHECK: "flow.dispatch.region"
  // CHECK: tensor.extract
  // CHECK-COUNT-3: linalg.generic
  // CHECK: "flow.return"
  // CHECK-NOT: flow.dispatch.region
  %zero = arith.constant 0.0 : f32
  %c3 = arith.constant 3 : index
  %c7 = arith.constant 7 : index
  %es = tensor.empty() : tensor<7xf32>
  %er = tensor.empty() : tensor<7x6xf32>
  %fill = linalg.fill ins(%zero : f32) outs(%es : tensor<7xf32>) -> tensor<7xf32>
  %t = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} outs(%er : tensor<7x6xf32>) {
  ^bb0(%o: f32):
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %s = arith.addi %i, %c3 : index
    %r = arith.remui %s, %c7 : index
    %v = tensor.extract %x[%r, %j] : tensor<7x6xf32>
    linalg.yield %v : f32
  } -> tensor<7x6xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%t : tensor<7x6xf32>) outs(%fill : tensor<7xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.addf %a, %o : f32
    linalg.yield %v : f32
  } -> tensor<7xf32>
  %squares = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%t, %sum : tensor<7x6xf32>, tensor<7xf32>) outs(%fill : tensor<7xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %d = arith.subf %a, %b : f32
    %q = arith.mulf %d, %d : f32
    %v = arith.addf %q, %o : f32
    linalg.yield %v : f32
  } -> tensor<7xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%t, %squares : tensor<7x6xf32>, tensor<7xf32>) outs(%er : tensor<7x6xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.divf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<7x6xf32>
  return %r : tensor<7x6xf32>
}

// -----
// The indices that a gather reads are renumbered with its loops.
// CHECK-LABEL: func @a_gather_takes_the_order_of_the_reduction
func.func @a_gather_takes_the_order_of_the_reduction(%x: tensor<3x2xf32>) -> tensor<3x2xf32> {
  // CHECK: "flow.dispatch.region"
  // CHECK: linalg.generic
  // CHECK-DAG: %[[ROW:.*]] = linalg.index 1
  // CHECK-DAG: %[[COLUMN:.*]] = linalg.index 0
  // CHECK: %[[BACK:.*]] = arith.subi %{{.*}}, %[[ROW]]
  // CHECK: tensor.extract %arg0[%[[BACK]], %[[COLUMN]]]
  %c2 = arith.constant 2 : index
  %zero = arith.constant 0.0 : f32
  %em = tensor.empty() : tensor<3x2xf32>
  %flipped = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} outs(%em : tensor<3x2xf32>) {
  ^bb0(%o: f32):
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %b = arith.subi %c2, %i : index
    %v = tensor.extract %x[%b, %j] : tensor<3x2xf32>
    linalg.yield %v : f32
  } -> tensor<3x2xf32>
  %er = tensor.empty() : tensor<2xf32>
  %f = linalg.fill ins(%zero : f32) outs(%er : tensor<2xf32>) -> tensor<2xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>], iterator_types = ["reduction", "parallel"]} ins(%flipped : tensor<3x2xf32>) outs(%f : tensor<2xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.addf %a, %o : f32
    linalg.yield %v : f32
  } -> tensor<2xf32>
  %squares = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d1)>], iterator_types = ["reduction", "parallel"]} ins(%flipped, %sum : tensor<3x2xf32>, tensor<2xf32>) outs(%f : tensor<2xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %d = arith.subf %a, %b : f32
    %q = arith.mulf %d, %d : f32
    %v = arith.addf %q, %o : f32
    linalg.yield %v : f32
  } -> tensor<2xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%flipped, %squares : tensor<3x2xf32>, tensor<2xf32>) outs(%em : tensor<3x2xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.divf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<3x2xf32>
  return %r : tensor<3x2xf32>
}

// -----
// Without a reduction all take the order of the first operation; a named one becomes generic.
// CHECK-DAG: #[[CHW:.*]] = affine_map<(d0, d1, d2) -> (d2, d0, d1)>
// CHECK-DAG: #[[HWC:.*]] = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// CHECK-LABEL: func @a_transpose_behind_a_window_takes_its_order
func.func @a_transpose_behind_a_window_takes_its_order(%x: tensor<6x5x4xf32>) -> tensor<4x5x5xf32> {
  // CHECK: "flow.dispatch.region"
  // CHECK: linalg.generic {indexing_maps = [#[[HWC]], #[[HWC]], #[[HWC]]]
  // CHECK: linalg.generic {indexing_maps = [#[[HWC]], #[[CHW]]]
  // CHECK-NOT: linalg.transpose
  %x0 = tensor.extract_slice %x[0, 0, 0] [5, 5, 4] [1, 1, 1] : tensor<6x5x4xf32> to tensor<5x5x4xf32>
  %x1 = tensor.extract_slice %x[1, 0, 0] [5, 5, 4] [1, 1, 1] : tensor<6x5x4xf32> to tensor<5x5x4xf32>
  %e = tensor.empty() : tensor<5x5x4xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(h, w, c) -> (h, w, c)>, affine_map<(h, w, c) -> (h, w, c)>, affine_map<(h, w, c) -> (h, w, c)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x0, %x1 : tensor<5x5x4xf32>, tensor<5x5x4xf32>) outs(%e : tensor<5x5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.maximumf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<5x5x4xf32>
  %t = tensor.empty() : tensor<4x5x5xf32>
  %1 = linalg.transpose ins(%0 : tensor<5x5x4xf32>) outs(%t : tensor<4x5x5xf32>) permutation = [2, 0, 1]
  return %1 : tensor<4x5x5xf32>
}

// -----
// A normalization as ONNX has it: the mean and the root are computed once for each row.
#x = affine_map<(r, c) -> (r, c)>
#row = affine_map<(r, c) -> (r)>
#r = affine_map<(r) -> (r)>
// CHECK-LABEL: func @what_is_computed_once_for_each_row
func.func @what_is_computed_once_for_each_row(%x: tensor<6x8xf32>) -> tensor<6x8xf32> {
  // CHECK: "flow.dispatch.region"
  // CHECK-COUNT-6: linalg.generic
  // CHECK: "flow.return"
  // CHECK-NOT: flow.dispatch.region
  // CHECK: return
  %zero = arith.constant 0.0 : f32
  %part = arith.constant 0.125 : f32
  %re = tensor.empty() : tensor<6xf32>
  %xe = tensor.empty() : tensor<6x8xf32>
  %z = linalg.fill ins(%zero : f32) outs(%re : tensor<6xf32>) -> tensor<6xf32>
  %sum = linalg.generic {indexing_maps = [#x, #row], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<6x8xf32>) outs(%z : tensor<6xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.addf %o, %a : f32
    linalg.yield %s : f32
  } -> tensor<6xf32>
  %mean = linalg.generic {indexing_maps = [#r, #r], iterator_types = ["parallel"]} ins(%sum : tensor<6xf32>) outs(%re : tensor<6xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.mulf %a, %part : f32
    linalg.yield %s : f32
  } -> tensor<6xf32>
  %centred = linalg.generic {indexing_maps = [#x, #row, #x], iterator_types = ["parallel", "parallel"]} ins(%x, %mean : tensor<6x8xf32>, tensor<6xf32>) outs(%xe : tensor<6x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.subf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<6x8xf32>
  %squares = linalg.generic {indexing_maps = [#x, #row], iterator_types = ["parallel", "reduction"]} ins(%centred : tensor<6x8xf32>) outs(%z : tensor<6xf32>) {
  ^bb0(%a: f32, %o: f32):
    %m = arith.mulf %a, %a : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<6xf32>
  %root = linalg.generic {indexing_maps = [#r, #r], iterator_types = ["parallel"]} ins(%squares : tensor<6xf32>) outs(%re : tensor<6xf32>) {
  ^bb0(%a: f32, %o: f32):
    %m = arith.mulf %a, %part : f32
    %s = math.rsqrt %m : f32
    linalg.yield %s : f32
  } -> tensor<6xf32>
  %normal = linalg.generic {indexing_maps = [#x, #row, #x], iterator_types = ["parallel", "parallel"]} ins(%centred, %root : tensor<6x8xf32>, tensor<6xf32>) outs(%xe : tensor<6x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.mulf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<6x8xf32>
  return %normal : tensor<6x8xf32>
}
