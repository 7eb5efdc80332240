//===- Batcher.cpp - Requests that run together ---------------------------===//
// Assumes, guarantees, declines: see Batcher.h.
//===----------------------------------------------------------------------===//
#include "Batcher.h"
#include <cstring>

namespace serve {

/// Whether all inputs and outputs have the same symbol as their first dimension.
static bool sharesFirstDimension(const ds::Model &model) {
  std::string symbol;
  auto agrees = [&](const ds_tensor_info &info) {
    if (info.rank == 0 || info.dimensions[0].size >= 0)
      return false;
    if (symbol.empty())
      symbol = info.dimensions[0].text;
    return symbol == info.dimensions[0].text;
  };
  for (size_t i = 0; i < model.inputCount(); ++i)
    if (!agrees(model.input(i)))
      return false;
  for (size_t i = 0; i < model.outputCount(); ++i)
    if (!agrees(model.output(i)))
      return false;
  return model.inputCount() > 0;
}

Batcher::Batcher(const ds::Model &model, const BatcherOptions &options)
    : model(model), options(options), isBatchable(sharesFirstDimension(model)) {
  for (unsigned i = 0; i < options.sessions; ++i)
    workers.emplace_back([this] { work(); });
}

Batcher::~Batcher() {
  {
    std::lock_guard<std::mutex> lock(mutex);
    stopping = true;
  }
  arrived.notify_all();
  for (std::thread &worker : workers) // what waits is still answered
    worker.join();
}

size_t Batcher::waiting() {
  std::lock_guard<std::mutex> lock(mutex);
  return queue.size();
}

std::optional<std::future<std::vector<Array>>> Batcher::submit(std::vector<Array> inputs) {
  Request request;
  request.rows = isBatchable && !inputs.empty() && !inputs[0].shape.empty() ? inputs[0].shape[0] : 1;
  request.inputs = std::move(inputs);
  request.arrived = Clock::now();
  std::future<std::vector<Array>> future = request.result.get_future();
  {
    std::lock_guard<std::mutex> lock(mutex);
    if (queue.size() >= options.queue || stopping) {
      ++counts.rejected;
      return std::nullopt;
    }
    queue.push_back(std::move(request));
  }
  arrived.notify_one();
  return future;
}

/// Whether `other` can join `first`: the same types and sizes but for the first dimension, which agrees within each.
bool Batcher::fits(const Request &first, const Request &other, int64_t rows) const {
  if (!isBatchable || rows + other.rows > options.maxRows || other.inputs.size() != first.inputs.size())
    return false;
  for (size_t i = 0; i < first.inputs.size(); ++i) {
    const Array &a = first.inputs[i], &b = other.inputs[i];
    if (a.dtype != b.dtype || a.shape.size() != b.shape.size() || a.shape.empty() || a.shape[0] != first.rows ||
        b.shape[0] != other.rows || !std::equal(a.shape.begin() + 1, a.shape.end(), b.shape.begin() + 1))
      return false;
  }
  return true;
}

std::vector<Batcher::Request> Batcher::take() {
  std::unique_lock<std::mutex> lock(mutex);
  arrived.wait(lock, [&] { return !queue.empty() || stopping; });
  std::vector<Request> batch;
  int64_t rows = 0;
  for (auto it = queue.begin(); it != queue.end();) {
    if (!batch.empty() && !fits(batch[0], *it, rows)) {
      ++it;
      continue;
    }
    rows += it->rows;
    batch.push_back(std::move(*it));
    it = queue.erase(it);
    if (!isBatchable)
      break;
  }
  return batch;
}

static std::vector<Array> split(const std::vector<ds::Tensor> &outputs, int64_t first, int64_t rows, bool isWhole) {
  std::vector<Array> results;
  for (const ds::Tensor &output : outputs) {
    Array array;
    array.dtype = output.dtype();
    array.shape = output.shape();
    size_t bytes = size_t(output.size()) * ds_dtype_size(output.dtype());
    const char *data = static_cast<const char *>(output.data());
    if (!isWhole) {
      const size_t row = array.shape[0] ? bytes / size_t(array.shape[0]) : 0;
      data += row * size_t(first);
      bytes = row * size_t(rows);
      array.shape[0] = rows;
    }
    if (array.dtype == DS_STRING) // the session's own bytes: a copy that outlives the next run
      for (const auto *text = reinterpret_cast<const ds_string *>(data); bytes; bytes -= sizeof *text, ++text)
        array.addText(std::string(text->data, text->size));
    else
      array.bytes.assign(data, data + bytes);
    results.push_back(std::move(array));
  }
  return results;
}

void Batcher::run(ds::Session &session, std::vector<Request> &batch) {
  const bool isWhole = batch.size() == 1;
  std::vector<Array> joined;
  std::vector<ds::Tensor> inputs;
  if (isWhole) {
    for (const Array &array : batch[0].inputs)
      inputs.push_back(array.view());
  } else {
    joined.resize(batch[0].inputs.size());
    for (size_t i = 0; i < joined.size(); ++i) {
      joined[i].dtype = batch[0].inputs[i].dtype;
      joined[i].shape = batch[0].inputs[i].shape;
      joined[i].shape[0] = 0;
      for (const Request &request : batch) {
        joined[i].shape[0] += request.rows;
        joined[i].bytes.insert(joined[i].bytes.end(), request.inputs[i].bytes.begin(), request.inputs[i].bytes.end());
      }
      inputs.push_back(joined[i].view());
    }
  }
  std::vector<ds::Tensor> outputs = session.run(inputs);
  int64_t first = 0;
  for (Request &request : batch) {
    request.result.set_value(split(outputs, first, request.rows, isWhole));
    first += request.rows;
  }
}

void Batcher::work() {
  ds_session_options sessionOptions = {};
  sessionOptions.threads = options.threads;
  ds::Session session(model, sessionOptions);
  for (;;) {
    std::vector<Request> batch = take();
    if (batch.empty())
      return;
    auto microseconds = [](Clock::duration d) {
      return uint64_t(std::chrono::duration_cast<std::chrono::microseconds>(d).count());
    };
    const Clock::time_point start = Clock::now();
    ++counts.runs;
    try {
      run(session, batch);
    } catch (const ds::Error &error) {
      if (batch.size() > 1) {
        // One of them is at fault (an index out of range, say): the others shall not suffer.
        for (Request &request : batch) {
          std::vector<Request> alone;
          alone.push_back(std::move(request));
          try {
            run(session, alone);
          } catch (const ds::Error &) {
            ++counts.failed;
            alone[0].result.set_exception(std::current_exception());
          }
        }
      } else {
        ++counts.failed;
        batch[0].result.set_exception(std::current_exception());
      }
    }
    const Clock::time_point end = Clock::now();
    for (const Request &request : batch) {
      counts.total.add(microseconds(end - request.arrived));
      counts.waiting.add(microseconds(start - request.arrived));
      counts.running.add(microseconds(end - start));
      counts.rows += uint64_t(request.rows);
      ++counts.done;
    }
  }
}

} // namespace serve
