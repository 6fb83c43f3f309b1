// RUN: smartmem-opt %s --cse --canonicalize='max-iterations=3' --no-verify-each --mlir-generate-reproducer=%t.mlir | FileCheck %s
// RUN: FileCheck --check-prefix=FILE %s < %t.mlir
// FILE: arith.addf
// FILE: arith.addf
// FILE: pipeline: "builtin.module(cse,canonicalize{max-iterations=3})"
// FILE: verify_each: false

// RUN: smartmem-opt %t.mlir --run-reproducer > %t.out 2> %t.err
// RUN: FileCheck %s < %t.out
// RUN: not grep . %t.err
// RUN: smartmem-opt %t.mlir --run-reproducer --dump-pass-pipeline 2>&1 >/dev/null | FileCheck --check-prefix=PIPELINE %s
// PIPELINE: builtin.module(cse,canonicalize{{.*}}max-iterations=3

// A crash reproducer is there after a failure and not otherwise.
// RUN: smartmem-opt %s --cse --mlir-pass-pipeline-crash-reproducer=%t.crash && not ls %t.crash
// RUN: not smartmem-opt %s --cse --one-shot-bufferize --mlir-pass-pipeline-crash-reproducer=%t.crash
// RUN: not smartmem-opt %t.crash --run-reproducer 2>&1 | FileCheck --check-prefix=AGAIN %s
// AGAIN: error: op was not bufferized

// RUN: not smartmem-opt %s --run-reproducer 2>&1 | FileCheck --check-prefix=NONE %s
// RUN: not smartmem-opt %t.mlir --run-reproducer --cse 2>&1 | FileCheck --check-prefix=BOTH %s
// RUN: not smartmem-opt %s --cse --mlir-generate-reproducer=%t.nowhere/x.mlir 2>&1 | FileCheck --check-prefix=UNWRITABLE %s
// NONE: error: {{.*}} holds no reproducer
// BOTH: error: pass flags and --run-reproducer exclude each other
// UNWRITABLE: error: cannot write {{.*}}nowhere/x.mlir: No such file or directory

// CHECK-LABEL: func.func @f
//       CHECK:   arith.addf
//   CHECK-NOT:   arith.addf
func.func @f(%a: f32) -> (f32, f32, tensor<4xf32>) {
  %0 = arith.addf %a, %a : f32
  %1 = arith.addf %a, %a : f32
  %2 = builtin.unrealized_conversion_cast %a : f32 to tensor<4xf32>
  %3 = linalg.exp ins(%2 : tensor<4xf32>) outs(%2 : tensor<4xf32>) -> tensor<4xf32>
  return %0, %1, %3 : f32, f32, tensor<4xf32>
}
