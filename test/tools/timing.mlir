// RUN: smartmem-opt %s --cse --symbol-dce --mlir-timing 2>&1 >/dev/null | FileCheck --check-prefix=TIMING %s
// TIMING: Execution time report
// TIMING: CSEPass
// TIMING: SymbolDCEPass
// TIMING: Total

// Passes of SmartMem stand between the upstream ones.
// RUN: smartmem-opt %s --cse --smartmem-classify-ops --symbol-dce --mlir-timing 2>&1 >/dev/null | FileCheck --check-prefix=OURS %s
// OURS: CSEPass
// OURS: ClassifyOps
// OURS: SymbolDCEPass

// The report does not mix with the IR.
// RUN: smartmem-opt %s --cse --mlir-timing 2>/dev/null | FileCheck %s
// CHECK-NOT: report
// CHECK: func.func @f

func.func @f(%a: f32) -> (f32, f32) {
  %0 = arith.addf %a, %a : f32
  %1 = arith.addf %a, %a : f32
  return %0, %1 : f32, f32
}
