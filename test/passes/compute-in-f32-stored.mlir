// RUN: smartmem-opt --smartmem-compute-in-f32 %s | FileCheck %s

// The model computes in f32: its weights stay as they are.
#id = affine_map<(d0) -> (d0)>

// CHECK-NOT: smartmem.precision
// CHECK-LABEL: func @stored_narrow
func.func @stored_narrow(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: arith.constant dense{{.*}} : tensor<4xbf16>
  %w = arith.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xbf16>
  %e = tensor.empty() : tensor<4xf32>
  %r = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%x, %w : tensor<4xf32>, tensor<4xbf16>) outs(%e : tensor<4xf32>) {
  ^bb0(%in: f32, %in_0: bf16, %out: f32):
    // CHECK: arith.extf %{{.*}} : bf16 to f32
    %0 = arith.extf %in_0 : bf16 to f32
    %1 = arith.mulf %in, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<4xf32>
  return %r : tensor<4xf32>
}
