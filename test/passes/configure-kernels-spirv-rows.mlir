// RUN: smartmem-opt --smartmem-target=adreno --smartmem-form-regions --smartmem-configure-kernels --split-input-file %s | FileCheck %s --check-prefixes=CHECK,ADRENO
// RUN: smartmem-opt --smartmem-target=valhall4 --smartmem-form-regions --smartmem-configure-kernels --split-input-file %s | FileCheck %s --check-prefixes=CHECK,VALHALL
// RUN: smartmem-opt --smartmem-target=adreno --smartmem-form-regions --smartmem-configure-kernels --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=REMARK

// RUN: smartmem-opt --smartmem-target=vp_android_baseline_2022 --smartmem-form-regions --smartmem-configure-kernels --smartmem-remarks --split-input-file %s 2>&1 >/dev/null | FileCheck %s --check-prefix=ALONE

// ALONE-NOT: a subgroup for each row

// 192 are 48 vectors, for as many threads of Adreno's subgroup of 64, or all of Valhall's 16.
// CHECK-LABEL: func @rows_of_subgroups
// ADRENO: linalg.generic {{.*}} attrs = {lowering_config = #iree_codegen.lowering_config<tile_sizes = {{\[\[}}1], [0, 192]]>}
// ADRENO: compilation_info = #iree_codegen.compilation_info<lowering_config = #iree_codegen.lowering_config<tile_sizes = {{\[\[}}1], [0, 192]]>, translation_info = <pipeline = #iree_gpu.spirv_pipeline<SubgroupReduce> workgroup_size = [48, 1, 1]>>
// VALHALL: linalg.generic {{.*}} attrs = {lowering_config = #iree_codegen.lowering_config<tile_sizes = {{\[\[}}1], [0, 64]]>}
// VALHALL: compilation_info = #iree_codegen.compilation_info<lowering_config = #iree_codegen.lowering_config<tile_sizes = {{\[\[}}1], [0, 64]]>, translation_info = <pipeline = #iree_gpu.spirv_pipeline<SubgroupReduce> workgroup_size = [16, 1, 1]>>
// REMARK: linalg.generic applied: tiles: (0, 192), a subgroup for each row
func.func @rows_of_subgroups(%x: tensor<200x192xf32>) -> tensor<200x192xf32> {
  %c = arith.constant 0.0 : f32
  %er = tensor.empty() : tensor<200xf32>
  %e = tensor.empty() : tensor<200x192xf32>
  %z = linalg.fill ins(%c : f32) outs(%er : tensor<200xf32>) -> tensor<200xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<200x192xf32>) outs(%z : tensor<200xf32>) {
  ^bb0(%a: f32, %o: f32):
    %q = arith.mulf %a, %a : f32
    %t = arith.addf %q, %o : f32
    linalg.yield %t : f32
  } -> tensor<200xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r)>, affine_map<(r, c) -> (r, c)>], iterator_types = ["parallel", "parallel"]} ins(%x, %s : tensor<200x192xf32>, tensor<200xf32>) outs(%e : tensor<200x192xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %d = math.rsqrt %b : f32
    %t = arith.mulf %a, %d : f32
    linalg.yield %t : f32
  } -> tensor<200x192xf32>
  return %r : tensor<200x192xf32>
}

