// RUN: smartmem-opt --smartmem-form-regions --split-input-file %s | FileCheck %s --check-prefixes=CHECK,CPU
// RUN: smartmem-opt --smartmem-form-regions --smartmem-target=adreno --split-input-file %s | FileCheck %s --check-prefixes=CHECK,GPU

// An embedding that a normalization and the end of a contraction read: both look it up
// themselves. Of the indices lower halves are read where elements are looked up one by one.
// CHECK-LABEL: func @each_kernel_looks_up
func.func @each_kernel_looks_up(%ids: tensor<5xi64>, %table: tensor<9x4xf32>, %w: tensor<4x4xf32>) -> tensor<5x4xf32> {
  // CHECK: %[[LOW:.*]] = "flow.tensor.bitcast"(%arg0) {{.*}} -> tensor<5x2xi32>
  // CHECK: "flow.dispatch.region"
  // CPU: %[[ROWS:.*]] = linalg.generic {{.*}} ins(%arg0 : tensor<5xi64>)
  // CPU: tensor.extract %arg1
  // CPU: linalg.generic {{.*}} ins(%[[ROWS]] : tensor<5x4xf32>)
  // CPU: linalg.generic {{.*}} ins(%[[ROWS]], %{{.*}} : tensor<5x4xf32>, tensor<5xf32>)
  // GPU-COUNT-2: tensor.extract %arg1
  // CHECK-NOT: tensor.extract
  // CHECK: "flow.return"
  // CHECK: "flow.dispatch.region"
  // CHECK: linalg.matmul
  // CHECK: linalg.generic {{.*}} ins(%{{.*}} : tensor<5x4xf32>, tensor<5x2xi32>)
  // CHECK: ^bb0(%[[SUM:.*]]: f32, %[[ROW:.*]]: i32,
  // CHECK: %[[I:.*]] = arith.index_cast %[[ROW]] : i32 to index
  // CHECK: %[[J:.*]] = linalg.index 1
  // CHECK: %[[E:.*]] = tensor.extract %arg1[%[[I]], %[[J]]]
  // CHECK: arith.addf %[[SUM]], %[[E]]
  // CHECK: "flow.return"
  %zero = arith.constant 0.0 : f32
  %em = tensor.empty() : tensor<5x4xf32>
  %er = tensor.empty() : tensor<5xf32>
  %embedded = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%ids : tensor<5xi64>) outs(%em : tensor<5x4xf32>) {
  ^bb0(%id: i64, %o: f32):
    %i = arith.index_cast %id : i64 to index
    %j = linalg.index 1 : index
    %v = tensor.extract %table[%i, %j] : tensor<9x4xf32>
    linalg.yield %v : f32
  } -> tensor<5x4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%er : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%embedded : tensor<5x4xf32>) outs(%f : tensor<5xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.addf %a, %o : f32
    linalg.yield %v : f32
  } -> tensor<5xf32>
  %normal = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%embedded, %sum : tensor<5x4xf32>, tensor<5xf32>) outs(%em : tensor<5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.divf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<5x4xf32>
  %fm = linalg.fill ins(%zero : f32) outs(%em : tensor<5x4xf32>) -> tensor<5x4xf32>
  %m = linalg.matmul ins(%normal, %w : tensor<5x4xf32>, tensor<4x4xf32>) outs(%fm : tensor<5x4xf32>) -> tensor<5x4xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%m, %embedded : tensor<5x4xf32>, tensor<5x4xf32>) outs(%em : tensor<5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.addf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<5x4xf32>
  return %r : tensor<5x4xf32>
}

