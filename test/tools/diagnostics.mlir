// Diagnostics have the form file:line:column: severity: text, the source line and a caret.
// RUN: not smartmem-opt %s 2>&1 | FileCheck --strict-whitespace %s
// RUN: not smartmem-opt < %s 2>&1 | FileCheck --check-prefix=STDIN %s
// RUN: not smartmem-opt %s -o /dev/null 2>&1 >/dev/null | FileCheck --strict-whitespace %s
// RUN: not smartmem-opt %s 2>/dev/null | not grep .

// A pass reports at the operation.
// RUN: echo 'func.func @f(%%a: tensor<4xf32>) -> tensor<4xf32> {' > %t.mlir
// RUN: echo '  %%0 = builtin.unrealized_conversion_cast %%a : tensor<4xf32> to tensor<4xf32>' >> %t.mlir
// RUN: echo '  return %%0 : tensor<4xf32> }' >> %t.mlir
// RUN: not smartmem-opt %t.mlir --one-shot-bufferize 2>&1 | FileCheck --check-prefix=PASS %s
// PASS: {{.*}}.mlir:2:8: error: op was not bufferized
// PASS-NEXT: %0 = builtin.unrealized_conversion_cast %a : tensor<4xf32> to tensor<4xf32>
// PASS-NEXT: {{^       \^$}}

// The traceback is for -v alone.
// RUN: not smartmem-opt %t.missing 2>&1 | FileCheck --check-prefix=QUIET %s
// RUN: not smartmem-opt %t.missing -v 2>&1 | FileCheck --check-prefix=VERBOSE %s
// QUIET-NOT: Traceback
// QUIET: error: cannot read
// VERBOSE: Traceback
// VERBOSE: error: cannot read

// CHECK: diagnostics.mlir:[[# @LINE + 7]]:8: error: 'func.call' op 'g' does not reference a valid function
// CHECK-NEXT:  %0 = func.call @g(%a) : (f32) -> f32
// CHECK-NEXT:{{^       \^$}}
// CHECK-NEXT: diagnostics.mlir:[[# @LINE + 4]]:8: note: see current operation
// STDIN: <stdin>:[[# @LINE + 3]]:8: error: 'func.call' op

func.func @f(%a: f32) -> f32 {
  %0 = func.call @g(%a) : (f32) -> f32
  return %0 : f32
}
