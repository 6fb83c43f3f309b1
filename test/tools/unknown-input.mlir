// RUN: smartmem-opt %s --allow-unregistered-dialect --cse | FileCheck %s
// RUN: smartmem-opt %s --allow-unregistered-dialect --no-implicit-module | FileCheck --check-prefix=BARE %s
// RUN: smartmem-opt %s --allow-unregistered-dialect --no-implicit-module --pass-pipeline='func.func(cse)' | FileCheck --check-prefix=BARE %s
// RUN: smartmem-opt %s --allow-unregistered-dialect --no-implicit-module --cse | FileCheck --check-prefix=BARE %s
// CHECK: module {
// CHECK: "acme.op"
// BARE-NOT: module
// BARE: func.func @f
// BARE: "acme.op"

// RUN: not smartmem-opt %s 2>&1 | FileCheck --check-prefix=UNREGISTERED %s
// UNREGISTERED: unknown-input.mlir:[[# @LINE + 10]]:17: error: operation being parsed with an unregistered dialect

// RUN: not smartmem-opt %s --allow-unregistered-dialect --no-implicit-module --smartmem-classify-ops 2>&1 | FileCheck --check-prefix=OURS %s
// OURS: error: pass smartmem-classify-ops: runs on the outermost builtin.module only, not inside of func.func

// RUN: cat %s > %t.two && echo 'func.func @g() { return }' >> %t.two
// RUN: not smartmem-opt %t.two --allow-unregistered-dialect --no-implicit-module 2>&1 | FileCheck --check-prefix=TWO %s
// TWO: {{.*}}.two: error: source must contain a single top-level operation, found: 2

func.func @f(%a: f32) -> f32 {
  %0 = "acme.op"(%a) : (f32) -> f32
  return %0 : f32
}