// -----
// An index that may count from the end: of it, too, the lower half says all.
// CHECK-LABEL: func @from_the_end
// CHECK: %[[LOW:.*]] = "flow.tensor.bitcast"(%arg0) {{.*}} -> tensor<5x2xi32>
// CHECK: linalg.matmul
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[LOW]] : tensor<5x4xf32>, tensor<5x2xi32>)
// CHECK: ^bb0(%{{.*}}: f32, %[[HALF:.*]]: i32,
// CHECK: %[[ID:.*]] = arith.extsi %[[HALF]] : i32 to i64
// CHECK: arith.cmpi slt, %[[ID]]
func.func @from_the_end(%ids: tensor<5xi64>, %table: tensor<9x4xf32>, %x: tensor<5x4xf32>, %w: tensor<4x4xf32>) -> tensor<5x4xf32> {
  %zero = arith.constant 0.0 : f32
  %none = arith.constant 0 : i64
  %rows = arith.constant 9 : i64
  %em = tensor.empty() : tensor<5x4xf32>
  %embedded = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%ids : tensor<5xi64>) outs(%em : tensor<5x4xf32>) {
  ^bb0(%id: i64, %o: f32):
    %below = arith.cmpi slt, %id, %none : i64
    %sum = arith.addi %id, %rows : i64
    %at = arith.select %below, %sum, %id : i64
    %i = arith.index_cast %at : i64 to index
    %j = linalg.index 1 : index
    %v = tensor.extract %table[%i, %j] : tensor<9x4xf32>
    linalg.yield %v : f32
  } -> tensor<5x4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%em : tensor<5x4xf32>) -> tensor<5x4xf32>
  %m = linalg.matmul ins(%x, %w : tensor<5x4xf32>, tensor<4x4xf32>) outs(%f : tensor<5x4xf32>) -> tensor<5x4xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%m, %embedded : tensor<5x4xf32>, tensor<5x4xf32>) outs(%em : tensor<5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.addf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<5x4xf32>
  return %r : tensor<5x4xf32>
}

// -----
// What is clamped may be any number: all of it is read.
// CHECK-LABEL: func @clamped
// CHECK-NOT: flow.tensor.bitcast
// CHECK: linalg.matmul
func.func @clamped(%ids: tensor<5xi64>, %table: tensor<9x4xf32>, %x: tensor<5x4xf32>, %w: tensor<4x4xf32>) -> tensor<5x4xf32> {
  %zero = arith.constant 0.0 : f32
  %none = arith.constant 0 : i64
  %rows = arith.constant 9 : i64
  %em = tensor.empty() : tensor<5x4xf32>
  %embedded = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%ids : tensor<5xi64>) outs(%em : tensor<5x4xf32>) {
  ^bb0(%id: i64, %o: f32):
    %below = arith.cmpi slt, %id, %rows : i64
    %at = arith.select %below, %id, %none : i64
    %i = arith.index_cast %at : i64 to index
    %j = linalg.index 1 : index
    %v = tensor.extract %table[%i, %j] : tensor<9x4xf32>
    linalg.yield %v : f32
  } -> tensor<5x4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%em : tensor<5x4xf32>) -> tensor<5x4xf32>
  %m = linalg.matmul ins(%x, %w : tensor<5x4xf32>, tensor<4x4xf32>) outs(%f : tensor<5x4xf32>) -> tensor<5x4xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%m, %embedded : tensor<5x4xf32>, tensor<5x4xf32>) outs(%em : tensor<5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.addf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<5x4xf32>
  return %r : tensor<5x4xf32>
}

// -----
// So may that of which the rest of a division is taken.
// CHECK-LABEL: func @hashed
// CHECK-NOT: flow.tensor.bitcast
// CHECK: linalg.matmul
func.func @hashed(%ids: tensor<5xi64>, %table: tensor<9x4xf32>, %x: tensor<5x4xf32>, %w: tensor<4x4xf32>) -> tensor<5x4xf32> {
  %zero = arith.constant 0.0 : f32
  %none = arith.constant 0 : i64
  %rows = arith.constant 9 : i64
  %em = tensor.empty() : tensor<5x4xf32>
  %embedded = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%ids : tensor<5xi64>) outs(%em : tensor<5x4xf32>) {
  ^bb0(%id: i64, %o: f32):
    %at = arith.remui %id, %rows : i64
    %i = arith.index_cast %at : i64 to index
    %j = linalg.index 1 : index
    %v = tensor.extract %table[%i, %j] : tensor<9x4xf32>
    linalg.yield %v : f32
  } -> tensor<5x4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%em : tensor<5x4xf32>) -> tensor<5x4xf32>
  %m = linalg.matmul ins(%x, %w : tensor<5x4xf32>, tensor<4x4xf32>) outs(%f : tensor<5x4xf32>) -> tensor<5x4xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%m, %embedded : tensor<5x4xf32>, tensor<5x4xf32>) outs(%em : tensor<5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.addf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<5x4xf32>
  return %r : tensor<5x4xf32>
}

