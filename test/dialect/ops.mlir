// RUN: smartmem-opt %s | smartmem-opt | FileCheck %s
// RUN: smartmem-opt --emit-bytecode %s | smartmem-opt | FileCheck %s

// CHECK-DAG: #[[SWAP:.*]] = affine_map<(d0, d1) -> (d1, d0)>

// CHECK-LABEL: func @transposes
func.func @transposes(%x: tensor<4x8xf32>) -> tensor<8x4xf32> {
  // CHECK: "smartmem.view"(%{{.*}}) {map = #[[SWAP]]} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  %0 = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d1, d0)>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  return %0 : tensor<8x4xf32>
}

// CHECK-LABEL: func @pads
func.func @pads(%x: tensor<4xf32>, %fill: f32) -> tensor<6xf32> {
  // CHECK: "smartmem.view"(%{{.*}}, %{{.*}}) {domain = {{.*}}, map = {{.*}}} : (tensor<4xf32>, f32) -> tensor<6xf32>
  %0 = "smartmem.view"(%x, %fill) {map = affine_map<(d0) -> (d0 - 1)>, domain = affine_map<(d0) -> (d0 - 1, 4 - d0)>} : (tensor<4xf32>, f32) -> tensor<6xf32>
  return %0 : tensor<6xf32>
}

// CHECK-LABEL: func @joins
func.func @joins(%x: tensor<2xf32>, %y: tensor<3xf32>) -> tensor<5xf32> {
  %0 = "smartmem.view"(%x) {map = affine_map<(d0) -> (d0)>, domain = affine_map<(d0) -> (1 - d0)>} : (tensor<2xf32>) -> tensor<5xf32>
  %1 = "smartmem.view"(%y) {map = affine_map<(d0) -> (d0 - 2)>, domain = affine_map<(d0) -> (d0 - 2)>} : (tensor<3xf32>) -> tensor<5xf32>
  // CHECK: "smartmem.concat"(%{{.*}}, %{{.*}}) {domains = [{{.*}}, {{.*}}]} : (tensor<5xf32>, tensor<5xf32>) -> tensor<5xf32>
  %2 = "smartmem.concat"(%0, %1) {domains = [affine_map<(d0) -> (1 - d0)>, affine_map<(d0) -> ()>]} : (tensor<5xf32>, tensor<5xf32>) -> tensor<5xf32>
  return %2 : tensor<5xf32>
}

// CHECK-LABEL: func @rank_zero
func.func @rank_zero(%x: tensor<f32>) -> tensor<1xf32> {
  // CHECK: "smartmem.view"
  %0 = "smartmem.view"(%x) {map = affine_map<(d0) -> ()>} : (tensor<f32>) -> tensor<1xf32>
  return %0 : tensor<1xf32>
}

#image = #smartmem.layout<"split(1, 2, 4) reorder(1, 0, 2)", "image2d", [0, 1, 2]>
#texels = #smartmem.layout<"split(1, 2, 4) fuse(0, 2)", "texel_buffer", [0, 1]>

// CHECK-LABEL: func @relayouts
func.func @relayouts(%x: tensor<4x8xf32>) -> tensor<4x8xf32, #texels> {
  // CHECK: "smartmem.relayout"(%{{.*}}) : (tensor<4x8xf32>) -> tensor<4x8xf32, #smartmem.layout<"split(1, 2, 4) reorder(1, 0, 2)", "image2d", [0, 1, 2]>>
  %0 = "smartmem.relayout"(%x) : (tensor<4x8xf32>) -> tensor<4x8xf32, #image>
  // CHECK: "smartmem.relayout"(%{{.*}}) : {{.*}} -> tensor<4x8xf32, #smartmem.layout<"split(1, 2, 4) fuse(0, 2)", "texel_buffer", [0, 1]>>
  %1 = "smartmem.relayout"(%0) : (tensor<4x8xf32, #image>) -> tensor<4x8xf32, #texels>
  return %1 : tensor<4x8xf32, #texels>
}

// CHECK-LABEL: func @layout_is_carried_by_linalg
func.func @layout_is_carried_by_linalg(%x: tensor<4x8xf32, #image>) -> tensor<4x8xf32, #image> {
  %e = tensor.empty() : tensor<4x8xf32, #image>
  // CHECK: linalg.exp ins(%{{.*}} : tensor<4x8xf32, #smartmem.layout<
  %0 = linalg.exp ins(%x : tensor<4x8xf32, #image>) outs(%e : tensor<4x8xf32, #image>) -> tensor<4x8xf32, #image>
  return %0 : tensor<4x8xf32, #image>
}

// CHECK: smartmem.group = #smartmem.group<"ild_fixed">
// CHECK-SAME: smartmem.mapping = #smartmem.mapping<"shuffle">
func.func private @classified() attributes {smartmem.group = #smartmem.group<"ild_fixed">, smartmem.mapping = #smartmem.mapping<"shuffle">}

// An unused movement is pure: canonicalization removes it.
// RUN: smartmem-opt --canonicalize %s | FileCheck %s --check-prefix=PURE
// PURE-LABEL: func @unused
// PURE-NEXT: return
func.func @unused(%x: tensor<4x8xf32>) {
  %0 = "smartmem.view"(%x) {map = affine_map<(d0, d1) -> (d1, d0)>} : (tensor<4x8xf32>) -> tensor<8x4xf32>
  return
}
