// The nonlinear scale space of KAZE and A-KAZE: smoothing, conductivity, diffusion, and the determinant of the Hessian.
// Every formula is that of kaze/filter.rs, diffusion.rs and hessian.rs, in the same order.

#define SPACE_WIDTH 32
#define SPACE_HEIGHT 8

__device__ __forceinline__ float brightness(uint8 value) { return (float)value * (1.0f / 255.0f); }
__device__ __forceinline__ float brightness(float value) { return value; }

// A block smooths its tile by a Gaussian of R weights on either side: down, then across. Beyond its borders a picture goes on
// as at them.
template <int R, class T>
__device__ __forceinline__ void smooth_tile(
    const T *from, int width, int height, float middle, const float *beside, float *to, float *rows, float *sums) {
    const int across = SPACE_WIDTH + 2 * R, down = SPACE_HEIGHT + 2 * R;
    int thread = threadIdx.y * SPACE_WIDTH + threadIdx.x;
    int left = (int)blockIdx.x * SPACE_WIDTH - R, top = (int)blockIdx.y * SPACE_HEIGHT - R;
    size_t first = (size_t)blockIdx.z * width * height;
    for (int i = thread; i < across * down; i += SPACE_WIDTH * SPACE_HEIGHT) {
        int x = clampi(left + i % across, 0, width - 1), y = clampi(top + i / across, 0, height - 1);
        rows[i] = brightness(from[first + (size_t)y * width + x]);
    }
    __syncthreads();
    for (int i = thread; i < across * SPACE_HEIGHT; i += SPACE_WIDTH * SPACE_HEIGHT) {
        const float *row = rows + i + R * across;
        float value = middle * row[0];
        for (int r = 0; r < R; r++) value += beside[r] * (row[-(r + 1) * across] + row[(r + 1) * across]);
        sums[i] = value;
    }
    __syncthreads();
    int x = thread_x(), y = thread_y();
    if (x >= width || y >= height) return;
    const float *sum = sums + threadIdx.y * across + threadIdx.x + R;
    float value = middle * sum[0];
    for (int r = 0; r < R; r++) value += beside[r] * (sum[-(r + 1)] + sum[r + 1]);
    to[first + (size_t)y * width + x] = value;
}

// From bytes to brightness of 0 to 1, smoothed.
extern "C" __global__ void __launch_bounds__(256) smooth_bytes(
    const uint8 *from, int width, int height, float middle, float first, float second, float third, float fourth, float *to) {
    __shared__ float rows[(SPACE_WIDTH + 8) * (SPACE_HEIGHT + 8)], sums[(SPACE_WIDTH + 8) * SPACE_HEIGHT];
    float beside[4] = {first, second, third, fourth};
    smooth_tile<4>(from, width, height, middle, beside, to, rows, sums);
}

extern "C" __global__ void __launch_bounds__(256)
    smooth(const float *from, int width, int height, float middle, float first, float second, float *to) {
    __shared__ float rows[(SPACE_WIDTH + 4) * (SPACE_HEIGHT + 4)], sums[(SPACE_WIDTH + 4) * SPACE_HEIGHT];
    float beside[2] = {first, second};
    smooth_tile<2>(from, width, height, middle, beside, to, rows, sums);
}

// The mean of each four pixels of a picture of `width` by `height`.
extern "C" __global__ void __launch_bounds__(256) halve(const float *from, int width, int height, float *to) {
    int x = thread_x(), y = thread_y(), half_width = width / 2, half_height = height / 2;
    if (x >= half_width || y >= half_height) return;
    const float *upper = from + (size_t)blockIdx.z * width * height + (size_t)2 * y * width + 2 * x, *lower = upper + width;
    to[(size_t)blockIdx.z * half_width * half_height + (size_t)y * half_width + x] =
        ((upper[0] + upper[1]) + (lower[0] + lower[1])) * 0.25f;
}

