# No FIN is taken note of.
s/ABI_SPLICE_FIN_SEEN << from);/0);/
