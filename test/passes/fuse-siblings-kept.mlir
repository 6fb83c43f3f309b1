// RUN: smartmem-opt --smartmem-fuse-siblings --smartmem-remarks --verify-diagnostics --split-input-file %s | FileCheck %s

// Each function has layers that stay apart, and the reason for each of them.
// CHECK-NOT: dense_resource

// CHECK-LABEL: func @known_at_run_time
func.func @known_at_run_time(%x: tensor<3x2xf32>, %b: tensor<2x4xf32>, %init: tensor<3x4xf32>) -> (tensor<3x4xf32>, tensor<3x4xf32>) {
  %a = arith.constant dense<1.0> : tensor<2x4xf32>
  // expected-remark@+1 {{it adds to another value than 0}}
  %0 = linalg.matmul ins(%x, %a : tensor<3x2xf32>, tensor<2x4xf32>) outs(%init : tensor<3x4xf32>) -> tensor<3x4xf32>
  // expected-remark@+1 {{its weights are not constant}}
  %1 = linalg.matmul ins(%x, %b : tensor<3x2xf32>, tensor<2x4xf32>) outs(%init : tensor<3x4xf32>) -> tensor<3x4xf32>
  return %0, %1 : tensor<3x4xf32>, tensor<3x4xf32>
}

// -----
// CHECK-LABEL: func @other_forms
func.func @other_forms(%x: tensor<2x2xf32>, %t: i1) -> tensor<2x1xf32> {
  %zero = arith.constant 0.0 : f32
  %a = arith.constant dense<1.0> : tensor<2x2xf32>
  %b = arith.constant dense<1.0> : tensor<2x8xf32>
  %y = arith.constant dense<1.0> : tensor<2x1xf32>
  %e = tensor.empty() : tensor<2x2xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<2x2xf32>) -> tensor<2x2xf32>
  %e8 = tensor.empty() : tensor<2x8xf32>
  %f8 = linalg.fill ins(%zero : f32) outs(%e8 : tensor<2x8xf32>) -> tensor<2x8xf32>
  %e1 = tensor.empty() : tensor<2x1xf32>
  %f1 = linalg.fill ins(%zero : f32) outs(%e1 : tensor<2x1xf32>) -> tensor<2x1xf32>
  %v = "smartmem.view"(%a) {map = affine_map<(d0, d1) -> (d1, d0)>} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  // expected-remark@+1 {{other layers on its operand differ in loop extents}}
  %0 = linalg.matmul ins(%x, %a : tensor<2x2xf32>, tensor<2x2xf32>) outs(%f : tensor<2x2xf32>) -> tensor<2x2xf32>
  // expected-remark@+1 {{other layers on its operand differ in loop extents}}
  %1 = linalg.matmul ins(%x, %b : tensor<2x2xf32>, tensor<2x8xf32>) outs(%f8 : tensor<2x8xf32>) -> tensor<2x8xf32>
  // expected-remark@+1 {{other layers on its operand differ in how their weights are stored}}
  %2 = linalg.matmul ins(%x, %v : tensor<2x2xf32>, tensor<2x2xf32>) outs(%f : tensor<2x2xf32>) -> tensor<2x2xf32>
  // expected-remark@+1 {{other layers on its operand differ in how they index}}
  %3 = linalg.matmul ins(%a, %x : tensor<2x2xf32>, tensor<2x2xf32>) outs(%f : tensor<2x2xf32>) -> tensor<2x2xf32>
  %4 = scf.if %t -> tensor<2x1xf32> {
    // expected-remark@+1 {{other layers on its operand differ in their block}}
    %5 = linalg.matmul ins(%x, %a : tensor<2x2xf32>, tensor<2x2xf32>) outs(%f : tensor<2x2xf32>) -> tensor<2x2xf32>
    %6 = linalg.matmul ins(%5, %y : tensor<2x2xf32>, tensor<2x1xf32>) outs(%f1 : tensor<2x1xf32>) -> tensor<2x1xf32>
    scf.yield %6 : tensor<2x1xf32>
  } else {
    scf.yield %f1 : tensor<2x1xf32>
  }
  return %4 : tensor<2x1xf32>
}

// -----
// CHECK-LABEL: func @types
func.func @types(%x: tensor<3x2xf16>, %y: tensor<3x2xi32>) {
  %zero16 = arith.constant 0.0 : f16
  %zero32 = arith.constant 0.0 : f32
  %zero = arith.constant 0 : i32
  %a = arith.constant dense<1.0> : tensor<2x4xf16>
  %b = arith.constant dense<1> : tensor<2x4xi32>
  %c = arith.constant dense<1.0> : tensor<2xf16>
  %e16 = tensor.empty() : tensor<3x4xf16>
  %f16 = linalg.fill ins(%zero16 : f16) outs(%e16 : tensor<3x4xf16>) -> tensor<3x4xf16>
  %e32 = tensor.empty() : tensor<3x4xf32>
  %f32 = linalg.fill ins(%zero32 : f32) outs(%e32 : tensor<3x4xf32>) -> tensor<3x4xf32>
  %e = tensor.empty() : tensor<3x4xi32>
  %f = linalg.fill ins(%zero : i32) outs(%e : tensor<3x4xi32>) -> tensor<3x4xi32>
  %e1 = tensor.empty() : tensor<3xf16>
  %f1 = linalg.fill ins(%zero16 : f16) outs(%e1 : tensor<3xf16>) -> tensor<3xf16>
  // expected-remark@+1 {{other layers on its operand differ in element types}}
  %0 = linalg.matmul ins(%x, %a : tensor<3x2xf16>, tensor<2x4xf16>) outs(%f16 : tensor<3x4xf16>) -> tensor<3x4xf16>
  // expected-remark@+1 {{other layers on its operand differ in element types}}
  %1 = linalg.matmul ins(%x, %a : tensor<3x2xf16>, tensor<2x4xf16>) outs(%f32 : tensor<3x4xf32>) -> tensor<3x4xf32>
  // expected-remark@+1 {{it has no output channels of its own}}
  %2 = linalg.matvec ins(%x, %c : tensor<3x2xf16>, tensor<2xf16>) outs(%f1 : tensor<3xf16>) -> tensor<3xf16>
  // expected-remark@+1 {{it computes in integers}}
  %3 = linalg.matmul ins(%y, %b : tensor<3x2xi32>, tensor<2x4xi32>) outs(%f : tensor<3x4xi32>) -> tensor<3x4xi32>
  // expected-remark@+1 {{it computes in integers}}
  %4 = linalg.matmul ins(%y, %b : tensor<3x2xi32>, tensor<2x4xi32>) outs(%f : tensor<3x4xi32>) -> tensor<3x4xi32>
  return
}

