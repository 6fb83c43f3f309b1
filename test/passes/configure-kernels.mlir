// RUN: smartmem-opt --smartmem-form-regions --smartmem-configure-kernels --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-form-regions --smartmem-configure-kernels --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// 14 rows and two vectors of results in registers; the few weights of all columns stay cached.
// CHECK-LABEL: func @packed_contraction
// CHECK: compilation_info = #iree_codegen.compilation_info<lowering_config = #iree_cpu.lowering_config<distribution = [14, 4, 32, 0], vector_common_parallel = [14, 1, 32, 0], vector_reduction = [0, 0, 0, 1]>, translation_info = <pipeline = #iree_cpu.pipeline<DoubleTilingExpert>>>
func.func @packed_contraction(%x: tensor<56x7xf32>, %w: tensor<4x7x32xf32>) -> tensor<56x4x32xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<56x4x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<56x4x32xf32>) -> tensor<56x4x32xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(m, b, l, k) -> (m, k)>, affine_map<(m, b, l, k) -> (b, k, l)>, affine_map<(m, b, l, k) -> (m, b, l)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %w : tensor<56x7xf32>, tensor<4x7x32xf32>) outs(%z : tensor<56x4x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<56x4x32xf32>
  return %0 : tensor<56x4x32xf32>
}

// -----
// Large weights are read once, for all rows. Two workers take eight of 24 blocks at once, so
// that one of them computes 16: of twelve pairs each gets six.
// CHECK-LABEL: func @weights_that_stream
// CHECK: lowering_config<distribution = [77, 2, 32, 0], vector_common_parallel = [11, 1, 32, 0], vector_reduction = [0, 0, 0, 1]>
func.func @weights_that_stream(%x: tensor<77x3072xf32>, %w: tensor<24x3072x32xf32>) -> tensor<77x24x32xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<77x24x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<77x24x32xf32>) -> tensor<77x24x32xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(m, b, l, k) -> (m, k)>, affine_map<(m, b, l, k) -> (b, k, l)>, affine_map<(m, b, l, k) -> (m, b, l)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %w : tensor<77x3072xf32>, tensor<24x3072x32xf32>) outs(%z : tensor<77x24x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<77x24x32xf32>
  return %0 : tensor<77x24x32xf32>
}

// -----
// Weights that no cache holds: some blocks of them for all rows.
// CHECK-LABEL: func @weights_that_many_rows_use
// CHECK: lowering_config<distribution = [196, 4, 32, 0], vector_common_parallel = [14, 1, 32, 0], vector_reduction = [0, 0, 0, 1]>
func.func @weights_that_many_rows_use(%x: tensor<196x384xf32>, %w: tensor<48x384x32xf32>) -> tensor<196x48x32xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<196x48x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<196x48x32xf32>) -> tensor<196x48x32xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(m, b, l, k) -> (m, k)>, affine_map<(m, b, l, k) -> (b, k, l)>, affine_map<(m, b, l, k) -> (m, b, l)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %w : tensor<196x384xf32>, tensor<48x384x32xf32>) outs(%z : tensor<196x48x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<196x48x32xf32>
  return %0 : tensor<196x48x32xf32>
}

// -----
// Scores: both operands lie along the sum, of which a square is transposed in registers.
// CHECK-LABEL: func @scores
// CHECK: lowering_config<distribution = [2, 77, 77, 0], vector_common_parallel = [1, 11, 16, 0], vector_reduction = [0, 0, 0, 16]>
func.func @scores(%x: tensor<77x8x64xf32>, %w: tensor<77x8x64xf32>) -> tensor<8x77x77xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x77x77xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x77x77xf32>) -> tensor<8x77x77xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(h, m, n, k) -> (m, h, k)>, affine_map<(h, m, n, k) -> (n, h, k)>, affine_map<(h, m, n, k) -> (h, m, n)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %w : tensor<77x8x64xf32>, tensor<77x8x64xf32>) outs(%z : tensor<8x77x77xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<8x77x77xf32>
  return %0 : tensor<8x77x77xf32>
}

// -----
// A depthwise convolution: one vector of channels, rows along the width.
// CHECK-LABEL: func @window_of_a_depthwise_convolution
// CHECK: lowering_config<distribution = [2, 28, 32], vector_common_parallel = [1, 14, 16], vector_reduction = [0, 0, 0]>
func.func @window_of_a_depthwise_convolution(%x: tensor<8x29x32xf32>, %w: tensor<2x32xf32>) -> tensor<8x28x32xf32> {
  %x0 = tensor.extract_slice %x[0, 0, 0] [8, 28, 32] [1, 1, 1] : tensor<8x29x32xf32> to tensor<8x28x32xf32>
  %x1 = tensor.extract_slice %x[0, 1, 0] [8, 28, 32] [1, 1, 1] : tensor<8x29x32xf32> to tensor<8x28x32xf32>
  %w0 = tensor.extract_slice %w[0, 0] [1, 32] [1, 1] : tensor<2x32xf32> to tensor<32xf32>
  %w1 = tensor.extract_slice %w[1, 0] [1, 32] [1, 1] : tensor<2x32xf32> to tensor<32xf32>
  %e = tensor.empty() : tensor<8x28x32xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(h, w, c) -> (h, w, c)>, affine_map<(h, w, c) -> (c)>, affine_map<(h, w, c) -> (h, w, c)>, affine_map<(h, w, c) -> (c)>, affine_map<(h, w, c) -> (h, w, c)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x0, %w0, %x1, %w1 : tensor<8x28x32xf32>, tensor<32xf32>, tensor<8x28x32xf32>, tensor<32xf32>) outs(%e : tensor<8x28x32xf32>) {
  ^bb0(%a: f32, %b: f32, %a1: f32, %b1: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %m1 = arith.mulf %a1, %b1 : f32
    %s = arith.addf %m, %m1 : f32
    linalg.yield %s : f32
  } -> tensor<8x28x32xf32>
  return %0 : tensor<8x28x32xf32>
}

