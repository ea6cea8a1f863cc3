"""An exported model trains on an emulated Cortex-M4 as it does in Python. Needs a cross compiler and QEMU."""

import shutil
import struct
import subprocess

import numpy as np
import pytest

import nn
import optim

TOOLS = ("arm-none-eabi-gcc", "qemu-system-arm")
MISSING = [tool for tool in TOOLS if not shutil.which(tool)]
CPU = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
STEPS = 20

# The board has its code from address 0 and its memory from 0x20000000. The losses leave it bit by bit, by semihosting.
LINKER = """
MEMORY { code (rx) : ORIGIN = 0, LENGTH = 4M  memory (rwx) : ORIGIN = 0x20000000, LENGTH = 4M }
SECTIONS {
    .text : { KEEP(*(.vectors)) *(.text*) *(.rodata*) } > code
    .ARM.exidx : { *(.ARM.exidx*) } > code
    .data : { data_begin = .; *(.data*) data_end = .; } > memory AT > code
    data_stored = LOADADDR(.data);
    .bss : { bss_begin = .; *(.bss*) *(COMMON) bss_end = .; end = .; } > memory
}
"""
MAIN = """
#include "net.h"
extern unsigned char data_begin[], data_end[], data_stored[], bss_begin[], bss_end[];
int main(void);

static void host(int operation, const void *argument) {
    register int r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void reset(void) {
    *(volatile unsigned *)0xe000ed88 |= 0xf << 20; /* the floating point unit */
    for (long k = 0; k < data_end - data_begin; k++) data_begin[k] = data_stored[k];
    for (unsigned char *p = bss_begin; p < bss_end; p++) *p = 0;
    main();
    host(0x18, (void *)0x20026); /* exit */
}

__attribute__((section(".vectors"), used)) static void *const vectors[] = {(void *)0x20400000, (void *)reset};

static const float x[] = {@x};
static const @kind target[] = {@target};

int main(void) {
    for (int k = 0; k < @steps; k++) {
        union { float number; unsigned bits; } value;
        char text[10];
        value.number = train_step(@n, x, target);
        for (int i = 0; i < 8; i++) text[i] = "0123456789abcdef"[value.bits >> (28 - 4 * i) & 15];
        text[8] = '\\n', text[9] = 0;
        host(4, text);
    }
    return 0;
}
"""


def regressor():
    layers = [nn.Linear(1, 16, generator=0), nn.ReLU(), nn.Linear(16, 16, generator=1), nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(16, 1, generator=2))
    x = np.linspace(-2, 2, 12, dtype=np.float32)[:, None]
    return model, nn.MSELoss(), optim.Adam(model.parameters(), lr=0.01), x, np.sin(x)


def classifier():
    layers = [nn.Linear(20, 16, generator=0), nn.ReLU(), nn.Linear(16, 8, generator=1), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Linear(8, 4, generator=2))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(12, 20)).astype(np.float32)
    return (
        model,
        nn.CrossEntropyLoss(),
        optim.SGD(model.parameters(), lr=0.1, momentum=0.9),
        x,
        rng.integers(4, size=12),
    )


@pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} are not installed")
@pytest.mark.parametrize("build", [regressor, classifier])
def test_losses_are_those_of_python(build, tmp_path):
    model, criterion, optimizer, x, y = build()
    nn.export_c(model, x, tmp_path / "net.c", criterion=criterion, optimizer=optimizer, max_batch=len(x))
    texts = {"x": x, "target": y, "kind": "float" if y.dtype.kind == "f" else "int", "steps": STEPS, "n": len(x)}
    main = MAIN
    for name, value in texts.items():
        text = ", ".join(map(str, value.ravel().tolist())) if isinstance(value, np.ndarray) else str(value)
        main = main.replace(f"@{name}", text)
    (tmp_path / "main.c").write_text(main)
    (tmp_path / "board.ld").write_text(LINKER)
    files = ["main.c", "net.c", "-T", "board.ld", "-nostartfiles", "-o", "net.elf", "-lm"]
    built = subprocess.run(
        ["arm-none-eabi-gcc", *CPU, "-std=c99", "-Os", *files], cwd=tmp_path, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    board = ["qemu-system-arm", "-M", "mps2-an386", "-nographic", "-monitor", "none", "-serial", "none"]
    output = ["-semihosting-config", "enable=on,target=native", "-kernel", "net.elf"]
    done = subprocess.run(
        [*board, *output], cwd=tmp_path, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )
    losses = [struct.unpack(">f", bytes.fromhex(line))[0] for line in (done.stdout + done.stderr).split()]
    expected = []
    for _ in range(STEPS):
        expected.append(float(criterion(model(x), y)))
        optimizer.zero_grad()
        model.backward(criterion.backward())
        optimizer.step()
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
