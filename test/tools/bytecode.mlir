// RUN: smartmem-opt %s --emit-bytecode -o %t.mlirbc
// RUN: %PYTHON -c "import sys; sys.exit(open(sys.argv[1], 'rb').read(4) != b'ML\xefR')" %t.mlirbc
// RUN: smartmem-opt %t.mlirbc --cse | FileCheck %s
// RUN: smartmem-opt %s --emit-bytecode | smartmem-opt - --cse | FileCheck %s

// Locations and resources survive.
// RUN: smartmem-opt %t.mlirbc --mlir-print-debuginfo --mlir-print-local-scope | FileCheck --check-prefix=LOCATION %s
// LOCATION: dense_resource<weight> : tensor<2xf32> loc("{{.*}}bytecode.mlir":[[# @LINE + 18]]:8)
// RUN: smartmem-opt %t.mlirbc | FileCheck --check-prefix=RESOURCE %s
// RESOURCE: dense_resource<weight>
// RESOURCE: weight: "0x040000000000803F00000040"

// A truncated file is an error of one line with its name.
// RUN: %PYTHON -c "import sys; open(sys.argv[2], 'wb').write(open(sys.argv[1], 'rb').read()[:-20])" %t.mlirbc %t.cut
// RUN: not smartmem-opt %t.cut 2>&1 | FileCheck --check-prefix=TRUNCATED %s
// TRUNCATED-NOT: Traceback
// TRUNCATED: {{.*}}.cut: error: attempting to parse {{[0-9]+}} bytes when only {{[0-9]+}} remain

// RUN: not smartmem-opt %s --emit-bytecode --split-input-file 2>&1 | FileCheck --check-prefix=SPLIT %s
// SPLIT: error: --emit-bytecode works on one module

// CHECK-LABEL: func.func @f
//       CHECK:   arith.addf
//   CHECK-NOT:   arith.addf
func.func @f(%a: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %w = arith.constant dense_resource<weight> : tensor<2xf32>
  %0 = arith.addf %a, %w : tensor<2xf32>
  %1 = arith.addf %a, %w : tensor<2xf32>
  return %0, %1 : tensor<2xf32>, tensor<2xf32>
}

{-#
  dialect_resources: {
    builtin: {
      weight: "0x040000000000803f00000040"
    }
  }
#-}
