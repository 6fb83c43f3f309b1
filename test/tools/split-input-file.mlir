// RUN: smartmem-opt %s --split-input-file | FileCheck %s
// RUN: smartmem-opt %s --split-input-file --output-split-marker='// next' | FileCheck --check-prefix=MARKER %s
// RUN: not smartmem-opt %s 2>&1 | FileCheck --check-prefix=UNSPLIT %s

// Faults are told at their lines in the whole file, and parts after a broken one are read.
// RUN: sed -e 's/return/retrun/' %s > %t.mlir
// RUN: not smartmem-opt %t.mlir --split-input-file > %t.out 2> %t.err
// RUN: FileCheck --check-prefix=BROKEN %s < %t.err
// RUN: not grep . %t.out

// RUN: sed -e 's/^\/\/ -----/\/\/ = = =/' %s > %t.equals.mlir
// RUN: smartmem-opt %t.equals.mlir --split-input-file='// = = =' | FileCheck %s
// RUN: not smartmem-opt %s --split-input-file --emit-bytecode -o %t.mlirbc 2>&1 | FileCheck --check-prefix=BYTECODE %s

// BYTECODE: error: --emit-bytecode works on one module; drop --split-input-file
// CHECK: func.func @f()
// CHECK: {{^// -----}}
// CHECK: func.func @f(%{{.*}}: f32)
// MARKER: func.func @f()
// MARKER: {{^// next}}
// MARKER: func.func @f(%{{.*}}: f32)

func.func @f() {
  // BROKEN: {{.*}}.mlir:[[# @LINE + 1]]:3: error: custom op 'retrun' is unknown
  return
}

// -----

// UNSPLIT: split-input-file.mlir:[[# @LINE + 1]]:1: error: redefinition of symbol named 'f'
func.func @f(%a: f32) {
  // BROKEN: {{.*}}.mlir:[[# @LINE + 1]]:3: error: custom op 'retrun' is unknown
  return
}
