// RUN: smartmem-opt --smartmem-raise-views --smartmem-compose-views --smartmem-fuse-siblings --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-raise-views --smartmem-compose-views --smartmem-fuse-siblings --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK
// RUN: smartmem-opt --smartmem-target=adreno-740 --smartmem-raise-views --smartmem-compose-views --smartmem-fuse-siblings --split-input-file %s | FileCheck %s --check-prefix=GPU

// Keys are a function of a slice, values another slice with a column of ones: 2 + 3
// channels of one tensor.
// CHECK: #map = affine_map<(d0, d1) -> (d0, d1)>
// CHECK: #map1 = affine_map<(d0, d1) -> (d0, d1 + 2)>
// CHECK-LABEL: func @keys_and_padded_values
// REMARK: one operation computes 2 operands of contractions
func.func @keys_and_padded_values(%x: tensor<4x7xf32>, %acc: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // CHECK-NOT: tensor.pad
  // CHECK: %[[Y:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<7x5xf32>)
  // CHECK: %[[V:.*]] = tensor.extract %arg0
  // CHECK: arith.select %{{.*}}, %[[V]], %{{.*}} : f32
  // CHECK: arith.negf %[[V]]
  // CHECK: } -> tensor<7x5xf32>
  // CHECK: %[[KEYS:.*]] = "smartmem.view"(%[[Y]]) {map = #map} : {{.*}} -> tensor<7x2xf32>
  // CHECK: %[[VALUES:.*]] = "smartmem.view"(%[[Y]]) {map = #map1} : {{.*}} -> tensor<7x3xf32>
  // CHECK: linalg.generic {{.*}} ins(%[[KEYS]], %[[VALUES]] :
  %one = arith.constant 1.0 : f32
  %e = tensor.empty() : tensor<7x2xf32>
  %et = tensor.empty() : tensor<7x4xf32>
  %t = linalg.transpose ins(%x : tensor<4x7xf32>) outs(%et : tensor<7x4xf32>) permutation = [1, 0]
  %front = tensor.extract_slice %t[0, 0] [7, 2] [1, 1] : tensor<7x4xf32> to tensor<7x2xf32>
  %back = tensor.extract_slice %t[0, 2] [7, 2] [1, 1] : tensor<7x4xf32> to tensor<7x2xf32>
  %keys = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%front : tensor<7x2xf32>) outs(%e : tensor<7x2xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.negf %a : f32
    linalg.yield %v : f32
  } -> tensor<7x2xf32>
  %values = tensor.pad %back low[0, 0] high[0, 1] {
  ^bb0(%i: index, %j: index):
    tensor.yield %one : f32
  } : tensor<7x2xf32> to tensor<7x3xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d2, d0)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%keys, %values : tensor<7x2xf32>, tensor<7x3xf32>) outs(%acc : tensor<2x3xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<2x3xf32>
  return %m : tensor<2x3xf32>
}

// -----
// The padded values are returned, too: they have to be a tensor of their own.
// CHECK-LABEL: func @returned_values_stay
func.func @returned_values_stay(%x: tensor<7x4xf32>, %acc: tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<7x3xf32>) {
  // CHECK-NOT: tensor.extract
  // CHECK: %[[V:.*]] = "smartmem.view"(%arg0, %{{.*}})
  // CHECK: return %{{.*}}, %[[V]]
  %one = arith.constant 1.0 : f32
  %e = tensor.empty() : tensor<7x2xf32>
  %front = tensor.extract_slice %x[0, 0] [7, 2] [1, 1] : tensor<7x4xf32> to tensor<7x2xf32>
  %back = tensor.extract_slice %x[0, 2] [7, 2] [1, 1] : tensor<7x4xf32> to tensor<7x2xf32>
  %keys = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%front : tensor<7x2xf32>) outs(%e : tensor<7x2xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.negf %a : f32
    linalg.yield %v : f32
  } -> tensor<7x2xf32>
  %values = tensor.pad %back low[0, 0] high[0, 1] {
  ^bb0(%i: index, %j: index):
    tensor.yield %one : f32
  } : tensor<7x2xf32> to tensor<7x3xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d2, d0)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%keys, %values : tensor<7x2xf32>, tensor<7x3xf32>) outs(%acc : tensor<2x3xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<2x3xf32>
  return %m, %values : tensor<2x3xf32>, tensor<7x3xf32>
}