// The squared length of the slope by Scharr's operator, 32 times as large.
__device__ __forceinline__ float squared_slope(const float *smooth, int width, int height, int x, int y) {
    const float *row = smooth + (size_t)y * width, *above = y > 0 ? row - width : row;
    const float *below = y < height - 1 ? row + width : row;
    int left = max(x - 1, 0), right = min(x + 1, width - 1);
    float sum_left = 3.0f * (above[left] + below[left]) + 10.0f * row[left];
    float sum_right = 3.0f * (above[right] + below[right]) + 10.0f * row[right];
    float before = below[left] - above[left], here = below[x] - above[x], after = below[right] - above[right];
    float dx = sum_right - sum_left, dy = 3.0f * (before + after) + 10.0f * here;
    return dx * dx + dy * dy;
}

#define CONTRAST_BINS 300

// Before a picture: the greatest slope, the bins of its histogram, and the number of points are 0.
extern "C" __global__ void __launch_bounds__(256) clear_words(int words, unsigned *at) {
    if (thread_x() < words) at[thread_x()] = 0;
}

// The greatest slope of all pixels but those at the border. Floats that are not negative are in the order of their bits.
extern "C" __global__ void __launch_bounds__(256)
    contrast_greatest(const float *smooth, int width, int height, unsigned *greatest) {
    __shared__ unsigned warps[SPACE_HEIGHT];
    int x = thread_x(), y = thread_y();
    smooth += (size_t)blockIdx.z * width * height;
    unsigned most = 0;
    if (x >= 1 && y >= 1 && x < width - 1 && y < height - 1)
        most = __float_as_uint(sqrtf(squared_slope(smooth, width, height, x, y)));
    for (int with = 16; with > 0; with /= 2) most = max(most, __shfl_xor_sync(ALL_LANES, most, with));
    if (threadIdx.x == 0) warps[threadIdx.y] = most;
    __syncthreads();
    if (threadIdx.x > 0 || threadIdx.y > 0) return;
    for (int warp = 1; warp < SPACE_HEIGHT; warp++) most = max(most, warps[warp]);
    if (most > 0) atomicMax(&greatest[blockIdx.z], most);
}

extern "C" __global__ void __launch_bounds__(256)
    contrast_histogram(const float *smooth, int width, int height, const unsigned *greatest, unsigned *bins) {
    __shared__ unsigned counts[CONTRAST_BINS];
    int x = thread_x(), y = thread_y(), thread = threadIdx.y * SPACE_WIDTH + threadIdx.x;
    for (int bin = thread; bin < CONTRAST_BINS; bin += SPACE_WIDTH * SPACE_HEIGHT) counts[bin] = 0;
    __syncthreads();
    smooth += (size_t)blockIdx.z * width * height;
    float most = __uint_as_float(greatest[blockIdx.z]);
    if (most > 0.0f && x >= 1 && y >= 1 && x < width - 1 && y < height - 1) {
        float scale = (float)CONTRAST_BINS / most, value = sqrtf(squared_slope(smooth, width, height, x, y));
        if (value > 0.0f) atomicAdd(&counts[min((int)(value * scale), CONTRAST_BINS - 1)], 1u);
    }
    __syncthreads();
    for (int bin = thread; bin < CONTRAST_BINS; bin += SPACE_WIDTH * SPACE_HEIGHT)
        if (counts[bin] > 0) atomicAdd(&bins[blockIdx.z * CONTRAST_BINS + bin], counts[bin]);
}

// The slope that so many thousandths of the pixels with any stay below. One thread a picture.
extern "C" __global__ void __launch_bounds__(256)
    contrast_factor(const unsigned *greatest, const unsigned *bins, int thousandths, int pictures, float *factors) {
    int picture = thread_x();
    if (picture >= pictures) return;
    float most = __uint_as_float(greatest[picture]);
    if (!(most > 0.0f)) {
        factors[picture] = 0.03f;
        return;
    }
    bins += (size_t)picture * CONTRAST_BINS;
    uint64 total = 0, sum = 0;
    for (int bin = 0; bin < CONTRAST_BINS; bin++) total += bins[bin];
    uint64 wanted = (uint64)((double)total * ((double)thousandths / 1000.0));
    int below = 0;
    while (below < CONTRAST_BINS && (sum += bins[below]) < wanted) below++;
    factors[picture] = most * (float)(below + 1) / (float)CONTRAST_BINS;
}

