// RUN: ds-opt %s -ds-recognize | FileCheck %s

// x * 0.5 * (1 + erf(x / sqrt(2)))
// CHECK-LABEL: @gelu(
// CHECK-NEXT: %[[Y:.*]] = ds.gelu %arg0 : (tensor<?xf32>) -> tensor<?xf32>
// CHECK-NEXT: return %[[Y]]
func.func @gelu(%x: tensor<?xf32>) -> tensor<?xf32> {
  %sqrt2 = ds.constant dense<1.41421354> : tensor<f32>
  %one = ds.constant dense<1.0> : tensor<f32>
  %half = ds.constant dense<0.5> : tensor<f32>
  %0 = ds.div %x, %sqrt2 : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  %1 = ds.erf %0 : (tensor<?xf32>) -> tensor<?xf32>
  %2 = ds.add %1, %one : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  %3 = ds.mul %x, %2 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %4 = ds.mul %3, %half : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  return %4 : tensor<?xf32>
}

// 0.5 * x * (1 + tanh(0.797885 * (x + 0.044715 * x^3))), the cube as a power
// CHECK-LABEL: @geluPow(
// CHECK-NEXT: ds.gelu %arg0 {approximate = #ds.gelu_approximation<tanh>}
// CHECK-NEXT: return
func.func @geluPow(%x: tensor<?xf32>) -> tensor<?xf32> {
  %three = ds.constant dense<3.0> : tensor<f32>
  %c = ds.constant dense<0.044715> : tensor<f32>
  %k = ds.constant dense<0.797884583> : tensor<f32>
  %one = ds.constant dense<1.0> : tensor<f32>
  %half = ds.constant dense<0.5> : tensor<f32>
  %0 = ds.mul %x, %half : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  %1 = ds.pow %x, %three : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  %2 = ds.mul %1, %c : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  %3 = ds.add %x, %2 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %4 = ds.mul %3, %k : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  %5 = ds.tanh %4 : (tensor<?xf32>) -> tensor<?xf32>
  %6 = ds.add %5, %one : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  %7 = ds.mul %0, %6 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %7 : tensor<?xf32>
}

// Another constant is another function.
// CHECK-LABEL: @notGelu(
// CHECK: ds.erf
func.func @notGelu(%x: tensor<?xf32>) -> tensor<?xf32> {
  %sqrt2 = ds.constant dense<1.5> : tensor<f32>
  %one = ds.constant dense<1.0> : tensor<f32>
  %0 = ds.div %x, %sqrt2 : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  %1 = ds.erf %0 : (tensor<?xf32>) -> tensor<?xf32>
  %2 = ds.add %1, %one : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  %3 = ds.mul %x, %2 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %3 : tensor<?xf32>
}

// So are constants of fewer digits than the type holds, and those of f32 in f64.
// CHECK-LABEL: @geluFewDigits(
// CHECK: ds.tanh
func.func @geluFewDigits(%x: tensor<?xf32>) -> tensor<?xf32> {
  %c = ds.constant dense<0.044715> : tensor<f32>
  %k = ds.constant dense<0.7979> : tensor<f32>
  %one = ds.constant dense<1.0> : tensor<f32>
  %half = ds.constant dense<0.5> : tensor<f32>
  %0 = ds.mul %x, %x : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %1 = ds.mul %0, %c : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  %2 = ds.add %1, %one : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  %3 = ds.mul %2, %x : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %4 = ds.mul %3, %k : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  %5 = ds.tanh %4 : (tensor<?xf32>) -> tensor<?xf32>
  %6 = ds.add %5, %one : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  %7 = ds.mul %x, %6 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %8 = ds.mul %7, %half : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  return %8 : tensor<?xf32>
}

// CHECK-LABEL: @geluOfSingle(
// CHECK: ds.tanh
func.func @geluOfSingle(%x: tensor<?xf64>) -> tensor<?xf64> {
  %c = ds.constant dense<0.044714998453855515> : tensor<f64>
  %k = ds.constant dense<0.79788458347320557> : tensor<f64>
  %one = ds.constant dense<1.0> : tensor<f64>
  %half = ds.constant dense<0.5> : tensor<f64>
  %0 = ds.mul %x, %x : (tensor<?xf64>, tensor<?xf64>) -> tensor<?xf64>
  %1 = ds.mul %0, %c : (tensor<?xf64>, tensor<f64>) -> tensor<?xf64>
  %2 = ds.add %1, %one : (tensor<?xf64>, tensor<f64>) -> tensor<?xf64>
  %3 = ds.mul %2, %x : (tensor<?xf64>, tensor<?xf64>) -> tensor<?xf64>
  %4 = ds.mul %3, %k : (tensor<?xf64>, tensor<f64>) -> tensor<?xf64>
  %5 = ds.tanh %4 : (tensor<?xf64>) -> tensor<?xf64>
  %6 = ds.add %5, %one : (tensor<?xf64>, tensor<f64>) -> tensor<?xf64>
  %7 = ds.mul %x, %6 : (tensor<?xf64>, tensor<?xf64>) -> tensor<?xf64>
  %8 = ds.mul %7, %half : (tensor<?xf64>, tensor<f64>) -> tensor<?xf64>
  return %8 : tensor<?xf64>
}

