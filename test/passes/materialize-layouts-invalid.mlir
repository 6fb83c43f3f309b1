// RUN: not smartmem-opt --smartmem-materialize-layouts --split-input-file %s 2>&1 | FileCheck %s

// CHECK: linalg.exp reads a tensor with a layout; put a smartmem.relayout to the plain type before it
#across = #smartmem.layout<"reorder(1, 0)", "buffer", []>
func.func @reads_a_layout(%x: tensor<4x8xf32, #across>) -> tensor<4x8xf32, #across> {
  %e = tensor.empty() : tensor<4x8xf32, #across>
  %0 = linalg.exp ins(%x : tensor<4x8xf32, #across>) outs(%e : tensor<4x8xf32, #across>) -> tensor<4x8xf32, #across>
  return %0 : tensor<4x8xf32, #across>
}

// -----
// CHECK: argument 0: storage image2d needs texel dims [x, y, lane], but [7] is given
#image = #smartmem.layout<"", "image2d", [7]>
func.func @passes_an_image_through(%x: tensor<4x8xf32, #image>) -> tensor<4x8xf32, #image> {
  return %x : tensor<4x8xf32, #image>
}
