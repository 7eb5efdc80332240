//===- Data.h - What is trained on ------------------------------*- C++ -*-===//
// Assumes: the files do not change while the program runs.
// Guarantees: files are mapped, not read; each sample of a batch is copied once. What does not fit the model is told
//   before the first step, but for values, which are looked at as they are used.
// Declines: conversions that change a value; but float64 data is rounded where the model takes float32.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_DATA_H
#define DS_RUNTIME_DATA_H

#include "../src/Npy.h"
#include "TrainStep.h"

namespace ds::runtime {

/// Samples: arrays whose first dimension counts them, or windows of a file of tokens.
class DataSet {
public:
  DataSet() = default;
  DataSet(const DataSet &) = delete;
  DataSet &operator=(const DataSet &) = delete;
  ~DataSet();

  /// A .npz file, or a folder with a .npy file for each input.
  ds_status openArrays(const char *Path, const TrainStep &Step, ds_error *Error);
  /// Tokens without a header, one after another. A sample is `Length` of them, and as target the same one later.
  ds_status openTokens(const char *Path, int32_t Dtype, uint64_t Length, const TrainStep &Step, ds_error *Error);

  bool isOpen() const { return Step != nullptr; }
  uint64_t samples() const { return Samples; }

  /// Memory for batches of up to `Size` samples.
  ds_status reserve(size_t Size, ds_error *Error);
  /// Fills in the entries of the data inputs with samples number `First` to `First + Count` of the order, which may be
  /// NULL: as they are.
  ds_status gather(const uint32_t *Order, uint64_t First, size_t Count, ds_tensor *Inputs, ds_error *Error);

private:
  /// An input of the model, and the array that it comes from.
  struct Column {
    size_t Input;
    bool IsGiven, IsSampled;
    int32_t From, To; // types
    const char *Data;
    size_t RowElements, Stride; // of a sample: elements, and bytes from one to the next
    size_t FirstDimension, Rank;
    void *Batch; // in the model's type
  };

  const TrainStep *Step = nullptr;
  const char *Path = "";
  FileMap *Maps = nullptr; // one an input, or one for all
  size_t MapCount = 0;
  NpyArray *Arrays = nullptr; // one a column
  Array<Column> Columns;
  Array<int64_t> Shapes; // of batches
  uint64_t Samples = 0;
  size_t Capacity = 0;
  Text Names; // of the arrays that are there

  static bool wants(void *Self, const char *Name);
  static ds_status take(void *Self, const char *Name, NpyArray &Array, ds_error *Error);
  ds_status begin(const char *Path, const TrainStep &Step, size_t MapCount, ds_error *Error);
  ds_status openFolder(ds_error *Error);
  ds_status check(const char *Where, ds_error *Error);
  ds_status checkColumn(Column &C, const NpyArray &A, ds_error *Error);
  /// Whether the target holds classes that there are.
  ds_status checkClasses(const Column &C, const char *Batch, uint64_t Sample, ds_error *Error) const;
  ds_status convert(const Column &C, const char *From, char *To, size_t Count, uint64_t Sample, ds_error *Error) const;
};

/// Whether `convert` knows how.
bool canConvert(int32_t From, int32_t To);

/// `Count` elements, which need not be aligned; the number of the first whose value the other type does not have, or
/// `Count`.
size_t convertElements(int32_t FromType, const char *From, int32_t ToType, char *To, size_t Count);

/// The value of an integer of that type.
void appendInteger(Text &Out, int32_t Dtype, const char *Data);

} // namespace ds::runtime

#endif
