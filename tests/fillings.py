"""Wrong fillings of the sheet as students write them: the form, the gradient, what is written, and what is to be said.

What is written replaces the right side of the gradient's line; with line breaks it replaces the line.
"""

COLUMNS = [
    # ---- the output: sign, 1/2, another node, the square left as it is
    ("dz3", "y - z3", "sign is wrong"),
    ("dz3", "2 * (z3 - y)", "twice the gradient: what becomes of the 1/2"),
    ("dz3", "0.5 * (z3 - y)", "half the gradient"),
    ("dz3", "z3", "z3 alone: y has a part"),
    ("dz3", "-y", "minus y alone: z3 has a part"),
    ("dz3", "z3 + y", r"z3 \+ y: look at the sign of y"),
    ("dz3", "(z3 - y) ** 2", "the square of z3 - y, entry by entry"),
    ("dz3", "0.5 * (z3 - y) ** 2", "half the square of z3 - y"),
    ("dz3", "np.sum(z3 - y)", r"shape \(\), and z3 has shape \(2, 1\).*all entries of the gradient are summed up"),
    ("dz3", "(z3 - y).T", r"shape \(1, 2\).*transposed"),
    ("dz3", "(z3 - y) * (z3 > 0)", "a ReLU cuts it off, and the output z3 has none"),
    ("dz3", "np.abs(z3 - y)", "the sign of the difference is lost"),
    ("dz3", "z3 * (z3 - y)", "a factor z3 too many"),
    ("dz3", "np.mean(z3 - y)", r"shape \(\)"),
    ("dz3", "(z3 - y) / 2", "half the gradient"),
    ("dz3", "np.linalg.norm(z3 - y)", r"shape \(\), and z3 has shape \(2, 1\).*the length of z3 - y"),
    ("dz3", "0.5 * np.sum((z3 - y) ** 2)", r"shape \(\).*this is J"),
    ("dz3", "1", r"shape \(\), and z3 has shape \(2, 1\).*a single number, and each entry"),
    ("dz3", "z3 - y.T", r"shape \(2, 2\), and z3 has shape \(2, 1\).*a matrix of differences"),
    # ---- biases
    ("db2", "dz3.T", "transposed"),
    ("db2", "np.sum(dz3)", r"shape \(\).*summed up"),
    ("db2", "dz3.sum(axis=0)", r"shape \(1,\), and b2 has shape \(2, 1\).*summed up"),
    ("db2", "np.ones((2, 1))", "same at every point"),
    ("db2", "b2", "this is b2, where the gradient by z3 should come in"),
    ("db2", "dz3 * b2", "a factor b2 too many"),
    ("db2", "-dz3", "sign is wrong"),
    ("db2", "z3", "this is z3, where the gradient by z3 should"),
    ("db1", "da2", "this is dJ/da2, where the gradient by z2 should"),
    ("db1", "dz2 @ a1.T", r"shape \(4, 5\).*this is dJ/dW1"),
    ("db1", "dz2 * z2", "a factor z2 too many"),
    ("db1", "dz3", r"shape \(2, 1\), and b1 has shape \(4, 1\).*dJ/dz3"),
    ("db0", "da1", "this is dJ/da1, where the gradient by z1 should"),
    ("db0", "dz1.mean()", r"shape \(\)"),
    # ---- weights: order and transposes, nodes, masks
    ("dW2", "a2 @ dz3.T", r"shape \(4, 2\), and W2 has shape \(2, 4\).*transposed"),
    ("dW2", "a2 @ (y - z3).T", "this is minus the right gradient transposed"),
    ("dW2", "dz3 @ a2", r"dz3 has shape \(2, 1\) and a2 has shape \(4, 1\).*the shape of W2.*order"),
    ("dW2", "dz3.T @ a2", r"\(1, 2\).*\(4, 1\)"),
    ("dW2", "dz3 * a2", r"dz3 has shape \(2, 1\) and a2 has shape \(4, 1\)"),
    ("dW2", "dz3 * W2", "W2 itself is one factor"),
    ("dW2", "dz3 @ z2.T", "z2 is one factor: which node is W2 multiplied by"),
    ("dW2", "da2 @ dz3.T", "there is no da2 there yet: it is computed further down"),
    ("dW2", "z3 @ a2.T", "z3 is one factor, where the gradient by z3 should"),
    ("dW2", "(y - z3) @ a2.T", "sign is wrong"),
    ("dW2", "dz3", r"shape \(2, 1\), and W2 has shape \(2, 4\).*this is dJ/dz3"),
    ("dW2", "a2.T", r"shape \(1, 4\).*a2 transposed"),
    ("dW2", "dz3 @ (a2 > 0).T", "one factor is the mask a2 > 0"),
    ("dW1", "dz2 @ z1.T", "z1 is one factor"),
    ("dW1", "da2 @ a1.T", "dJ/da2 is one factor, where the gradient by z2 should"),
    ("dW1", "da2 * z2 @ a1.T", "in the place of dJ/dz2 is wrong: dJ/da2 is multiplied by z2"),
    ("dW1", "dz2 @ x.T", r"shape \(4, 3\), and W1 has shape \(4, 5\).*x is one factor: which node"),
    ("dW1", "dz2 @ a2.T", r"shape \(4, 4\), and W1 has shape \(4, 5\).*a2 is one factor"),
    ("dW1", "a1 @ dz2.T", "transposed"),
    ("dW1", "2 * dz2 @ a1.T", "twice the gradient"),
    ("dW1", "-dz2 @ a1.T", "sign is wrong"),
    ("dW1", "dz2 @ a1.T / 5", "0.2 times the gradient"),
    ("dW1", "dz2 @ a1.T + 0.1 * W1", "0.1 times W1 is added"),
    ("dW1", "(dz2 @ a1.T) * W1", "a factor W1 too many"),
    ("dW1", "np.zeros_like(W1)", "zero everywhere"),
    ("dW1", "np.outer(dz2, a1).T", "transposed"),
    ("dW1", "dz2.dot(a1)", r"a1 has shape \(5, 1\)"),
    ("dW0", "da1 @ x.T", "dJ/da1 is one factor"),
    ("dW0", "dz1 @ a1.T", r"shape \(5, 5\), and W0 has shape \(5, 3\).*a1 is one factor"),
    ("dW0", "x @ dz1.T", "transposed"),
    ("dW0", "dz1 * x", r"dz1 has shape \(5, 1\) and x has shape \(3, 1\)"),
    # ---- back through a layer
    ("da2", "W2 @ dz3", r"W2 has shape \(2, 4\) and dz3 has shape \(2, 1\).*the shape of a2"),
    ("da2", "dz3 @ W2", r"dz3 has shape \(2, 1\) and W2 has shape \(2, 4\)"),
    ("da2", "dz3.T @ W2", r"shape \(1, 4\), and a2 has shape \(4, 1\).*transposed"),
    ("da2", "W2 * dz3", r"shape \(2, 4\).*a sum over axis 0 is missing"),
    ("da2", "W2.T @ dz3 * (z2 > 0)", "a mask too many, z2 > 0"),
    ("da2", "W2.T @ z3", "z3 goes back through W2, where the gradient by z3 should"),
    ("da2", "W2.T @ (z3 + y)", r"what stands in the place of dJ/dz3 is wrong: this is z3 \+ y"),
    ("da2", "np.linalg.pinv(W2) @ dz3", "W2 is inverted, and nothing is to be undone"),
    ("da2", "W2.T @ dz3 + b1", "b1 is added to the right gradient"),
    ("da2", "np.tanh(W2.T @ dz3)", r"no usual slip explains them: look again at z3 = W2 a2 \+ b2"),
    ("da2", "W2", r"shape \(2, 4\).*this is W2"),
    ("da2", "W2.T", r"shape \(4, 2\).*W2 transposed"),
    ("da2", "W2.T.sum(axis=1, keepdims=True)", "made of W2 alone"),
    ("da2", "dz3", r"shape \(2, 1\), and a2 has shape \(4, 1\).*dJ/dz3"),
    ("da1", "W1.T @ da2", "dJ/da2 goes back through W1"),
    ("da1", "W1 @ dz2", r"W1 has shape \(4, 5\) and dz2 has shape \(4, 1\)"),
    ("da1", "W1.T @ dz2 * (z1 > 0)", "a mask too many, z1 > 0"),
    ("da1", "W1.T @ dz2 * a1", "a factor a1 too many"),
    ("da1", "W1.T @ dz3", r"W1.T has shape \(5, 4\) and dz3 has shape \(2, 1\)"),
    ("dx", "W0.T @ da1", "dJ/da1 goes back through W0"),
    ("dx", "W0 @ dz1", r"W0 has shape \(5, 3\)"),
    ("dx", "W0.T @ dz1 * (x > 0)", "a mask too many, x > 0"),
    ("dx", "dz1", r"shape \(5, 1\), and x has shape \(3, 1\)"),
    ("dx", "-W0.T @ dz1", "sign is wrong"),
    # ---- ReLU
    ("dz2", "da2", "dJ/da2 as it came: the derivative of the ReLU between z2 and a2 is missing"),
    ("dz2", "da2 * (z2 < 0)", "wrong way round"),
    ("dz2", "da2 * (da2 > 0)", "the ReLU is applied to dJ/da2"),
    ("dz2", "np.maximum(da2, 0)", "the ReLU is applied to dJ/da2"),
    ("dz2", "da2 * (z1 > 0)", r"da2 has shape \(4, 1\) and z1 > 0 has shape \(5, 1\)"),
    ("dz2", "da2 * (z3 > 0)", r"z3 > 0 has shape \(2, 1\); a ReLU acts entry by entry"),
    ("dz2", "da2 * z2", "multiplied by z2"),
    ("dz2", "da2 * a2", "multiplied by a2, the value of the ReLU"),
    ("dz2", "da2 * np.maximum(z2, 0)", "multiplied by a2, the value of the ReLU"),
    ("dz2", "(z2 > 0)", "the derivative of the ReLU alone"),
    ("dz2", "da2 * np.sign(z2)", "the sign of z2"),
    ("dz2", "da2 @ (z2 > 0)", r"da2 has shape \(4, 1\) and z2 > 0 has shape \(4, 1\)"),
    ("dz2", "da2.T @ (z2 > 0)", r"shape \(1, 1\), and z2 has shape \(4, 1\)"),
    ("dz2", "np.where(z2 > 0, da2, 0.01 * da2)", "where z2 is negative, something comes through"),
    ("dz2", "da2 * (z2 > 1)", "another threshold"),
    ("dz2", "da2[z2 > 0]", "the entries of dead units are left out"),
    ("dz2", "da2 * (z2 > 0.1)", "the mask has another threshold than 0"),
    ("dz2", "da2 * a2 * (1 - a2)", "the derivative is that of another activation"),
    ("dz2", "da2 + (z2 > 0)", "the mask is added"),
    ("dz2", "-da2 * (z2 > 0)", "sign is wrong"),
    ("dz2", "np.where(z2 > 0, z2, 0)", "this is a2|z2 goes through the mask"),
    ("dz1", "da1", "dJ/da1 as it came"),
    ("dz1", "da1 * (z2 > 0)", r"z2 > 0 has shape \(4, 1\)"),
    ("dz1", "da1 * (b0 > 0)", "the mask looks at b0"),
    ("dz1", "da1 * (a1 >= 0)", "dJ/da1 as it came"),
    ("dz1", "np.where(da1 > 0, da1, 0)", "the ReLU is applied to dJ/da1"),
    # ---- names, kinds, statements
    ("dW1", "dz1 @ a1.T", "there is no dz1 there"),
    ("dW1", "dZ2 @ a1.T", "there is no dZ2 there"),
    ("da2", "numpy.dot(W2.T, dz3)", "there is no numpy there"),
    ("db1", "None", "an array of numbers is expected, got None"),
    ("db1", "\n    db1 = dz2 if len(dz2) > 9 else None\n", "got None"),
    ("db1", "[dz2]", "an array of numbers is expected, got a list"),
    ("db1", "dz2 / 0", "not finite"),
    ("dW1", "np.matmul(dz2, a1)", r"dz2 has shape \(4, 1\) and a1 has shape \(5, 1\)"),
    ("dW1", "np.array(dz2 @ a1.T, np.float32)", "float32"),
    ("dz2", "\n    dz2 = da2.copy()\n    dz2[z2 > 0] = 0\n", "wrong way round"),
    ("dz2", "\n    dz2 = da2\n    dz2[z1 <= 0] = 0\n", "boolean index|IndexError"),
    ("dz3", "z3 ^ y", r"z3 \^ y has no meaning.* a power is written \*\*"),
    ("dz3", "np.gradient(z3)", "required$"),
    ("dz3", "z3 - x", "which operands"),
    ("dW2", "dz3 @ a2.transpose", "a2.transpose is a function, and is not called"),
    ("dW2", "np.random.randn(*W2.shape)", "another one each time that it is computed"),
    ("dW2", "W2 - 0.1 * dz3 @ a2.T", "this is W2 after a step of training"),
    ("da2", "dW2.T @ dz3", "dJ/dW2 stands in the place of W2"),
    ("dz2", "da2 if z2 > 0 else 0", "a comparison of arrays has an answer for each entry"),
    ("dz2", "da2 * np.exp(-z2)", "no usual slip explains them"),
    (
        "dz2",
        "\n    dz2 = np.zeros(4)\n    for i in range(4):\n        dz2[i] = da2[i] * (z2[i] > 0)\n",
        "one entry of an array is set to an array",
    ),
    (
        "dW1",
        "\n    dW1 = np.zeros_like(W1)\n    for i in range(4):\n        for j in range(5):\n"
        "            dW1[i, j] = dz2[i, 0] * z1[j, 0]\n",
        "z1 is one factor",
    ),
]