// -----
// A contraction loads its operands as vectors: what it multiplies is stored.
// CHECK-LABEL: func @a_contraction_reads_what_is_stored
func.func @a_contraction_reads_what_is_stored(%ids: tensor<5xi64>, %table: tensor<9x4xf32>, %w: tensor<4x4xf32>) -> tensor<5x4xf32> {
  // CHECK: linalg.generic
  // CHECK: tensor.extract
  // CHECK: "flow.dispatch.region"
  // CHECK-NOT: tensor.extract
  // CHECK: linalg.matmul
  %zero = arith.constant 0.0 : f32
  %em = tensor.empty() : tensor<5x4xf32>
  %embedded = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%ids : tensor<5xi64>) outs(%em : tensor<5x4xf32>) {
  ^bb0(%id: i64, %o: f32):
    %i = arith.index_cast %id : i64 to index
    %j = linalg.index 1 : index
    %v = tensor.extract %table[%i, %j] : tensor<9x4xf32>
    linalg.yield %v : f32
  } -> tensor<5x4xf32>
  %fm = linalg.fill ins(%zero : f32) outs(%em : tensor<5x4xf32>) -> tensor<5x4xf32>
  %m = linalg.matmul ins(%embedded, %w : tensor<5x4xf32>, tensor<4x4xf32>) outs(%fm : tensor<5x4xf32>) -> tensor<5x4xf32>
  return %m : tensor<5x4xf32>
}

// -----
// The result of a packed layer has blocks of channels; the lookup runs over them, too, and
// so does the position that it adds.
// CHECK-LABEL: func @over_blocks_of_channels
func.func @over_blocks_of_channels(%ids: tensor<5xi32>, %table: tensor<9x6xf32>, %at: tensor<5x6xf32>, %x: tensor<5x4xf32>, %w: tensor<3x4x2xf32>) -> tensor<5x3x2xf32> {
  // CHECK: %[[AT:.*]] = tensor.expand_shape %arg2 {{.*}} output_shape [5, 3, 2]
  // CHECK: "flow.dispatch.region"
  // CHECK-NOT: tensor.expand_shape
  // CHECK: ^bb0(%[[SUM:.*]]: f32, %[[ID:.*]]: i32, %[[POSITION:.*]]: f32,
  // CHECK: %[[ROW:.*]] = arith.index_cast %[[ID]]
  // CHECK: %[[BLOCK:.*]] = linalg.index 1
  // CHECK: %[[FIRST:.*]] = arith.muli %[[BLOCK]], %c2
  // CHECK: %[[LANE:.*]] = linalg.index 2
  // CHECK: %[[CHANNEL:.*]] = arith.addi %[[FIRST]], %[[LANE]]
  // CHECK: %[[E:.*]] = tensor.extract %arg1[%[[ROW]], %[[CHANNEL]]]
  // CHECK: arith.addf %[[E]], %[[POSITION]]
  // CHECK: "flow.return"
  %zero = arith.constant 0.0 : f32
  %em = tensor.empty() : tensor<5x6xf32>
  %ep = tensor.empty() : tensor<5x3x2xf32>
  %embedded = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%ids, %at : tensor<5xi32>, tensor<5x6xf32>) outs(%em : tensor<5x6xf32>) {
  ^bb0(%id: i32, %p: f32, %o: f32):
    %i = arith.index_cast %id : i32 to index
    %j = linalg.index 1 : index
    %v = tensor.extract %table[%i, %j] : tensor<9x6xf32>
    %r = arith.addf %v, %p : f32
    linalg.yield %r : f32
  } -> tensor<5x6xf32>
  %blocks = tensor.expand_shape %embedded [[0], [1, 2]] output_shape [5, 3, 2] : tensor<5x6xf32> into tensor<5x3x2xf32>
  %f = linalg.fill ins(%zero : f32) outs(%ep : tensor<5x3x2xf32>) -> tensor<5x3x2xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d3)>, affine_map<(d0, d1, d2, d3) -> (d1, d3, d2)>, affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x, %w : tensor<5x4xf32>, tensor<3x4x2xf32>) outs(%f : tensor<5x3x2xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %o, %p : f32
    linalg.yield %s : f32
  } -> tensor<5x3x2xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%m, %blocks : tensor<5x3x2xf32>, tensor<5x3x2xf32>) outs(%ep : tensor<5x3x2xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.addf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<5x3x2xf32>
  return %r : tensor<5x3x2xf32>
}