// e to the power of `x`, which is not positive, to a few units in the last place.
__device__ __forceinline__ float exponential(float x) {
    double power = (double)x * 1.4426950408889634;
    if (power < -149.0) return 0.0f;
    int whole = (int)(power - 0.5);
    double rest = (power - whole) * 0.6931471805599453, sum = 1.0;
    for (int i = 11; i > 0; i--) sum = 1.0 + sum * rest / i;
    // In two halves: a power of two below the least normal number is no float.
    int half = whole / 2;
    float first = __uint_as_float((unsigned)(127 + half) << 23), second = __uint_as_float((unsigned)(127 + whole - half) << 23);
    return (float)(sum * first * second);
}

#define PM_G1 0
#define PM_G2 1
#define WEICKERT 2

__device__ __forceinline__ float diffusivity(int kind, float squared) {
    if (kind == PM_G2) return 1.0f / (1.0f + squared);
    if (kind == PM_G1) return exponential(-squared);
    if (kind == WEICKERT) {
        float fourth = (squared * squared) * (squared * squared);
        return fourth > 0.0f ? 1.0f - exponential(-3.315f / fourth) : 1.0f;
    }
    return 1.0f / sqrtf(1.0f + squared);
}

// How well the borders of each pixel with its right and its lower neighbour conduct. The contrast factor has fallen `falls`
// times to three quarters.
extern "C" __global__ void __launch_bounds__(256) conduct(
    const float *smooth, int width, int height, const float *factors, int falls, int kind, float *right, float *below) {
    __shared__ float tile[SPACE_HEIGHT + 1][SPACE_WIDTH + 1];
    size_t first = (size_t)blockIdx.z * width * height;
    float contrast = factors[blockIdx.z];
    for (int fall = 0; fall < falls; fall++) contrast *= 0.75f;
    float scale = 1.0f / (contrast * contrast);
    int thread = threadIdx.y * SPACE_WIDTH + threadIdx.x;
    for (int i = thread; i < (SPACE_WIDTH + 1) * (SPACE_HEIGHT + 1); i += SPACE_WIDTH * SPACE_HEIGHT) {
        int column = i % (SPACE_WIDTH + 1), row = i / (SPACE_WIDTH + 1);
        int x = min((int)blockIdx.x * SPACE_WIDTH + column, width - 1);
        int y = min((int)blockIdx.y * SPACE_HEIGHT + row, height - 1);
        tile[row][column] = diffusivity(kind, squared_slope(smooth + first, width, height, x, y) * scale);
    }
    __syncthreads();
    int x = thread_x(), y = thread_y();
    if (x >= width || y >= height) return;
    size_t at = first + (size_t)y * width + x;
    float here = tile[threadIdx.y][threadIdx.x];
    right[at] = 0.5f * (here + tile[threadIdx.y][threadIdx.x + 1]);
    below[at] = 0.5f * (here + tile[threadIdx.y + 1][threadIdx.x]);
}

// One step of diffusion at one pixel: what flows in from the right and from below less what flows out to the left and up.
__device__ __forceinline__ float diffused(
    float time, float here, float to_right, float to_left, float to_below, float to_above) {
    return here + time * ((to_right - to_left) + (to_below - to_above));
}

#define FUSED_STEPS 4
#define FUSED_WIDTH 64
#define FUSED_HEIGHT 32

