// What CUDA C++ gives a kernel, on the CPU: included before every kernel in place of the compiler's own declarations.
//
// Threads of a block are fibers of one system thread, run one after another until each waits (at a barrier, in a warp
// function) or ends. Nothing runs at the same time as anything else, so a run can be repeated exactly; the order in which
// threads get their turn is chosen by the caller, so what depends on it shows.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define __global__
#define __device__ static
#define __forceinline__ inline
#define __constant__ static const
#define __launch_bounds__(...)
// A section of their own, so that each block finds them filled with noise.
#define __shared__ static __attribute__((section("simt_shared")))
#define DYNAMIC_SHARED(type, name) type *name = reinterpret_cast<type *>(simt::dynamic_shared)

struct uint3 {
    unsigned x, y, z;
};

namespace simt {
enum class Wait { Ready, Block, Warp, Ended };

struct Fiber {
    void *stack_pointer;
    uint3 place;       // threadIdx
    unsigned number;   // of the thread in its block
    Wait wait;
    int function;      // which barrier or warp function it waits in
    unsigned mask;     // the lanes that take part in the warp function
    unsigned source;   // the lane whose value it asks for
    uint64_t given;    // its value
    uint64_t received; // the answer
};

extern Fiber *now;
extern uint3 block_place, block_size, grid_size;
extern char *dynamic_shared;

enum { BARRIER, BARRIER_COUNT, SYNC_WARP, SHUFFLE, BALLOT };

// Waits until all threads of the block that have not ended are here; the sum of what they gave.
uint64_t at_barrier(int function, uint64_t given);
// Waits until all lanes of `mask` are here; the value of lane `source`, or for BALLOT a bit for each that gave one.
uint64_t in_warp(int function, unsigned mask, unsigned source, uint64_t given);
// A place where another thread may come between, if the order is random.
void maybe_switch();

template <class T> uint64_t to_bits(T value) {
    static_assert(sizeof(T) <= 8, "a warp function moves at most eight bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof(T));
    return bits;
}

template <class T> T shuffle(unsigned mask, T value, unsigned source) {
    uint64_t bits = in_warp(SHUFFLE, mask, source, to_bits(value));
    memcpy(&value, &bits, sizeof(T));
    return value;
}

inline unsigned lane() { return now->number % 32; }
} // namespace simt

#define threadIdx (simt::now->place)
#define blockIdx (simt::block_place)
#define blockDim (simt::block_size)
#define gridDim (simt::grid_size)
#define warpSize 32

static inline void __syncthreads() { simt::at_barrier(simt::BARRIER, 0); }
static inline int __syncthreads_count(int value) { return (int)simt::at_barrier(simt::BARRIER_COUNT, value != 0); }
static inline int __syncthreads_or(int value) { return __syncthreads_count(value) != 0; }
static inline void __syncwarp(unsigned mask = 0xffffffffu) { simt::in_warp(simt::SYNC_WARP, mask, simt::lane(), 0); }
static inline void __threadfence() {}

static inline unsigned __ballot_sync(unsigned mask, int value) {
    return (unsigned)simt::in_warp(simt::BALLOT, mask, simt::lane(), value != 0);
}
static inline int __any_sync(unsigned mask, int value) { return __ballot_sync(mask, value) != 0; }
static inline int __all_sync(unsigned mask, int value) { return __ballot_sync(mask, !value) == 0; }

// A lane outside the part of `width` lanes that a thread belongs to is not asked: it keeps its own value.
template <class T> T __shfl_sync(unsigned mask, T value, int source, int width = 32) {
    unsigned first = simt::lane() & ~(unsigned)(width - 1);
    return simt::shuffle(mask, value, first + ((unsigned)source & (unsigned)(width - 1)));
}
template <class T> T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32) {
    unsigned lane = simt::lane(), inside = lane & (unsigned)(width - 1);
    return simt::shuffle(mask, value, inside + by < (unsigned)width ? lane + by : lane);
}
template <class T> T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32) {
    unsigned lane = simt::lane(), inside = lane & (unsigned)(width - 1);
    return simt::shuffle(mask, value, inside >= by ? lane - by : lane);
}
template <class T> T __shfl_xor_sync(unsigned mask, T value, int with, int width = 32) {
    unsigned lane = simt::lane(), other = lane ^ (unsigned)with;
    return simt::shuffle(mask, value, (other & ~(unsigned)(width - 1)) == (lane & ~(unsigned)(width - 1)) ? other : lane);
}

// Only one thread runs at a time: reading, changing and writing is one step unless a turn ends between.
template <class T, class Change> T simt_atomic(T *at, Change change) {
    simt::maybe_switch();
    T before = *at;
    *at = change(before);
    return before;
}
template <class T> T atomicAdd(T *at, T value) {
    return simt_atomic(at, [=](T before) { return before + value; });
}
template <class T> T atomicSub(T *at, T value) {
    return simt_atomic(at, [=](T before) { return before - value; });
}
template <class T> T atomicMin(T *at, T value) {
    return simt_atomic(at, [=](T before) { return value < before ? value : before; });
}
template <class T> T atomicMax(T *at, T value) {
    return simt_atomic(at, [=](T before) { return before < value ? value : before; });
}
template <class T> T atomicOr(T *at, T value) {
    return simt_atomic(at, [=](T before) { return before | value; });
}
template <class T> T atomicExch(T *at, T value) {
    return simt_atomic(at, [=](T) { return value; });
}
template <class T> T atomicCAS(T *at, T expected, T value) {
    return simt_atomic(at, [=](T before) { return before == expected ? value : before; });
}

static inline int __popc(unsigned value) { return __builtin_popcount(value); }
static inline int __popcll(unsigned long long value) { return __builtin_popcountll(value); }
static inline int __ffs(unsigned value) { return __builtin_ffs((int)value); }
static inline int __ffsll(long long value) { return __builtin_ffsll(value); }
static inline int __clz(int value) { return value == 0 ? 32 : __builtin_clz((unsigned)value); }
static inline unsigned __float_as_uint(float value) { return (unsigned)simt::to_bits(value); }
static inline int __float_as_int(float value) { return (int)simt::to_bits(value); }
static inline float __uint_as_float(unsigned bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}
static inline float __int_as_float(int bits) { return __uint_as_float((unsigned)bits); }
template <class T> T __ldg(const T *at) { return *at; }

static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }
static inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
static inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
