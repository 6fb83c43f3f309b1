// RUN: smartmem-opt %s --pass-pipeline='builtin.module(func.func(cse),symbol-dce)' | FileCheck %s
// RUN: smartmem-opt %s --pass-pipeline='func.func(cse), symbol-dce' | FileCheck %s
// RUN: smartmem-opt %s --pass-pipeline='any(any(cse),symbol-dce)' | FileCheck %s
// CHECK-NOT: func.func private @unused
// CHECK-LABEL: func.func @f
// CHECK: arith.addf
// CHECK-NOT: arith.addf

// RUN: smartmem-opt %s --pass-pipeline='builtin.module(canonicalize{max-iterations=2},smartmem-classify-ops,func.func(cse,canonicalize))' --dump-pass-pipeline 2>&1 | FileCheck --check-prefix=OURS %s
// OURS: builtin.module(canonicalize{{.*}}max-iterations=2{{.*}},smartmem-classify-ops,func.func(cse,canonicalize{{.*}}))

// RUN: smartmem-opt %s --pass-pipeline='builtin.module()' | FileCheck --check-prefix=NOTHING %s
// NOTHING: func.func private @unused

// RUN: not smartmem-opt %s --pass-pipeline='builtin.module(cse,csee)' 2>&1 | FileCheck --check-prefix=UNKNOWN %s
// UNKNOWN: error: pass csee: no such pass; did you mean cse?

// RUN: not smartmem-opt %s --pass-pipeline='builtin.module(func.func(cse)' 2>&1 | FileCheck --check-prefix=OPEN %s
// OPEN: error: pass pipeline: missing ')' at the end of 'builtin.module(func.func(cse)'

// RUN: not smartmem-opt %s --pass-pipeline='cse)' 2>&1 | FileCheck --check-prefix=CLOSED %s
// CLOSED: error: pass pipeline: unexpected ')' at column 4 of 'cse)'

// RUN: not smartmem-opt %s --pass-pipeline='cse,,cse' 2>&1 | FileCheck --check-prefix=EMPTY %s
// EMPTY: error: pass pipeline: '' is not a pass or 'operation(passes)'

// RUN: not smartmem-opt %s --pass-pipeline='func.func(any(smartmem-classify-ops))' 2>&1 | FileCheck --check-prefix=MISPLACED %s
// MISPLACED: error: pass smartmem-classify-ops: runs on the outermost builtin.module only, not inside of func.func

// RUN: not smartmem-opt %s --pass-pipeline='affine-parallelize' 2>&1 | FileCheck --check-prefix=ANCHOR %s
// ANCHOR: error: pass affine-parallelize: works on func.func; write 'func.func(affine-parallelize)'

func.func private @unused()
func.func @f(%a: f32) -> (f32, f32) {
  %0 = arith.addf %a, %a : f32
  %1 = arith.addf %a, %a : f32
  return %0, %1 : f32, f32
}
