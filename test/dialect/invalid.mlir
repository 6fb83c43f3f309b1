// RUN: smartmem-opt --split-input-file --verify-diagnostics %s

func.func @map_dims(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {
  // expected-error@+1 {{map has 3 dims, but the result has rank 2}}
  %0 = "smartmem.view"(%x) {map = affine_map<(d0, d1, d2) -> (d1, d0)>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  return %0 : tensor<8x4xf32>
}

// -----
func.func @map_results(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {
  // expected-error@+1 {{map has 1 results, but its source has rank 2}}
  %0 = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d1)>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  return %0 : tensor<8x4xf32>
}

// -----
func.func @reads_outside(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {
  // expected-error@+1 {{reads outside its source [4, 8] for a result of [8, 4]}}
  %0 = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d0, d1)>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  return %0 : tensor<8x4xf32>
}

// -----
func.func @reads_below_zero(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{reads outside its source [4] for a result of [4]}}
  %0 = "smartmem.view"(%x) {map = affine_map<(d0) -> (d0 - 1)>} : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----
func.func @domain_too_wide(%x: tensor<4xf32>, %f: f32) -> tensor<6xf32> {
  // expected-error@+1 {{reads outside its source [4] for a result of [6]}}
  %0 = "smartmem.view"(%x, %f) {map = affine_map<(d0) -> (d0 - 1)>, domain = affine_map<(d0) -> (d0 - 1)>} : (tensor<4xf32>, f32) -> tensor<6xf32>
  return %0 : tensor<6xf32>
}

// -----
func.func @symbols(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{index maps with symbols are not supported}}
  %0 = "smartmem.view"(%x) {map = affine_map<(d0)[s0] -> (d0 + s0)>} : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----
func.func @element_type(%x: tensor<4xf32>) -> tensor<4xf16> {
  // expected-error@+1 {{source #0 has element type f32, but the result f16}}
  %0 = "smartmem.view"(%x) {map = affine_map<(d0) -> (d0)>} : (tensor<4xf32>) -> tensor<4xf16>
  return %0 : tensor<4xf16>
}

// -----
func.func @dynamic(%x: tensor<?xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{source #0 must have a static shape}}
  %0 = "smartmem.view"(%x) {map = affine_map<(d0) -> (d0)>} : (tensor<?xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----
func.func @fill_without_domain(%x: tensor<4xf32>, %f: f32) -> tensor<4xf32> {
  // expected-error@+1 {{has a fill value but no domain outside which it stands}}
  %0 = "smartmem.view"(%x, %f) {map = affine_map<(d0) -> (d0)>} : (tensor<4xf32>, f32) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----
func.func @fill_type(%x: tensor<4xf32>, %f: i32) -> tensor<6xf32> {
  // expected-error@+1 {{fill value has type i32, but elements f32}}
  %0 = "smartmem.view"(%x, %f) {map = affine_map<(d0) -> (d0)>, domain = affine_map<(d0) -> (3 - d0)>} : (tensor<4xf32>, i32) -> tensor<6xf32>
  return %0 : tensor<6xf32>
}

// -----
func.func @two_fills(%x: tensor<4xf32>, %f: f32) -> tensor<6xf32> {
  // expected-error@+1 {{takes a source and at most one fill value, but has 3 operands}}
  %0 = "smartmem.view"(%x, %f, %f) {map = affine_map<(d0) -> (d0)>, domain = affine_map<(d0) -> (3 - d0)>} : (tensor<4xf32>, f32, f32) -> tensor<6xf32>
  return %0 : tensor<6xf32>
}

// -----
func.func @no_map(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{needs a source and an attribute 'map'}}
  %0 = "smartmem.view"(%x) : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----
func.func @concat_gap(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{leaves elements of the result [4] that no domain holds}}
  %0 = "smartmem.concat"(%x, %x) {domains = [affine_map<(d0) -> (1 - d0)>, affine_map<(d0) -> (d0 - 3)>]} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----
func.func @concat_count(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{has 2 sources but 1 domains}}
  %0 = "smartmem.concat"(%x, %x) {domains = [affine_map<(d0) -> ()>]} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----
func.func @concat_type(%x: tensor<4xf32>) -> tensor<5xf32> {
  // expected-error@+1 {{source #0 has type tensor<4xf32>, but the result tensor<5xf32>}}
  %0 = "smartmem.concat"(%x) {domains = [affine_map<(d0) -> ()>]} : (tensor<4xf32>) -> tensor<5xf32>
  return %0 : tensor<5xf32>
}

// -----
func.func @concat_domain_dims(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{domains[0] has 2 dims, but the result has rank 1}}
  %0 = "smartmem.concat"(%x) {domains = [affine_map<(d0, d1) -> (d0)>]} : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----
func.func @relayout_shape(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {
  // expected-error@+1 {{changes the shape [4, 8] to [8, 4]}}
  %0 = "smartmem.relayout"(%x) : (tensor<4x8xf32>) -> tensor<8x4xf32>
  return %0 : tensor<8x4xf32>
}

// -----
func.func @layout_rank(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{reorder(0) does not fit the shape [4, 8]: it does not name each dim once}}
  %0 = "smartmem.relayout"(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32, #smartmem.layout<"reorder(0)", "buffer", []>>
  return
}

// -----
func.func @layout_rest(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{split(1, 2, 3) does not fit the shape [4, 8]: 8 is not the product; pad it first}}
  %0 = "smartmem.relayout"(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32, #smartmem.layout<"split(1, 2, 3)", "buffer", []>>
  return
}

// -----
func.func @layout_word(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{there is no layout primitive swap; use split, reorder, fuse, pad, unfold, store_at}}
  %0 = "smartmem.relayout"(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32, #smartmem.layout<"swap(0, 1)", "buffer", []>>
  return
}

// -----
func.func @buffer_with_texel(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{storage buffer needs texel dims [], but [0] is given}}
  %0 = "smartmem.relayout"(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32, #smartmem.layout<"", "buffer", [0]>>
  return
}

// -----
func.func @texel_of_words(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{texel dims are numbers, but ["a"] is given}}
  %0 = "smartmem.relayout"(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32, #smartmem.layout<"", "buffer", ["a"]>>
  return
}

// -----
func.func @image_without_y(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{storage image2d needs texel dims [x, y, lane], but [0, 1] is given}}
  %0 = "smartmem.relayout"(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32, #smartmem.layout<"", "image2d", [0, 1]>>
  return
}

// -----
func.func @lane_too_wide(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{the lane has 8 elements, but a texel holds 4}}
  %0 = "smartmem.relayout"(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32, #smartmem.layout<"", "texel_buffer", [0, 1]>>
  return
}

// -----
// expected-error@+1 {{does not satisfy the constraint}}
func.func private @group() attributes {smartmem.group = #smartmem.group<"ild">}

// -----
// expected-error@+1 {{does not satisfy the constraint}}
func.func private @storage(tensor<4xf32, #smartmem.layout<"", "texture", []>>)
