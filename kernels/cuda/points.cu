// The points of KAZE and A-KAZE: where the determinant is greatest, which of them remain, which way they point, and what is
// around them. Every formula is that of kaze/extrema.rs, orientation.rs, msurf.rs and mldb.rs, in the same order.
//
// Candidates are appended in whatever order threads find them, and then sorted by what they are: no result depends on the
// order. Points are rows of `capacity` floats, one row for each of what is known of a point; a level is an int in a float's
// bits.

#define POINT_X 0
#define POINT_Y 1
#define POINT_SHIFT 2
#define POINT_RESPONSE 3
#define POINT_LEVEL 4
#define CANDIDATE_ROWS 5
// Once sorted: where it lies in the picture.
#define POINT_PLACE_X 5
#define POINT_PLACE_Y 6
#define SORTED_ROWS 7
// What is kept of a point.
#define KEPT_X 0
#define KEPT_Y 1
#define KEPT_SIZE 2
#define KEPT_ANGLE 3
#define KEPT_RESPONSE 4
#define KEPT_LEVEL 5
#define KEPT_LEVEL_X 6
#define KEPT_LEVEL_Y 7
#define KEPT_STEP 8
#define KEPT_COSINE 9
#define KEPT_SINE 10
#define KEPT_ROWS 11
// What is known of a level: five floats.
#define LEVEL_RADIUS 0
#define LEVEL_RATIO 1
#define LEVEL_SHIFT 2
#define LEVEL_SIZE 3
#define LEVEL_STEP 4
#define LEVEL_FACTORS 5

__device__ __forceinline__ void append_point(
    float x, float y, float shift, float response, int level, int capacity, unsigned *counts, float *candidates) {
    int place = (int)atomicAdd(&counts[blockIdx.z], 1u);
    if (place >= capacity) return;
    candidates += (size_t)blockIdx.z * CANDIDATE_ROWS * capacity + place;
    candidates[POINT_X * capacity] = x;
    candidates[POINT_Y * capacity] = y;
    candidates[POINT_SHIFT * capacity] = shift;
    candidates[POINT_RESPONSE * capacity] = response;
    candidates[POINT_LEVEL * capacity] = __int_as_float(level);
}

// Whether `value`, that of `at`, is greater than the four pixels around it that come before it, and not less than those after
// it: of equal ones, the first is found.
__device__ __forceinline__ bool first_greatest(const float *at, int width, float value) {
    const float *above = at - width, *below = at + width;
    return value > above[-1] && value > above[0] && value > above[1] && value > at[-1] && value >= at[1] &&
           value >= below[-1] && value >= below[0] && value >= below[1];
}

// Whether `value` is greater than all nine pixels around a place of another level; or not less, where that comes after.
__device__ __forceinline__ bool greater_than_level(const float *at, int width, float value, bool is_after) {
    for (int y = -1; y <= 1; y++)
        for (int x = -1; x <= 1; x++) {
            float other = at[(long long)y * width + x];
            if (!(is_after ? value >= other : value > other)) return false;
        }
    return true;
}

// The maxima of one level, at least `border` pixels from its edges, to less than a pixel.
extern "C" __global__ void __launch_bounds__(256) maxima_flat(
    const float *plane, int width, int height, float threshold, int border, int level, int capacity, unsigned *counts,
    float *candidates) {
    int x = thread_x(), y = thread_y();
    if (x < border || y < border || x >= width - border || y >= height - border) return;
    const float *at = plane + (size_t)blockIdx.z * width * height + (size_t)y * width + x;
    float value = *at;
    if (!(value > threshold) || !first_greatest(at, width, value)) return;
    const float *above = at - width, *below = at + width;
    float dx = 0.5f * (at[1] - at[-1]), dy = 0.5f * (below[0] - above[0]);
    float dxx = at[1] + at[-1] - 2.0f * at[0], dyy = below[0] + above[0] - 2.0f * at[0];
    float dxy = 0.25f * ((below[1] + above[-1]) - (above[1] + below[-1]));
    float whole = dxx * dyy - dxy * dxy;
    float right = (dxy * dy - dyy * dx) / whole, down = (dxy * dx - dxx * dy) / whole;
    if (!(fabsf(right) <= 1.0f) || !(fabsf(down) <= 1.0f)) return;
    append_point((float)x + right, (float)y + down, 0.0f, value, level, capacity, counts, candidates);
}

