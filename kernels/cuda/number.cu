// Numbers those items that are marked, in order: compaction whose result does not depend on the order of threads. Three
// launches: count the marks of each part, add the counts up, number.

#define NUMBER_PART 1024

// The sum of `value` over all threads before this one in its block of 256; `total` is that of all.
__device__ __forceinline__ int sum_before(int value, int *total) {
    __shared__ int warps[8];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, sum = value;
    for (int by = 1; by < 32; by *= 2) {
        int before = __shfl_up_sync(ALL_LANES, sum, by);
        if (lane >= by) sum += before;
    }
    if (lane == 31) warps[warp] = sum;
    __syncthreads();
    int before = 0;
    *total = 0;
    for (int other = 0; other < 8; other++) {
        if (other < warp) before += warps[other];
        *total += warps[other];
    }
    __syncthreads();
    return before + sum - value;
}

// How many of the NUMBER_PART marks of each part are set.
extern "C" __global__ void __launch_bounds__(256) count_marks(const uint8 *marks, int items, int parts, int *counts) {
    marks += (size_t)blockIdx.z * items;
    int first = (int)blockIdx.x * NUMBER_PART + (int)threadIdx.x * 4, mine = 0, total;
    for (int i = first; i < min(first + 4, items); i++) mine += marks[i] != 0;
    sum_before(mine, &total);
    if (threadIdx.x == 0) counts[(size_t)blockIdx.z * parts + blockIdx.x] = total;
}

// Replaces each count by the sum of those before it; `total` becomes the sum of all. One block a picture.
extern "C" __global__ void __launch_bounds__(256) add_counts(int *counts, int parts, int *total) {
    counts += (size_t)blockIdx.z * parts;
    int before = 0;
    for (int first = 0; first < parts; first += 256) {
        int at = first + (int)threadIdx.x, sum;
        int mine = at < parts ? counts[at] : 0;
        int place = before + sum_before(mine, &sum);
        if (at < parts) counts[at] = place;
        before += sum;
    }
    if (threadIdx.x == 0) total[blockIdx.z] = before;
}

// The number of each item that is marked; others' are unspecified. Where `places` is not null, the item of each number below
// `capacity` is written there too.
extern "C" __global__ void __launch_bounds__(256) number_marks(
    const uint8 *marks, int items, int parts, const int *counts, int capacity, int *numbers, int *places) {
    marks += (size_t)blockIdx.z * items;
    int first = (int)blockIdx.x * NUMBER_PART + (int)threadIdx.x * 4, mine = 0, total;
    for (int i = first; i < min(first + 4, items); i++) mine += marks[i] != 0;
    int number = counts[(size_t)blockIdx.z * parts + blockIdx.x] + sum_before(mine, &total);
    for (int i = first; i < min(first + 4, items); i++) {
        if (marks[i] == 0) continue;
        if (numbers) numbers[(size_t)blockIdx.z * items + i] = number;
        if (places && number < capacity) places[(size_t)blockIdx.z * capacity + number] = i;
        number++;
    }
}
