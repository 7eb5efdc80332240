//===- Convert.cpp - Elements of another type ------------------------------===//
// Guarantees: integers keep their value or are refused; float64 is rounded to the nearest float32.
//===----------------------------------------------------------------------===//
#include "Data.h"

namespace ds::runtime {

namespace {

bool isInteger(int32_t Dtype) { return Dtype >= DS_INT8 && Dtype <= DS_UINT64; }
bool isFloat(int32_t Dtype) { return Dtype == DS_FLOAT32 || Dtype == DS_FLOAT64; }

template <typename From, typename To> size_t convertAll(const char *In, char *Out, size_t Count) {
  for (size_t I = 0; I < Count; ++I, In += sizeof(From), Out += sizeof(To)) {
    From Value;
    memcpy(&Value, In, sizeof Value);
    const To Converted = To(Value);
    if constexpr (std::is_integral_v<From>)
      if (From(Converted) != Value || (Converted < To(0)) != (Value < From(0)))
        return I;
    memcpy(Out, &Converted, sizeof Converted);
  }
  return Count;
}

template <typename From> size_t convertInteger(int32_t To, const char *In, char *Out, size_t Count) {
  switch (To) {
  case DS_INT8:
    return convertAll<From, int8_t>(In, Out, Count);
  case DS_INT16:
    return convertAll<From, int16_t>(In, Out, Count);
  case DS_INT32:
    return convertAll<From, int32_t>(In, Out, Count);
  case DS_INT64:
    return convertAll<From, int64_t>(In, Out, Count);
  case DS_UINT8:
    return convertAll<From, uint8_t>(In, Out, Count);
  case DS_UINT16:
    return convertAll<From, uint16_t>(In, Out, Count);
  case DS_UINT32:
    return convertAll<From, uint32_t>(In, Out, Count);
  default:
    return convertAll<From, uint64_t>(In, Out, Count);
  }
}

} // namespace

bool canConvert(int32_t From, int32_t To) {
  return From == To || (isFloat(From) && isFloat(To)) || ((isInteger(From) || From == DS_BOOL) && isInteger(To));
}

size_t convertElements(int32_t FromType, const char *From, int32_t ToType, char *To, size_t Count) {
  if (FromType == ToType) {
    memcpy(To, From, Count * ds_dtype_size(FromType));
    return Count;
  }
  switch (FromType) {
  case DS_FLOAT32:
    return convertAll<float, double>(From, To, Count);
  case DS_FLOAT64:
    return convertAll<double, float>(From, To, Count);
  case DS_BOOL:
  case DS_UINT8:
    return convertInteger<uint8_t>(ToType, From, To, Count);
  case DS_INT8:
    return convertInteger<int8_t>(ToType, From, To, Count);
  case DS_INT16:
    return convertInteger<int16_t>(ToType, From, To, Count);
  case DS_INT32:
    return convertInteger<int32_t>(ToType, From, To, Count);
  case DS_INT64:
    return convertInteger<int64_t>(ToType, From, To, Count);
  case DS_UINT16:
    return convertInteger<uint16_t>(ToType, From, To, Count);
  case DS_UINT32:
    return convertInteger<uint32_t>(ToType, From, To, Count);
  default:
    return convertInteger<uint64_t>(ToType, From, To, Count);
  }
}

void appendInteger(Text &Out, int32_t Dtype, const char *Data) {
  uint64_t Bits = 0;
  const bool IsNegative = convertElements(Dtype, Data, DS_UINT64, reinterpret_cast<char *>(&Bits), 1) == 0;
  if (IsNegative)
    convertElements(Dtype, Data, DS_INT64, reinterpret_cast<char *>(&Bits), 1);
  if (IsNegative)
    Out.append("%lld", static_cast<long long>(Bits));
  else
    Out.append("%llu", static_cast<unsigned long long>(Bits));
}

} // namespace ds::runtime