// -----
// Contractions read slices where they lie: without padding there is nothing to gain.
// CHECK-LABEL: func @slices_stay
func.func @slices_stay(%x: tensor<7x4xf32>, %acc: tensor<2x2xf32>) -> tensor<2x2xf32> {
  // CHECK-NOT: tensor.extract
  // CHECK: "smartmem.view"(%arg0)
  // CHECK: "smartmem.view"(%arg0)
  %e = tensor.empty() : tensor<7x2xf32>
  %front = tensor.extract_slice %x[0, 0] [7, 2] [1, 1] : tensor<7x4xf32> to tensor<7x2xf32>
  %values = tensor.extract_slice %x[0, 2] [7, 2] [1, 1] : tensor<7x4xf32> to tensor<7x2xf32>
  %keys = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%front : tensor<7x2xf32>) outs(%e : tensor<7x2xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.negf %a : f32
    linalg.yield %v : f32
  } -> tensor<7x2xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d2, d0)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%keys, %values : tensor<7x2xf32>, tensor<7x2xf32>) outs(%acc : tensor<2x2xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<2x2xf32>
  return %m : tensor<2x2xf32>
}

// -----
// The pieces begin at multiples of 4: vectors of 4 are chosen and read as a whole, and of
// rows of 9 three vectors are computed. The one that leaves the source is clamped as such.
// CHECK: #map{{[0-9]*}} = affine_map<(d0, d1) -> (d0, d1 + 4)>
// CHECK-LABEL: func @whole_vectors
// GPU-LABEL: func @whole_vectors
func.func @whole_vectors(%x: tensor<7x8xf32>, %acc: tensor<4x5xf32>) -> tensor<4x5xf32> {
  // CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<7x3x4xf32>)
  // CHECK: %[[P:.*]] = linalg.index 0
  // CHECK: %[[V:.*]] = linalg.index 1
  // CHECK: %[[L:.*]] = linalg.index 2
  // CHECK: %[[LAST:.*]] = arith.constant 1 : index
  // CHECK: %[[IN:.*]] = arith.minsi %[[V]], %[[LAST]]
  // CHECK: %[[FIRST:.*]] = arith.muli %[[IN]], %{{.*}}
  // CHECK: %[[AT:.*]] = arith.addi %[[FIRST]], %[[L]]
  // CHECK: tensor.extract %arg0[%[[P]], %[[AT]]]
  // CHECK-NOT: arith.cmpi sge, {{.*}}%[[L]]
  // CHECK: } -> tensor<7x3x4xf32>
  // CHECK: %[[Y:.*]] = tensor.collapse_shape %{{.*}} into tensor<7x12xf32>
  // CHECK: "smartmem.view"(%[[Y]]) {{.*}} -> tensor<7x4xf32>
  // CHECK: "smartmem.view"(%[[Y]]) {{.*}} -> tensor<7x5xf32>
  // GPU: linalg.generic {{.*}} outs(%{{.*}} : tensor<7x9xf32>)
  %one = arith.constant 1.0 : f32
  %e = tensor.empty() : tensor<7x4xf32>
  %front = tensor.extract_slice %x[0, 0] [7, 4] [1, 1] : tensor<7x8xf32> to tensor<7x4xf32>
  %back = tensor.extract_slice %x[0, 4] [7, 4] [1, 1] : tensor<7x8xf32> to tensor<7x4xf32>
  %keys = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%front : tensor<7x4xf32>) outs(%e : tensor<7x4xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.negf %a : f32
    linalg.yield %v : f32
  } -> tensor<7x4xf32>
  %values = tensor.pad %back low[0, 0] high[0, 1] {
  ^bb0(%i: index, %j: index):
    tensor.yield %one : f32
  } : tensor<7x4xf32> to tensor<7x5xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d2, d0)>, affine_map<(d0, d1, d2) -> (d2, d1)>, affine_map<(d0, d1, d2) -> (d0, d1)>], iterator_types = ["parallel", "parallel", "reduction"]} ins(%keys, %values : tensor<7x4xf32>, tensor<7x5xf32>) outs(%acc : tensor<4x5xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<4x5xf32>
  return %m : tensor<4x5xf32>
}
