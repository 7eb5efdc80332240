//===- ThreadPool.h - Threads that share the pieces of a launch -*- C++ -*-===//
// Assumes: one thread calls `run` at a time, always the same or with proper synchronization.
// Guarantees: thread i gets the i-th contiguous piece of the range; the first failing piece decides the result.
// Declines: moving work between threads: equal pieces, cut before they start.
//===----------------------------------------------------------------------===//
#ifndef DS_RUNTIME_THREADPOOL_H
#define DS_RUNTIME_THREADPOOL_H

#include "Support.h"
#include "ds_kernel.h"
#include <atomic>
#include <pthread.h>

namespace ds::runtime {

class ThreadPool {
public:
  ThreadPool() = default;
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;
  ~ThreadPool() { stop(); }

  /// Starts Threads - 1 threads.
  ds_status start(uint32_t Threads, ds_error *Error);
  void stop();
  uint32_t threads() const { return uint32_t(Members.size()) + 1; }

  /// Runs `Kernel` over [0, Range) in pieces of at least `Grain`. Workers[i] goes to the i-th thread; the caller is
  /// thread 0.
  int32_t run(const ds_kernel_worker *Workers, ds_kernel_fn Kernel, const ds_kernel_state *State, int64_t Range,
              int64_t Grain);

private:
  struct Job {
    const ds_kernel_worker *Workers;
    ds_kernel_fn Kernel;
    const ds_kernel_state *State;
    int64_t Range, Pieces;
  };
  /// One cache line a thread, so that those that take no part in a launch are not disturbed.
  struct alignas(128) Member {
    std::atomic<uint32_t> Ticket; // counts the jobs given to this thread; a futex
    std::atomic<uint32_t> Sleeping;
    int32_t Result;
    uint32_t Id;
    ThreadPool *Pool;
    pthread_t Thread;
  };

  class Team {
  public:
    Team() = default;
    ~Team() { free(Data); }
    bool allocate(size_t N);
    size_t size() const { return Count; }
    void setSize(size_t N) { Count = N; }
    Member &operator[](size_t I) { return Data[I]; }

  private:
    Member *Data = nullptr;
    size_t Count = 0;
  };

  static void *work(void *Self);
  int32_t runPiece(int64_t Piece, uint32_t Id) const;
  void waitForOthers();

  Team Members;
  Job Current = {};
  std::atomic<bool> Stopping{false};
  alignas(128) std::atomic<uint32_t> Pending{0}; // pieces of other threads that are not done; a futex
  std::atomic<uint32_t> CallerSleeping{0};
};

} // namespace ds::runtime

#endif
