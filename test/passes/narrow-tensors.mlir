// RUN: smartmem-opt --smartmem-narrow-tensors='precision=f16 fewest=4' --mlir-print-local-scope %s | FileCheck %s
// RUN: smartmem-opt --smartmem-narrow-tensors='precision=f16 fewest=4' --smartmem-narrow-tensors='precision=f16 fewest=4' --mlir-print-local-scope %s | FileCheck %s
// RUN: smartmem-opt --smartmem-narrow-tensors --mlir-print-local-scope %s | FileCheck %s --check-prefix=MODEL
// RUN: not smartmem-opt --smartmem-narrow-tensors='precision=f8' %s 2>&1 | FileCheck %s --check-prefix=UNKNOWN

// MODEL-NOT: f16
// UNKNOWN: precision 'f8' is unknown; use one of model, f32, f16, bf16

// CHECK-LABEL: func @many_rows
func.func @many_rows(%x: tensor<16x2xf32>) -> tensor<16x2xf32> {
  %zero = arith.constant 0.0 : f32
  // CHECK: %[[W:.*]] = arith.constant dense_resource<{{.*}}> : tensor<2x2xf16>
  // CHECK: %[[WIDE:.*]] = linalg.generic {{.*}} ins(%[[W]] : tensor<2x2xf16>) outs({{.*}} : tensor<2x2xf32>)
  // CHECK: arith.extf %{{.*}} : f16 to f32
  // CHECK: linalg.matmul ins(%arg0, %[[WIDE]] : tensor<16x2xf32>, tensor<2x2xf32>)
  %w = arith.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %e = tensor.empty() : tensor<16x2xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<16x2xf32>) -> tensor<16x2xf32>
  %r = linalg.matmul ins(%x, %w : tensor<16x2xf32>, tensor<2x2xf32>) outs(%f : tensor<16x2xf32>) -> tensor<16x2xf32>
  return %r : tensor<16x2xf32>
}

// A weight that is read once is widened where it is multiplied by.
// CHECK-LABEL: func @one_row
func.func @one_row(%x: tensor<2xf32>) -> tensor<2xf32> {
  %zero = arith.constant 0.0 : f32
  %w = arith.constant dense<[[1.0, 2.0], [3.0, 4.0]]> : tensor<2x2xf32>
  %e = tensor.empty() : tensor<2xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<2xf32>) -> tensor<2xf32>
  // CHECK: linalg.generic {{.*}} ins(%arg0, %{{.*}} : tensor<2xf32>, tensor<2x2xf16>)
  // CHECK-NEXT: ^bb0(%[[X:.*]]: f32, %[[N:.*]]: f16, %[[OUT:.*]]: f32):
  // CHECK-NEXT: %[[E:.*]] = arith.extf %[[N]] : f16 to f32
  // CHECK-NEXT: arith.mulf %[[X]], %[[E]] : f32
  %r = linalg.generic {
      indexing_maps = [affine_map<(n, k) -> (k)>, affine_map<(n, k) -> (k, n)>, affine_map<(n, k) -> (n)>],
      iterator_types = ["parallel", "reduction"]
    } ins(%x, %w : tensor<2xf32>, tensor<2x2xf32>) outs(%f : tensor<2xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.mulf %a, %b : f32
    %1 = arith.addf %o, %0 : f32
    linalg.yield %1 : f32
  } -> tensor<2xf32>
  return %r : tensor<2xf32>
}

// CHECK-LABEL: func @too_large
func.func @too_large(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: arith.constant dense<[1.0{{.*}}, 7.0{{.*}}]> : tensor<4xf32>
  %w = arith.constant dense<[1.0, 2.0, 3.0, 7.0e4]> : tensor<4xf32>
  %e = tensor.empty() : tensor<4xf32>
  %r = linalg.generic {
      indexing_maps = [affine_map<(i) -> (i)>, affine_map<(i) -> (i)>, affine_map<(i) -> (i)>],
      iterator_types = ["parallel"]
    } ins(%x, %w : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %0 = arith.addf %a, %b : f32
    linalg.yield %0 : f32
  } -> tensor<4xf32>
  return %r : tensor<4xf32>
}

// CHECK-LABEL: func @few_elements
func.func @few_elements(%x: tensor<2xf32>) -> tensor<2xf32> {
  // CHECK: arith.constant dense<[1.0{{.*}}, 2.0{{.*}}]> : tensor<2xf32>
  %w = arith.constant dense<[1.0, 2.0]> : tensor<2xf32>
  %r = arith.addf %x, %w : tensor<2xf32>
  return %r : tensor<2xf32>
}

// CHECK-LABEL: func @equal_elements
func.func @equal_elements(%x: tensor<8xf32>) -> tensor<8xf32> {
  // CHECK: arith.constant dense<1.5{{.*}}> : tensor<8xf32>
  %w = arith.constant dense<1.5> : tensor<8xf32>
  %r = arith.addf %x, %w : tensor<8xf32>
  return %r : tensor<8xf32>
}