// -----
// A picture of three channels, channels first: of a block of rows a vector would be loaded, and
// taken apart. One column of two rows of it, two vectors wide.
// CHECK-LABEL: func @window_of_a_picture
// CHECK: vector_common_parallel = [2, 1, 32, 0], vector_reduction = [0, 0, 0, 1]
func.func @window_of_a_picture(%x: tensor<3x28x29xf32>, %w: tensor<2x3x32xf32>) -> tensor<28x28x32xf32> {
  %x0 = tensor.extract_slice %x[0, 0, 0] [3, 28, 28] [1, 1, 1] : tensor<3x28x29xf32> to tensor<3x28x28xf32>
  %x1 = tensor.extract_slice %x[0, 0, 1] [3, 28, 28] [1, 1, 1] : tensor<3x28x29xf32> to tensor<3x28x28xf32>
  %w0 = tensor.extract_slice %w[0, 0, 0] [1, 3, 32] [1, 1, 1] : tensor<2x3x32xf32> to tensor<3x32xf32>
  %w1 = tensor.extract_slice %w[1, 0, 0] [1, 3, 32] [1, 1, 1] : tensor<2x3x32xf32> to tensor<3x32xf32>
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<28x28x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<28x28x32xf32>) -> tensor<28x28x32xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(h, w, c, k) -> (k, h, w)>, affine_map<(h, w, c, k) -> (k, c)>, affine_map<(h, w, c, k) -> (k, h, w)>, affine_map<(h, w, c, k) -> (k, c)>, affine_map<(h, w, c, k) -> (h, w, c)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x0, %w0, %x1, %w1 : tensor<3x28x28xf32>, tensor<3x32xf32>, tensor<3x28x28xf32>, tensor<3x32xf32>) outs(%z : tensor<28x28x32xf32>) {
  ^bb0(%a: f32, %b: f32, %a1: f32, %b1: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %m1 = arith.mulf %a1, %b1 : f32
    %s = arith.addf %m, %m1 : f32
    %t = arith.addf %o, %s : f32
    linalg.yield %t : f32
  } -> tensor<28x28x32xf32>
  return %0 : tensor<28x28x32xf32>
}

// -----
// Both operands give vectors along the columns: a square of 4 by 4 uses each four times.
// CHECK-LABEL: func @both_operands_have_the_columns
// CHECK: vector_common_parallel = [4, 4, 16, 0]
func.func @both_operands_have_the_columns(%x: tensor<8x6x16xf32>, %w: tensor<6x8x16xf32>) -> tensor<8x8x16xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8x8x16xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<8x8x16xf32>) -> tensor<8x8x16xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(w, f, g, c) -> (w, c, g)>, affine_map<(w, f, g, c) -> (c, f, g)>, affine_map<(w, f, g, c) -> (w, f, g)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %w : tensor<8x6x16xf32>, tensor<6x8x16xf32>) outs(%z : tensor<8x8x16xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<8x8x16xf32>
  return %0 : tensor<8x8x16xf32>
}

// -----
// CHECK-LABEL: func @keeps_columns_that_lie_apart
// CHECK-NOT: compilation_info
// REMARK: linalg.matmul kept: its innermost loop is not innermost in what it reads
func.func @keeps_columns_that_lie_apart(%x: tensor<56x7xf32>, %w: tensor<32x7xf32>) -> tensor<56x32xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<56x32xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<56x32xf32>) -> tensor<56x32xf32>
  %0 = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (n, k)>, affine_map<(m, n, k) -> (m, n)>] ins(%x, %w : tensor<56x7xf32>, tensor<32x7xf32>) outs(%z : tensor<56x32xf32>) -> tensor<56x32xf32>
  return %0 : tensor<56x32xf32>
}

// -----
// CHECK-LABEL: func @keeps_narrow_results
// CHECK-NOT: compilation_info
// REMARK: linalg.matmul kept: its result is narrower than a vector
func.func @keeps_narrow_results(%x: tensor<56x7xf32>, %w: tensor<7x10xf32>) -> tensor<56x10xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<56x10xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<56x10xf32>) -> tensor<56x10xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<56x7xf32>, tensor<7x10xf32>) outs(%z : tensor<56x10xf32>) -> tensor<56x10xf32>
  return %0 : tensor<56x10xf32>
}

