// RUN: smartmem-opt --smartmem-form-regions --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-form-regions --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// A function for each cell of DNNFusion's table 3 that two kernels can be in. Reorganize is in
// none: what keeps the row-major order is a reshape, and no kernel. Yellow cells without a
// reduction are left to IREE, which fuses what is in no region.
// CHECK-LABEL: func @one_to_one_then_one_to_one
// CHECK: "flow.dispatch.region"
// CHECK: math.tanh
// CHECK: math.tanh
// CHECK: "flow.return"
// REMARK: linalg.generic applied: a one-to-one operator needs no other access than its partner's
#id = affine_map<(i, j) -> (i, j)>
#transposed = affine_map<(i, j) -> (j, i)>
#column = affine_map<(i, j) -> (j)>
func.func @one_to_one_then_one_to_one(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %zero = arith.constant 0.0 : f32
  %pe = tensor.empty() : tensor<8x8xf32>
  %p = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<8x8xf32>) outs(%pe : tensor<8x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.tanh %a : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  %re = tensor.empty() : tensor<8x8xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<8x8xf32>) outs(%re : tensor<8x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.tanh %a : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}

// -----
// CHECK-LABEL: func @one_to_one_then_one_to_many
// CHECK: "flow.dispatch.region"
// CHECK: math.tanh
// CHECK: arith.mulf
// CHECK: "flow.return"
// REMARK: linalg.generic applied: a one-to-one operator needs no other access than its partner's
#id = affine_map<(i, j) -> (i, j)>
#transposed = affine_map<(i, j) -> (j, i)>
#column = affine_map<(i, j) -> (j)>
func.func @one_to_one_then_one_to_many(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %zero = arith.constant 0.0 : f32
  %pe = tensor.empty() : tensor<8x8xf32>
  %p = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<8x8xf32>) outs(%pe : tensor<8x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.tanh %a : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  %re = tensor.empty() : tensor<8x8xf32>
  %r = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %b : tensor<8x8xf32>, tensor<8xf32>) outs(%re : tensor<8x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %v = arith.mulf %a, %c : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}

// -----
// CHECK-LABEL: func @one_to_one_then_many_to_many
// CHECK: math.tanh
// CHECK: "flow.dispatch.region"
// CHECK: linalg.matmul
// CHECK: "flow.return"
// REMARK: linalg.matmul kept: a reduction loads its operands as vectors: it reads stored ones
#id = affine_map<(i, j) -> (i, j)>
#transposed = affine_map<(i, j) -> (j, i)>
#column = affine_map<(i, j) -> (j)>
func.func @one_to_one_then_many_to_many(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %zero = arith.constant 0.0 : f32
  %pe = tensor.empty() : tensor<8x8xf32>
  %p = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<8x8xf32>) outs(%pe : tensor<8x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.tanh %a : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  %re = tensor.empty() : tensor<8x8xf32>
  %rf = linalg.fill ins(%zero : f32) outs(%re : tensor<8x8xf32>) -> tensor<8x8xf32>
  %r = linalg.matmul ins(%p, %w : tensor<8x8xf32>, tensor<8x8xf32>) outs(%rf : tensor<8x8xf32>) -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}

