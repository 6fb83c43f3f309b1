// RUN: not smartmem-opt --smartmem-materialize-layouts --split-input-file %s 2>&1 | FileCheck %s

// CHECK: what lies in windows is read by a linalg.generic that slides them only: linalg.exp reads no windows
#windows = #smartmem.layout<"unfold(0, 3, 2)", "buffer", []>
func.func @reads_elements_of_windows(%x: tensor<9xf32, #windows>) -> tensor<9xf32> {
  %p = "smartmem.relayout"(%x) : (tensor<9xf32, #windows>) -> tensor<9xf32>
  %e = tensor.empty() : tensor<9xf32>
  %0 = linalg.exp ins(%p : tensor<9xf32>) outs(%e : tensor<9xf32>) -> tensor<9xf32>
  return %0 : tensor<9xf32>
}

// -----
// CHECK: it does not slide a window as unfold(0, 3, 1) has them
#windows = #smartmem.layout<"unfold(0, 3, 1)", "buffer", []>
func.func @more_windows(%x: tensor<9xf32, #windows>, %w: tensor<2xf32>, %z: tensor<8xf32>) -> tensor<8xf32> {
  %p = "smartmem.relayout"(%x) : (tensor<9xf32, #windows>) -> tensor<9xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(h, r) -> (h + r)>, affine_map<(h, r) -> (r)>, affine_map<(h, r) -> (h)>], iterator_types = ["parallel", "reduction"]} ins(%p, %w : tensor<9xf32>, tensor<2xf32>) outs(%z : tensor<8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// -----
// CHECK: it does not slide a window as unfold(0, 3, 2) has them
#windows = #smartmem.layout<"unfold(0, 3, 2)", "buffer", []>
func.func @flipped(%x: tensor<9xf32, #windows>, %w: tensor<3xf32>, %z: tensor<4xf32>) -> tensor<4xf32> {
  %p = "smartmem.relayout"(%x) : (tensor<9xf32, #windows>) -> tensor<9xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(h, r) -> (h * 2 - r + 2)>, affine_map<(h, r) -> (r)>, affine_map<(h, r) -> (h)>], iterator_types = ["parallel", "reduction"]} ins(%p, %w : tensor<9xf32>, tensor<3xf32>) outs(%z : tensor<4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %m = arith.mulf %a, %b : f32
    %s = arith.addf %o, %m : f32
    linalg.yield %s : f32
  } -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