// -----
// Rows that a roll moves, and that a normalization reads three times: in a shader each operation
// computes where its elements lie; for a CPU the moved rows stay between them.
// CHECK-LABEL: func @each_operation_of_a_shader_moves
func.func @each_operation_of_a_shader_moves(%x: tensor<6x8xf32>) -> tensor<6x8xf32> {
  // CHECK: "flow.dispatch.region"
  // CPU: tensor.extract %arg0
  // GPU-COUNT-3: tensor.extract %arg0
  // CHECK-NOT: tensor.extract
  // CHECK: "flow.return"
  %c2 = arith.constant 2 : index
  %c6 = arith.constant 6 : index
  %zero = arith.constant 0.0 : f32
  %em = tensor.empty() : tensor<6x8xf32>
  %er = tensor.empty() : tensor<6xf32>
  %moved = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} outs(%em : tensor<6x8xf32>) {
  ^bb0(%o: f32):
    %i = linalg.index 0 : index
    %j = linalg.index 1 : index
    %s = arith.addi %i, %c2 : index
    %k = arith.remui %s, %c6 : index
    %v = tensor.extract %x[%k, %j] : tensor<6x8xf32>
    linalg.yield %v : f32
  } -> tensor<6x8xf32>
  %f = linalg.fill ins(%zero : f32) outs(%er : tensor<6xf32>) -> tensor<6xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%moved : tensor<6x8xf32>) outs(%f : tensor<6xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.addf %a, %o : f32
    linalg.yield %v : f32
  } -> tensor<6xf32>
  %squares = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%moved, %sum : tensor<6x8xf32>, tensor<6xf32>) outs(%f : tensor<6xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %d = arith.subf %a, %b : f32
    %q = arith.mulf %d, %d : f32
    %v = arith.addf %q, %o : f32
    linalg.yield %v : f32
  } -> tensor<6xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%moved, %squares : tensor<6x8xf32>, tensor<6xf32>) outs(%em : tensor<6x8xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.divf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<6x8xf32>
  return %r : tensor<6x8xf32>
}

// -----
// Indices that are computed are so before the kernel, where their halves are seen.
// CHECK-LABEL: func @computed_indices
func.func @computed_indices(%ids: tensor<5xi64>, %table: tensor<9x4xf32>, %places: tensor<5x4xf32>) -> tensor<5x4xf32> {
  // CHECK: %[[AT:.*]] = linalg.generic {{.*}} ins(%arg0 : tensor<5xi64>)
  // CHECK: "flow.tensor.bitcast"(%[[AT]])
  // CHECK: "flow.dispatch.region"
  // CHECK: tensor.extract %arg1
  // CHECK: "flow.return"
  %nine = arith.constant 9 : i64
  %em = tensor.empty() : tensor<5x4xf32>
  %ei = tensor.empty() : tensor<5xi64>
  %at = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>], iterator_types = ["parallel"]} ins(%ids : tensor<5xi64>) outs(%ei : tensor<5xi64>) {
  ^bb0(%id: i64, %o: i64):
    %i = arith.addi %id, %nine : i64
    linalg.yield %i : i64
  } -> tensor<5xi64>
  %embedded = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%at : tensor<5xi64>) outs(%em : tensor<5x4xf32>) {
  ^bb0(%id: i64, %o: f32):
    %i = arith.index_cast %id : i64 to index
    %j = linalg.index 1 : index
    %v = tensor.extract %table[%i, %j] : tensor<9x4xf32>
    linalg.yield %v : f32
  } -> tensor<5x4xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%embedded, %places : tensor<5x4xf32>, tensor<5x4xf32>) outs(%em : tensor<5x4xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.addf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<5x4xf32>
  return %r : tensor<5x4xf32>
}