__device__ __forceinline__ float determinant3(const float m[3][3]) {
    return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
           m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

// The maxima of one level that are greater than those around them in the levels before and after too, to less than a pixel and
// a level.
extern "C" __global__ void __launch_bounds__(256) maxima_between(
    const float *lower, const float *plane, const float *upper, int width, int height, float threshold, int level,
    int capacity, unsigned *counts, float *candidates) {
    int x = thread_x(), y = thread_y();
    if (x < 1 || y < 1 || x >= width - 1 || y >= height - 1) return;
    size_t place = (size_t)blockIdx.z * width * height + (size_t)y * width + x;
    const float *at = plane + place, *under = lower + place, *over = upper + place;
    float value = *at;
    if (!(value > threshold) || !first_greatest(at, width, value) || !greater_than_level(under, width, value, false) ||
        !greater_than_level(over, width, value, true))
        return;
    float slope[3] = {0.5f * (at[1] - at[-1]), 0.5f * (at[width] - at[-width]), 0.5f * (*over - *under)};
    float xx = at[1] + at[-1] - 2.0f * value, yy = at[width] + at[-width] - 2.0f * value;
    float ss = *over + *under - 2.0f * value;
    float xy = 0.25f * ((at[width + 1] + at[-width - 1]) - (at[-width + 1] + at[width - 1]));
    float xs = 0.25f * ((over[1] + under[-1]) - (over[-1] + under[1]));
    float ys = 0.25f * ((over[width] + under[-width]) - (over[-width] + under[width]));
    float matrix[3][3] = {{xx, xy, xs}, {xy, yy, ys}, {xs, ys, ss}}, whole = determinant3(matrix), shift[3];
    for (int column = 0; column < 3; column++) {
        float replaced[3][3];
        for (int row = 0; row < 3; row++)
            for (int other = 0; other < 3; other++) replaced[row][other] = other == column ? -slope[row] : matrix[row][other];
        shift[column] = determinant3(replaced) / whole;
        if (!(fabsf(shift[column]) <= 1.0f)) return;
    }
    append_point((float)x + shift[0], (float)y + shift[1], shift[2], value, level, capacity, counts, candidates);
}

// Less for a greater float (by IEEE 754's total order).
__device__ __forceinline__ unsigned falling(float value) {
    unsigned bits = __float_as_uint(value);
    return ~(bits & 0x80000000u ? ~bits : bits | 0x80000000u);
}

// Sorts candidates: the strongest first, equal ones by level, row and column; and puts them where they lie in the picture.
extern "C" __global__ void __launch_bounds__(256) point_sort(
    const float *candidates, const unsigned *counts, int capacity, const float *levels, float *sorted) {
    __shared__ uint64 firsts[256], seconds[256];
    candidates += (size_t)blockIdx.z * CANDIDATE_ROWS * capacity;
    sorted += (size_t)blockIdx.z * SORTED_ROWS * capacity;
    int count = (int)min(counts[blockIdx.z], (unsigned)capacity), at = thread_x(), rank = 0;
    if ((int)(blockIdx.x * blockDim.x) >= count) return;
    uint64 mine = 0, mine_then = 0;
    for (int start = -1; start < count; start += start < 0 ? 1 : 256) {
        // First this thread's own, then all, 256 at a time.
        int other = start < 0 ? at : start + (int)threadIdx.x;
        uint64 key = 0, then = 0;
        if (other < count) {
            key = (uint64)falling(candidates[POINT_RESPONSE * capacity + other]) << 32 |
                  __float_as_uint(candidates[POINT_LEVEL * capacity + other]);
            then = (uint64)__float_as_uint(candidates[POINT_Y * capacity + other]) << 32 |
                   __float_as_uint(candidates[POINT_X * capacity + other]);
        }
        if (start < 0) {
            mine = key;
            mine_then = then;
            continue;
        }
        __syncthreads();
        firsts[threadIdx.x] = key;
        seconds[threadIdx.x] = then;
        __syncthreads();
        for (int i = 0; i < min(256, count - start); i++) {
            bool same = firsts[i] == mine;
            rank += firsts[i] < mine || (same && seconds[i] < mine_then) ||
                    (same && seconds[i] == mine_then && start + i < at);
        }
    }
    if (at >= count) return;
    for (int row = 0; row < CANDIDATE_ROWS; row++) sorted[row * capacity + rank] = candidates[row * capacity + at];
    const float *level = levels + LEVEL_FACTORS * __float_as_int(candidates[POINT_LEVEL * capacity + at]);
    float ratio = level[LEVEL_RATIO], shift = level[LEVEL_SHIFT];
    sorted[POINT_PLACE_X * capacity + rank] = candidates[POINT_X * capacity + at] * ratio + shift;
    sorted[POINT_PLACE_Y * capacity + rank] = candidates[POINT_Y * capacity + at] * ratio + shift;
}

// One bit for each pair of points: does the stronger one, of the same or a neighbouring level, lie within its radius of the
// other? Rows of capacity / 64 words.
extern "C" __global__ void __launch_bounds__(256) point_overlaps(
    const float *sorted, const unsigned *counts, int capacity, const float *levels, uint64 *overlaps) {
    int word = thread_x(), at = thread_y(), words = capacity / 64;
    int count = (int)min(counts[blockIdx.z], (unsigned)capacity);
    if (at >= count || word > at / 64) return;
    sorted += (size_t)blockIdx.z * SORTED_ROWS * capacity;
    const float *xs = sorted + POINT_PLACE_X * capacity, *ys = sorted + POINT_PLACE_Y * capacity;
    const float *level_of = sorted + POINT_LEVEL * capacity;
    float x = xs[at], y = ys[at];
    int level = __float_as_int(level_of[at]);
    uint64 bits = 0;
    for (int i = 0; i < 64; i++) {
        int stronger = word * 64 + i;
        if (stronger >= at) break;
        int other = __float_as_int(level_of[stronger]);
        if (other < level - 1 || other > level + 1) continue;
        float radius = levels[LEVEL_FACTORS * other + LEVEL_RADIUS], dx = xs[stronger] - x, dy = ys[stronger] - y;
        if (dx * dx + dy * dy < radius * radius) bits |= 1ull << i;
    }
    overlaps[((size_t)blockIdx.z * capacity + at) * words + word] = bits;
}

#define SETTLE_CAPACITY 16384

// Marks the points that remain: those near no stronger one that remains. In rounds, until all are settled: a point goes if one
// of the stronger ones near it is known to remain, and remains if all of them are known to go. One block a picture.
extern "C" __global__ void __launch_bounds__(1024)
    point_settle(const unsigned *counts, int capacity, const uint64 *overlaps, uint8 *marks) {
    __shared__ uint64 kept[SETTLE_CAPACITY / 64], gone[SETTLE_CAPACITY / 64];
    int count = (int)min(counts[blockIdx.z], (unsigned)capacity), words = capacity / 64;
    overlaps += (size_t)blockIdx.z * capacity * words;
    for (int word = threadIdx.x; word < words; word += 1024) kept[word] = gone[word] = 0;
    __syncthreads();
    // Bits are only ever set, so seeing some of this round's changes does no harm.
    volatile uint64 *seen_kept = kept, *seen_gone = gone;
    int open = 1;
    while (open) {
        int waiting = 0;
        for (int at = threadIdx.x; at < count; at += 1024) {
            uint64 bit = 1ull << (at % 64);
            if ((seen_kept[at / 64] | seen_gone[at / 64]) & bit) continue;
            bool goes = false, waits = false;
            for (int word = 0; word <= at / 64; word++) {
                uint64 near = overlaps[(size_t)at * words + word];
                goes |= (near & seen_kept[word]) != 0;
                waits |= (near & ~seen_gone[word]) != 0;
            }
            if (goes)
                atomicOr(&gone[at / 64], bit);
            else if (!waits)
                atomicOr(&kept[at / 64], bit);
            else
                waiting = 1;
        }
        open = __syncthreads_or(waiting);
    }
    for (int at = threadIdx.x; at < capacity; at += 1024)
        marks[(size_t)blockIdx.z * capacity + at] = at < count && (kept[at / 64] >> (at % 64) & 1);
}

// 2 to the power of `power`, from -1 to 1 (kaze::two_to).
__device__ __forceinline__ float two_to(float power) {
    double x = (double)power * 0.6931471805599453, sum = 1.0;
    for (int i = 14; i > 0; i--) sum = 1.0 + sum * x / (double)i;
    return (float)sum;
}

// What is known of each point that remains, but its orientation. `layers` is that of an octave where a point lies between
// levels, else 0.
extern "C" __global__ void __launch_bounds__(256) point_keep(
    const float *sorted, int capacity, const float *levels, int layers, const int *totals, const int *places, int most,
    float *kept) {
    int at = thread_x();
    if (at >= min(totals[blockIdx.z], most)) return;
    sorted += (size_t)blockIdx.z * SORTED_ROWS * capacity + places[(size_t)blockIdx.z * most + at];
    kept += (size_t)blockIdx.z * KEPT_ROWS * most + at;
    float level_bits = sorted[POINT_LEVEL * capacity];
    const float *level = levels + LEVEL_FACTORS * __float_as_int(level_bits);
    float size = level[LEVEL_SIZE], step = level[LEVEL_STEP];
    if (layers > 0) {
        size = size * two_to(sorted[POINT_SHIFT * capacity] / (float)layers);
        step = size / 2.0f;
    }
    kept[KEPT_X * most] = sorted[POINT_PLACE_X * capacity];
    kept[KEPT_Y * most] = sorted[POINT_PLACE_Y * capacity];
    kept[KEPT_SIZE * most] = size;
    kept[KEPT_ANGLE * most] = 0.0f;
    kept[KEPT_RESPONSE * most] = sorted[POINT_RESPONSE * capacity];
    kept[KEPT_LEVEL * most] = level_bits;
    kept[KEPT_LEVEL_X * most] = sorted[POINT_X * capacity];
    kept[KEPT_LEVEL_Y * most] = sorted[POINT_Y * capacity];
    kept[KEPT_STEP * most] = step;
    kept[KEPT_COSINE * most] = 1.0f;
    kept[KEPT_SINE * most] = 0.0f;
}

// The planes of a level: those of all levels lie one behind the other, each of `pictures` pictures.
__device__ __forceinline__ size_t level_start(const uint64 *starts, const int *sizes, int level) {
    return (size_t)starts[level] + (size_t)blockIdx.z * sizes[2 * level] * sizes[2 * level + 1];
}

#define DISC_SAMPLES 112
#define CIRCLE_PARTS 48
#define CIRCLE_WINDOW 8
#define PI_F 3.14159265358979f

// kaze::orientation::angle_of.
__device__ __forceinline__ float angle_of(float dx, float dy) {
    float wide = fabsf(dx), high = fabsf(dy), less = fminf(wide, high), more = fmaxf(wide, high);
    float ratio = less / fmaxf(more, 1.17549435e-38f), square = ratio * ratio;
    float angle = -0.0117212f;
    angle = angle * square + 0.05265332f;
    angle = angle * square + -0.11643287f;
    angle = angle * square + 0.19354346f;
    angle = angle * square + -0.33262347f;
    angle = angle * square + 0.99997726f;
    angle *= ratio;
    angle = high > wide ? PI_F / 2.0f - angle : angle;
    angle = dx < 0.0f ? PI_F - angle : angle;
    return dy < 0.0f ? 2.0f * PI_F - angle : angle;
}

// Which way each point that remains points: the longest sum of slopes in a window of a sixth of the circle. One warp a point.
extern "C" __global__ void __launch_bounds__(32) point_orient(
    const float *dx, const float *dy, const uint64 *starts, const int *sizes, const float *disc, const int *totals, int most,
    float *kept) {
    __shared__ float across[DISC_SAMPLES], down[DISC_SAMPLES], sums[2][CIRCLE_PARTS];
    __shared__ unsigned parts[DISC_SAMPLES];
    int at = blockIdx.x, lane = threadIdx.x;
    if (at >= min(totals[blockIdx.z], most)) return;
    kept += (size_t)blockIdx.z * KEPT_ROWS * most + at;
    int level = __float_as_int(kept[KEPT_LEVEL * most]), width = sizes[2 * level];
    float x = kept[KEPT_LEVEL_X * most], y = kept[KEPT_LEVEL_Y * most], step = kept[KEPT_STEP * most];
    float right = (float)(width - 1), bottom = (float)(sizes[2 * level + 1] - 1);
    size_t start = level_start(starts, sizes, level);
    for (int i = lane; i < DISC_SAMPLES; i += 32) {
        float column = floorf(x + disc[i] * step + 0.5f), row = floorf(y + disc[DISC_SAMPLES + i] * step + 0.5f);
        bool inside = column >= 0.0f && row >= 0.0f && column <= right && row <= bottom;
        float weight = inside ? disc[2 * DISC_SAMPLES + i] : 0.0f;
        column = fminf(fmaxf(column, 0.0f), right);
        row = fminf(fmaxf(row, 0.0f), bottom);
        size_t place = start + (unsigned)row * (unsigned)width + (unsigned)column;
        float a = weight * dx[place], d = weight * dy[place];
        across[i] = a;
        down[i] = d;
        parts[i] = min((unsigned)(angle_of(a, d) * ((float)CIRCLE_PARTS / (2.0f * PI_F))), CIRCLE_PARTS - 1u);
    }
    __syncwarp();
    for (int part = lane; part < CIRCLE_PARTS; part += 32) {
        float sum_across = 0.0f, sum_down = 0.0f;
        for (int i = 0; i < DISC_SAMPLES; i++) {
            if (parts[i] != (unsigned)part) continue;
            sum_across += across[i];
            sum_down += down[i];
        }
        sums[0][part] = sum_across;
        sums[1][part] = sum_down;
    }
    __syncwarp();
    float best[2] = {0.0f, 0.0f}, longest = 0.0f;
    int first = CIRCLE_PARTS;
    for (int start_part = lane; start_part < CIRCLE_PARTS; start_part += 32) {
        float sum[2] = {0.0f, 0.0f};
        for (int i = 0; i < CIRCLE_WINDOW; i++) {
            int part = start_part + i < CIRCLE_PARTS ? start_part + i : start_part + i - CIRCLE_PARTS;
            sum[0] += sums[0][part];
            sum[1] += sums[1][part];
        }
        float length = sum[0] * sum[0] + sum[1] * sum[1];
        if (length > longest) {
            best[0] = sum[0];
            best[1] = sum[1];
            longest = length;
            first = start_part;
        }
    }
    for (int with = 16; with > 0; with /= 2) {
        float other_across = __shfl_xor_sync(ALL_LANES, best[0], with), other_down = __shfl_xor_sync(ALL_LANES, best[1], with);
        float other_longest = __shfl_xor_sync(ALL_LANES, longest, with);
        int other_first = __shfl_xor_sync(ALL_LANES, first, with);
        // Of windows whose sums are equally long, the first.
        if (other_longest > longest || (other_longest == longest && other_first < first)) {
            best[0] = other_across;
            best[1] = other_down;
            longest = other_longest;
            first = other_first;
        }
    }
    if (lane > 0) return;
    kept[KEPT_ANGLE * most] = angle_of(best[0], best[1]);
    if (longest > 0.0f) {
        float length = sqrtf(longest);
        kept[KEPT_COSINE * most] = best[0] / length;
        kept[KEPT_SINE * most] = best[1] / length;
    }
}

#define SURF_SIDE 24
#define SURF_REGION 9
#define SURF_STEP 5
#define SURF_REGIONS 4

__device__ __forceinline__ float between_pixels(const float *at, int width, float part_x, float part_y) {
    float upper = at[0] + part_x * (at[1] - at[0]), lower = at[width] + part_x * (at[width + 1] - at[width]);
    return upper + part_y * (lower - upper);
}

// One of the four or eight sums of M-SURF that a sample goes into.
__device__ __forceinline__ float surf_part(int channel, int channels, float across, float along) {
    if (channels == 4) {
        float value = channel % 2 == 0 ? across : along;
        return channel < 2 ? value : fabsf(value);
    }
    float value = channel < 4 ? across : along, sign = channel < 4 ? along : across;
    bool is_kept = channel % 2 == 0 ? sign >= 0.0f : !(sign >= 0.0f);
    return !is_kept ? 0.0f : channel % 4 < 2 ? value : fabsf(value);
}

// M-SURF: `weights` are those of a subregion's samples, then of the subregions. One block of 128 threads a point.
extern "C" __global__ void __launch_bounds__(128) point_msurf(
    const float *dx, const float *dy, const uint64 *starts, const int *sizes, const float *weights, int channels,
    const int *totals, int most, const float *kept, float *descriptors) {
    __shared__ float along[SURF_SIDE][SURF_SIDE], across[SURF_SIDE][SURF_SIDE];
    __shared__ float columns[SURF_REGIONS][8][SURF_SIDE], out[128], squares[16];
    int point = blockIdx.x, thread = threadIdx.x, components = SURF_REGIONS * SURF_REGIONS * channels;
    if (point >= min(totals[blockIdx.z], most)) return;
    kept += (size_t)blockIdx.z * KEPT_ROWS * most + point;
    descriptors += ((size_t)blockIdx.z * most + point) * components;
    int level = __float_as_int(kept[KEPT_LEVEL * most]), width = sizes[2 * level], height = sizes[2 * level + 1];
    float x = kept[KEPT_LEVEL_X * most], y = kept[KEPT_LEVEL_Y * most], step = kept[KEPT_STEP * most];
    float cosine = kept[KEPT_COSINE * most], sine = kept[KEPT_SINE * most];
    size_t start = level_start(starts, sizes, level);
    for (int i = thread; i < SURF_SIDE * SURF_SIDE; i += 128) {
        int k = i % SURF_SIDE, l = i / SURF_SIDE;
        float sideways = ((float)l - 12.0f) * step, forward = ((float)k - 12.0f) * step;
        float sample_x = fminf(fmaxf(x + (forward * cosine - sideways * sine), 0.0f), (float)(width - 1));
        float sample_y = fminf(fmaxf(y + (forward * sine + sideways * cosine), 0.0f), (float)(height - 1));
        int column = min((int)sample_x, width - 2), row = min((int)sample_y, height - 2);
        float part_x = sample_x - (float)column, part_y = sample_y - (float)row;
        size_t at = start + (size_t)row * width + column;
        float slope_x = between_pixels(dx + at, width, part_x, part_y);
        float slope_y = between_pixels(dy + at, width, part_x, part_y);
        along[l][k] = slope_x * cosine + slope_y * sine;
        across[l][k] = slope_y * cosine - slope_x * sine;
    }
    __syncthreads();
    for (int i = thread; i < SURF_REGIONS * channels * SURF_SIDE; i += 128) {
        int k = i % SURF_SIDE, channel = i / SURF_SIDE % channels, region = i / (SURF_SIDE * channels);
        float sum = 0.0f;
        for (int inside = 0; inside < SURF_REGION; inside++) {
            int l = region * SURF_STEP + inside;
            sum += weights[inside] * surf_part(channel, channels, across[l][k], along[l][k]);
        }
        columns[region][channel][k] = sum;
    }
    __syncthreads();
    for (int i = thread; i < components; i += 128) {
        int channel = i % channels, beside = i / channels % SURF_REGIONS, below = i / (channels * SURF_REGIONS);
        float sum = 0.0f;
        for (int k = 0; k < SURF_REGION; k++) sum += weights[k] * columns[beside][channel][below * SURF_STEP + k];
        out[i] = sum * (weights[SURF_REGION + below] * weights[SURF_REGION + beside]);
    }
    __syncthreads();
    if (thread < 16) {
        float square = 0.0f;
        for (int i = thread; i < components; i += 16) square += out[i] * out[i];
        squares[thread] = square;
    }
    __syncthreads();
    float length = 0.0f;
    for (int i = 0; i < 16; i++) length += squares[i];
    length = sqrtf(length);
    for (int i = thread; i < components; i += 128) descriptors[i] = length > 0.0f ? out[i] / length : out[i];
}

#define LDB_REACH 10
#define LDB_SIDE 21
#define LDB_CELLS 29
#define LDB_BITS 486

// M-LDB: `pairs` says for each bit which two cells of which channel it compares. One block of 128 threads a point.
extern "C" __global__ void __launch_bounds__(128) point_mldb(
    const float *light, const float *dx, const float *dy, const uint64 *light_starts, const uint64 *starts, const int *sizes,
    const unsigned *pairs, const int *totals, int most, const float *kept, unsigned *descriptors) {
    __shared__ float rows[3][LDB_SIDE][LDB_SIDE], means[3][LDB_CELLS];
    int point = blockIdx.x, thread = threadIdx.x;
    if (point >= min(totals[blockIdx.z], most)) return;
    kept += (size_t)blockIdx.z * KEPT_ROWS * most + point;
    descriptors += ((size_t)blockIdx.z * most + point) * 16;
    int level = __float_as_int(kept[KEPT_LEVEL * most]), width = sizes[2 * level], height = sizes[2 * level + 1];
    float x = kept[KEPT_LEVEL_X * most], y = kept[KEPT_LEVEL_Y * most], step = kept[KEPT_STEP * most];
    float cosine = kept[KEPT_COSINE * most], sine = kept[KEPT_SINE * most];
    size_t start = level_start(starts, sizes, level), light_start = level_start(light_starts, sizes, level);
    for (int i = thread; i < LDB_SIDE * LDB_SIDE; i += 128) {
        int l = i % LDB_SIDE, k = i / LDB_SIDE;
        float forward = ((float)k - (float)LDB_REACH) * step, sideways = ((float)l - (float)LDB_REACH) * step;
        float sample_x = fminf(fmaxf(x + (forward * cosine - sideways * sine) + 0.5f, 0.0f), (float)(width - 1));
        float sample_y = fminf(fmaxf(y + (forward * sine + sideways * cosine) + 0.5f, 0.0f), (float)(height - 1));
        size_t at = (size_t)(int)sample_y * width + (int)sample_x;
        rows[0][k][l] = light[light_start + at];
        rows[1][k][l] = dx[start + at];
        rows[2][k][l] = dy[start + at];
    }
    __syncthreads();
    if (thread < LDB_CELLS) {
        // Grids of 2, 3 and 4 cells a side, of 10, 7 and 5 samples.
        int cells = thread < 4 ? 2 : thread < 13 ? 3 : 4, side = thread < 4 ? 10 : thread < 13 ? 7 : 5;
        int cell = thread - (thread < 4 ? 0 : thread < 13 ? 4 : 13), top = cell / cells * side, left = cell % cells * side;
        float sums[3];
        for (int channel = 0; channel < 3; channel++) {
            float sum = 0.0f;
            for (int l = left; l < left + side; l++) {
                float column = 0.0f;
                for (int k = top; k < top + side; k++) column += rows[channel][k][l];
                sum += column;
            }
            sums[channel] = sum;
        }
        means[0][thread] = sums[0];
        means[1][thread] = sums[2] * cosine - sums[1] * sine;
        means[2][thread] = sums[1] * cosine + sums[2] * sine;
    }
    __syncthreads();
    for (int first = 0; first < 512; first += 128) {
        unsigned pair = first + thread < LDB_BITS ? pairs[first + thread] : 0;
        const float *of_channel = means[pair >> 16];
        unsigned bits = __ballot_sync(ALL_LANES, of_channel[pair >> 8 & 255] > of_channel[pair & 255]);
        if (thread % 32 == 0) descriptors[(first + thread) / 32] = bits;
    }
}
