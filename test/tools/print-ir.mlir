// RUN: smartmem-opt %s --cse --symbol-dce --mlir-print-ir-after-all 2>&1 >/dev/null | FileCheck --check-prefix=AFTER %s
// RUN: smartmem-opt %s --cse --symbol-dce --mlir-print-ir-before-all 2>&1 >/dev/null | FileCheck --check-prefix=BEFORE %s
// RUN: smartmem-opt %s --cse --symbol-dce --mlir-print-ir-after-change 2>&1 >/dev/null | FileCheck --check-prefix=CHANGE %s
// RUN: not smartmem-opt %s --cse --one-shot-bufferize --mlir-print-ir-after-failure 2>&1 | FileCheck --check-prefix=FAILURE %s
// RUN: smartmem-opt %s --pass-pipeline='func.func(cse)' --mlir-print-ir-after-all 2>&1 >/dev/null | FileCheck --check-prefix=FUNCTION %s
// RUN: smartmem-opt %s --pass-pipeline='func.func(cse)' --mlir-print-ir-after-all --mlir-print-ir-module-scope 2>&1 >/dev/null | FileCheck --check-prefix=SCOPE %s
// RUN: smartmem-opt %s --pass-pipeline='func.func(canonicalize,cse),smartmem-raise-views,symbol-dce' --mlir-print-ir-before=cse --mlir-print-ir-after=cse,smartmem-raise-views --mlir-print-op-generic 2>&1 >/dev/null | FileCheck --check-prefix=NAMED %s
// RUN: not smartmem-opt %s --cse --mlir-print-ir-after=cze 2>&1 | FileCheck --check-prefix=UNKNOWN %s
// RUN: smartmem-opt %s --cse --mlir-pass-statistics 2>&1 >/dev/null | FileCheck --check-prefix=STATISTICS %s
// RUN: smartmem-opt %s --cse 2>&1 >/dev/null | not grep .

// AFTER: IR Dump After CSEPass: cse
// AFTER: arith.addf
// AFTER-NOT: arith.addf
// AFTER: IR Dump After SymbolDCEPass: symbol-dce
// BEFORE: IR Dump Before CSEPass: cse
// BEFORE: arith.addf
// BEFORE: arith.addf
// BEFORE: IR Dump Before SymbolDCEPass: symbol-dce
// CHANGE: IR Dump After CSEPass: cse
// CHANGE-NOT: IR Dump After SymbolDCEPass
// FAILURE-NOT: IR Dump After CSEPass
// FAILURE: IR Dump After OneShotBufferizePass Failed: one-shot-bufferize
// FUNCTION: IR Dump After CSEPass: cse
// FUNCTION-NEXT: func.func @f
// SCOPE: IR Dump After CSEPass: cse ('func.func' operation: @f)
// SCOPE-NEXT: module {

// NAMED: IR Dump Before cse
// NAMED-NEXT: "builtin.module"
// NAMED: arith.addf
// NAMED: arith.addf
// NAMED: IR Dump After cse
// NAMED: arith.addf
// NAMED-NOT: arith.addf
// NAMED: IR Dump After smartmem-raise-views
// NAMED-NOT: Dump
// UNKNOWN: error: pass cze: no such pass; did you mean cse?
// STATISTICS: Pass statistics report

// One file per dump below a folder.
// RUN: rm -rf %t.dir && smartmem-opt %s --cse --symbol-dce --mlir-print-ir-after-all --mlir-print-ir-tree-dir=%t.dir 2>&1 >/dev/null | not grep .
// RUN: ls -R %t.dir | FileCheck --check-prefix=TREE %s
// TREE-DAG: 0_cse.mlir
// TREE-DAG: 1_symbol-dce.mlir

func.func @f(%a: f32) -> (f32, f32, tensor<4xf32>) {
  %0 = arith.addf %a, %a : f32
  %1 = arith.addf %a, %a : f32
  %2 = builtin.unrealized_conversion_cast %a : f32 to tensor<4xf32>
  %3 = linalg.exp ins(%2 : tensor<4xf32>) outs(%2 : tensor<4xf32>) -> tensor<4xf32>
  return %0, %1, %3 : f32, f32, tensor<4xf32>
}
