//===- Batcher.h - Requests that run together -------------------*- C++ -*-===//
// Assumes: a model whose rows do not influence each other.
// Guarantees: requests with equal sizes but for the first dimension share a run, up to `maxRows` rows; a request waits
//             for others only while a run is in progress anyway. The queue is bounded; past its end `submit` refuses.
// Declines: models whose inputs and outputs do not all have one symbol as first dimension: these run one by one.
//===----------------------------------------------------------------------===//
#ifndef DS_EXAMPLES_SERVE_BATCHER_H
#define DS_EXAMPLES_SERVE_BATCHER_H

#include "Histogram.h"
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <ds_runtime.hpp>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace serve {

/// A tensor that owns its bytes.
struct Array {
  int32_t dtype = 0;
  std::vector<int64_t> shape;
  std::vector<char> bytes;
  std::shared_ptr<std::deque<std::string>> texts; // what the elements point to, of strings

  void addText(std::string text) {
    if (!texts)
      texts = std::make_shared<std::deque<std::string>>();
    texts->push_back(std::move(text));
    const ds_string element = {texts->back().data(), texts->back().size()};
    const char *raw = reinterpret_cast<const char *>(&element);
    bytes.insert(bytes.end(), raw, raw + sizeof element);
  }
  ds::Tensor view() const { return ds::Tensor(bytes.data(), shape, dtype); }
};

struct BatcherOptions {
  size_t queue = 256;    // requests that may wait
  int64_t maxRows = 32;  // of a run
  unsigned sessions = 1; // runs at a time
  uint32_t threads = 0;  // of a run; 0 = one a CPU
};

struct Statistics {
  Histogram total, waiting, running; // microseconds
  std::atomic<uint64_t> done{0}, failed{0}, rejected{0}, runs{0}, rows{0};
};

class Batcher {
public:
  Batcher(const ds::Model &model, const BatcherOptions &options);
  ~Batcher();

  /// One array a model input, in order; nothing where the queue is full. The future's exception is a ds::Error.
  std::optional<std::future<std::vector<Array>>> submit(std::vector<Array> inputs);
  bool batches() const { return isBatchable; }
  const Statistics &statistics() const { return counts; }
  void reject() { ++counts.rejected; }
  size_t waiting();

private:
  using Clock = std::chrono::steady_clock;
  struct Request {
    std::vector<Array> inputs;
    std::promise<std::vector<Array>> result;
    int64_t rows;
    Clock::time_point arrived;
  };

  void work();
  std::vector<Request> take();
  bool fits(const Request &first, const Request &other, int64_t rows) const;
  void run(ds::Session &session, std::vector<Request> &batch);

  ds::Model model;
  BatcherOptions options;
  bool isBatchable;
  Statistics counts;
  std::mutex mutex;
  std::condition_variable arrived;
  std::deque<Request> queue;
  bool stopping = false;
  std::vector<std::thread> workers;
};

} // namespace serve

#endif
