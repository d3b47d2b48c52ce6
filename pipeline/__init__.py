"""The TFX pipeline around `wseg_tf`, and its command line."""
