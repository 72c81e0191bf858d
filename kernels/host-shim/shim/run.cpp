#include "run.h"
#include "fiber.h"
#include <algorithm>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <vector>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

// The linker names the ends of a section. One variable of our own, so that it exists where no kernel has any.
extern "C" char __start_simt_shared[], __stop_simt_shared[];
__attribute__((section("simt_shared"), used)) static char simt_shared_is_there[64];

namespace simt {
Fiber *now;
uint3 block_place, block_size, grid_size;
char *dynamic_shared;

namespace {
// A kernel under AddressSanitizer keeps red zones between its variables.
const uint64_t STACK = 256 * 1024;
const unsigned MAX_THREADS = 1024;
const unsigned char NOISE = 0xa5;

void *scheduler;
const Launch *launched;
std::vector<Fiber> fibers(MAX_THREADS);
char *stacks;
char error[256];
uint64_t dice;

// SplitMix64 (Steele, Lea and Flood 2014).
uint64_t roll() {
    uint64_t z = (dice += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void put_in_order(std::vector<unsigned> &turns) {
    if (launched->order == Order::Reverse) std::reverse(turns.begin(), turns.end());
    if (launched->order == Order::Random)
        for (size_t i = turns.size(); i > 1; i--) std::swap(turns[i - 1], turns[roll() % i]);
}

std::vector<unsigned> numbers(unsigned count) {
    std::vector<unsigned> turns(count);
    for (unsigned i = 0; i < count; i++) turns[i] = i;
    put_in_order(turns);
    return turns;
}

void give_up_turn(Wait wait) {
    now->wait = wait;
    simt_switch(&now->stack_pointer, scheduler);
}

void thread_main() {
    launched->thread(launched->arguments);
    give_up_turn(Wait::Ended);
    abort();
}

#ifdef __SANITIZE_ADDRESS__
// Word by word: a call of memset would be checked against the red zones between the variables.
__attribute__((no_sanitize_address)) void fill_with_noise(char *from, char *to) {
    uint64_t noise;
    memset(&noise, NOISE, sizeof noise);
    volatile char *at = from;
    for (; to - (char *)at >= 8; at += 8) *(volatile uint64_t *)at = noise;
    while (at != to) *at++ = (char)NOISE;
}
#else
void fill_with_noise(char *from, char *to) { memset(from, NOISE, (size_t)(to - from)); }
#endif

// Answers the lanes of a warp function once all that take part are in it.
void answer_warp(unsigned any, std::vector<unsigned> &ready) {
    Fiber &asking = fibers[any];
    unsigned first = any - any % 32, count = std::min(32u, block_size.x * block_size.y * block_size.z - first);
    unsigned bits = 0;
    for (unsigned lane = 0; lane < count; lane++) {
        if (!(asking.mask >> lane & 1)) continue;
        Fiber &other = fibers[first + lane];
        if (other.wait != Wait::Warp || other.mask != asking.mask) return;
        if (other.function != asking.function) {
            snprintf(error, sizeof error, "lanes of one warp wait in different warp functions");
            return;
        }
        if (other.given) bits |= 1u << lane;
    }
    std::vector<unsigned> answered;
    for (unsigned lane = 0; lane < count; lane++) {
        if (!(asking.mask >> lane & 1)) continue;
        Fiber &other = fibers[first + lane];
        // What a lane outside the mask would give is undefined: noise.
        bool defined = other.source < count && asking.mask >> other.source & 1;
        other.received = asking.function == BALLOT ? bits
                         : defined                 ? fibers[first + other.source].given
                                                   : 0xa5a5a5a5a5a5a5a5u;
        answered.push_back(first + lane);
    }
    for (unsigned number : answered) fibers[number].wait = Wait::Ready;
    put_in_order(answered);
    ready.insert(ready.end(), answered.begin(), answered.end());
}

// All that have not ended are at the barrier: they go on.
void open_barrier(unsigned count, std::vector<unsigned> &ready) {
    int function = -1;
    uint64_t sum = 0;
    for (unsigned number : numbers(count)) {
        Fiber &fiber = fibers[number];
        if (fiber.wait == Wait::Ended) continue;
        if (fiber.wait != Wait::Block || (function >= 0 && fiber.function != function)) {
            snprintf(error, sizeof error, "thread %u waits elsewhere than the other threads of its block", number);
            return;
        }
        function = fiber.function;
        sum += fiber.given;
        ready.push_back(number);
    }
    for (unsigned number : ready) {
        fibers[number].wait = Wait::Ready;
        fibers[number].received = sum;
    }
}

void run_block(unsigned count) {
    fill_with_noise(__start_simt_shared, __stop_simt_shared);
    for (unsigned number = 0; number < count; number++) {
        Fiber &fiber = fibers[number];
        fiber.place = {number % block_size.x, number / block_size.x % block_size.y, number / (block_size.x * block_size.y)};
        fiber.number = number;
        fiber.wait = Wait::Ready;
        fiber.stack_pointer = new_stack(stacks + number * STACK, STACK, thread_main);
    }
    unsigned alive = count;
    std::vector<unsigned> ready = numbers(count), next;
    while (alive > 0) {
        if (ready.empty()) open_barrier(count, ready);
        if (error[0]) return;
        next.clear();
        for (unsigned number : ready) {
            now = &fibers[number];
            simt_switch(&scheduler, now->stack_pointer);
            if (now->wait == Wait::Ended) alive--;
            if (now->wait == Wait::Ready) next.push_back(number);
            if (now->wait == Wait::Warp) answer_warp(number, next);
        }
        ready.swap(next);
    }
}
} // namespace

uint64_t at_barrier(int function, uint64_t given) {
    now->function = function;
    now->given = given;
    give_up_turn(Wait::Block);
    return now->received;
}

uint64_t in_warp(int function, unsigned mask, unsigned source, uint64_t given) {
    now->function = function;
    now->mask = mask;
    now->source = source;
    now->given = given;
    give_up_turn(Wait::Warp);
    return now->received;
}

void maybe_switch() {
    if (launched->order == Order::Random && roll() % 4 == 0) give_up_turn(Wait::Ready);
}

const char *run(const Launch &launch) {
    error[0] = 0;
    uint64_t threads = (uint64_t)launch.block.x * launch.block.y * launch.block.z;
    if (threads == 0 || threads > MAX_THREADS) return "a block has 1 to 1024 threads";
    if (launch.grid.y > 65535 || launch.grid.z > 65535) return "a grid has at most 65535 blocks along y and z";
    uint64_t blocks = (uint64_t)launch.grid.x * launch.grid.y * launch.grid.z;
    if (blocks == 0 || blocks > 1u << 30) return "a grid has at least one block, and here at most 2^30";
    if (!stacks) {
        void *memory = mmap(nullptr, MAX_THREADS * STACK, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) return "no memory for stacks";
        stacks = (char *)memory;
    }
    launched = &launch;
    dice = launch.seed;
    block_size = launch.block;
    grid_size = launch.grid;
    // Allocated to the byte, so that reading past its end is seen.
    dynamic_shared = (char *)malloc(launch.dynamic_shared);
    for (unsigned number : numbers((unsigned)blocks)) {
        block_place = {number % grid_size.x, number / grid_size.x % grid_size.y, number / (grid_size.x * grid_size.y)};
        if (launch.dynamic_shared) memset(dynamic_shared, NOISE, launch.dynamic_shared);
        run_block((unsigned)threads);
        if (error[0]) break;
    }
    free(dynamic_shared);
#ifdef __SANITIZE_ADDRESS__
    // What threads that never ended kept on their stacks is no longer there.
    if (error[0]) __asan_unpoison_memory_region(stacks, MAX_THREADS * STACK);
#endif
    return error;
}
} // namespace simt
