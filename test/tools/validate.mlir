// Each pass is checked by the reference interpreter; it says what it cannot run.

// RUN: smartmem-opt --split-input-file --smartmem-validate --smartmem-raise-views \
// RUN:   --canonicalize --allow-unregistered-dialect --verify-diagnostics %s | FileCheck %s
// RUN: not smartmem-opt --smartmem-inputs=x.npz %s 2>&1 | FileCheck %s --check-prefix=ALONE

// ALONE: --smartmem-inputs is for --smartmem-validate; give both

// CHECK: smartmem.view
// CHECK: arith.addf
func.func @main(%a: tensor<4x8xf32>) -> tensor<8x4xf32> {
  %e = tensor.empty() : tensor<8x4xf32>
  %t = linalg.transpose ins(%a : tensor<4x8xf32>) outs(%e : tensor<8x4xf32>)
       permutation = [1, 0]
  %r = arith.addf %t, %t : tensor<8x4xf32>
  return %r : tensor<8x4xf32>
}

// -----

// expected-error@+1 {{the interpreter has no other.op}}
func.func @main(%a: tensor<4xf32>) -> tensor<4xf32> {
  %r = "other.op"(%a) : (tensor<4xf32>) -> tensor<4xf32>
  return %r : tensor<4xf32>
}
