//===- ThreadPool.cpp - Spin a little, then sleep ---------------------------===//
// Assumes: Linux futexes.
// Guarantees: no lost wake-up: a sleeper raises its flag before it looks at the counter a last time, and the other side
//             changes the counter before it looks at the flag; both sequentially consistent.
// Declines: pinning threads to CPUs.
//===----------------------------------------------------------------------===//
#include "ThreadPool.h"
#include <algorithm>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <new>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace ds::runtime {

// Longer than the gap between two launches, shorter than a scheduler's time slice.
static constexpr int64_t SpinNanoseconds = 50000;

static void pauseCpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  __asm__ volatile("yield");
#endif
}

static int64_t now() {
  timespec T;
  clock_gettime(CLOCK_MONOTONIC, &T);
  return T.tv_sec * int64_t(1000000000) + T.tv_nsec;
}

static void futexWait(std::atomic<uint32_t> &Word, uint32_t Expected) {
  syscall(SYS_futex, reinterpret_cast<uint32_t *>(&Word), FUTEX_WAIT_PRIVATE, Expected, nullptr, nullptr, 0);
}

static void futexWake(std::atomic<uint32_t> &Word) {
  syscall(SYS_futex, reinterpret_cast<uint32_t *>(&Word), FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

/// Until `Done()`; false when the time is over.
template <typename Condition> static bool spinUntil(Condition Done) {
  for (int64_t Start = 0;;) {
    for (int I = 0; I < 64; ++I) {
      if (Done())
        return true;
      pauseCpu();
    }
    int64_t Time = now();
    if (!Start)
      Start = Time;
    if (Time - Start > SpinNanoseconds)
      return false;
  }
}

bool ThreadPool::Team::allocate(size_t N) {
  void *Memory = nullptr;
  if (N > SIZE_MAX / sizeof(Member) || posix_memalign(&Memory, alignof(Member), N * sizeof(Member)))
    return false;
  Data = static_cast<Member *>(Memory);
  for (size_t I = 0; I < N; ++I)
    new (&Data[I]) Member();
  return true;
}

ds_status ThreadPool::start(uint32_t Threads, ds_error *Error) {
  if (Threads <= 1)
    return DS_OK;
  if (!Members.allocate(Threads - 1))
    return outOfMemory(Error);
  // Signals are the business of the threads that the caller made.
  sigset_t All, Old;
  sigfillset(&All);
  pthread_sigmask(SIG_SETMASK, &All, &Old);
  int Problem = 0;
  for (uint32_t I = 0; I + 1 < Threads && !Problem; ++I) {
    Member &M = Members[I];
    M.Id = I + 1;
    M.Pool = this;
    Problem = pthread_create(&M.Thread, nullptr, work, &M);
    if (!Problem)
      Members.setSize(I + 1);
  }
  pthread_sigmask(SIG_SETMASK, &Old, nullptr);
  if (Problem) {
    stop();
    return fail(Error, DS_IO_ERROR, "cannot start %u threads: %s", Threads, strerror(Problem));
  }
  return DS_OK;
}

void ThreadPool::stop() {
  Stopping.store(true);
  for (size_t I = 0; I < Members.size(); ++I) {
    Members[I].Ticket.fetch_add(1);
    futexWake(Members[I].Ticket);
    pthread_join(Members[I].Thread, nullptr);
  }
  Members.setSize(0);
}

int32_t ThreadPool::runPiece(int64_t Piece, uint32_t Id) const {
  const int64_t Size = Current.Range / Current.Pieces, Longer = Current.Range % Current.Pieces;
  const int64_t Begin = Piece * Size + std::min(Piece, Longer), End = Begin + Size + (Piece < Longer);
  return Current.Kernel(Current.State, &Current.Workers[Id], Begin, End);
}

void *ThreadPool::work(void *Self) {
  Member &M = *static_cast<Member *>(Self);
  ThreadPool &Pool = *M.Pool;
  for (uint32_t Seen = 0;;) {
    auto Called = [&] { return M.Ticket.load(std::memory_order_acquire) != Seen; };
    if (!spinUntil(Called)) {
      M.Sleeping.store(1);
      while (M.Ticket.load() == Seen)
        futexWait(M.Ticket, Seen);
      M.Sleeping.store(0);
    }
    ++Seen;
    if (Pool.Stopping.load())
      return nullptr;
    M.Result = Pool.runPiece(M.Id, M.Id);
    if (Pool.Pending.fetch_sub(1) == 1 && Pool.CallerSleeping.load())
      futexWake(Pool.Pending);
  }
}

void ThreadPool::waitForOthers() {
  auto Done = [&] { return Pending.load(std::memory_order_acquire) == 0; };
  if (spinUntil(Done))
    return;
  CallerSleeping.store(1);
  while (uint32_t Left = Pending.load())
    futexWait(Pending, Left);
  CallerSleeping.store(0);
}

int32_t ThreadPool::run(const ds_kernel_worker *Workers, ds_kernel_fn Kernel, const ds_kernel_state *State,
                        int64_t Range, int64_t Grain) {
  if (Range <= 0)
    return DS_KERNEL_OK;
  const int64_t Pieces = std::min<int64_t>(threads(), std::max<int64_t>(1, Range / std::max<int64_t>(1, Grain)));
  if (Pieces == 1)
    return Kernel(State, &Workers[0], 0, Range);
  Current = {Workers, Kernel, State, Range, Pieces};
  Pending.store(uint32_t(Pieces - 1), std::memory_order_relaxed);
  for (int64_t I = 1; I < Pieces; ++I) {
    Member &M = Members[size_t(I - 1)];
    M.Ticket.fetch_add(1);
    if (M.Sleeping.load())
      futexWake(M.Ticket);
  }
  int32_t Result = runPiece(0, 0);
  waitForOthers();
  for (int64_t I = 1; I < Pieces && Result == DS_KERNEL_OK; ++I)
    Result = Members[size_t(I - 1)].Result;
  return Result;
}

} // namespace ds::runtime
