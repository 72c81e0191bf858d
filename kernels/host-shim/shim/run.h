// Runs the blocks of a launch.
#pragma once
#include "simt.h"

namespace simt {
enum class Order { Forward, Reverse, Random };

struct Launch {
    uint3 grid, block;
    unsigned dynamic_shared;
    Order order;
    uint64_t seed;
    void (*thread)(void *); // runs the kernel as the current thread
    void *arguments;
};

// An empty text, or what went wrong; kept until the next call.
const char *run(const Launch &launch);

// One kernel: its name, its parameters (p for a pointer, else i, u, l, f by type), and how it is called.
struct Kernel {
    const char *name;
    const char *parameters;
    void (*thread)(void *);
};

template <class T> struct Letter;
template <class T> struct Letter<T *> { static const char value = 'p'; };
template <> struct Letter<int> { static const char value = 'i'; };
template <> struct Letter<unsigned> { static const char value = 'u'; };
template <> struct Letter<unsigned long long> { static const char value = 'l'; };
template <> struct Letter<float> { static const char value = 'f'; };

template <int... I> struct Indices {};
template <int N, int... I> struct UpTo : UpTo<N - 1, N - 1, I...> {};
template <int... I> struct UpTo<0, I...> { using type = Indices<I...>; };

template <class F, F *kernel> struct Call;
template <class... P, void (*kernel)(P...)> struct Call<void(P...), kernel> {
    static constexpr char parameters[] = {Letter<P>::value..., 0};
    template <int... I> static void with(void **arguments, Indices<I...>) { kernel(*(P *)arguments[I]...); }
    static void thread(void *arguments) { with((void **)arguments, typename UpTo<sizeof...(P)>::type()); }
};
template <class F, F *kernel> constexpr Kernel entry(const char *name) {
    return {name, Call<F, kernel>::parameters, &Call<F, kernel>::thread};
}
} // namespace simt
