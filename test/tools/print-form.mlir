// RUN: smartmem-opt %s --mlir-print-op-generic | FileCheck --check-prefix=GENERIC %s
// GENERIC: "func.func"() <{
// GENERIC: "func.return"

// RUN: smartmem-opt %s --mlir-print-debuginfo --mlir-print-local-scope | FileCheck --check-prefix=LOCATION %s
// RUN: smartmem-opt --mlir-print-debuginfo --mlir-print-local-scope < %s | FileCheck --check-prefix=STDIN %s
// RUN: smartmem-opt %s --mlir-pretty-debuginfo | FileCheck --check-prefix=PRETTY %s
// LOCATION: func.func @f(%{{.*}}: tensor<8xf32> loc("{{.*}}print-form.mlir":[[# @LINE + 21]]:14)
// LOCATION: "model.py":3:4
// STDIN: func.func @f(%{{.*}}: tensor<8xf32> loc("<stdin>":[[# @LINE + 19]]:14)
// PRETTY: func.func @f(%{{.*}}: tensor<8xf32> {{.*}}print-form.mlir:[[# @LINE + 18]]:14

// RUN: smartmem-opt %s | FileCheck --check-prefix=ALIAS %s
// RUN: smartmem-opt %s --mlir-print-local-scope | FileCheck --check-prefix=LOCAL %s
// ALIAS: #map = affine_map
// ALIAS-NOT: loc(
// LOCAL-NOT: #map
// LOCAL: indexing_maps = [affine_map

// RUN: smartmem-opt %s --mlir-elide-elementsattrs-if-larger=4 | FileCheck --check-prefix=ELIDED %s
// RUN: smartmem-opt %s --mlir-elide-resource-strings-if-larger=20 | FileCheck --check-prefix=RESOURCE %s
// RUN: not smartmem-opt %s --mlir-elide-elementsattrs-if-larger=few 2>&1 | FileCheck --check-prefix=NUMBER %s
// ELIDED: dense_resource<__elided__> : tensor<8xf32>
// RESOURCE: dense<[1.0
// RESOURCE-NOT: 0x04000000
// NUMBER: error: argument --mlir-elide-elementsattrs-if-larger: invalid int value: 'few'

#id = affine_map<(d0) -> (d0)>
func.func @f(%a: tensor<8xf32>) -> (tensor<8xf32>, tensor<8xf32>) {
  %c = arith.constant dense<[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]> : tensor<8xf32>
  %w = arith.constant dense_resource<weight> : tensor<8xf32> loc("model.py":3:4)
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]}
      ins(%a : tensor<8xf32>) outs(%w : tensor<8xf32>) {
  ^bb0(%in: f32, %out: f32):
    linalg.yield %in : f32
  } -> tensor<8xf32>
  return %c, %0 : tensor<8xf32>, tensor<8xf32>
}

{-#
  dialect_resources: {
    builtin: {
      weight: "0x040000000000803f0000803f0000803f0000803f0000803f0000803f0000803f0000803f"
    }
  }
#-}
