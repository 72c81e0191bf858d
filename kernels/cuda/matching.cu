// The two nearest of all descriptors of one picture to each of another, by brute force.
//
// A warp looks for one query: its lanes go through the trains (the descriptors searched), which the block keeps in shared memory a tile at a time for
// all its warps, and each remembers its own two nearest. Distance and index are one number, distance first, so that a tie goes
// to the lower index, and the least of all lanes' numbers is the answer whatever the order.

#define MATCH_WARPS 8
#define MATCH_TILE 64
// A word more than a descriptor has, so that the lanes of a warp read from different banks.
#define HAMMING_WORDS 16
#define HAMMING_STRIDE (HAMMING_WORDS + 1)
#define NONE 0xffffffffffffffffull

__device__ __forceinline__ void remember(uint64 key, uint64 *best, uint64 *second) {
    if (key < *best) {
        *second = *best;
        *best = key;
    } else if (key < *second) {
        *second = key;
    }
}

// Of the two best of each lane, the two best of the warp.
__device__ __forceinline__ void of_all_lanes(uint64 *best, uint64 *second) {
    for (int with = 16; with > 0; with /= 2) {
        uint64 other_best = __shfl_xor_sync(ALL_LANES, *best, with);
        uint64 other_second = __shfl_xor_sync(ALL_LANES, *second, with);
        // No key is in two lanes, so none comes twice; NONE may.
        if (other_best < *best) {
            *second = *best < other_second ? *best : other_second;
            *best = other_best;
        } else if (other_best < *second) {
            *second = other_best;
        }
    }
}

// Two rows of two numbers for each query: distance << 32 | index of the nearest and of the second; NONE where there is none.
extern "C" __global__ void __launch_bounds__(256) hamming_nearest(
    const unsigned *queries, int query_count, const unsigned *trains, int train_count, uint64 *nearest) {
    __shared__ unsigned tile[MATCH_TILE * HAMMING_STRIDE];
    int lane = threadIdx.x % 32, query = (int)blockIdx.x * MATCH_WARPS + (int)threadIdx.x / 32;
    unsigned mine[HAMMING_WORDS];
    for (int word = 0; word < HAMMING_WORDS; word++)
        mine[word] = query < query_count ? queries[(size_t)query * HAMMING_WORDS + word] : 0;
    uint64 best = NONE, second = NONE;
    for (int first = 0; first < train_count; first += MATCH_TILE) {
        int count = min(MATCH_TILE, train_count - first);
        for (int i = threadIdx.x; i < count * HAMMING_WORDS; i += 32 * MATCH_WARPS)
            tile[i / HAMMING_WORDS * HAMMING_STRIDE + i % HAMMING_WORDS] = trains[(size_t)first * HAMMING_WORDS + i];
        __syncthreads();
        for (int i = lane; i < count; i += 32) {
            unsigned distance = 0;
            for (int word = 0; word < HAMMING_WORDS; word++) distance += __popc(mine[word] ^ tile[i * HAMMING_STRIDE + word]);
            remember((uint64)distance << 32 | (unsigned)(first + i), &best, &second);
        }
        __syncthreads();
    }
    of_all_lanes(&best, &second);
    if (lane == 0 && query < query_count) {
        nearest[2 * (size_t)query] = best;
        nearest[2 * (size_t)query + 1] = second;
    }
}

// The same by the squared Euclidean distance, summed from the first component to the last; what is not finite is no
// neighbour. Shared memory: MATCH_TILE rows of `components` + 1 floats, and MATCH_WARPS of `components`.
extern "C" __global__ void __launch_bounds__(256) l2_nearest(
    const float *queries, int query_count, const float *trains, int train_count, int components, uint64 *nearest) {
    DYNAMIC_SHARED(float, tile);
    int stride = components + 1, lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int first_query = (int)blockIdx.x * MATCH_WARPS, query = first_query + warp;
    float *block_queries = tile + MATCH_TILE * stride, *mine = block_queries + warp * components;
    for (int i = threadIdx.x; i < min(MATCH_WARPS, query_count - first_query) * components; i += 32 * MATCH_WARPS)
        block_queries[i] = queries[(size_t)first_query * components + i];
    uint64 best = NONE, second = NONE;
    for (int first = 0; first < train_count; first += MATCH_TILE) {
        int count = min(MATCH_TILE, train_count - first);
        for (int i = threadIdx.x; i < count * components; i += 32 * MATCH_WARPS)
            tile[i / components * stride + i % components] = trains[(size_t)first * components + i];
        __syncthreads();
        for (int i = lane; query < query_count && i < count; i += 32) {
            float distance = 0.0f;
            for (int component = 0; component < components; component++) {
                float difference = tile[i * stride + component] - mine[component];
                distance += difference * difference;
            }
            // Floats that are not negative are in the order of their bits.
            if (distance < __uint_as_float(0x7f800000))
                remember((uint64)__float_as_uint(distance) << 32 | (unsigned)(first + i), &best, &second);
        }
        __syncthreads();
    }
    of_all_lanes(&best, &second);
    if (lane == 0 && query < query_count) {
        nearest[2 * (size_t)query] = best;
        nearest[2 * (size_t)query + 1] = second;
    }
}

// Marks the queries whose nearest train is clear-cut: nearer than `ratio` times the distance of the second, if `ratio` is not
// negative; and from which, if `back` (the nearest queries of each train) is not null, that train's nearest query is this one.
extern "C" __global__ void __launch_bounds__(256) match_mark(
    const uint64 *nearest, int query_count, const uint64 *back, float ratio, int is_float, uint8 *marks) {
    int query = thread_x();
    if (query >= query_count) return;
    uint64 best = nearest[2 * (size_t)query], second = nearest[2 * (size_t)query + 1];
    bool holds = best != NONE;
    if (holds && ratio >= 0.0f) {
        unsigned here = (unsigned)(best >> 32), next = (unsigned)(second >> 32);
        float distance = is_float ? __uint_as_float(here) : (float)here;
        float other = is_float ? __uint_as_float(next) : (float)next;
        holds = second != NONE && distance < ratio * other;
    }
    if (holds && back) holds = (unsigned)back[2 * (size_t)(unsigned)best] == (unsigned)query;
    marks[query] = holds;
}

// The nearest train and its distance for each query that was marked, in order.
extern "C" __global__ void __launch_bounds__(256)
    match_gather(const uint64 *nearest, const int *places, const int *total, int capacity, uint64 *out) {
    int at = thread_x();
    if (at < min(*total, capacity)) out[at] = nearest[2 * (size_t)places[at]];
}
