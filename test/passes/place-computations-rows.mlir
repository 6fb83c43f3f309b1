// RUN: smartmem-opt --smartmem-place-computations='shared-memory=32768' --split-input-file %s | FileCheck %s
// RUN: smartmem-opt --smartmem-place-computations='shared-memory=32768' --smartmem-remarks %s --split-input-file 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: smartmem-opt --smartmem-place-computations --split-input-file %s | FileCheck %s --check-prefix=CPU

// CHECK-LABEL: func @rows_longer_than_shared_memory
// CPU-LABEL: func @rows_longer_than_shared_memory
func.func @rows_longer_than_shared_memory(%x: tensor<7x197xf32>, %max: tensor<7xf32>, %init: tensor<7xf32>) -> tensor<7x197xf32> {
  // REMARK: a tile of its rows takes 50432 bytes of 32768 shared
  // CHECK-COUNT-2: math.exp
  // CHECK-NOT: math.exp
  // CPU-COUNT-1: math.exp
  // CPU-NOT: math.exp
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<7x197xf32>) outs(%max : tensor<7xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.maximumf %a, %o : f32
    linalg.yield %v : f32
  } -> tensor<7xf32>
  %empty = tensor.empty() : tensor<7x197xf32>
  %exp = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x, %m : tensor<7x197xf32>, tensor<7xf32>) outs(%empty : tensor<7x197xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %d = arith.subf %a, %b : f32
    %v = math.exp %d : f32
    linalg.yield %v : f32
  } -> tensor<7x197xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%exp : tensor<7x197xf32>) outs(%init : tensor<7xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.addf %a, %o : f32
    linalg.yield %v : f32
  } -> tensor<7xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%exp, %sum : tensor<7x197xf32>, tensor<7xf32>) outs(%empty : tensor<7x197xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.divf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<7x197xf32>
  return %r : tensor<7x197xf32>
}

// -----
// CHECK-LABEL: func @short_rows_stay
// CPU-LABEL: func @short_rows_stay
func.func @short_rows_stay(%x: tensor<7x49xf32>, %m: tensor<7xf32>, %init: tensor<7xf32>) -> (tensor<7x49xf32>, tensor<7xf32>) {
  // CHECK-COUNT-1: math.exp
  // CHECK-NOT: math.exp
  %max = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<7x49xf32>) outs(%m : tensor<7xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.maximumf %a, %o : f32
    linalg.yield %v : f32
  } -> tensor<7xf32>
  %empty = tensor.empty() : tensor<7x49xf32>
  %exp = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x, %max : tensor<7x49xf32>, tensor<7xf32>) outs(%empty : tensor<7x49xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %d = arith.subf %a, %b : f32
    %v = math.exp %d : f32
    linalg.yield %v : f32
  } -> tensor<7x49xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%exp : tensor<7x49xf32>) outs(%init : tensor<7xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.addf %a, %o : f32
    linalg.yield %v : f32
  } -> tensor<7xf32>
  return %exp, %sum : tensor<7x49xf32>, tensor<7xf32>
}

// -----
// CHECK-LABEL: func @an_elementwise_operation_behind_no_reduction_stays
func.func @an_elementwise_operation_behind_no_reduction_stays(%x: tensor<7x500xf32>, %init: tensor<7xf32>) -> (tensor<7x500xf32>, tensor<7xf32>) {
  // CHECK-COUNT-1: math.exp
  // CHECK-NOT: math.exp
  %empty = tensor.empty() : tensor<7x500xf32>
  %exp = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x : tensor<7x500xf32>) outs(%empty : tensor<7x500xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = math.exp %a : f32
    linalg.yield %v : f32
  } -> tensor<7x500xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%exp : tensor<7x500xf32>) outs(%init : tensor<7xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.addf %a, %o : f32
    linalg.yield %v : f32
  } -> tensor<7xf32>
  return %exp, %sum : tensor<7x500xf32>, tensor<7xf32>
}

// -----
// A difference of a row costs less than to keep it, however short the row is, on a CPU, too.
// CHECK-LABEL: func @a_difference_is_computed_for_each_reader
// CPU-LABEL: func @a_difference_is_computed_for_each_reader
func.func @a_difference_is_computed_for_each_reader(%x: tensor<7x8xf32>, %init: tensor<7xf32>) -> tensor<7x8xf32> {
  // REMARK: to keep an element costs more than its 2 FLOPs
  // CHECK-COUNT-2: arith.subf
  // CHECK-NOT: arith.subf
  // CPU-COUNT-2: arith.subf
  // CPU-NOT: arith.subf
  %n = arith.constant 0.125 : f32
  %total = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<7x8xf32>) outs(%init : tensor<7xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.addf %a, %o : f32
    linalg.yield %v : f32
  } -> tensor<7xf32>
  %empty = tensor.empty() : tensor<7x8xf32>
  %difference = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%x, %total : tensor<7x8xf32>, tensor<7xf32>) outs(%empty : tensor<7x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %mean = arith.mulf %b, %n : f32
    %d = arith.subf %a, %mean : f32
    linalg.yield %d : f32
  } -> tensor<7x8xf32>
  %squares = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%difference : tensor<7x8xf32>) outs(%init : tensor<7xf32>) {
  ^bb0(%a: f32, %o: f32):
    %q = arith.mulf %a, %a : f32
    %v = arith.addf %q, %o : f32
    linalg.yield %v : f32
  } -> tensor<7xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%difference, %squares : tensor<7x8xf32>, tensor<7xf32>) outs(%empty : tensor<7x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.divf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<7x8xf32>
  return %r : tensor<7x8xf32>
}