// -----
// Of one row, too: 400 vectors are eight for each of 50 threads, or 25 for each of 16.
// CHECK-LABEL: func @one_row
// ADRENO: compilation_info = #iree_codegen.compilation_info<lowering_config = #iree_codegen.lowering_config<tile_sizes = {{\[\[}}], [200]]>, translation_info = <pipeline = #iree_gpu.spirv_pipeline<SubgroupReduce> workgroup_size = [50, 1, 1]>>
// VALHALL: compilation_info = #iree_codegen.compilation_info<lowering_config = #iree_codegen.lowering_config<tile_sizes = {{\[\[}}], [64]]>, translation_info = <pipeline = #iree_gpu.spirv_pipeline<SubgroupReduce> workgroup_size = [16, 1, 1]>>
// REMARK: linalg.generic applied: tiles: (200,), a subgroup for each row
// ALONE: linalg.generic kept: its threads cannot share one row
func.func @one_row(%x: tensor<1600xf32>) -> tensor<f32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<f32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<f32>) -> tensor<f32>
  %s = linalg.generic {indexing_maps = [affine_map<(c) -> (c)>, affine_map<(c) -> ()>], iterator_types = ["reduction"]} ins(%x : tensor<1600xf32>) outs(%z : tensor<f32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<f32>
  return %s : tensor<f32>
}

// -----
// CHECK-LABEL: func @rows_of_threads
// CHECK: tile_sizes = {{\[\[(64|16)}}, 0], [1, 0], [0, 16]]>, translation_info = <pipeline = #iree_gpu.spirv_pipeline<BaseVectorize> workgroup_size = [{{64|16}}, 1, 1]>>
// REMARK: linalg.generic applied: tiles: (0, 16), a thread for each row
func.func @rows_of_threads(%x: tensor<3136x96xf32>) -> tensor<3136xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<3136xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<3136xf32>) -> tensor<3136xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<3136x96xf32>) outs(%z : tensor<3136xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<3136xf32>
  return %s : tensor<3136xf32>
}

// -----
// Many rows, few columns: threads along two dims of rows, as many as a workgroup has.
// CHECK-LABEL: func @many_rows
// CHECK: tile_sizes = {{\[\[}}1, 7, 7, 0], [1, 1, 1, 0], [0, 0, 0, 4]]>, translation_info = <pipeline = #iree_gpu.spirv_pipeline<BaseVectorize> workgroup_size = [7, 7, 1]>>
func.func @many_rows(%x: tensor<64x7x7x20xf32>) -> tensor<64x7x7xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<64x7x7xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<64x7x7xf32>) -> tensor<64x7x7xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(w, h, v, c) -> (w, h, v, c)>, affine_map<(w, h, v, c) -> (w, h, v)>], iterator_types = ["parallel", "parallel", "parallel", "reduction"]} ins(%x : tensor<64x7x7x20xf32>) outs(%z : tensor<64x7x7xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.maximumf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<64x7x7xf32>
  return %s : tensor<64x7x7xf32>
}

// -----
// CHECK-LABEL: func @keeps_rows_without_vectors
// CHECK-NOT: compilation_info
// REMARK: linalg.generic kept: no vector divides its rows
func.func @keeps_rows_without_vectors(%x: tensor<200x49xf32>) -> tensor<200xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<200xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<200xf32>) -> tensor<200xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<200x49xf32>) outs(%z : tensor<200xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<200xf32>
  return %s : tensor<200xf32>
}

// -----
// Rows that lie across: a thread has a row, beside those whose elements lie side by side.
// CHECK-LABEL: func @rows_across
// CHECK: compilation_info = {{.*}}tile_sizes = {{\[\[}}25, 0], [1, 0], [0, 1]]
// REMARK: linalg.generic applied: tiles: (0, 1), a thread for each row
func.func @rows_across(%x: tensor<64x200xf32>) -> tensor<200x64xf32> {
  %c = arith.constant 0.0 : f32
  %er = tensor.empty() : tensor<200xf32>
  %e = tensor.empty() : tensor<200x64xf32>
  %z = linalg.fill ins(%c : f32) outs(%er : tensor<200xf32>) -> tensor<200xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(r, c) -> (c, r)>, affine_map<(r, c) -> (r)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<64x200xf32>) outs(%z : tensor<200xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<200xf32>
  %q = linalg.generic {indexing_maps = [affine_map<(r, c) -> (c, r)>, affine_map<(r, c) -> (r)>, affine_map<(r, c) -> (r)>], iterator_types = ["parallel", "reduction"]} ins(%x, %s : tensor<64x200xf32>, tensor<200xf32>) outs(%z : tensor<200xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %d = arith.subf %a, %b : f32
    %t = arith.addf %d, %o : f32
    linalg.yield %t : f32
  } -> tensor<200xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(r, c) -> (c, r)>, affine_map<(r, c) -> (r)>, affine_map<(r, c) -> (r, c)>], iterator_types = ["parallel", "parallel"]} ins(%x, %q : tensor<64x200xf32>, tensor<200xf32>) outs(%e : tensor<200x64xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %t = arith.divf %a, %b : f32
    linalg.yield %t : f32
  } -> tensor<200x64xf32>
  return %r : tensor<200x64xf32>
}

