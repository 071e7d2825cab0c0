# What this host sends by itself leaves it.
s/if (state == ABI_SPLICE_FLIPPING || state == ABI_SPLICE_SPLICED ||/if (state == ABI_SPLICE_FLIPPING ||/