// -----
// A row that is too long to be kept is looked up before a CPU's kernel, which is not slower.
// CHECK-LABEL: func @long_rows
// CPU: tensor.extract
// CHECK: "flow.dispatch.region"
// CPU-NOT: tensor.extract
// GPU-COUNT-2: tensor.extract
// CHECK: "flow.return"
func.func @long_rows(%ids: tensor<5xi64>, %table: tensor<9x2048xf32>) -> tensor<5x2048xf32> {
  %zero = arith.constant 0.0 : f32
  %em = tensor.empty() : tensor<5x2048xf32>
  %er = tensor.empty() : tensor<5xf32>
  %embedded = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%ids : tensor<5xi64>) outs(%em : tensor<5x2048xf32>) {
  ^bb0(%id: i64, %o: f32):
    %i = arith.index_cast %id : i64 to index
    %j = linalg.index 1 : index
    %v = tensor.extract %table[%i, %j] : tensor<9x2048xf32>
    linalg.yield %v : f32
  } -> tensor<5x2048xf32>
  %f = linalg.fill ins(%zero : f32) outs(%er : tensor<5xf32>) -> tensor<5xf32>
  %sum = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>], iterator_types = ["parallel", "reduction"]} ins(%embedded : tensor<5x2048xf32>) outs(%f : tensor<5xf32>) {
  ^bb0(%a: f32, %o: f32):
    %v = arith.addf %a, %o : f32
    linalg.yield %v : f32
  } -> tensor<5xf32>
  %normal = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%embedded, %sum : tensor<5x2048xf32>, tensor<5xf32>) outs(%em : tensor<5x2048xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %v = arith.divf %a, %b : f32
    linalg.yield %v : f32
  } -> tensor<5x2048xf32>
  return %normal : tensor<5x2048xf32>
}

// -----
#id = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0) -> (d0)>
// What computes indices stays before the kernel, also if it is reshaped before it is read.
// CHECK-LABEL: func @reshaped_indices
func.func @reshaped_indices(%ids: tensor<3x4xi64>, %table: tensor<5xf32>) -> tensor<3x4xf32> {
  // CHECK: %[[AT:.*]] = linalg.generic
  // CHECK: arith.addi
  // CHECK: "flow.tensor.bitcast"
  // CHECK: "flow.dispatch.region"
  // CHECK: linalg.generic {{.*}} ins(%[[AT]],
  // CHECK-NOT: "flow.dispatch.region"
  %one = arith.constant 1 : i64
  %e = tensor.empty() : tensor<3x4xi64>
  %0 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%ids : tensor<3x4xi64>) outs(%e : tensor<3x4xi64>) {
  ^bb0(%a: i64, %o: i64):
    %5 = arith.addi %a, %one : i64
    linalg.yield %5 : i64
  } -> tensor<3x4xi64>
  %1 = tensor.collapse_shape %0 [[0, 1]] : tensor<3x4xi64> into tensor<12xi64>
  %f = tensor.empty() : tensor<12xf32>
  %2 = linalg.generic {indexing_maps = [#row, #row], iterator_types = ["parallel"]} ins(%1 : tensor<12xi64>) outs(%f : tensor<12xf32>) {
  ^bb0(%a: i64, %o: f32):
    %5 = arith.index_cast %a : i64 to index
    %6 = tensor.extract %table[%5] : tensor<5xf32>
    linalg.yield %6 : f32
  } -> tensor<12xf32>
  %3 = tensor.expand_shape %2 [[0, 1]] output_shape [3, 4] : tensor<12xf32> into tensor<3x4xf32>
  %h = tensor.empty() : tensor<3x4xf32>
  %4 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]} ins(%0, %3 : tensor<3x4xi64>, tensor<3x4xf32>) outs(%h : tensor<3x4xf32>) {
  ^bb0(%a: i64, %b: f32, %o: f32):
    %5 = arith.sitofp %a : i64 to f32
    %6 = arith.mulf %5, %b : f32
    linalg.yield %6 : f32
  } -> tensor<3x4xf32>
  return %4 : tensor<3x4xf32>
}