// -----
// A row can be several loops, whatever lies between them: steps are along the last.
// CHECK-LABEL: func @row_of_two_loops
// CHECK: flow.dispatch.region
// ADRENO: tile_sizes = {{\[\[}}1, 1], [0, 0, 1, 192]]>, translation_info = <pipeline = #iree_gpu.spirv_pipeline<SubgroupReduce> workgroup_size = [48, 1, 1]>>
// VALHALL: tile_sizes = {{\[\[}}1, 1], [0, 0, 1, 64]]>, translation_info = <pipeline = #iree_gpu.spirv_pipeline<SubgroupReduce> workgroup_size = [16, 1, 1]>>
// REMARK: linalg.generic applied: tiles: (0, 0, 1, 192), a subgroup for each row
// ALONE: linalg.generic applied: tiles: (0, 0, 1, 16), a thread for each row
func.func @row_of_two_loops(%x: tensor<7x2x7x192xf32>) -> tensor<7x7xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<7x7xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<7x7xf32>) -> tensor<7x7xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(h, w, p, c) -> (h, p, w, c)>, affine_map<(h, w, p, c) -> (h, w)>], iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%x : tensor<7x2x7x192xf32>) outs(%z : tensor<7x7xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<7x7xf32>
  return %s : tensor<7x7xf32>
}

// -----
// A sum over several dims gets tiles without vectors, too: the code generator's would let threads
// read what others have filled.
// CHECK-LABEL: func @sums_several_dims_without_vectors
// CHECK: flow.dispatch.region
// CHECK: compilation_info
// REMARK: linalg.generic applied: tiles: (0, 0, 1, 1), a thread for each row
func.func @sums_several_dims_without_vectors(%x: tensor<7x2x7x49xf32>) -> tensor<7x7xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<7x7xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<7x7xf32>) -> tensor<7x7xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(h, w, p, c) -> (h, p, w, c)>, affine_map<(h, w, p, c) -> (h, w)>], iterator_types = ["parallel", "parallel", "reduction", "reduction"]} ins(%x : tensor<7x2x7x49xf32>) outs(%z : tensor<7x7xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<7x7xf32>
  return %s : tensor<7x7xf32>
}

// -----
// Where what is padded is written in place, the code generator's tiles would do the same.
// CHECK-LABEL: func @rows_that_are_padded
// CHECK: compilation_info
// REMARK: linalg.generic applied: tiles: (0, 1), a thread for each row
func.func @rows_that_are_padded(%x: tensor<200x49xf32>) -> tensor<203xf32> {
  %c = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<200xf32>
  %z = linalg.fill ins(%c : f32) outs(%e : tensor<200xf32>) -> tensor<200xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r)>], iterator_types = ["parallel", "reduction"]} ins(%x : tensor<200x49xf32>) outs(%z : tensor<200xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.addf %a, %o : f32
    linalg.yield %t : f32
  } -> tensor<200xf32>
  %p = tensor.pad %s low[1] high[2] {
  ^bb0(%i: index):
    tensor.yield %c : f32
  } : tensor<200xf32> to tensor<203xf32>
  return %p : tensor<203xf32>
}