ROWS = [
    ("dz3", "z3 - y", "N times the gradient: J is the mean"),
    ("dz3", "(z3 - y) / z3.size", "Or is the mean taken over all entries"),
    ("dz3", "(z3 - y) / len(x) ** 2", "1/N times the gradient: is the mean taken twice"),
    ("dz3", "(y - z3) / len(x)", "sign is wrong"),
    ("dz3", "2 * (z3 - y) / len(x)", "twice the gradient"),
    ("dz3", "np.mean(z3 - y, axis=0)", r"shape \(2,\), and z3 has shape \(7, 2\).*summed"),
    ("db2", "dz3", r"shape \(7, 2\), and b2 has shape \(2,\).*a sum over the samples is missing"),
    ("db2", "dz3.mean(0)", "1/N times the gradient: is the mean taken twice"),
    ("db2", "dz3.sum(1)", r"shape \(7,\).*over the units of each sample"),
    ("db2", "dz3.sum()", r"shape \(\)"),
    ("db2", "dz3.sum(0, keepdims=True)", r"shape \(1, 2\), and b2 has shape \(2,\).*laid out in another shape"),
    ("db2", "dz3[0]", "only the first sample counts"),
    ("dW2", "dz3.T @ a2 / len(x)", "1/N times the gradient"),
    ("dW2", "dz3 @ a2.T", r"dz3 has shape \(7, 2\) and a2.T has shape \(4, 7\)"),
    ("dW2", "a2.T @ dz3", "transposed"),
    ("dW2", "np.outer(dz3[0], a2[0])", "only the first sample counts"),
    ("dW2", "dz3[:, :, None] * a2[:, None, :]", r"shape \(7, 2, 4\).*a sum over the samples is missing"),
    ("dW2", "np.outer(dz3.sum(0), a2.sum(0))", "sums over the samples are multiplied"),
    ("dW1", "dz2.T @ z1", "z1 is one factor"),
    ("dW1", "da2.T @ a1", "dJ/da2 is one factor"),
    ("da2", "W2.T @ dz3", r"W2.T has shape \(4, 2\) and dz3 has shape \(7, 2\)"),
    ("da2", "dz3 @ W2.T", r"dz3 has shape \(7, 2\) and W2.T has shape \(4, 2\)"),
    ("da2", "(W2.T @ dz3.T)", r"shape \(4, 7\).*transposed"),
    ("da1", "da2 @ W1", "dJ/da2 goes back through W1"),
    ("dz2", "da2", "the derivative of the ReLU between z2 and a2 is missing"),
    ("dz2", "da2 * (z2.sum(0) > 0)", "the mask is the same for all samples"),
    ("dz1", "da1 * (a1 == 0)", "wrong way round"),
    ("dx", "dz1 @ W0.T", r"dz1 has shape \(7, 5\) and W0.T has shape \(3, 5\)"),
    ("dx", "(dz1 @ W0).sum(0)", r"shape \(3,\).*summed"),
]

