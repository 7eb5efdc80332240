"""What the scripts of utils/ and the harnesses of test/ share. Nothing here ships."""
