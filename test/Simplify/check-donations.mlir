// RUN: ds-opt %s --split-input-file --verify-diagnostics --ds-check-donations

// What may be equal is compared by each run.
func.func @may_be(%s: tensor<?x4xf32> {ds.donate = 0 : i64, ds.shape = #ds.shape<["N", "4"]>},
                  %x: tensor<?x4xf32> {ds.shape = #ds.shape<["M", "4"]>}) -> tensor<?x4xf32> {
  return %x : tensor<?x4xf32>
}

// -----

// expected-error @below {{input 'cache' (f32 [N, 4]) cannot be donated to output 'grown' (f32 [N+1, 4]): both are one memory and must have the same type and dims}}
func.func @grows(%s: tensor<?x4xf32> {ds.donate = 0 : i64, ds.name = "cache", ds.shape = #ds.shape<["N", "4"]>},
                 %x: tensor<1x4xf32>) -> (tensor<?x4xf32> {ds.name = "grown"}) {
  %0 = ds.concat %s, %x {axis = 0 : i64} : (tensor<?x4xf32>, tensor<1x4xf32>) -> tensor<?x4xf32>
  return %0 : tensor<?x4xf32>
}

// -----

// expected-error @below {{argument 0: expected 'ds.donate' to be the number of a result, got 1}}
func.func @no_result(%s: tensor<4xf32> {ds.donate = 1 : i64}) -> tensor<4xf32> {
  return %s : tensor<4xf32>
}
