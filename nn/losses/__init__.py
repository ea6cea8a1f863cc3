"""The losses, one file a family, on `base.Loss`."""
