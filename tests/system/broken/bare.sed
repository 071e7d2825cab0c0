# A packet without options gets a wrong number.
s/if (walk->end == sizeof(struct tcphdr))$/if (walk->end == sizeof(struct tcphdr) \&\& !(word[1] = 0))/