# The whole of backward, in columns, as others write it.
WHOLE = [
    """    r = z3 - y
    dz3 = r
    n3, n2 = W2.shape
    db2 = np.zeros_like(b2)
    for i in range(n3):
        db2[i] = dz3[i]
    dW2 = np.zeros(W2.shape)
    for i in range(n3):
        for j in range(n2):
            dW2[i, j] = dz3[i, 0] * a2[j, 0]
    da2 = np.zeros_like(a2)
    for j in range(n2):
        for i in range(n3):
            da2[j] += W2[i, j] * dz3[i]
    dz2 = da2.copy()
    mask = z2 <= 0
    dz2[mask] = 0
    db1 = dz2
    rows = []
    for i in range(len(dz2)):
        rows.append(dz2[i] * a1.ravel())
    dW1 = np.stack(rows)
    def relu_back(g, z):
        return g * (z > 0)
    da1 = W1.T.dot(dz2)
    dz1 = relu_back(da1, z1)
    db0 = dz1.copy()
    dW0 = np.empty_like(W0)
    np.dot(dz1, x.T, out=dW0)
    dx = np.zeros_like(x)
    dx += W0.T @ dz1
""",
    """    import numpy as anp
    dz3 = anp.subtract(z3, y)
    db2, dW2 = dz3, dz3 @ a2.T
    da2 = W2.T @ dz3
    if True:
        dz2 = np.zeros_like(z2)
        for i, v in enumerate(z2):
            if v > 0:
                dz2[i] = da2[i]
    db1 = 1 * dz2
    dW1 = dz2 @ a1.T; da1 = W1.T @ dz2
    dz1 = da1
    dz1 = dz1 * (z1 > 0)
    dW0 = dz1 @ x.T
    db0 = dz1
    with np.errstate(all="ignore"):
        dx = W0.T @ dz1
""",
]


def filled(source, name, text):
    """Return a solution with another right side, or with other lines, for one gradient."""
    lines = source.splitlines(keepends=True)
    number = next(number for number, line in enumerate(lines) if line.startswith(f"    {name} = "))
    lines[number] = text[1:] if text.startswith("\n") else f"    {name} = {text}\n"
    return "".join(lines)
