// Four windows of 4 x 4 pixels of an image, each as a row, and the exponential of each pixel.

func.func @main(%image: tensor<8x8xf32>) -> tensor<4x16xf32> {
  %split = tensor.expand_shape %image [[0, 1], [2, 3]] output_shape [2, 4, 2, 4]
    : tensor<8x8xf32> into tensor<2x4x2x4xf32>
  %empty = tensor.empty() : tensor<2x2x4x4xf32>
  %windows = linalg.transpose ins(%split : tensor<2x4x2x4xf32>)
    outs(%empty : tensor<2x2x4x4xf32>) permutation = [0, 2, 1, 3]
  %rows = tensor.collapse_shape %windows [[0, 1], [2, 3]]
    : tensor<2x2x4x4xf32> into tensor<4x16xf32>
  %out = tensor.empty() : tensor<4x16xf32>
  %result = linalg.exp ins(%rows : tensor<4x16xf32>) outs(%out : tensor<4x16xf32>)
    -> tensor<4x16xf32>
  return %result : tensor<4x16xf32>
}
