// RUN: smartmem-opt %s --cse | FileCheck %s
// RUN: smartmem-opt --cse < %s | FileCheck %s
// RUN: smartmem-opt --cse - < %s | FileCheck %s
// RUN: smartmem-opt %s --cse -o - | FileCheck %s
// RUN: smartmem-opt %s --cse -o %t.mlir | not grep .
// RUN: FileCheck %s < %t.mlir
// RUN: smartmem-opt %s --cse -o=%t.equals.mlir && FileCheck %s < %t.equals.mlir
// RUN: smartmem-opt --cse -- %s | FileCheck %s

// Faults: one message, status 1, and no file.
// RUN: not smartmem-opt %t.missing 2>&1 | FileCheck --check-prefix=MISSING %s
// RUN: not smartmem-opt %S 2>&1 | FileCheck --check-prefix=FOLDER %s
// RUN: %PYTHON -c "import sys; sys.stdout.buffer.write(bytes([0xff, 0xfe]))" > %t.binary
// RUN: not smartmem-opt %t.binary 2>&1 | FileCheck --check-prefix=BINARY %s
// RUN: not smartmem-opt %s -o %t.nowhere/out.mlir 2>&1 | FileCheck --check-prefix=UNWRITABLE %s
// RUN: not smartmem-opt %s %s 2>&1 | FileCheck --check-prefix=TWO %s
// RUN: echo 'func.func @broken() { return %%x : f32 }' > %t.broken
// RUN: rm -f %t.none && not smartmem-opt %t.broken -o %t.none 2>&1 | FileCheck --check-prefix=BROKEN %s
// RUN: not ls %t.none

// A failure leaves an older output as it was.
// RUN: cp %t.mlir %t.older.mlir
// RUN: not smartmem-opt %t.broken -o %t.older.mlir
// RUN: diff %t.mlir %t.older.mlir

// MISSING-NOT: Traceback
// MISSING: error: cannot read {{.*}}.missing: No such file or directory
// FOLDER: error: cannot read {{.*}}: Is a directory
// BINARY: error: {{.*}}.binary is neither MLIR text nor MLIR bytecode: byte 0 is not UTF-8
// UNWRITABLE: error: cannot write {{.*}}nowhere/out.mlir: No such file or directory
// TWO: error: unrecognized arguments: {{.*}}; see smartmem-opt --help
// BROKEN: {{.*}}.broken:1:30: error: use of undeclared SSA value name

// CHECK-LABEL: func.func @merges_twins
//       CHECK:   %[[SUM:.*]] = arith.addf
//   CHECK-NOT:   arith.addf
//       CHECK:   arith.mulf %[[SUM]], %[[SUM]]
func.func @merges_twins(%a: tensor<4xf32>) -> tensor<4xf32> {
  %0 = arith.addf %a, %a : tensor<4xf32>
  %1 = arith.addf %a, %a : tensor<4xf32>
  %2 = arith.mulf %0, %1 : tensor<4xf32>
  return %2 : tensor<4xf32>
}
