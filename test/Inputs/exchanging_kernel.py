"""A kernel whose threads pass values to each other, or keep them, as lowered MLIR."""

ROWS = "affine_map<(d0, d1) -> (d0, d1)>"
COLUMNS = "affine_map<(d0, d1) -> (d1, d0)>"


def kernel(written: str, reshape: bool = False) -> str:
    """One kernel of two nests; the first writes its result through ``written``."""
    shape = "9x3" if written == ROWS else "3x9"
    between = f"""
      %s = tensor.expand_shape %b [[0, 1], [2]] output_shape [1, {shape.replace("x", ", ")}]
        : tensor<{shape}xf32> into tensor<1x{shape}xf32>
      %t = tensor.empty() : tensor<1x{shape}xf32>
      %u = linalg.generic {{
        indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>,
                         affine_map<(d0, d1, d2) -> (d0, d1, d2)>],
        iterator_types = ["parallel", "parallel", "parallel"]}}
        ins(%s : tensor<1x{shape}xf32>) outs(%t : tensor<1x{shape}xf32>) {{
      ^bb0(%v: f32, %o: f32):
        %y = arith.mulf %v, %v : f32
        linalg.yield %y : f32
      }} -> tensor<1x{shape}xf32>
      %c = tensor.collapse_shape %u [[0, 1], [2]]
        : tensor<1x{shape}xf32> into tensor<{shape}xf32>
    """
    return f"""
    module attributes {{smartmem.stage = "lowered"}} {{
    func.func @main(%x: tensor<9x3xf32>) -> tensor<9x3xf32> {{
      %r = "flow.dispatch.region"() ({{
        %a = tensor.empty() : tensor<{shape}xf32>
        %b = linalg.generic {{indexing_maps = [{ROWS}, {written}],
          iterator_types = ["parallel", "parallel"]}}
          ins(%x : tensor<9x3xf32>) outs(%a : tensor<{shape}xf32>) {{
        ^bb0(%v: f32, %o: f32):
          %y = math.exp %v : f32
          linalg.yield %y : f32
        }} -> tensor<{shape}xf32>
        {between if reshape else ""}
        %d = tensor.empty() : tensor<9x3xf32>
        %e = linalg.generic {{indexing_maps = [{written}, {ROWS}],
          iterator_types = ["parallel", "parallel"]}}
          ins(%{"c" if reshape else "b"} : tensor<{shape}xf32>) outs(%d : tensor<9x3xf32>) {{
        ^bb0(%v: f32, %o: f32):
          %i = linalg.index 0 : index
          %j = arith.index_cast %i : index to i32
          %k = arith.sitofp %j : i32 to f32
          %y = arith.addf %v, %k : f32
          linalg.yield %y : f32
        }} -> tensor<9x3xf32>
        "flow.return"(%e) : (tensor<9x3xf32>) -> ()
      }}, {{}}) {{operandSegmentSizes = array<i32: 0, 0>}} : () -> tensor<9x3xf32>
      return %r : tensor<9x3xf32>
    }}
    }}
    """
