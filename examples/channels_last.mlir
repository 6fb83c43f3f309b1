// A convolution of NCHW whose callers hand over, and get, NHWC; between convolution and tanh
// the result lies in blocks of four channels.
//
//   smartmem compile examples/channels_last.mlir -o channels_last.vmfb --target cpu
//   smartmem run channels_last.vmfb

#nhwc = #smartmem.layout<"reorder(0, 2, 3, 1)", "buffer", []>
#blocks = #smartmem.layout<"split(1, 8, 4) reorder(0, 1, 3, 4, 2)", "buffer", []>

func.func @main(%x: tensor<1x8x14x14xf32, #nhwc>, %w: tensor<32x8x3x3xf32>) -> tensor<1x32x12x12xf32, #nhwc> {
  %nchw = "smartmem.relayout"(%x) : (tensor<1x8x14x14xf32, #nhwc>) -> tensor<1x8x14x14xf32>
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<1x32x12x12xf32>
  %zeros = linalg.fill ins(%zero : f32) outs(%empty : tensor<1x32x12x12xf32>) -> tensor<1x32x12x12xf32>
  %conv = linalg.conv_2d_nchw_fchw ins(%nchw, %w : tensor<1x8x14x14xf32>, tensor<32x8x3x3xf32>) outs(%zeros : tensor<1x32x12x12xf32>) -> tensor<1x32x12x12xf32>
  %blocks = "smartmem.relayout"(%conv) : (tensor<1x32x12x12xf32>) -> tensor<1x32x12x12xf32, #blocks>
  %read = "smartmem.relayout"(%blocks) : (tensor<1x32x12x12xf32, #blocks>) -> tensor<1x32x12x12xf32>
  %tanh = linalg.tanh ins(%read : tensor<1x32x12x12xf32>) outs(%empty : tensor<1x32x12x12xf32>) -> tensor<1x32x12x12xf32>
  %nhwc = "smartmem.relayout"(%tanh) : (tensor<1x32x12x12xf32>) -> tensor<1x32x12x12xf32, #nhwc>
  return %nhwc : tensor<1x32x12x12xf32, #nhwc>
}
