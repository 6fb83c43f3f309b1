// RUN: not smartmem-opt --smartmem-materialize-layouts %s 2>&1 | FileCheck %s

// CHECK: elements that lie in several windows are read by windows of that size and stride only
#windows = #smartmem.layout<"unfold(0, 3, 2)", "buffer", []>
func.func @reads_elements_of_windows(%x: tensor<9xf32, #windows>) -> tensor<9xf32> {
  %p = "smartmem.relayout"(%x) : (tensor<9xf32, #windows>) -> tensor<9xf32>
  %e = tensor.empty() : tensor<9xf32>
  %0 = linalg.exp ins(%p : tensor<9xf32>) outs(%e : tensor<9xf32>) -> tensor<9xf32>
  return %0 : tensor<9xf32>
}
