// RUN: smartmem-opt --smartmem-rewrite-algebra --split-input-file --mlir-print-local-scope %s | FileCheck %s
// RUN: smartmem-opt --smartmem-rewrite-algebra --split-input-file --smartmem-remarks %s -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

#id = affine_map<(d0) -> (d0)>
// An index between two elements: the last place decides.
// CHECK-LABEL: func @rounded_to_an_index
// REMARK: its result is rounded to an integer
func.func @rounded_to_an_index(%x: tensor<8xf32>) -> tensor<8xi64> {
  %half = arith.constant 0.5 : f32
  %scale = arith.constant 1.75 : f32
  %e = tensor.empty() : tensor<8xi64>
  // CHECK: %[[A:.*]] = arith.addf %{{.*}}, %[[HALF:.*]] : f32
  // CHECK-NEXT: %[[D:.*]] = arith.divf %[[A]], %{{.*}} : f32
  // CHECK-NEXT: %[[S:.*]] = arith.subf %[[D]], %[[HALF]] : f32
  // CHECK-NEXT: %[[F:.*]] = math.floor %[[S]]
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : tensor<8xf32>) outs(%e : tensor<8xi64>) {
  ^bb0(%a: f32, %o: i64):
    %1 = arith.addf %a, %half : f32
    %2 = arith.divf %1, %scale : f32
    %3 = arith.subf %2, %half : f32
    %4 = math.floor %3 : f32
    %5 = arith.fptosi %4 : f32 to i64
    linalg.yield %5 : i64
  } -> tensor<8xi64>
  return %0 : tensor<8xi64>
}

// -----
#id = affine_map<(d0) -> (d0)>
// The rounding stands in an operation that reads the result.
// CHECK-LABEL: func @rounded_by_a_reader
func.func @rounded_by_a_reader(%x: tensor<8xf32>) -> (tensor<4xi32>) {
  %k = arith.constant 1.4 : f32
  %h = arith.constant 0.5 : f32
  %e = tensor.empty() : tensor<8xf32>
  %f = tensor.empty() : tensor<4xi32>
  // CHECK: arith.addf
  // CHECK-NEXT: arith.divf
  // CHECK-NEXT: linalg.yield
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %2 = arith.addf %a, %h : f32
    %3 = arith.divf %2, %k : f32
    linalg.yield %3 : f32
  } -> tensor<8xf32>
  %s = tensor.extract_slice %0[2] [4] [1] : tensor<8xf32> to tensor<4xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%s : tensor<4xf32>) outs(%f : tensor<4xi32>) {
  ^bb0(%a: f32, %o: i32):
    %4 = arith.fptosi %a : f32 to i32
    linalg.yield %4 : i32
  } -> tensor<4xi32>
  return %1 : tensor<4xi32>
}

// -----
#id = affine_map<(d0) -> (d0)>
// A comparison that makes numbers decides as rounding does.
// CHECK-LABEL: func @compared
func.func @compared(%x: tensor<8xf32>) -> tensor<8xf32> {
  %k = arith.constant 1.4 : f32
  %one = arith.constant 1.0 : f32
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8xf32>
  // CHECK: arith.divf
  // CHECK-NEXT: arith.cmpf
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = arith.divf %a, %k : f32
    %2 = arith.cmpf oge, %1, %one : f32
    %3 = arith.select %2, %one, %zero : f32
    linalg.yield %3 : f32
  } -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// -----
#id = affine_map<(d0) -> (d0)>
// ReLU goes over from one function to the other: a small difference stays small.
// CHECK-LABEL: func @relu
func.func @relu(%x: tensor<8xf32>) -> tensor<8xf32> {
  %k = arith.constant 1.4 : f32
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<8xf32>
  // CHECK: arith.mulf
  // CHECK-NEXT: arith.cmpf
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel"]} ins(%x : tensor<8xf32>) outs(%e : tensor<8xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = arith.divf %a, %k : f32
    %2 = arith.cmpf ugt, %1, %zero : f32
    %3 = arith.select %2, %1, %zero : f32
    linalg.yield %3 : f32
  } -> tensor<8xf32>
  return %0 : tensor<8xf32>
}
