// letterbox.rs on the device: a part of a picture, resized bilinearly, in planes, as floats.

// `image` has `width` by `height` pixels of three bytes; `left`, `top`, `from_width`, `from_height` say which part becomes
// `to_width` by `to_height` values of three planes of `out_width` by `out_height`; the rest of them is `pad`.
extern "C" __global__ void __launch_bounds__(256) letterbox(
    const uint8 *image, int width, int height, int left, int top, int from_width, int from_height, int to_width,
    int to_height, int out_width, int out_height, int bgr, float mean, float scale, float pad, float *out) {
    int x = thread_x(), y = thread_y();
    if (x >= out_width || y >= out_height) return;
    size_t plane = (size_t)out_width * out_height;
    image += (size_t)blockIdx.z * width * height * 3;
    out += blockIdx.z * 3 * plane + (size_t)y * out_width + x;
    if (x >= to_width || y >= to_height) {
        for (int channel = 0; channel < 3; channel++) out[channel * plane] = pad;
        return;
    }
    int first, second, upper, lower;
    float right, down;
    between(x, to_width, from_width, &first, &second, &right);
    between(y, to_height, from_height, &upper, &lower, &down);
    const uint8 *above = image + ((size_t)(top + upper) * width + left) * 3;
    const uint8 *below = image + ((size_t)(top + lower) * width + left) * 3;
    for (int channel = 0; channel < 3; channel++) {
        float a = above[3 * first + channel], b = above[3 * second + channel];
        float c = below[3 * first + channel], d = below[3 * second + channel];
        float over = a + right * (b - a), under = c + right * (d - c);
        float value = over + down * (under - over);
        out[(bgr ? 2 - channel : channel) * plane] = (value - mean) * scale;
    }
}
