"""Files: written completely or not at all, and read with checks that name what is wrong."""