// Up to FUSED_STEPS steps at once: a block keeps as many pixels more on each side as there are steps, of which one ring is
// wrong after each, and writes what is inside.
extern "C" __global__ void __launch_bounds__(256) diffuse_steps(
    const float *from, const float *right, const float *below, int width, int height, const float *times, int first,
    int steps, float *to) {
    __shared__ float light[FUSED_HEIGHT][FUSED_WIDTH];
    __shared__ float conducts_right[FUSED_HEIGHT][FUSED_WIDTH], conducts_below[FUSED_HEIGHT][FUSED_WIDTH];
    const int each = FUSED_HEIGHT / 4;
    size_t plane = (size_t)blockIdx.z * width * height;
    int column = threadIdx.x % FUSED_WIDTH, top_row = threadIdx.x / FUSED_WIDTH;
    int x = (int)blockIdx.x * (FUSED_WIDTH - 2 * FUSED_STEPS) + column - FUSED_STEPS;
    int top = (int)blockIdx.y * (FUSED_HEIGHT - 2 * FUSED_STEPS) - FUSED_STEPS;
    for (int i = 0; i < each; i++) {
        int row = top_row + 4 * i, y = top + row;
        bool inside = x >= 0 && y >= 0 && x < width && y < height;
        size_t at = plane + (size_t)y * width + x;
        light[row][column] = inside ? from[at] : 0.0f;
        conducts_right[row][column] = inside ? right[at] : 0.0f;
        conducts_below[row][column] = inside ? below[at] : 0.0f;
    }
    __syncthreads();
    for (int step = 0; step < steps; step++) {
        float time = times[first + step], next[FUSED_HEIGHT / 4];
#pragma unroll
        for (int i = 0; i < each; i++) {
            int row = top_row + 4 * i, y = top + row;
            float here = light[row][column];
            next[i] = here;
            bool inside = x >= 0 && y >= 0 && x < width && y < height;
            if (!inside || column == 0 || row == 0 || column == FUSED_WIDTH - 1 || row == FUSED_HEIGHT - 1) continue;
            float to_right = x < width - 1 ? conducts_right[row][column] * (light[row][column + 1] - here) : 0.0f;
            float to_left = x > 0 ? conducts_right[row][column - 1] * (here - light[row][column - 1]) : 0.0f;
            float to_below = y < height - 1 ? conducts_below[row][column] * (light[row + 1][column] - here) : 0.0f;
            float to_above = y > 0 ? conducts_below[row - 1][column] * (here - light[row - 1][column]) : 0.0f;
            next[i] = diffused(time, here, to_right, to_left, to_below, to_above);
        }
        __syncthreads();
        for (int i = 0; i < each; i++) light[top_row + 4 * i][column] = next[i];
        __syncthreads();
    }
    if (column < FUSED_STEPS || column >= FUSED_WIDTH - FUSED_STEPS || x >= width) return;
    for (int i = 0; i < each; i++) {
        int row = top_row + 4 * i, y = top + row;
        if (row >= FUSED_STEPS && row < FUSED_HEIGHT - FUSED_STEPS && y < height)
            to[plane + (size_t)y * width + x] = light[row][column];
    }
}

#define WHOLE_PIXELS 6144
#define WHOLE_THREADS 1024

// All steps of a small picture in one block: its brightness stays in shared memory, what its borders conduct in registers.
extern "C" __global__ void __launch_bounds__(1024) diffuse_whole(
    const float *from, const float *right, const float *below, int width, int height, const float *times, int first,
    int steps, float *to) {
    __shared__ float light[WHOLE_PIXELS];
    const int each = WHOLE_PIXELS / WHOLE_THREADS;
    int pixels = width * height;
    size_t plane = (size_t)blockIdx.z * pixels;
    float to_right[WHOLE_PIXELS / WHOLE_THREADS], to_left[WHOLE_PIXELS / WHOLE_THREADS];
    float to_below[WHOLE_PIXELS / WHOLE_THREADS], to_above[WHOLE_PIXELS / WHOLE_THREADS];
#pragma unroll
    for (int i = 0; i < each; i++) {
        int at = i * WHOLE_THREADS + threadIdx.x, x = at % width, y = at / width;
        if (at >= pixels) break;
        light[at] = from[plane + at];
        // Nothing flows over the borders of the picture.
        to_right[i] = x < width - 1 ? right[plane + at] : 0.0f;
        to_left[i] = x > 0 ? right[plane + at - 1] : 0.0f;
        to_below[i] = y < height - 1 ? below[plane + at] : 0.0f;
        to_above[i] = y > 0 ? below[plane + at - width] : 0.0f;
    }
    __syncthreads();
    for (int step = 0; step < steps; step++) {
        float time = times[first + step], next[WHOLE_PIXELS / WHOLE_THREADS];
#pragma unroll
        for (int i = 0; i < each; i++) {
            int at = i * WHOLE_THREADS + threadIdx.x;
            if (at >= pixels) break;
            float here = light[at];
            next[i] = diffused(
                time, here, to_right[i] * (light[min(at + 1, pixels - 1)] - here), to_left[i] * (here - light[max(at - 1, 0)]),
                to_below[i] * (light[min(at + width, pixels - 1)] - here), to_above[i] * (here - light[max(at - width, 0)]));
        }
        __syncthreads();
#pragma unroll
        for (int i = 0; i < each; i++) {
            int at = i * WHOLE_THREADS + threadIdx.x;
            if (at < pixels) light[at] = next[i];
        }
        __syncthreads();
    }
    for (int at = threadIdx.x; at < pixels; at += WHOLE_THREADS) to[plane + at] = light[at];
}

