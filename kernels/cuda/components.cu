// components.rs on the device: the 8-connected components of a mask, in the order of their first pixels.
//
// Union-find over pixels (Playne and Hawick 2018): every pixel points at one before it of the same component, or at itself;
// joining two components points the later root at the earlier one. Whatever the order of the threads, the root of a component
// is its first pixel in the end.

__device__ __forceinline__ int root_of(const int *parents, int at) {
    // Another thread may point it further up meanwhile: either answer leads to the root.
    const volatile int *above = parents;
    while (above[at] != at) at = above[at];
    return at;
}

__device__ __forceinline__ void join(int *parents, int a, int b) {
    for (;;) {
        a = root_of(parents, a);
        b = root_of(parents, b);
        if (a == b) return;
        if (a > b) {
            int later = a;
            a = b;
            b = later;
        }
        // If b was a root until now, it hangs below a; else what it hung below is to be joined too.
        int before = atomicMin(&parents[b], a);
        if (before == b) return;
        b = before;
    }
}

extern "C" __global__ void __launch_bounds__(256)
    component_begin(const uint8 *mask, int width, int height, int threshold, int *parents) {
    int x = thread_x(), y = thread_y(), lane = threadIdx.x;
    size_t first = (size_t)blockIdx.z * width * height;
    int at = y * width + x;
    // The rows of a block are warps: pixels that follow each other point at the first of them at once.
    bool inside = x < width && y < height, is_set = inside && mask[first + at] >= threshold;
    unsigned gaps = ~__ballot_sync(ALL_LANES, is_set) & ((1u << lane) - 1);
    int start = gaps == 0 ? 0 : 32 - __clz((int)gaps);
    if (inside) parents[first + at] = is_set ? at - (lane - start) : -1;
}

// Joins each pixel to those that touch it in the row above and, at the borders of blocks, to its left; where these touch each
// other, to one of them.
extern "C" __global__ void __launch_bounds__(256) component_join(int width, int height, int *parents) {
    int x = thread_x(), y = thread_y();
    if (x >= width || y >= height) return;
    parents += (size_t)blockIdx.z * width * height;
    int at = y * width + x, above = at - width;
    if (parents[at] < 0) return;
    bool left = x > 0 && parents[at - 1] >= 0, inner = threadIdx.x > 0;
    bool up = y > 0 && parents[above] >= 0, up_left = y > 0 && x > 0 && parents[above - 1] >= 0;
    if (left && !inner && !up_left) join(parents, at, at - 1);
    if (up) {
        if (!(left && up_left && inner)) join(parents, at, above);
        return;
    }
    if (up_left && !(left && inner)) join(parents, at, above - 1);
    if (y > 0 && x + 1 < width && parents[above + 1] >= 0) join(parents, at, above + 1);
}

// Points every pixel at its root, and marks the roots.
extern "C" __global__ void __launch_bounds__(256)
    component_flatten(int width, int height, int *parents, uint8 *is_root) {
    int x = thread_x(), y = thread_y();
    if (x >= width || y >= height) return;
    size_t first = (size_t)blockIdx.z * width * height;
    parents += first;
    int at = y * width + x, root = parents[at] < 0 ? -1 : root_of(parents, at);
    is_root[first + at] = root == at;
    // A root is never written: others may be on their way to it.
    if (root >= 0 && root != at) parents[at] = root;
}

// What is known of each component, one row of `capacity` numbers each: left, top, right, bottom, area.
extern "C" __global__ void __launch_bounds__(256)
    component_clear(int capacity, unsigned *found) {
    int at = thread_x();
    if (at >= capacity) return;
    found += (size_t)blockIdx.z * 5 * capacity;
    found[at] = found[capacity + at] = 0xffffffffu;
    for (int row = 2; row < 5; row++) found[row * capacity + at] = 0;
}

// Adds each row of neighbouring pixels to its component; `numbers` says which component a root begins.
extern "C" __global__ void __launch_bounds__(256) component_measure(
    int width, int height, int capacity, const int *parents, const int *numbers, unsigned *found) {
    int x = thread_x(), y = thread_y();
    if (x >= width || y >= height) return;
    size_t first = (size_t)blockIdx.z * width * height;
    parents += first;
    numbers += first;
    found += (size_t)blockIdx.z * 5 * capacity;
    const int *row = parents + (size_t)y * width;
    int root = row[x];
    if (root < 0 || (x > 0 && row[x - 1] >= 0)) return;
    int end = x + 1;
    while (end < width && row[end] >= 0) end++;
    int number = numbers[root];
    if (number >= capacity) return;
    atomicMin(&found[number], (unsigned)x);
    atomicMin(&found[capacity + number], (unsigned)y);
    atomicMax(&found[2 * capacity + number], (unsigned)end);
    atomicMax(&found[3 * capacity + number], (unsigned)(y + 1));
    atomicAdd(&found[4 * capacity + number], (unsigned)(end - x));
}
