// RUN: ds-opt %s -ds-infer-shapes -split-input-file -verify-diagnostics

func.func @symbols(%a: tensor<?x2xf32> {ds.shape = #ds.shape<["N+1", "2"]>}, %b: tensor<?x2xf32> {ds.shape = #ds.shape<["N", "2"]>}) -> tensor<?x4xf32> {
  // expected-error@unknown {{node 'cat' (Concat): expected the operands to agree in dimension 0, got N+1 and N}}
  %0 = ds.concat %a, %b {axis = 1} : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x4xf32> loc(fused<"Concat">["cat"])
  return %0 : tensor<?x4xf32>
}

// -----

func.func @rank(%x: tensor<4xf32>, %s: tensor<?xi64>) -> tensor<?x?xf32> {
  // expected-error @+1 {{op 'ds.reshape': the rank of result 0 depends on data; ranks must be known when compiling}}
  %0 = ds.reshape %x, %s : (tensor<4xf32>, tensor<?xi64>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// -----

func.func @negative(%x: tensor<1x1x2xf32>, %w: tensor<1x1x5xf32>) -> tensor<1x1x?xf32> {
  // expected-error @+1 {{op 'ds.conv': dimension 2 of result 0 would be -2}}
  %0 = ds.conv %x, %w {strides = array<i64: 1>, pads_low = array<i64: 0>, pads_high = array<i64: 0>, dilations = array<i64: 1>} : (tensor<1x1x2xf32>, tensor<1x1x5xf32>) -> tensor<1x1x?xf32>
  return %0 : tensor<1x1x?xf32>
}

// -----

func.func @huge(%x: tensor<1xf32>) -> tensor<?x?xf32> {
  // expected-error @+1 {{op 'ds.expand': result 0 has too many elements}}
  %0 = ds.expand %x {target = #ds.shape<["4611686018427387904", "4611686018427387904"]>} : (tensor<1xf32>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// -----

func.func @overflow(%x: tensor<?xf32> {ds.shape = #ds.shape<["4611686018427387904*N"]>}) -> tensor<?xf32> {
  // expected-error @+1 {{op 'ds.concat': dimension 0 of result 0 has too large or too complex a size expression}}
  %0 = ds.concat %x, %x {axis = 0} : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
  return %0 : tensor<?xf32>
}