// -----
// CHECK-LABEL: func @unreadable
func.func @unreadable(%x: tensor<3x2xf8E5M2>, %f: tensor<3x4xf32>) {
  %a = arith.constant dense<1.0> : tensor<2x4xf8E5M2>
  // expected-remark@+1 {{the values of its weights cannot be read}}
  %0 = linalg.matmul ins(%x, %a : tensor<3x2xf8E5M2>, tensor<2x4xf8E5M2>) outs(%f : tensor<3x4xf32>) -> tensor<3x4xf32>
  // expected-remark@+1 {{the values of its weights cannot be read}}
  %1 = linalg.matmul ins(%x, %a : tensor<3x2xf8E5M2>, tensor<2x4xf8E5M2>) outs(%f : tensor<3x4xf32>) -> tensor<3x4xf32>
  return
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>

// Gate and up: tanh(x a) * (x b) ends the kernel of one of the two. As one layer they
// would be two kernels as well, and store one tensor more.
// CHECK-LABEL: func @end_of_one_kernel
func.func @end_of_one_kernel(%x: tensor<3x2xf32>) -> tensor<3x4xf32> {
  %zero = arith.constant 0.0 : f32
  %a = arith.constant dense<1.0> : tensor<2x4xf32>
  %b = arith.constant dense<2.0> : tensor<2x4xf32>
  %e = tensor.empty() : tensor<3x4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<3x4xf32>) -> tensor<3x4xf32>
  // expected-remark@+1 {{its elementwise end would be a kernel of its own behind a slice}}
  %0 = linalg.matmul ins(%x, %a : tensor<3x2xf32>, tensor<2x4xf32>) outs(%f : tensor<3x4xf32>) -> tensor<3x4xf32>
  // expected-remark@+1 {{its elementwise end would be a kernel of its own behind a slice}}
  %1 = linalg.matmul ins(%x, %b : tensor<3x2xf32>, tensor<2x4xf32>) outs(%f : tensor<3x4xf32>) -> tensor<3x4xf32>
  %2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%0, %1 : tensor<3x4xf32>, tensor<3x4xf32>) outs(%e : tensor<3x4xf32>) {
  ^bb0(%gate: f32, %up: f32, %out: f32):
    %s = math.tanh %gate : f32
    %y = arith.mulf %s, %up : f32
    linalg.yield %y : f32
  } -> tensor<3x4xf32>
  return %2 : tensor<3x4xf32>
}

// -----
// CHECK-LABEL: func @results_that_are_stored
func.func @results_that_are_stored(%x: tensor<3x2xf32>, %y: tensor<5x5xf32>) -> (tensor<3x4xf32>, tensor<5x4xf32>, tensor<3x3xf32>) {
  %zero = arith.constant 0.0 : f32
  %a = arith.constant dense<1.0> : tensor<2x4xf32>
  %b = arith.constant dense<2.0> : tensor<2x4xf32>
  %c = arith.constant dense<1.0> : tensor<4x3xf32>
  %e = tensor.empty() : tensor<3x4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<3x4xf32>) -> tensor<3x4xf32>
  // expected-remark@+1 {{a slice of it would be copied: func.return reads it}}
  %0 = linalg.matmul ins(%x, %a : tensor<3x2xf32>, tensor<2x4xf32>) outs(%f : tensor<3x4xf32>) -> tensor<3x4xf32>
  // expected-remark@+1 {{a slice of it would be copied: it is padded or joined with others}}
  %1 = linalg.matmul ins(%x, %b : tensor<3x2xf32>, tensor<2x4xf32>) outs(%f : tensor<3x4xf32>) -> tensor<3x4xf32>
  %2 = "smartmem.view"(%1, %zero) {domain = affine_map<(d0, d1) -> (d0 - 1, -d0 + 3)>, map = affine_map<(d0, d1) -> (d0 - 1, d1)>} : (tensor<3x4xf32>, f32) -> tensor<5x4xf32>
  // expected-remark@+1 {{the other layers on its operand stay apart}}
  %3 = linalg.matmul ins(%x, %b : tensor<3x2xf32>, tensor<2x4xf32>) outs(%f : tensor<3x4xf32>) -> tensor<3x4xf32>
  %g = tensor.empty() : tensor<3x3xf32>
  %h = linalg.fill ins(%zero : f32) outs(%g : tensor<3x3xf32>) -> tensor<3x3xf32>
  %4 = linalg.matmul ins(%3, %c : tensor<3x4xf32>, tensor<4x3xf32>) outs(%h : tensor<3x3xf32>) -> tensor<3x3xf32>
  return %0, %2, %4 : tensor<3x4xf32>, tensor<5x4xf32>, tensor<3x3xf32>
}
