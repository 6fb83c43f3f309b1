// RUN: smartmem-opt --smartmem-tuning=%S/Inputs/fusions.json --smartmem-form-regions --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-tuning=%S/Inputs/fusions.json --smartmem-form-regions --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// The plan follows what was measured of yellow pairs. By rule a contraction and the scale by a
// row behind it are one kernel, and a transposing operation before a contraction is apart.

// CHECK-LABEL: func @two_kernels_were_faster
// CHECK: "flow.dispatch.region"
// CHECK: linalg.matmul
// CHECK: "flow.return"
// CHECK: arith.mulf
// REMARK: linalg.generic kept: 1.50 of the time of two kernels (measured here)
func.func @two_kernels_were_faster(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>, %b: tensor<8xf32>) -> tensor<8x8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<8x8xf32>) -> tensor<8x8xf32>
  %p = linalg.matmul ins(%x, %w : tensor<8x8xf32>, tensor<8x8xf32>) outs(%f : tensor<8x8xf32>) -> tensor<8x8xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%p, %b : tensor<8x8xf32>, tensor<8xf32>) outs(%e : tensor<8x8xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %v = arith.mulf %a, %c : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}

// -----
// CHECK-LABEL: func @one_kernel_was_faster
// CHECK: "flow.dispatch.region"
// CHECK: math.exp
// CHECK: linalg.matmul
// CHECK: "flow.return"
// REMARK: linalg.matmul applied: 0.50 of the time of two kernels (measured here)
func.func @one_kernel_was_faster(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x8xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<8x8xf32>) outs(%e : tensor<8x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.exp %a : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<8x8xf32>) -> tensor<8x8xf32>
  %r = linalg.matmul ins(%p, %w : tensor<8x8xf32>, tensor<8x8xf32>) outs(%f : tensor<8x8xf32>) -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}

// -----
// CHECK-LABEL: func @takes_the_nearest_of_the_same_class
// CHECK: "flow.dispatch.region"
// CHECK: linalg.matmul
// CHECK: "flow.return"
// CHECK: arith.mulf
// REMARK: linalg.generic kept: 1.50 of the time of two kernels for other extents (measured here)
func.func @takes_the_nearest_of_the_same_class(%x: tensor<9x9xf32>, %w: tensor<9x9xf32>, %b: tensor<9xf32>) -> tensor<9x9xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<9x9xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<9x9xf32>) -> tensor<9x9xf32>
  %p = linalg.matmul ins(%x, %w : tensor<9x9xf32>, tensor<9x9xf32>) outs(%f : tensor<9x9xf32>) -> tensor<9x9xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%p, %b : tensor<9x9xf32>, tensor<9xf32>) outs(%e : tensor<9x9xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %v = arith.mulf %a, %c : f32
    linalg.yield %v : f32
  } -> tensor<9x9xf32>
  return %r : tensor<9x9xf32>
}

// -----
// CHECK-LABEL: func @the_nearest_fuses_nothing_against_the_rule
// CHECK: math.exp
// CHECK: "flow.dispatch.region"
// CHECK: linalg.matmul
// CHECK: "flow.return"
// REMARK: linalg.matmul kept: a reduction loads its operands as vectors: it reads stored ones (by rule)
func.func @the_nearest_fuses_nothing_against_the_rule(%x: tensor<9x9xf32>, %w: tensor<9x9xf32>) -> tensor<9x9xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<9x9xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<9x9xf32>) outs(%e : tensor<9x9xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.exp %a : f32
    linalg.yield %v : f32
  } -> tensor<9x9xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<9x9xf32>) -> tensor<9x9xf32>
  %r = linalg.matmul ins(%p, %w : tensor<9x9xf32>, tensor<9x9xf32>) outs(%f : tensor<9x9xf32>) -> tensor<9x9xf32>
  return %r : tensor<9x9xf32>
}