// -----
// Rows of a softmax: vectors along them, some rows in a workgroup.
// CHECK-LABEL: func @rows
// CHECK: compilation_info = {{.*}}distribution = [1, 52, 0], vector_common_parallel = [1, 1, 16], vector_reduction = [0, 0, 0]
func.func @rows(%x: tensor<3x208x197xf32>) -> tensor<3x208x197xf32> {
  %zero = arith.constant 0.0 : f32
  %er = tensor.empty() : tensor<3x208xf32>
  %em = tensor.empty() : tensor<3x208x197xf32>
  %fs = linalg.fill ins(%zero : f32) outs(%er : tensor<3x208xf32>) -> tensor<3x208xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%x : tensor<3x208x197xf32>) outs(%fs : tensor<3x208xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.addf %a, %o : f32
    linalg.yield %v : f32
  } -> tensor<3x208xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x, %sum : tensor<3x208x197xf32>, tensor<3x208xf32>) outs(%em : tensor<3x208x197xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.divf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<3x208x197xf32>
  return %r : tensor<3x208x197xf32>
}

// -----
// A row that is looked up is one vector: of a part of it each operation would look it up.
// CHECK-LABEL: func @rows_that_are_looked_up
// CHECK: compilation_info = {{.*}}distribution = [1, 0], vector_common_parallel = [1, 0], vector_reduction = [0, 0]
func.func @rows_that_are_looked_up(%ids: tensor<5xi64>, %table: tensor<9x64xf32>) -> tensor<5x64xf32> {
  %zero = arith.constant 0.0 : f32
  %em = tensor.empty() : tensor<5x64xf32>
  %er = tensor.empty() : tensor<5xf32>
  %embedded = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%ids : tensor<5xi64>) outs(%em : tensor<5x64xf32>) {
  ^bb0(%id: i64, %o: f32):
    %i = arith.index_cast %id : i64 to index
    %j = linalg.index 1 : index
    %v = tensor.extract %table[%i, %j] : tensor<9x64xf32>
    linalg.yield %v : f32
  } -> tensor<5x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%er : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%embedded : tensor<5x64xf32>) outs(%f : tensor<5xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.addf %a, %o : f32
    linalg.yield %v : f32
  } -> tensor<5xf32>
  %normal = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%embedded, %sum : tensor<5x64xf32>, tensor<5xf32>) outs(%em : tensor<5x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.divf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<5x64xf32>
  return %normal : tensor<5x64xf32>
}

// -----
// CHECK-LABEL: func @keeps_a_window_that_is_written_across
// CHECK-NOT: compilation_info
// REMARK: linalg.generic kept: what is behind it writes in another order
func.func @keeps_a_window_that_is_written_across(%x: tensor<6x5x16xf32>) -> tensor<16x5x5xf32> {
  %x0 = tensor.extract_slice %x[0, 0, 0] [5, 5, 16] [1, 1, 1] : tensor<6x5x16xf32> to tensor<5x5x16xf32>
  %x1 = tensor.extract_slice %x[1, 0, 0] [5, 5, 16] [1, 1, 1] : tensor<6x5x16xf32> to tensor<5x5x16xf32>
  %e = tensor.empty() : tensor<5x5x16xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(h, w, c) -> (h, w, c)>, affine_map<(h, w, c) -> (h, w, c)>, affine_map<(h, w, c) -> (h, w, c)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%x0, %x1 : tensor<5x5x16xf32>, tensor<5x5x16xf32>) outs(%e : tensor<5x5x16xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %s = arith.maximumf %a, %b : f32
    linalg.yield %s : f32
  } -> tensor<5x5x16xf32>
  %t = tensor.empty() : tensor<16x5x5xf32>
  %1 = linalg.transpose ins(%0 : tensor<5x5x16xf32>) outs(%t : tensor<16x5x5xf32>) permutation = [2, 0, 1]
  return %1 : tensor<16x5x5xf32>
}

// -----
// Rows that the picture lacks are no packed blocks: a last block of them may be cut off.
// CHECK-LABEL: func @dots_with_a_picture
// CHECK: lowering_config<distribution = [4, 17, 16, 0], vector_common_parallel = [1, 9, 16, 0], vector_reduction = [0, 0, 0, 16]>
func.func @dots_with_a_picture(%x: tensor<17x16x16xf32>, %w: tensor<16x16xf32>) -> tensor<16x17x16xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<16x17x16xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<16x17x16xf32>) -> tensor<16x17x16xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(n, h, w, k) -> (h, w, k)>, affine_map<(n, h, w, k) -> (n, k)>, affine_map<(n, h, w, k) -> (n, h, w)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %w : tensor<17x16x16xf32>, tensor<16x16xf32>) outs(%z : tensor<16x17x16xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<16x17x16xf32>
  return %0 : tensor<16x17x16xf32>
}
