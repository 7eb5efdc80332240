//===- DsOps.td - All ops of ds -----------------------------------------===//
// For documentation and tools; the build generates each subject by itself.
//===----------------------------------------------------------------------===//
include "dialects/ds/DsElementwise.td"
include "dialects/ds/DsSource.td"
include "dialects/ds/DsMovement.td"
include "dialects/ds/DsReduction.td"
include "dialects/ds/DsContraction.td"
include "dialects/ds/DsConvolution.td"
include "dialects/ds/DsNormalization.td"
include "dialects/ds/DsQuantization.td"
include "dialects/ds/DsRegion.td"
include "dialects/ds/DsPacked.td"
include "dialects/ds/DsRecurrent.td"
