// RUN: smartmem-opt --smartmem-compute-in-f32 %s | FileCheck %s
// RUN: smartmem-opt --smartmem-compute-in-f32 --smartmem-compute-in-f32 %s | FileCheck %s

#id = affine_map<(d0) -> (d0)>

// CHECK: module attributes {smartmem.precision = "f16"}
// CHECK-LABEL: func @half(%arg0: tensor<8xf16>) -> tensor<8xf16>
func.func @half(%x: tensor<8xf16>) -> tensor<8xf16> {
  %half = arith.constant 5.000000e-01 : f16
  // CHECK: %[[W:.*]] = linalg.generic {{.*}} ins(%arg0 : tensor<8xf16>) outs(%{{.*}} : tensor<8xf32>)
  // CHECK: arith.extf
  // CHECK: arith.constant dense{{.*}} : tensor<8xf32>
  %w = arith.constant dense<[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]> : tensor<8xf16>
  %e = tensor.empty() : tensor<8xf16>
  %r = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel"]} ins(%x, %w : tensor<8xf16>, tensor<8xf16>) outs(%e : tensor<8xf16>) {
  ^bb0(%in: f16, %in_0: f16, %out: f16):
    // CHECK: arith.mulf %{{.*}} : f32
    // CHECK-NOT: arith.truncf
    // CHECK: arith.addf %{{.*}} : f32
    %0 = arith.mulf %in, %in_0 : f16
    %1 = arith.extf %0 : f16 to f32
    %2 = arith.truncf %1 : f32 to f16
    %3 = arith.addf %2, %half : f16
    linalg.yield %3 : f16
  } -> tensor<8xf16>
  // CHECK: arith.truncf %{{.*}} : f32 to f16
  // CHECK: return %{{.*}} : tensor<8xf16>
  return %r : tensor<8xf16>
}

// CHECK-LABEL: func @read_bit_by_bit
func.func @read_bit_by_bit(%x: f16) -> i16 {
  // CHECK: %[[X:.*]] = arith.truncf %{{.*}} : f32 to f16
  // CHECK: arith.bitcast %[[X]] : f16 to i16
  %0 = arith.addf %x, %x : f16
  %1 = arith.bitcast %0 : f16 to i16
  return %1 : i16
}
