# No FIN is taken note of.
s/way->fin_seen = 1;//
