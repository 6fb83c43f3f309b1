// RUN: smartmem-opt --smartmem-target=cpu:x86-64-v3 --smartmem-form-regions --smartmem-configure-kernels --split-input-file %s | FileCheck %s --check-prefixes=CHECK,AVX2
// RUN: smartmem-opt --smartmem-target=cpu:aarch64-none-linux-android30:cortex-x2 --smartmem-form-regions --smartmem-configure-kernels --split-input-file %s | FileCheck %s --check-prefixes=CHECK,NEON
// RUN: smartmem-opt --smartmem-target=cpu:znver4 --smartmem-form-regions --smartmem-configure-kernels --split-input-file %s | FileCheck %s --check-prefixes=CHECK,AVX512

// Sixteen registers hold 6 rows of two vectors, thirty-two hold 14: divisors of the rows.
// CHECK-LABEL: func @rows_of_a_contraction
// AVX2: vector_common_parallel = [6, 16, 0]
// NEON: vector_common_parallel = [14, 8, 0]
// AVX512: vector_common_parallel = [14, 32, 0]
func.func @rows_of_a_contraction(%x: tensor<84x48xf32>, %w: tensor<48x64xf32>) -> tensor<84x64xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<84x64xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<84x64xf32>) -> tensor<84x64xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<84x48xf32>, tensor<48x64xf32>) outs(%z : tensor<84x64xf32>) -> tensor<84x64xf32>
  return %0 : tensor<84x64xf32>
}

// -----
// No block of 2 to 6 rows divides 77, but 11 do: the rest is a block of its own with 16 registers.
// CHECK-LABEL: func @rows_that_no_block_divides
// AVX2: distribution = [77, {{[0-9]+}}, 0], vector_common_parallel = [6, 16, 0], vector_reduction = [0, 0, 1]>
// AVX2-SAME: DoubleTilingExpert>, {enable_loop_peeling}>
// NEON: vector_common_parallel = [11, 8, 0]
// NEON-NOT: enable_loop_peeling
// AVX512: vector_common_parallel = [11, 32, 0]
// AVX512-NOT: enable_loop_peeling
func.func @rows_that_no_block_divides(%x: tensor<77x48xf32>, %w: tensor<48x64xf32>) -> tensor<77x64xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<77x64xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<77x64xf32>) -> tensor<77x64xf32>
  %0 = linalg.matmul ins(%x, %w : tensor<77x48xf32>, tensor<48x64xf32>) outs(%z : tensor<77x64xf32>) -> tensor<77x64xf32>
  return %0 : tensor<77x64xf32>
}

// -----
// Packed blocks of one vector: several share the scalars of their rows.
// CHECK-LABEL: func @blocks_of_one_vector
// AVX2: distribution = [{{[0-9]+}}, {{[369]}}, 8, 0], vector_common_parallel = [4, 3, 8, 0]
func.func @blocks_of_one_vector(%x: tensor<56x48xf32>, %w: tensor<9x48x8xf32>) -> tensor<56x9x8xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<56x9x8xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<56x9x8xf32>) -> tensor<56x9x8xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(m, b, l, k) -> (m, k)>, affine_map<(m, b, l, k) -> (b, k, l)>, affine_map<(m, b, l, k) -> (m, b, l)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %w : tensor<56x48xf32>, tensor<9x48x8xf32>) outs(%z : tensor<56x9x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<56x9x8xf32>
  return %0 : tensor<56x9x8xf32>
}

// -----
// Vectors do not divide 77 columns: the rest is a vector of its own, or masked with AVX-512.
// CHECK-LABEL: func @rows_of_a_softmax
// AVX2: vector_common_parallel = [1, 8], {{.*}}enable_loop_peeling
// NEON: vector_common_parallel = [1, 4], {{.*}}enable_loop_peeling
// AVX512: vector_common_parallel = [1, 16]
// AVX512-NOT: enable_loop_peeling
func.func @rows_of_a_softmax(%x: tensor<64x77xf32>) -> tensor<64x77xf32> {
  %c = arith.constant 0xFF800000 : f32
  %re = tensor.empty() : tensor<64xf32>
  %e = tensor.empty() : tensor<64x77xf32>
  %z = linalg.fill ins(%c : f32) outs(%re : tensor<64xf32>) -> tensor<64xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(m, k) -> (m, k)>, affine_map<(m, k) -> (m)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<64x77xf32>) outs(%z : tensor<64xf32>) {
  ^bb0(%a: f32, %o: f32):
    %s = arith.maximumf %o, %a : f32
    linalg.yield %s : f32
  } -> tensor<64xf32>
  %1 = linalg.generic {indexing_maps = [affine_map<(m, k) -> (m, k)>, affine_map<(m, k) -> (m)>, affine_map<(m, k) -> (m, k)>], iterator_types = ["parallel", "parallel"]} ins(%x, %0 : tensor<64x77xf32>, tensor<64xf32>) outs(%e : tensor<64x77xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %d = arith.subf %a, %b : f32
    %s = math.exp %d : f32
    linalg.yield %s : f32
  } -> tensor<64x77xf32>
  return %1 : tensor<64x77xf32>
}
