"""Mathematics as data: the language in which modules state what they compute."""
