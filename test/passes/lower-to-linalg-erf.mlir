// RUN: smartmem-opt --smartmem-lower-to-linalg --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-lower-to-linalg --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// Two polynomials of degree five, in the square of what is cut off where erf is 1.
// CHECK-LABEL: func @inside_of_an_operation
// CHECK: ^bb0(%[[X:.*]]: f32, %{{.*}}: f32):
// CHECK: %[[A:.*]] = arith.maximumf %[[X]]
// CHECK: %[[Y:.*]] = arith.minimumf %[[A]]
// CHECK: %[[Z:.*]] = arith.mulf %[[Y]], %[[Y]]
// CHECK-COUNT-5: arith.addf {{.*}} fastmath<contract>
// CHECK: %[[N:.*]] = arith.mulf %[[Y]]
// CHECK-COUNT-5: arith.addf {{.*}} fastmath<contract>
// CHECK: %[[R:.*]] = arith.divf %[[N]]
// CHECK-NOT: math.erf
// CHECK: linalg.yield %[[R]]
// REMARK: math.erf applied: one quotient of two polynomials
func.func @inside_of_an_operation(%x: tensor<5x8xf32>) -> tensor<5x8xf32> {
  %e = tensor.empty() : tensor<5x8xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<5x8xf32>) outs(%e : tensor<5x8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %0 = math.erf %a : f32
    linalg.yield %0 : f32
  } -> tensor<5x8xf32>
  return %r : tensor<5x8xf32>
}

// -----
// CHECK-LABEL: func @of_another_type
// CHECK: math.erf {{.*}} : f16
// REMARK: math.erf kept: it is of type f16, not f32
func.func @of_another_type(%x: tensor<5x8xf16>) -> tensor<5x8xf16> {
  %e = tensor.empty() : tensor<5x8xf16>
  %r = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<5x8xf16>) outs(%e : tensor<5x8xf16>) {
  ^bb0(%a: f16, %o: f16):
    %0 = math.erf %a : f16
    linalg.yield %0 : f16
  } -> tensor<5x8xf16>
  return %r : tensor<5x8xf16>
}
