//===- TensorsTest.cpp - Constants by their contents ----------------------===//
#include "lib/Import/Onnx/Tensors.h"
#include "lib/Import/Onnx/TypedData.h"

#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

using namespace ds::importer;
using mlir::ElementsAttr;
using onnx::TensorProto;

namespace {

class Tensors : public testing::Test {
protected:
  /// `values` in a typed field or as raw data; the message lies in `place`, as if it were the one before.
  ElementsAttr read(const std::vector<float> &values, std::vector<int64_t> dims, bool raw = false,
                    int type = TensorProto::FLOAT) {
    place.Clear();
    place.set_data_type(type);
    for (int64_t dim : dims)
      place.add_dims(dim);
    if (raw)
      place.set_raw_data(values.data(), values.size() * sizeof(float));
    else if (type == TensorProto::INT32)
      for (float value : values)
        place.add_int32_data(llvm::bit_cast<int32_t>(value));
    else
      place.mutable_float_data()->Add(values.begin(), values.end());
    std::string error;
    ElementsAttr result = reader.read(place, "same name", error);
    EXPECT_TRUE(result) << error;
    return result;
  }

  mlir::MLIRContext context;
  LargeData data;
  TensorReader reader{&context, ".", data};
  TensorProto place;
};

std::vector<float> ramp(size_t count) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = float(i);
  return values;
}

TEST_F(Tensors, OfOneContentAreOneWhereverTheyLie) {
  for (size_t count : {3, 64, 65, 200}) {
    ElementsAttr first = read(ramp(count), {int64_t(count)});
    TensorProto other = place;
    EXPECT_EQ(read(ramp(count), {int64_t(count)}, /*raw=*/true), first);
    std::string error;
    EXPECT_EQ(reader.read(other, "another name", error), first);
  }
}

TEST_F(Tensors, ThatDifferInOneThingAreTwo) {
  for (bool raw : {false, true})
    for (size_t count : {4, 64, 100, 200}) {
      int64_t size = int64_t(count);
      ElementsAttr first = read(ramp(count), {size}, raw);
      std::vector<float> changed = ramp(count);
      changed.back() = -1;
      EXPECT_NE(read(changed, {size}, raw), first);
      EXPECT_NE(read(ramp(count), {1, size}, raw), first);
      EXPECT_NE(read(ramp(count), {2, size / 2}, raw), first);
      EXPECT_NE(read(ramp(count), {size}, raw, TensorProto::INT32), first);
      std::vector<float> longer = ramp(count);
      longer.push_back(0);
      EXPECT_NE(read(longer, {size + 1}, raw), first);
      changed = ramp(count);
      changed[0] = -0.0f;
      EXPECT_NE(read(changed, {size}, raw), first);
      EXPECT_EQ(read(ramp(count), {size}, raw), first);
    }
}

TEST_F(Tensors, OfTokensAreToldApartByTheData) {
  Bytes bytes(4096);
  std::memset(bytes.data(), 1, bytes.size());
  std::string one = data.keep(Bytes(llvm::ArrayRef<char>(bytes.data(), bytes.size())));
  bytes.data()[4095] = 2;
  std::string two = data.keep(std::move(bytes));
  auto of = [&](const std::string &token, int64_t rows) {
    place.Clear();
    place.set_data_type(TensorProto::FLOAT);
    place.add_dims(rows);
    place.add_dims(1024 / rows);
    place.set_raw_data(token);
    std::string error;
    return reader.read(place, "t", error);
  };
  ElementsAttr first = of(one, 1);
  EXPECT_TRUE(first);
  EXPECT_NE(of(two, 1), first);
  EXPECT_NE(of(one, 2), first);
  EXPECT_EQ(of(one, 1), first);
}

TEST(TypedData, OfLargeTensorsBecomesTokens) {
  onnx::ModelProto model;
  auto fill = [](TensorProto &tensor, int count) {
    tensor.set_data_type(TensorProto::FLOAT);
    tensor.add_dims(count);
    for (int i = 0; i < count; ++i)
      tensor.add_float_data(float(i));
  };
  TensorProto &large = *model.mutable_graph()->add_initializer(), &small = *model.mutable_graph()->add_initializer();
  fill(large, 256);
  fill(small, 255);
  onnx::FunctionProto &function = *model.add_functions();
  TensorProto &inside = *function.add_node()->add_attribute()->mutable_g()->add_node()->add_attribute()->mutable_t();
  fill(inside, 300);
  TensorProto &byDefault = *function.add_attribute_proto()->mutable_t();
  fill(byDefault, 400);
  LargeData data;
  keepLargeData(model, data, /*isExtracted=*/true);
  EXPECT_EQ(small.float_data_size(), 255);
  for (auto [tensor, size] : {std::pair(&large, 1024u), {&inside, 1200u}, {&byDefault, 1600u}}) {
    EXPECT_EQ(tensor->float_data_size(), 0);
    EXPECT_EQ(data.size(tensor->raw_data()), size);
  }
  float last;
  std::vector<char> read(1600);
  ASSERT_TRUE(data.read(byDefault.raw_data(), read.data()));
  std::memcpy(&last, read.data() + 1596, sizeof last);
  EXPECT_EQ(last, 399);
}

} // namespace