#define SLOPE_SIDE (3.0f / 32.0f)
#define SLOPE_MIDDLE (10.0f / 32.0f)

// Where slopes are taken from: pixels at a whole distance and one more, on either side, and the part of the way between.
struct Reach {
    int near_before, far_before, near_after, far_after;
    float part;
};

__device__ __forceinline__ Reach reach_along(int at, int length, int whole, float part) {
    Reach reach = {max(at - whole, 0), max(at - whole - 1, 0), min(at + whole, length - 1), min(at + whole + 1, length - 1), part};
    return reach;
}

__device__ __forceinline__ float along(float part, float near, float far) { return near + part * (far - near); }

// A column between the rows above and below, weighed; and its ends' difference.
struct Column {
    const float *plane;
    size_t near_above, far_above, row, near_below, far_below;
    float part;
};

__device__ __forceinline__ float above_of(const Column &of, int x) {
    return along(of.part, of.plane[of.near_above + x], of.plane[of.far_above + x]);
}
__device__ __forceinline__ float below_of(const Column &of, int x) {
    return along(of.part, of.plane[of.near_below + x], of.plane[of.far_below + x]);
}
__device__ __forceinline__ float sum_of(const Column &of, int x) {
    return SLOPE_SIDE * (above_of(of, x) + below_of(of, x)) + SLOPE_MIDDLE * of.plane[of.row + x];
}
__device__ __forceinline__ float difference_of(const Column &of, int x) { return below_of(of, x) - above_of(of, x); }

__device__ __forceinline__ Column column_of(const float *plane, int width, int y, Reach down) {
    Column column = {plane,
                     (size_t)down.near_before * width,
                     (size_t)down.far_before * width,
                     (size_t)y * width,
                     (size_t)down.near_after * width,
                     (size_t)down.far_after * width,
                     down.part};
    return column;
}

// The slope across, of columns' sums.
__device__ __forceinline__ float slope_across(const Column &of, Reach to) {
    return along(to.part, sum_of(of, to.near_after), sum_of(of, to.far_after)) -
           along(to.part, sum_of(of, to.near_before), sum_of(of, to.far_before));
}

// The slope down, of columns' differences.
__device__ __forceinline__ float slope_down(const Column &of, int x, Reach to) {
    float before = along(to.part, difference_of(of, to.near_before), difference_of(of, to.far_before));
    float after = along(to.part, difference_of(of, to.near_after), difference_of(of, to.far_after));
    return SLOPE_SIDE * (before + after) + SLOPE_MIDDLE * difference_of(of, x);
}

// Slopes across and down over `whole` pixels and `part` of the next to either side.
extern "C" __global__ void __launch_bounds__(256)
    slopes(const float *smooth, int width, int height, int whole, float part, float *dx, float *dy) {
    int x = thread_x(), y = thread_y();
    if (x >= width || y >= height) return;
    size_t first = (size_t)blockIdx.z * width * height, at = first + (size_t)y * width + x;
    Reach beside = reach_along(x, width, whole, part);
    Column column = column_of(smooth + first, width, y, reach_along(y, height, whole, part));
    dx[at] = slope_across(column, beside);
    dy[at] = slope_down(column, x, beside);
}

// The determinant of the Hessian, from slopes taken over the same reach, times `weight`.
extern "C" __global__ void __launch_bounds__(256) determinant(
    const float *dx, const float *dy, int width, int height, int whole, float part, float weight, float *out) {
    int x = thread_x(), y = thread_y();
    if (x >= width || y >= height) return;
    size_t first = (size_t)blockIdx.z * width * height;
    Reach beside = reach_along(x, width, whole, part), down = reach_along(y, height, whole, part);
    Column of_dx = column_of(dx + first, width, y, down), of_dy = column_of(dy + first, width, y, down);
    float dxx = slope_across(of_dx, beside), dxy = slope_down(of_dx, x, beside), dyy = slope_down(of_dy, x, beside);
    out[first + (size_t)y * width + x] = weight * (dxx * dyy - dxy * dxy);
}
