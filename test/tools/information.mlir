// RUN: smartmem-opt --version | FileCheck --check-prefix=VERSION %s
// VERSION: smartmem {{[0-9]+\..*}}
// VERSION-NEXT: torch-mlir {{[0-9]+}} (LLVM {{[0-9]+\.[0-9]+}}
// VERSION-NEXT: iree-base-compiler {{[0-9]+\.[0-9]+}}
// VERSION-NEXT: iree-base-runtime {{[0-9]+\.[0-9]+}}

// RUN: smartmem-opt --show-dialects | FileCheck --check-prefix=DIALECTS %s
// DIALECTS: Available Dialects: acc, affine,{{.*}} builtin,{{.*}} linalg,{{.*}} smartmem,{{.*}} stablehlo, tensor, tm_tensor, torch,{{.*}} xevm

// RUN: smartmem-opt -list-passes | FileCheck --check-prefix=PASSES %s
// PASSES: SmartMem's passes:
// PASSES: --smartmem-raise-views {{.*}}- {{[A-Z]}}
// PASSES: --smartmem-classify-ops {{.*}}- {{[A-Z]}}
// PASSES: Upstream passes and pipelines
// PASSES: --canonicalize
// PASSES: --cse
// PASSES: --linalg-fuse-elementwise-ops
// PASSES: --torch-backend-to-linalg-on-tensors-backend-pipeline

// RUN: smartmem-opt --help | FileCheck --check-prefix=HELP %s
// HELP: usage: smartmem-opt
// HELP: --pass-pipeline
// HELP: --verify-diagnostics
// HELP: --emit-bytecode

// The pipeline goes to stderr with the defaults of all options, and the passes run.
// RUN: smartmem-opt %s --cse --dump-pass-pipeline 2>%t.err | FileCheck %s
// RUN: FileCheck --check-prefix=PIPELINE %s < %t.err
// RUN: smartmem-opt %s --canonicalize --dump-pass-pipeline 2>&1 >/dev/null | FileCheck --check-prefix=DEFAULTS %s
// PIPELINE: builtin.module(cse)
// DEFAULTS: builtin.module(canonicalize{{[{].*}}max-iterations=10
// CHECK: func.func @f

func.func @f() {
  return
}