// -----
// CHECK-LABEL: func @nothing_near_is_known
// CHECK: "flow.dispatch.region"
// CHECK: linalg.matmul
// CHECK: arith.mulf
// CHECK: "flow.return"
// REMARK: linalg.generic applied: the repeated elements may be cheaper to read than to make again (by rule)
func.func @nothing_near_is_known(%x: tensor<32x32xf32>, %w: tensor<32x32xf32>, %b: tensor<32xf32>) -> tensor<32x32xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<32x32xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<32x32xf32>) -> tensor<32x32xf32>
  %p = linalg.matmul ins(%x, %w : tensor<32x32xf32>, tensor<32x32xf32>) outs(%f : tensor<32x32xf32>) -> tensor<32x32xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%p, %b : tensor<32x32xf32>, tensor<32xf32>) outs(%e : tensor<32x32xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %v = arith.mulf %a, %c : f32
    linalg.yield %v : f32
  } -> tensor<32x32xf32>
  return %r : tensor<32x32xf32>
}

// -----
// CHECK-LABEL: func @no_clear_difference_was_measured
// CHECK: "flow.dispatch.region"
// CHECK: linalg.matmul
// CHECK: arith.mulf
// CHECK: "flow.return"
// REMARK: linalg.generic applied: the repeated elements may be cheaper to read than to make again (by rule)
func.func @no_clear_difference_was_measured(%x: tensor<12x12xf32>, %w: tensor<12x12xf32>, %b: tensor<12xf32>) -> tensor<12x12xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<12x12xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<12x12xf32>) -> tensor<12x12xf32>
  %p = linalg.matmul ins(%x, %w : tensor<12x12xf32>, tensor<12x12xf32>) outs(%f : tensor<12x12xf32>) -> tensor<12x12xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%p, %b : tensor<12x12xf32>, tensor<12xf32>) outs(%e : tensor<12x12xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %v = arith.mulf %a, %c : f32
    linalg.yield %v : f32
  } -> tensor<12x12xf32>
  return %r : tensor<12x12xf32>
}

// -----
// CHECK-LABEL: func @one_kernel_did_not_compile
// CHECK: math.exp
// CHECK: "flow.dispatch.region"
// CHECK: linalg.matmul
// CHECK: "flow.return"
// REMARK: linalg.matmul kept: no right kernel of both in time (measured here)
func.func @one_kernel_did_not_compile(%x: tensor<12x12xf32>, %w: tensor<12x12xf32>) -> tensor<12x12xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<12x12xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<12x12xf32>) outs(%e : tensor<12x12xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.exp %a : f32
    linalg.yield %v : f32
  } -> tensor<12x12xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<12x12xf32>) -> tensor<12x12xf32>
  %r = linalg.matmul ins(%p, %w : tensor<12x12xf32>, tensor<12x12xf32>) outs(%f : tensor<12x12xf32>) -> tensor<12x12xf32>
  return %r : tensor<12x12xf32>
}

// -----
// What a contraction reads behind it may yet be taken into that one's kernel: apart, it would be
// no kernel, so that the time of two says nothing.
// CHECK-LABEL: func @does_not_ask_for_what_a_contraction_reads
// CHECK: math.exp
// CHECK: "flow.dispatch.region"
// CHECK: linalg.matmul
// CHECK: "flow.return"
// CHECK: "flow.dispatch.region"
// REMARK: linalg.matmul kept: a reduction loads its operands as vectors: it reads stored ones (by rule)
func.func @does_not_ask_for_what_a_contraction_reads(%x: tensor<8x8xf32>, %w: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x8xf32>
  %p = linalg.generic {indexing_maps = [affine_map<(i, j) -> (j, i)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<8x8xf32>) outs(%e : tensor<8x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.exp %a : f32
    linalg.yield %v : f32
  } -> tensor<8x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<8x8xf32>) -> tensor<8x8xf32>
  %m = linalg.matmul ins(%p, %w : tensor<8x8xf32>, tensor<8x8xf32>) outs(%f : tensor<8x8xf32>) -> tensor<8x8xf32>
  %r = linalg.matmul ins(%m, %w : tensor<8x8xf32>, tensor<8x8xf32>) outs(%f : tensor<8x8xf32>) -> tensor<8x8xf32>
  return %r : tensor<8x8xf32>
}
