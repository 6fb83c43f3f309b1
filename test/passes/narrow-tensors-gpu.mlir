// RUN: smartmem-opt --allow-unregistered-dialect --smartmem-target=adreno --smartmem-narrow-tensors='precision=f16 fewest=4 most-products=4' --mlir-print-local-scope %s | FileCheck %s
// RUN: smartmem-opt --allow-unregistered-dialect --smartmem-target=adreno --smartmem-narrow-tensors='precision=bf16' --smartmem-remarks %s 2>&1 >/dev/null | FileCheck %s --check-prefix=BF16
// RUN: smartmem-opt --allow-unregistered-dialect --smartmem-target=adreno --smartmem-narrow-tensors='precision=f16 fewest=4 most-products=4' --smartmem-remarks %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// BF16: kept: iree-compile 3.13 makes no SPIR-V of vectors of bf16

// REMARK-DAG: applied: f16 between kernels
// REMARK-DAG: applied: products in f16, 2 sums of them in f32
// REMARK-DAG: kept: the model returns it

// CHECK-LABEL: func @two_kernels
func.func @two_kernels(%x: tensor<4x8xf32>) -> tensor<4x4xf32> {
  %zero = arith.constant 0.0 : f32
  // CHECK-DAG: %[[W:.*]] = arith.constant dense_resource<{{.*}}> : tensor<8x4xf16>
  %w = arith.constant dense<[[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0],
                             [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [5.0, 2.0, 3.0, 4.0]]> : tensor<8x4xf32>
  // A kernel computes in f32 and rounds, within the range of f16.
  // CHECK: %[[R:.*]] = "flow.dispatch.region"
  // CHECK: %[[E:.*]] = math.exp %{{.*}} : f32
  // CHECK: arith.cmpf olt, %[[E]]
  // CHECK: arith.cmpf ogt
  // CHECK: arith.truncf %{{.*}} : f32 to f16
  // CHECK: -> tensor<4x8xf16>
  %r = "flow.dispatch.region"() ({
    %e = tensor.empty() : tensor<4x8xf32>
    %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],
        iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x8xf32>) outs(%e : tensor<4x8xf32>) {
    ^bb0(%a: f32, %o: f32):
      %0 = math.exp %a : f32
      linalg.yield %0 : f32
    } -> tensor<4x8xf32>
    "flow.return"(%y) : (tensor<4x8xf32>) -> ()
  }, {}) {operandSegmentSizes = array<i32: 0, 0>} : () -> tensor<4x8xf32>
  // Two sums of four products each are added in f32.
  // CHECK: %[[A0:.*]] = tensor.extract_slice %[[R]][0, 0] [4, 4]
  // CHECK: %[[B0:.*]] = tensor.extract_slice %[[W]][0, 0] [4, 4]
  // CHECK: %[[P0:.*]] = linalg.generic {{.*}} ins(%[[A0]], %[[B0]] : tensor<4x4xf16>, tensor<4x4xf16>)
  // CHECK: arith.mulf %{{.*}} : f16
  // CHECK: arith.addf %{{.*}} : f16
  // CHECK: %[[S0:.*]] = linalg.generic {{.*}} ins(%[[P0]] : tensor<4x4xf16>) outs(%{{.*}} : tensor<4x4xf32>)
  // CHECK: %[[P1:.*]] = linalg.generic {{.*}} : tensor<4x4xf16>, tensor<4x4xf16>)
  // CHECK: linalg.generic {{.*}} ins(%[[S0]], %[[P1]] : tensor<4x4xf32>, tensor<4x4xf16>)
  // CHECK: arith.addf %{{.*}} : f32
  %s = "flow.dispatch.region"() ({
    %e = tensor.empty() : tensor<4x4xf32>
    %f = linalg.fill ins(%zero : f32) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
    %y = linalg.matmul ins(%r, %w : tensor<4x8xf32>, tensor<8x4xf32>) outs(%f : tensor<4x4xf32>) -> tensor<4x4xf32>
    "flow.return"(%y) : (tensor<4x4xf32>) -> ()
  }, {}) {operandSegmentSizes = array<i32: 0, 0>} : () -> tensor<4x4xf32>
  return %s : tensor<4x4xf32>
}

// What is written into a padded tensor is rounded, and so is what it is filled with.
// CHECK-LABEL: func @padded
func.func @padded(%x: tensor<4x4xf32>) -> tensor<6x4xf32> {
  // CHECK: %[[INF:.*]] = arith.constant -6.550400e+04 : f16
  // CHECK: %[[F:.*]] = linalg.fill ins(%[[INF]] : f16)
  // CHECK: tensor.insert_slice %{{.*}} into %[[F]]{{.*}} : tensor<4x4xf16> into tensor<6x4xf16>
  %low = arith.constant 0xFF800000 : f32
  %e = tensor.empty() : tensor<6x4xf32>
  %f = linalg.fill ins(%low : f32) outs(%e : tensor<6x4xf32>) -> tensor<6x4xf32>
  %r = "flow.dispatch.region"() ({
    %i = tensor.empty() : tensor<4x4xf32>
    %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],
        iterator_types = ["parallel", "parallel"]} ins(%x : tensor<4x4xf32>) outs(%i : tensor<4x4xf32>) {
    ^bb0(%a: f32, %o: f32):
      %0 = math.exp %a : f32
      linalg.yield %0 : f32
    } -> tensor<4x4xf32>
    %p = tensor.insert_slice %y into %f[1, 0] [4, 4] [1, 1] : tensor<4x4xf32> into tensor<6x4xf32>
    "flow.return"(%p) : (tensor<6x4xf32>) -> ()
  }, {}) {operandSegmentSizes = array<i32: 0, 0>} : () -> tensor<6x4xf32>
  %s = "flow.dispatch.region"() ({
    %i = tensor.empty() : tensor<6x4xf32>
    // CHECK: arith.extf %{{.*}} : f16 to f32
    // CHECK: math.sqrt
    %y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>],
        iterator_types = ["parallel", "parallel"]} ins(%r : tensor<6x4xf32>) outs(%i : tensor<6x4xf32>) {
    ^bb0(%a: f32, %o: f32):
      %0 = math.sqrt %a : f32
      linalg.yield %0 : f32
    } -> tensor<6x4xf32>
    "flow.return"(%y) : (tensor<6x4xf32>) -> ()
  }, {}) {operandSegmentSizes = array<i32: 0, 0>} : () -> tensor<6x4xf32>
  return %s : tensor<6x4xf32>
}
