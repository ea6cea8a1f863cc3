/* A layer in C whose gradients handgrad checks: y = x w + b, with x (N, D), w (D, M) and b (M).
 *
 *     cc -O2 -o layer layer.c
 *     python -m nn gradcheck --command ./layer --shape x=5,4 --shape w=4,3 --shape b=3
 *
 * The upper half is the layer; the lower half reads and writes .npz files, for any layer.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { char name[32]; int ndim; size_t shape[4], size; double *data; } Array;

static int read_npz(const char *folder, const char *file, Array *arrays, int most);
static void write_npz(const char *folder, const char *file, const Array *arrays, int count);
static Array make(const char *name, int ndim, const size_t *shape);
static void fail(const char *why) { fprintf(stderr, "%s\n", why); exit(1); }

static Array find(const Array *arrays, int count, const char *name) {
    for (int i = 0; i < count; i++) if (!strcmp(arrays[i].name, name)) return arrays[i];
    fail(name);
    return arrays[0];
}

int main(int argc, char **argv) {
    if (argc != 3) fail("usage: layer forward|backward FOLDER");
    Array in[8];
    int count = read_npz(argv[2], "inputs.npz", in, 8);
    Array x = find(in, count, "x"), w = find(in, count, "w"), b = find(in, count, "b");
    size_t N = x.shape[0], D = x.shape[1], M = b.shape[0];

    if (!strcmp(argv[1], "forward")) {
        Array y = make("y", 2, (size_t[]){N, M});
        for (size_t n = 0; n < N; n++)
            for (size_t m = 0; m < M; m++) {
                y.data[n*M + m] = b.data[m];
                for (size_t d = 0; d < D; d++) y.data[n*M + m] += x.data[n*D + d] * w.data[d*M + m];
            }
        write_npz(argv[2], "outputs.npz", &y, 1);
    } else {
        Array up[1];
        Array dy = find(up, read_npz(argv[2], "upstream.npz", up, 1), "y");
        Array grad[3] = {make("x", 2, x.shape), make("w", 2, w.shape), make("b", 1, b.shape)};
        double *dx = grad[0].data, *dw = grad[1].data, *db = grad[2].data;
        for (size_t n = 0; n < N; n++)
            for (size_t m = 0; m < M; m++) {
                double g = dy.data[n*M + m];
                db[m] += g;
                for (size_t d = 0; d < D; d++) {
                    dx[n*D + d] += g * w.data[d*M + m];
                    dw[d*M + m] += g * x.data[n*D + d];
                }
            }
        write_npz(argv[2], "gradients.npz", grad, 3);
    }
    return 0;
}

/* ---- .npz: a zip archive, uncompressed, of .npy files, each a short header in text and the numbers */

static Array make(const char *name, int ndim, const size_t *shape) {
    Array a = {.ndim = ndim, .size = 1};
    snprintf(a.name, sizeof a.name, "%s", name);
    for (int i = 0; i < ndim; i++) a.size *= a.shape[i] = shape[i];
    a.data = calloc(a.size + !a.size, sizeof(double));
    return a;
}

static FILE *open_file(const char *folder, const char *file, const char *mode) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *f = fopen(path, mode);
    if (!f) fail(path);
    return f;
}

static int read_npz(const char *folder, const char *file, Array *arrays, int most) {
    FILE *f = open_file(folder, file, "rb");
    unsigned char head[30], magic[10];
    int count = 0;
    while (count < most && fread(head, 1, 30, f) == 30 && !memcmp(head, "PK\3\4", 4)) {
        char name[256] = "", text[4096] = "";
        size_t shape[4], ndim = 0;
        if (fread(name, 1, head[26] | head[27] << 8, f) < 5) fail("no name");
        fseek(f, head[28] | head[29] << 8, SEEK_CUR);
        name[strlen(name) - 4] = 0; /* .npy */
        if (fread(magic, 1, 10, f) != 10 || fread(text, 1, magic[8] | magic[9] << 8, f) < 10) fail("no .npy");
        if (!strstr(text, "'<f8'") || !strstr(text, "False")) fail("not doubles in C order");
        for (char *s = strchr(text, '(') + 1; *s != ')'; s += strspn(s, ", ")) shape[ndim++] = strtoul(s, &s, 10);
        arrays[count] = make(name, ndim, shape);
        if (fread(arrays[count].data, 8, arrays[count].size, f) != arrays[count].size) fail("file too short");
        count++;
    }
    fclose(f);
    return count;
}

static uint32_t crc32_of(uint32_t crc, const void *data, size_t size) {
    const unsigned char *p = data;
    for (crc = ~crc; size--; p++) {
        crc ^= *p;
        for (int k = 0; k < 8; k++) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
    }
    return ~crc;
}

static void put(FILE *f, int bytes, uint32_t value) {
    for (int i = 0; i < bytes; i++) fputc(value >> 8 * i & 255, f);
}

static void describe(FILE *f, const Array *a, uint32_t crc, uint32_t size) { /* what both records of zip share */
    put(f, 2, 20); put(f, 2, 0); put(f, 2, 0); put(f, 2, 0); put(f, 2, 33);
    put(f, 4, crc); put(f, 4, size); put(f, 4, size); put(f, 2, strlen(a->name) + 4); put(f, 2, 0);
}

static void write_npz(const char *folder, const char *file, const Array *arrays, int count) {
    FILE *f = open_file(folder, file, "wb");
    uint32_t crc[8], size[8], place[8];
    for (int i = 0; i < count; i++) {
        const Array *a = &arrays[i];
        char head[129] = "\x93NUMPY\1\0\x76\0", *s = head + 10;
        s += sprintf(s, "{'descr': '<f8', 'fortran_order': False, 'shape': (");
        for (int k = 0; k < a->ndim; k++) s += sprintf(s, "%zu, ", a->shape[k]);
        s += sprintf(s, ")}");
        memset(s, ' ', head + 127 - s);
        head[127] = '\n';
        crc[i] = crc32_of(crc32_of(0, head, 128), a->data, 8 * a->size);
        size[i] = 128 + 8 * a->size;
        place[i] = ftell(f);
        fputs("PK\3\4", f);
        describe(f, a, crc[i], size[i]);
        fprintf(f, "%s.npy", a->name);
        fwrite(head, 1, 128, f);
        fwrite(a->data, 8, a->size, f);
    }
    uint32_t start = ftell(f);
    for (int i = 0; i < count; i++) {
        fputs("PK\1\2", f);
        put(f, 2, 20);
        describe(f, &arrays[i], crc[i], size[i]);
        put(f, 2, 0); put(f, 2, 0); put(f, 2, 0); put(f, 4, 0); put(f, 4, place[i]);
        fprintf(f, "%s.npy", arrays[i].name);
    }
    uint32_t end = ftell(f);
    fputs("PK\5\6", f);
    put(f, 2, 0); put(f, 2, 0); put(f, 2, count); put(f, 2, count); put(f, 4, end - start); put(f, 4, start); put(f, 2, 0);
    fclose(f);
}
