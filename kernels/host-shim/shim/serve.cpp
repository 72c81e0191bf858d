// Holds memory and runs kernels for a program at the other end of standard input and output.
//
// Requests, numbers little-endian:   answers:
//   A bytes:u64                      address:u64
//   F address:u64
//   P address:u64 bytes:u64 ...
//   G address:u64 bytes:u64          the bytes
//   L name grid block shared order seed arguments   a text: empty, or what went wrong
//   K                                a text: each kernel's name and parameters, one a line
// A text is its length, u32, and its bytes; grid and block are three u32 each; arguments are a text of letters, as
// `Kernel::parameters`, and eight bytes for each.
#include "run.h"
#include <stdio.h>
#include <stdlib.h>
#include <string>
#include <vector>

extern const simt::Kernel simt_kernels[];

static void take(void *into, size_t bytes) {
    // The other end is gone: nothing is left to do.
    if (bytes && fread(into, bytes, 1, stdin) != 1) exit(0);
}
template <class T> static T take() {
    T value;
    take(&value, sizeof value);
    return value;
}
static std::string take_text() {
    std::string text(take<uint32_t>(), 0);
    take(&text[0], text.size());
    return text;
}
static void give(const void *from, size_t bytes) { fwrite(from, bytes, 1, stdout); }
static void give_text(const std::string &text) {
    uint32_t length = (uint32_t)text.size();
    give(&length, 4);
    give(text.data(), length);
}
static uint3 take_place() {
    unsigned x = take<uint32_t>(), y = take<uint32_t>(), z = take<uint32_t>();
    return {x, y, z};
}

static std::string launch() {
    std::string name = take_text();
    simt::Launch launch;
    launch.grid = take_place();
    launch.block = take_place();
    launch.dynamic_shared = take<uint32_t>();
    launch.order = (simt::Order)take<uint8_t>();
    launch.seed = take<uint64_t>();
    std::string letters = take_text();
    std::vector<uint64_t> values(letters.size());
    std::vector<void *> arguments;
    for (uint64_t &value : values) {
        value = take<uint64_t>();
        arguments.push_back(&value);
    }
    for (const simt::Kernel *kernel = simt_kernels; kernel->name; kernel++) {
        if (name != kernel->name) continue;
        if (letters != kernel->parameters) return "takes " + std::string(kernel->parameters) + ", was given " + letters;
        launch.thread = kernel->thread;
        launch.arguments = arguments.data();
        return simt::run(launch);
    }
    return "there is no such kernel";
}

int main() {
    for (;;) {
        char request = take<char>();
        if (request == 'A') {
            uint64_t bytes = take<uint64_t>();
            // Noise, so that what reads before it writes is seen.
            char *memory = (char *)malloc(bytes);
            memset(memory, 0xa5, bytes);
            give(&memory, 8);
        } else if (request == 'F') {
            free(take<void *>());
        } else if (request == 'P') {
            void *to = take<void *>();
            take(to, take<uint64_t>());
        } else if (request == 'G') {
            void *from = take<void *>();
            give(from, take<uint64_t>());
        } else if (request == 'L') {
            give_text(launch());
        } else if (request == 'K') {
            std::string text;
            for (const simt::Kernel *kernel = simt_kernels; kernel->name; kernel++)
                text += std::string(kernel->name) + " " + kernel->parameters + "\n";
            give_text(text);
        } else {
            fprintf(stderr, "unknown request %d\n", request);
            return 1;
        }
        fflush(stdout);
    }
}
