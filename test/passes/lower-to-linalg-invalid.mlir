// RUN: not smartmem-opt --smartmem-lower-to-linalg %s 2>&1 | FileCheck %s

// CHECK: smartmem.relayout is left; layouts must be materialized before lowering
func.func @relayout(%x: tensor<4x8xf32>) {
  %0 = "smartmem.relayout"(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32, #smartmem.layout<"reorder(1, 0)", "buffer", []>>
  return
}
