// RUN: smartmem-opt --smartmem-place-computations=max-operations=4 --smartmem-remarks --split-input-file %s 2>%t | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t

// A body of two operations with its yield: of three one after the other, the last is cut off.
// CHECK-LABEL: func @chain
// CHECK: %[[A:.*]] = linalg.exp
// CHECK: %[[B:.*]] = linalg.exp ins(%[[A]]
// CHECK: %[[V:.*]] = "smartmem.view"(%[[B]])
// CHECK: linalg.exp ins(%[[V]]
// CHECK-NOT: smartmem.view
// REMARK: linalg.exp applied: more than 4 operations in one body
func.func @chain(%x: tensor<4xf32>) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<4xf32>
  %a = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %b = linalg.exp ins(%a : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %c = linalg.exp ins(%b : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  return %c : tensor<4xf32>
}

// -----

// What several operations read is not fused into them: the count begins anew.
// CHECK-LABEL: func @read_twice
// CHECK-NOT: smartmem.view
// CHECK: return
func.func @read_twice(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %e = tensor.empty() : tensor<4xf32>
  %a = linalg.exp ins(%x : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %b = linalg.exp ins(%a : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %c = linalg.exp ins(%b : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %d = linalg.exp ins(%b : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  return %c, %d : tensor<4xf32>, tensor<4xf32>
}

// -----

// CHECK-LABEL: func @a_sum_is_not_fused_into_its_reader
// CHECK-NOT: smartmem.view
// CHECK: return
func.func @a_sum_is_not_fused_into_its_reader(%x: tensor<4x8xf32>) -> tensor<4xf32> {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %s = linalg.reduce {arith.addf} ins(%x : tensor<4x8xf32>) outs(%f : tensor<4xf32>) dimensions = [1]
  %a = linalg.exp ins(%s : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %b = linalg.exp ins(%a : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  return %b : tensor<4xf32>
}