// -----
// CHECK-LABEL: func @one_to_one_then_shuffle
// CHECK: "flow.dispatch.region"
// CHECK: math.tanh
// CHECK: math.exp
// CHECK: "flow.return"
// REMARK: linalg.generic applied: a one-to-one operator needs no other access than its partner's
#id = affine_map<(i, j) -> (i, j)>
#transposed = affine_map<(i, j) -> (j, i)>
#column = affine_map<(i, j) -> (j)>
func.func @one_to_one_then_shuffle(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %zero = arith.constant 0.0 : f32
  %pe = tensor.empty() : tensor<8x8xf32>
  %p = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<8x8xf32>) outs(%pe : tensor<8x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.tanh %a : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  %re = tensor.empty() : tensor<8x8xf32>
  %r = linalg.generic {indexing_maps = [#transposed, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<8x8xf32>) outs(%re : tensor<8x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.exp %a : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}

// -----
// CHECK-LABEL: func @one_to_many_then_one_to_one
// CHECK: "flow.dispatch.region"
// CHECK: arith.mulf
// CHECK: math.tanh
// CHECK: "flow.return"
// REMARK: linalg.generic applied: a one-to-one operator needs no other access than its partner's
#id = affine_map<(i, j) -> (i, j)>
#transposed = affine_map<(i, j) -> (j, i)>
#column = affine_map<(i, j) -> (j)>
func.func @one_to_many_then_one_to_one(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %zero = arith.constant 0.0 : f32
  %pe = tensor.empty() : tensor<8x8xf32>
  %p = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %b : tensor<8x8xf32>, tensor<8xf32>) outs(%pe : tensor<8x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %v = arith.mulf %a, %c : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  %re = tensor.empty() : tensor<8x8xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<8x8xf32>) outs(%re : tensor<8x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.tanh %a : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}

// -----
// CHECK-LABEL: func @one_to_many_then_one_to_many
// CHECK-NOT: flow.dispatch.region
// CHECK: arith.mulf
// CHECK: arith.mulf
#id = affine_map<(i, j) -> (i, j)>
#transposed = affine_map<(i, j) -> (j, i)>
#column = affine_map<(i, j) -> (j)>
func.func @one_to_many_then_one_to_many(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %zero = arith.constant 0.0 : f32
  %pe = tensor.empty() : tensor<8x8xf32>
  %p = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %b : tensor<8x8xf32>, tensor<8xf32>) outs(%pe : tensor<8x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %v = arith.mulf %a, %c : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  %re = tensor.empty() : tensor<8x8xf32>
  %r = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %b : tensor<8x8xf32>, tensor<8xf32>) outs(%re : tensor<8x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %v = arith.mulf %a, %c : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}

// -----
// CHECK-LABEL: func @one_to_many_then_many_to_many
// CHECK: arith.mulf
// CHECK: "flow.dispatch.region"
// CHECK: linalg.matmul
// CHECK: "flow.return"
// REMARK: linalg.matmul kept: each element would be computed for every element that needs it
#id = affine_map<(i, j) -> (i, j)>
#transposed = affine_map<(i, j) -> (j, i)>
#column = affine_map<(i, j) -> (j)>
func.func @one_to_many_then_many_to_many(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %zero = arith.constant 0.0 : f32
  %pe = tensor.empty() : tensor<8x8xf32>
  %p = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %b : tensor<8x8xf32>, tensor<8xf32>) outs(%pe : tensor<8x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %v = arith.mulf %a, %c : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  %re = tensor.empty() : tensor<8x8xf32>
  %rf = linalg.fill ins(%zero : f32) outs(%re : tensor<8x8xf32>) -> tensor<8x8xf32>
  %r = linalg.matmul ins(%p, %w : tensor<8x8xf32>, tensor<8x8xf32>) outs(%rf : tensor<8x8xf32>) -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}

// -----
// CHECK-LABEL: func @one_to_many_then_shuffle
// CHECK-NOT: flow.dispatch.region
// CHECK: arith.mulf
// CHECK: math.exp
#id = affine_map<(i, j) -> (i, j)>
#transposed = affine_map<(i, j) -> (j, i)>
#column = affine_map<(i, j) -> (j)>
func.func @one_to_many_then_shuffle(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %zero = arith.constant 0.0 : f32
  %pe = tensor.empty() : tensor<8x8xf32>
  %p = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%x, %b : tensor<8x8xf32>, tensor<8xf32>) outs(%pe : tensor<8x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %v = arith.mulf %a, %c : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  %re = tensor.empty() : tensor<8x8xf32>
  %r = linalg.generic {indexing_maps = [#transposed, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<8x8xf32>) outs(%re : tensor<8x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.exp %a : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}

// -----
// CHECK-LABEL: func @many_to_many_then_one_to_one
// CHECK: "flow.dispatch.region"
// CHECK: linalg.matmul
// CHECK: math.tanh
// CHECK: "flow.return"
// REMARK: linalg.generic applied: a one-to-one operator needs no other access than its partner's
#id = affine_map<(i, j) -> (i, j)>
#transposed = affine_map<(i, j) -> (j, i)>
#column = affine_map<(i, j) -> (j)>
func.func @many_to_many_then_one_to_one(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %zero = arith.constant 0.0 : f32
  %pe = tensor.empty() : tensor<8x8xf32>
  %pf = linalg.fill ins(%zero : f32) outs(%pe : tensor<8x8xf32>) -> tensor<8x8xf32>
  %p = linalg.matmul ins(%x, %w : tensor<8x8xf32>, tensor<8x8xf32>) outs(%pf : tensor<8x8xf32>) -> tensor<8x8xf32>
  %re = tensor.empty() : tensor<8x8xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<8x8xf32>) outs(%re : tensor<8x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.tanh %a : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}

// -----
// CHECK-LABEL: func @many_to_many_then_one_to_many
// CHECK: "flow.dispatch.region"
// CHECK: linalg.matmul
// CHECK: arith.mulf
// CHECK: "flow.return"
// REMARK: linalg.generic applied: the repeated elements may be cheaper to read than to make again
#id = affine_map<(i, j) -> (i, j)>
#transposed = affine_map<(i, j) -> (j, i)>
#column = affine_map<(i, j) -> (j)>
func.func @many_to_many_then_one_to_many(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %zero = arith.constant 0.0 : f32
  %pe = tensor.empty() : tensor<8x8xf32>
  %pf = linalg.fill ins(%zero : f32) outs(%pe : tensor<8x8xf32>) -> tensor<8x8xf32>
  %p = linalg.matmul ins(%x, %w : tensor<8x8xf32>, tensor<8x8xf32>) outs(%pf : tensor<8x8xf32>) -> tensor<8x8xf32>
  %re = tensor.empty() : tensor<8x8xf32>
  %r = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %b : tensor<8x8xf32>, tensor<8xf32>) outs(%re : tensor<8x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %v = arith.mulf %a, %c : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}

// -----
// CHECK-LABEL: func @many_to_many_then_many_to_many
// CHECK: "flow.dispatch.region"
// CHECK: linalg.matmul
// CHECK: "flow.return"
// CHECK: "flow.dispatch.region"
// CHECK: linalg.matmul
// CHECK: "flow.return"
// REMARK: linalg.matmul kept: two reductions want their own loops, tiles and registers
#id = affine_map<(i, j) -> (i, j)>
#transposed = affine_map<(i, j) -> (j, i)>
#column = affine_map<(i, j) -> (j)>
func.func @many_to_many_then_many_to_many(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %zero = arith.constant 0.0 : f32
  %pe = tensor.empty() : tensor<8x8xf32>
  %pf = linalg.fill ins(%zero : f32) outs(%pe : tensor<8x8xf32>) -> tensor<8x8xf32>
  %p = linalg.matmul ins(%x, %w : tensor<8x8xf32>, tensor<8x8xf32>) outs(%pf : tensor<8x8xf32>) -> tensor<8x8xf32>
  %re = tensor.empty() : tensor<8x8xf32>
  %rf = linalg.fill ins(%zero : f32) outs(%re : tensor<8x8xf32>) -> tensor<8x8xf32>
  %r = linalg.matmul ins(%p, %w : tensor<8x8xf32>, tensor<8x8xf32>) outs(%rf : tensor<8x8xf32>) -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}

// -----
// CHECK-LABEL: func @many_to_many_then_shuffle
// CHECK: "flow.dispatch.region"
// CHECK: linalg.matmul
// CHECK: "flow.return"
// CHECK: math.exp
#id = affine_map<(i, j) -> (i, j)>
#transposed = affine_map<(i, j) -> (j, i)>
#column = affine_map<(i, j) -> (j)>
func.func @many_to_many_then_shuffle(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %zero = arith.constant 0.0 : f32
  %pe = tensor.empty() : tensor<8x8xf32>
  %pf = linalg.fill ins(%zero : f32) outs(%pe : tensor<8x8xf32>) -> tensor<8x8xf32>
  %p = linalg.matmul ins(%x, %w : tensor<8x8xf32>, tensor<8x8xf32>) outs(%pf : tensor<8x8xf32>) -> tensor<8x8xf32>
  %re = tensor.empty() : tensor<8x8xf32>
  %r = linalg.generic {indexing_maps = [#transposed, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<8x8xf32>) outs(%re : tensor<8x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.exp %a : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}

// -----
// CHECK-LABEL: func @shuffle_then_one_to_one
// CHECK: "flow.dispatch.region"
// CHECK: math.exp
// CHECK: math.tanh
// CHECK: "flow.return"
// REMARK: linalg.generic applied: a one-to-one operator needs no other access than its partner's
#id = affine_map<(i, j) -> (i, j)>
#transposed = affine_map<(i, j) -> (j, i)>
#column = affine_map<(i, j) -> (j)>
func.func @shuffle_then_one_to_one(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %zero = arith.constant 0.0 : f32
  %pe = tensor.empty() : tensor<8x8xf32>
  %p = linalg.generic {indexing_maps = [#transposed, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<8x8xf32>) outs(%pe : tensor<8x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.exp %a : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  %re = tensor.empty() : tensor<8x8xf32>
  %r = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<8x8xf32>) outs(%re : tensor<8x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.tanh %a : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}

// -----
// CHECK-LABEL: func @shuffle_then_one_to_many
// CHECK-NOT: flow.dispatch.region
// CHECK: math.exp
// CHECK: arith.mulf
#id = affine_map<(i, j) -> (i, j)>
#transposed = affine_map<(i, j) -> (j, i)>
#column = affine_map<(i, j) -> (j)>
func.func @shuffle_then_one_to_many(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %zero = arith.constant 0.0 : f32
  %pe = tensor.empty() : tensor<8x8xf32>
  %p = linalg.generic {indexing_maps = [#transposed, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<8x8xf32>) outs(%pe : tensor<8x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.exp %a : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  %re = tensor.empty() : tensor<8x8xf32>
  %r = linalg.generic {indexing_maps = [#id, #column, #id], iterator_types = ["parallel", "parallel"]} ins(%p, %b : tensor<8x8xf32>, tensor<8xf32>) outs(%re : tensor<8x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %v = arith.mulf %a, %c : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}

// -----
// CHECK-LABEL: func @shuffle_then_many_to_many
// CHECK: math.exp
// CHECK: "flow.dispatch.region"
// CHECK: linalg.matmul
// CHECK: "flow.return"
// REMARK: linalg.matmul kept: a reduction loads its operands as vectors: it reads stored ones
#id = affine_map<(i, j) -> (i, j)>
#transposed = affine_map<(i, j) -> (j, i)>
#column = affine_map<(i, j) -> (j)>
func.func @shuffle_then_many_to_many(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %zero = arith.constant 0.0 : f32
  %pe = tensor.empty() : tensor<8x8xf32>
  %p = linalg.generic {indexing_maps = [#transposed, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<8x8xf32>) outs(%pe : tensor<8x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.exp %a : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  %re = tensor.empty() : tensor<8x8xf32>
  %rf = linalg.fill ins(%zero : f32) outs(%re : tensor<8x8xf32>) -> tensor<8x8xf32>
  %r = linalg.matmul ins(%p, %w : tensor<8x8xf32>, tensor<8x8xf32>) outs(%rf : tensor<8x8xf32>) -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}

// -----
// CHECK-LABEL: func @shuffle_then_shuffle
// CHECK-NOT: flow.dispatch.region
// CHECK: math.exp
// CHECK: math.exp
#id = affine_map<(i, j) -> (i, j)>
#transposed = affine_map<(i, j) -> (j, i)>
#column = affine_map<(i, j) -> (j)>
func.func @shuffle_then_shuffle(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %zero = arith.constant 0.0 : f32
  %pe = tensor.empty() : tensor<8x8xf32>
  %p = linalg.generic {indexing_maps = [#transposed, #id], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<8x8xf32>) outs(%pe : tensor<8x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.exp %a : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  %re = tensor.empty() : tensor<8x8xf32>
  %r = linalg.generic {indexing_maps = [#transposed, #id], iterator_types = ["parallel", "parallel"]} ins(%p : tensor<8x8xf32>) outs(%re : tensor<8x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.exp %a : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}