// CHECK-LABEL: @geluOfDouble(
// CHECK-NEXT: ds.gelu %arg0 {approximate = #ds.gelu_approximation<tanh>}
func.func @geluOfDouble(%x: tensor<?xf64>) -> tensor<?xf64> {
  %c = ds.constant dense<0.044715> : tensor<f64>
  %k = ds.constant dense<0.79788456080286541> : tensor<f64>
  %one = ds.constant dense<1.0> : tensor<f64>
  %half = ds.constant dense<0.5> : tensor<f64>
  %0 = ds.mul %x, %x : (tensor<?xf64>, tensor<?xf64>) -> tensor<?xf64>
  %1 = ds.mul %0, %c : (tensor<?xf64>, tensor<f64>) -> tensor<?xf64>
  %2 = ds.add %1, %one : (tensor<?xf64>, tensor<f64>) -> tensor<?xf64>
  %3 = ds.mul %2, %x : (tensor<?xf64>, tensor<?xf64>) -> tensor<?xf64>
  %4 = ds.mul %3, %k : (tensor<?xf64>, tensor<f64>) -> tensor<?xf64>
  %5 = ds.tanh %4 : (tensor<?xf64>) -> tensor<?xf64>
  %6 = ds.add %5, %one : (tensor<?xf64>, tensor<f64>) -> tensor<?xf64>
  %7 = ds.mul %x, %6 : (tensor<?xf64>, tensor<?xf64>) -> tensor<?xf64>
  %8 = ds.mul %7, %half : (tensor<?xf64>, tensor<f64>) -> tensor<?xf64>
  return %8 : tensor<?xf64>
}

// CHECK-LABEL: @geluOfHalf(
// CHECK-NEXT: ds.gelu %arg0 {approximate = #ds.gelu_approximation<tanh>}
func.func @geluOfHalf(%x: tensor<?xf16>) -> tensor<?xf16> {
  %c = ds.constant dense<4.471e-02> : tensor<f16>
  %k = ds.constant dense<7.979e-01> : tensor<f16>
  %one = ds.constant dense<1.0> : tensor<f16>
  %half = ds.constant dense<0.5> : tensor<f16>
  %0 = ds.mul %x, %x : (tensor<?xf16>, tensor<?xf16>) -> tensor<?xf16>
  %1 = ds.mul %0, %c : (tensor<?xf16>, tensor<f16>) -> tensor<?xf16>
  %2 = ds.add %1, %one : (tensor<?xf16>, tensor<f16>) -> tensor<?xf16>
  %3 = ds.mul %2, %x : (tensor<?xf16>, tensor<?xf16>) -> tensor<?xf16>
  %4 = ds.mul %3, %k : (tensor<?xf16>, tensor<f16>) -> tensor<?xf16>
  %5 = ds.tanh %4 : (tensor<?xf16>) -> tensor<?xf16>
  %6 = ds.add %5, %one : (tensor<?xf16>, tensor<f16>) -> tensor<?xf16>
  %7 = ds.mul %x, %6 : (tensor<?xf16>, tensor<?xf16>) -> tensor<?xf16>
  %8 = ds.mul %7, %half : (tensor<?xf16>, tensor<f16>) -> tensor<?xf16>
  return %8 : tensor<?xf16>
}

// CHECK-LABEL: @sigmoid(
// CHECK-NEXT: ds.sigmoid %arg0
// CHECK-NEXT: %[[S:.*]] = ds.sigmoid %arg0
// CHECK-NEXT: ds.mul %arg0, %[[S]]
// CHECK-NEXT: ds.relu %arg0
// CHECK-NEXT: return
func.func @sigmoid(%x: tensor<?xf32>) -> (tensor<?xf32>, tensor<?xf32>, tensor<?xf32>) {
  %one = ds.constant dense<1.0> : tensor<f32>
  %zero = ds.constant dense<0.0> : tensor<f32>
  %0 = ds.neg %x : (tensor<?xf32>) -> tensor<?xf32>
  %1 = ds.exp %0 : (tensor<?xf32>) -> tensor<?xf32>
  %2 = ds.add %1, %one : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  %3 = ds.reciprocal %2 : (tensor<?xf32>) -> tensor<?xf32>
  %4 = ds.neg %x : (tensor<?xf32>) -> tensor<?xf32>
  %5 = ds.exp %4 : (tensor<?xf32>) -> tensor<?xf32>
  %6 = ds.add %one, %5 : (tensor<f32>, tensor<?xf32>) -> tensor<?xf32>
  %7 = ds.div %x, %6 : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  %8 = ds.max %x, %zero : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  return %3, %7, %8 : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>
}
