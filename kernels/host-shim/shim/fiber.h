// Another stack to run on, and the way there and back.
//
// On x86-64 a few instructions of our own: swapcontext asks the kernel for the signal mask at every switch, which is ten
// times as slow, and a barrier of 256 threads is 512 switches.
#pragma once
#include <stdint.h>

#if defined(__x86_64__) && !defined(_WIN32)
extern "C" void simt_switch(void **from, void *to);
// Pushes what the System V ABI lets a function expect unchanged (the floating-point control words, which no kernel
// changes, excepted), leaves the stack where *from says, and pops the same from the other one.
asm(".text\n"
    ".globl simt_switch\n"
    "simt_switch:\n"
    "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
    "  movq %rsp, (%rdi)\n"
    "  movq %rsi, %rsp\n"
    "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
    "  ret\n");

// Where a switch to a stack that was never used must go for `entry` to be called on it; `entry` never returns.
static inline void *new_stack(char *bottom, uint64_t bytes, void (*entry)()) {
    void **top = (void **)((uintptr_t)(bottom + bytes) & ~(uintptr_t)15);
    *--top = nullptr; // the return address of `entry`: there is none
    *--top = (void *)entry;
    for (int i = 0; i < 6; i++) *--top = nullptr;
    return top;
}
#else
#include <ucontext.h>
static inline void simt_switch(void **from, void *to) {
    ucontext_t here;
    *from = &here;
    swapcontext(&here, (ucontext_t *)to);
}
static inline void *new_stack(char *bottom, uint64_t bytes, void (*entry)()) {
    // The context lies at the bottom of the stack it describes.
    ucontext_t *context = (ucontext_t *)bottom;
    getcontext(context);
    context->uc_stack.ss_sp = bottom + sizeof(ucontext_t);
    context->uc_stack.ss_size = bytes - sizeof(ucontext_t);
    context->uc_link = nullptr;
    makecontext(context, entry, 0);
    return context;
}
#endif
