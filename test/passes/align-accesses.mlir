// RUN: smartmem-opt --allow-unregistered-dialect --smartmem-align-accesses --smartmem-target=adreno --smartmem-remarks %s 2>%t | FileCheck %s
// RUN: FileCheck --check-prefix=REMARK %s < %t
// RUN: smartmem-opt --allow-unregistered-dialect --smartmem-align-accesses --smartmem-target=cpu %s | FileCheck --check-prefix=CPU %s

// CPUs load a vector from any place.
// CPU-NOT: tensor.expand_shape

// REMARK: its rows begin between two vectors

// CHECK-LABEL: func @slice
// CHECK: %[[E:.*]] = tensor.expand_shape %arg0 {{.*}} : tensor<16x68xf32> into tensor<16x68x1xf32>
// CHECK: tensor.extract_slice %[[E]][0, 2, 0] [16, 64, 1] [1, 1, 1] : tensor<16x68x1xf32> to tensor<16x64xf32>
func.func @slice(%x: tensor<16x68xf32>) -> tensor<16x64xf32> {
  %s = tensor.extract_slice %x[0, 2] [16, 64] [1, 1] : tensor<16x68xf32> to tensor<16x64xf32>
  return %s : tensor<16x64xf32>
}

// CHECK-LABEL: func @whole_vectors
// CHECK-NOT: tensor.expand_shape
func.func @whole_vectors(%x: tensor<16x68xf32>) -> tensor<15x64xf32> {
  %s = tensor.extract_slice %x[1, 4] [15, 64] [1, 1] : tensor<16x68xf32> to tensor<15x64xf32>
  return %s : tensor<15x64xf32>
}

// A vector has eight elements of 16 bits.
// CHECK-LABEL: func @whole_vectors_of_halves
// CHECK: tensor.expand_shape %arg0
func.func @whole_vectors_of_halves(%x: tensor<16x72xf16>) -> tensor<16x64xf16> {
  %s = tensor.extract_slice %x[0, 4] [16, 64] [1, 1] : tensor<16x72xf16> to tensor<16x64xf16>
  return %s : tensor<16x64xf16>
}

// Rows of six elements begin between vectors, wherever the slice does.
// CHECK-LABEL: func @known_at_run_time
// CHECK: tensor.expand_shape %arg0
// CHECK: tensor.extract_slice %{{.*}}[%arg1, 0, 0] [4, 6, 1] [1, 1, 1]
func.func @known_at_run_time(%x: tensor<8x6xf32>, %i: index) -> tensor<4x6xf32> {
  %s = tensor.extract_slice %x[%i, 0] [4, 6] [1, 1] : tensor<8x6xf32> to tensor<4x6xf32>
  return %s : tensor<4x6xf32>
}

// Every second element is no vector.
// CHECK-LABEL: func @strided
// CHECK-NOT: tensor.expand_shape
func.func @strided(%x: tensor<16x68xf32>) -> tensor<16x32xf32> {
  %s = tensor.extract_slice %x[0, 1] [16, 32] [1, 2] : tensor<16x68xf32> to tensor<16x32xf32>
  return %s : tensor<16x32xf32>
}

// CHECK-LABEL: func @padding
// CHECK: %[[F:.*]] = linalg.fill {{.*}} -> tensor<16x68x1xf32>
// CHECK: %[[W:.*]] = tensor.insert_slice %arg0 into %[[F]][0, 1, 0] [16, 64, 1] [1, 1, 1] : tensor<16x64xf32> into tensor<16x68x1xf32>
// CHECK: tensor.collapse_shape %[[W]] {{.*}} into tensor<16x68xf32>
func.func @padding(%x: tensor<16x64xf32>) -> tensor<16x68xf32> {
  %zero = arith.constant 0.0 : f32
  %p = tensor.pad %x low[0, 1] high[0, 3] {
  ^bb0(%i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<16x64xf32> to tensor<16x68xf32>
  return %p : tensor<16x68xf32>
}

// What a region reads and writes is reshaped outside of it.
// CHECK-LABEL: func @region
// CHECK: %[[E:.*]] = tensor.expand_shape %arg0 {{.*}} into tensor<16x68x1xf32>
// CHECK: %[[I:.*]] = tensor.expand_shape %arg1 {{.*}} into tensor<16x68x1xf32>
// CHECK: %[[R:.*]] = "flow.dispatch.region"
// CHECK: tensor.extract_slice %[[E]][0, 2, 0] [16, 64, 1] [1, 1, 1]
// CHECK: tensor.insert_slice %{{.*}} into %[[I]][0, 1, 0] [16, 64, 1] [1, 1, 1]
// CHECK: -> tensor<16x68x1xf32>
// CHECK: tensor.collapse_shape %[[R]] {{.*}} into tensor<16x68xf32>
func.func @region(%x: tensor<16x68xf32>, %into: tensor<16x68xf32>) -> tensor<16x68xf32> {
  %r = "flow.dispatch.region"() ({
    %s = tensor.extract_slice %x[0, 2] [16, 64] [1, 1] : tensor<16x68xf32> to tensor<16x64xf32>
    %w = tensor.insert_slice %s into %into[0, 1] [16, 64] [1, 1] : tensor<16x64xf32> into tensor<16x68xf32>
    "flow.return"(%w) : (tensor<16x68xf32>) -> ()
  }, {
  }) {operandSegmentSizes = array<i32: 0, 0>} : () -> tensor<16x68xf32>
  return %r : tensor<16x68xf32>
}
