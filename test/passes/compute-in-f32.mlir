// RUN: smartmem-opt --smartmem-compute-in-f32 %s | FileCheck %s

#id = affine_map<(d0) -> (d0)>

// CHECK-LABEL: func @variance
func.func @variance(%x: tensor<8xf32>) -> tensor<8xf32> {
  // CHECK-NOT: f64
  %eps = arith.constant 1.000000e-05 : f64
  // CHECK: arith.constant 9.99999974E-6 : f32
  %e = tensor.empty() : tensor<8xf64>
  %wide = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : tensor<8xf32>) outs(%e : tensor<8xf64>) {
  ^bb0(%in: f32, %out: f64):
    // CHECK-NOT: arith.extf
    %0 = arith.extf %in : f32 to f64
    // CHECK: arith.mulf %{{.*}} : f32
    %1 = arith.mulf %0, %0 : f64
    %2 = arith.addf %1, %eps : f64
    linalg.yield %2 : f64
  } -> tensor<8xf64>
  %o = tensor.empty() : tensor<8xf32>
  %narrow = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%wide : tensor<8xf64>) outs(%o : tensor<8xf32>) {
  ^bb0(%in: f64, %out: f32):
    // CHECK-NOT: arith.truncf
    %0 = arith.truncf %in : f64 to f32
    linalg.yield %0 : f32
  } -> tensor<8xf32>
  // CHECK: return %{{.*}} : tensor<8xf32>
  return %narrow : tensor<8xf32>
}

// CHECK-LABEL: func @mask_stays_finite
func.func @mask_stays_finite() -> f32 {
  // CHECK: arith.constant -3.40282347E+38 : f32
  %0 = arith.constant -1.7976931348623157E+308 : f64
  %1 = arith.truncf %0 : f64 to f32
  return %1 : f32
}

// CHECK-LABEL: func @dense_constant
func.func @dense_constant() -> tensor<2xf16> {
  // CHECK: arith.constant dense{{.*}} : tensor<2xf32>
  %0 = arith.constant dense<[1.0, 2.0]> : tensor<2xf64>
  // CHECK: arith.truncf %{{.*}} : tensor<2xf32> to tensor<2xf16>
  %1 = arith.truncf %0 : tensor<2xf64> to tensor<2xf16>
  return %1 : tensor<2xf16>
}

// CHECK-LABEL: func @keeps_f64_that_the_user_asked_for
func.func @keeps_f64_that_the_user_asked_for(%x: f64) -> f64 {
  // CHECK: arith.mulf %{{.*}} : f64
  %0 = arith.mulf %x, %x : f64
  return %0 : f64
}
