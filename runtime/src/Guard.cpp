//===- Guard.cpp - Memory between pages that nobody may touch ---------------===//
// Assumes: Linux; see Guard.h.
// Guarantees: a piece is [header page][guard page][slack, memory, slack to 64 bytes][guard page].
// Declines: chaining to the system's own action: a fault that was told ends the process as if nobody had listened.
//===----------------------------------------------------------------------===//
#include "Guard.h"
#include "Session.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

namespace ds::runtime {

static constexpr size_t Alignment = 64;
static constexpr unsigned char Poison = 0xFF, Canary = 0xA5;

namespace {
/// At the start of a piece's mapping.
struct Block {
  char *Data;
  size_t Size, Mapped;
  Block *Next, *Previous;
};
} // namespace

// The handler walks both lists without the lock: what it finds in a process that dies is good enough.
static pthread_mutex_t Lock = PTHREAD_MUTEX_INITIALIZER;
static Block *Blocks;
static SessionGuard *Sessions;
static struct sigaction Before[2];
static bool IsListening;

static size_t pageSize() { return size_t(sysconf(_SC_PAGESIZE)); }
static size_t roundUp(size_t Size, size_t To) { return (Size + To - 1) & ~(To - 1); }

static char *firstByte(const Region &R) {
  return reinterpret_cast<char *>(reinterpret_cast<uintptr_t>(R.Data) & ~(pageSize() - 1));
}
static char *endOf(const Region &R) { return R.Data + roundUp(R.Size, Alignment); }

static void *allocateGuarded(void *, size_t Size, size_t) {
  const size_t Page = pageSize(), Room = roundUp(roundUp(Size, Alignment), Page), Mapped = Room + 3 * Page;
  if (Room < Size || Mapped < Room)
    return nullptr;
  char *Map = static_cast<char *>(
      mmap(nullptr, Mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  if (Map == MAP_FAILED)
    return nullptr;
  char *Start = Map + 2 * Page, *Data = Start + Room - roundUp(Size, Alignment);
  if (mprotect(Start - Page, Page, PROT_NONE) || mprotect(Start + Room, Page, PROT_NONE)) {
    munmap(Map, Mapped);
    return nullptr;
  }
  memset(Start, Canary, Room);
  memset(Data, Poison, Size);
  Block *B = reinterpret_cast<Block *>(Map);
  pthread_mutex_lock(&Lock);
  *B = {Data, Size, Mapped, Blocks, nullptr};
  if (Blocks)
    Blocks->Previous = B;
  Blocks = B;
  pthread_mutex_unlock(&Lock);
  return Data;
}

static void releaseGuarded(void *, void *Memory, size_t Size) {
  const Region R = {static_cast<char *>(Memory), Size};
  Block *B = reinterpret_cast<Block *>(firstByte(R) - 2 * pageSize());
  pthread_mutex_lock(&Lock);
  (B->Previous ? B->Previous->Next : Blocks) = B->Next;
  if (B->Next)
    B->Next->Previous = B->Previous;
  pthread_mutex_unlock(&Lock);
  munmap(B, B->Mapped);
}

ds_allocator guardedAllocator() { return {nullptr, allocateGuarded, releaseGuarded}; }

bool MemorySource::isGuarded() const { return Allocator.allocate == allocateGuarded; }

void setAccess(const Region &R, Access To) {
  if (R.Data)
    (void)mprotect(firstByte(R), size_t(endOf(R) - firstByte(R)),
                   To == Access::None   ? PROT_NONE
                   : To == Access::Read ? PROT_READ
                                        : PROT_READ | PROT_WRITE);
}

void poison(const Region &R) {
  if (R.Data)
    memset(R.Data, Poison, R.Size);
}

bool findDamage(const Region &R, int64_t &At) {
  if (!R.Data)
    return false;
  auto FindIn = [&](const char *From, const char *To) {
    for (const char *P = From; P < To; ++P)
      if (static_cast<unsigned char>(*P) != Canary) {
        At = P - R.Data;
        return true;
      }
    return false;
  };
  return FindIn(R.Data + R.Size, endOf(R)) || FindIn(firstByte(R), R.Data);
}

//===----------------------------------------------------------------------===//
// Faults
//===----------------------------------------------------------------------===//

static const char *launchName(const SessionGuard &G) {
  const Metadata &Meta = G.Session->Model->Meta;
  return G.Running >= 0 ? Meta.text(Meta.Launches[size_t(G.Running)].source) : "between two launches";
}

static bool hasBuffer(const SessionGuard &G, const char *Data) {
  for (const Region &R : G.Scratch)
    if (R.Data == Data)
      return true;
  for (const void *B : G.Session->Buffers)
    if (B == Data)
      return true;
  return false;
}

/// Of those that compute: the one that has the memory; else any.
static const SessionGuard *findSession(const char *Data) {
  const SessionGuard *Found = nullptr;
  for (const SessionGuard *G = Sessions; G; G = G->Next)
    if (!Found || (G->Running >= 0 && (Found->Running < 0 || hasBuffer(*G, Data))))
      Found = G;
  return Found;
}

static void describeFault(const char *Address, char *Out, size_t Room) {
  for (const Block *B = Blocks; B; B = B->Next) {
    const char *Map = reinterpret_cast<const char *>(B);
    if (Address < Map || Address >= Map + B->Mapped)
      continue;
    const SessionGuard *G = findSession(B->Data);
    char What[64] = "memory";
    if (G)
      for (size_t I = 0; I < G->Session->Buffers.size(); ++I)
        if (G->Session->Buffers[I] == B->Data)
          snprintf(What, sizeof What, "%s, buffer %zu,", bufferKind(G->Session->Model->Meta.Buffers[I]), I);
    const long Offset = long(Address - B->Data);
    const bool IsInside = Offset >= 0 && size_t(Offset) < roundUp(B->Size, Alignment);
    snprintf(Out, Room, "%s: access %s byte %ld of %s of %zu bytes%s", G ? launchName(*G) : "no session",
             IsInside     ? "to"
             : Offset < 0 ? "before the start, at"
                          : "past the end, at",
             Offset, What, B->Size, IsInside ? ", which may not be written or whose life is over" : "");
    return;
  }
  const SessionGuard *G = findSession(nullptr);
  snprintf(Out, Room, "%s: access to address %p, which is no buffer's", G ? launchName(*G) : "no session", Address);
}

static void tellFault(int Signal, siginfo_t *Info, void *) {
  char Line[1200], Message[1100];
  describeFault(static_cast<const char *>(Info->si_addr), Message, sizeof Message);
  const int Length = snprintf(Line, sizeof Line, "error: memory fault: %s\n", Message);
  (void)!write(2, Line, size_t(Length) < sizeof Line ? size_t(Length) : sizeof Line - 1);
  // Returning repeats the access, for whoever listened before.
  sigaction(Signal, &Before[Signal == SIGBUS], nullptr);
}

void watch(SessionGuard &G) {
  pthread_mutex_lock(&Lock);
  G.Next = Sessions;
  Sessions = &G;
  if (!IsListening) {
    struct sigaction Action = {};
    Action.sa_sigaction = tellFault;
    Action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    IsListening = !sigaction(SIGSEGV, &Action, &Before[0]) && !sigaction(SIGBUS, &Action, &Before[1]);
  }
  pthread_mutex_unlock(&Lock);
}

void unwatch(SessionGuard &G) {
  pthread_mutex_lock(&Lock);
  for (SessionGuard **At = &Sessions; *At; At = &(*At)->Next)
    if (*At == &G) {
      *At = G.Next;
      break;
    }
  pthread_mutex_unlock(&Lock);
}

} // namespace ds::runtime
