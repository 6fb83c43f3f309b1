// RUN: smartmem-opt --smartmem-form-regions --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-form-regions --smartmem-form-regions --split-input-file %s | FileCheck %s

// CHECK-LABEL: func @contraction_with_a_slice
func.func @contraction_with_a_slice(%qkv: tensor<7x24xf32>, %w: tensor<8x7xf32>) -> tensor<7x7xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<7x7xf32>
  // CHECK: %[[R:.*]] = "flow.dispatch.region"
  // CHECK-NOT: flow.dispatch.region
  // CHECK-DAG: tensor.extract_slice %arg0[0, 8] [7, 8] [1, 1]
  // CHECK-DAG: linalg.fill
  // CHECK: %[[M:.*]] = linalg.matmul
  // CHECK: "flow.return"(%[[M]])
  // CHECK: return %[[R]]
  %f = linalg.fill ins(%c : f32) outs(%e : tensor<7x7xf32>) -> tensor<7x7xf32>
  %s = tensor.extract_slice %qkv[0, 8] [7, 8] [1, 1] : tensor<7x24xf32> to tensor<7x8xf32>
  %0 = linalg.matmul ins(%s, %w : tensor<7x8xf32>, tensor<8x7xf32>) outs(%f : tensor<7x7xf32>) -> tensor<7x7xf32>
  return %0 : tensor<7x7xf32>
}

// -----
// CHECK-LABEL: func @keeps_a_contraction_without_slice
func.func @keeps_a_contraction_without_slice(%x: tensor<7x8xf32>, %w: tensor<8x7xf32>, %o: tensor<7x7xf32>) -> tensor<7x7xf32> {
  // CHECK-NOT: flow.dispatch.region
  // CHECK: return
  %0 = linalg.matmul ins(%x, %w : tensor<7x8xf32>, tensor<8x7xf32>) outs(%o : tensor<7x7xf32>) -> tensor<7x7xf32>
  return %0 : tensor<7x7xf32>
}

// -----
// CHECK-LABEL: func @keeps_a_slice_with_another_reader
func.func @keeps_a_slice_with_another_reader(%x: tensor<7x24xf32>, %w: tensor<8x7xf32>, %o: tensor<7x7xf32>) -> (tensor<7x7xf32>, tensor<7x8xf32>) {
  // CHECK-NOT: flow.dispatch.region
  // CHECK: return
  %s = tensor.extract_slice %x[0, 8] [7, 8] [1, 1] : tensor<7x24xf32> to tensor<7x8xf32>
  %0 = linalg.matmul ins(%s, %w : tensor<7x8xf32>, tensor<8x7xf32>) outs(%o : tensor<7x7xf32>) -> tensor<7x7xf32>
  return %0, %s : tensor<7x7xf32>, tensor<7x8xf32>
}
