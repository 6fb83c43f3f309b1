// RUN: smartmem-opt --smartmem-target=cpu:x86-64-v3 --smartmem-form-regions --smartmem-configure-kernels %s | FileCheck %s --check-prefixes=CHECK,AVX2
// RUN: smartmem-opt --smartmem-target=cpu:aarch64-none-linux-android30:cortex-x2 --smartmem-form-regions --smartmem-configure-kernels %s | FileCheck %s --check-prefixes=CHECK,NEON
// RUN: smartmem-opt --smartmem-target=cpu:znver4 --smartmem-form-regions --smartmem-configure-kernels %s | FileCheck %s --check-prefixes=CHECK,AVX512

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
